use super::dataset::{Batch, TensorDataset};
use crate::element::Element;
use crate::error::{Error, Result};
use crate::generator::Generator;
use crate::shape::Features;
use crate::tensor::sure;
use core::iter::FusedIterator;

/// The batches of a data set, in order or shuffled anew for each epoch: `torch.utils.data.DataLoader`.
///
/// The order depends on the seed and the number of the epoch alone, so a run that is resumed in epoch 7 sees what the
/// uninterrupted run would have seen. Defaults are PyTorch's: one row a batch, no shuffling, and a last batch that may
/// be smaller than the others.
///
/// ```
/// use plywood::prelude::*;
///
/// let x: Tensor<Shape![10, 2]> = Tensor::zeros();
/// let all = TensorDataset::new(x, tensor![0, 1, 2, 3, 4, 5, 6, 7, 8, 9])?;
/// let loader = DataLoader::new(&all).batch_size(4)?.shuffle(42);
/// assert_eq!(loader.len(), 3);
///
/// for epoch in 0..2 {
///     let sizes: Vec<usize> = loader.batches(epoch).map(|(x, _labels)| x.sizes()[0]).collect();
///     assert_eq!(sizes, [4, 4, 2]);
/// }
/// assert_eq!(loader.drop_last(true).len(), 2);
/// # Ok::<(), plywood::Error>(())
/// ```
///
/// [`batches`](DataLoader::batches) gives each batch memory of its own. To use the same memory again and again, take the
/// order, its chunks and the rows of each yourself:
///
/// ```
/// # use plywood::prelude::*;
/// # let x: Tensor<Shape![10, 2]> = Tensor::zeros();
/// # let all = TensorDataset::new(x, tensor![0, 1, 2, 3, 4, 5, 6, 7, 8, 9])?;
/// # let loader = DataLoader::new(&all).batch_size(4)?.shuffle(42);
/// let mut order = Vec::new();
/// let (mut x, mut labels) = all.gather(&[])?;
/// for epoch in 0..2 {
///     loader.order_into(epoch, &mut order);
///     for rows in loader.chunks(&order) {
///         all.gather_into(rows, &mut x, &mut labels)?;
///         assert_eq!(labels.numel(), rows.len());
///     }
/// }
/// # Ok::<(), plywood::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct DataLoader<'a, X: Features, Y: Features = (), E: Element = f32, L: Element = i64> {
    dataset: &'a TensorDataset<X, Y, E, L>,
    batch_size: usize,
    seed: Option<u64>,
    drop_last: bool,
}

impl<'a, X: Features, Y: Features, E: Element, L: Element> DataLoader<'a, X, Y, E, L> {
    /// Batches of one row each, in order.
    #[must_use]
    pub fn new(dataset: &'a TensorDataset<X, Y, E, L>) -> Self {
        DataLoader { dataset, batch_size: 1, seed: None, drop_last: false }
    }

    /// Batches of this many rows. More than the data set has is one batch of all.
    ///
    /// # Errors
    /// If it is 0.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![3, 2]> = Tensor::zeros();
    /// let all = TensorDataset::new(x, tensor![0, 1, 2])?;
    /// let wrong = DataLoader::new(&all).batch_size(0).unwrap_err();
    /// assert_eq!(wrong.to_string(), "the batch size of a DataLoader is 0, but must be at least 1");
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn batch_size(self, rows: usize) -> Result<Self> {
        if rows == 0 {
            return Err(Error::Setting {
                what: "the batch size of a DataLoader",
                given: rows.to_string(),
                expected: "at least 1",
            });
        }
        Ok(DataLoader { batch_size: rows, ..self })
    }

    /// In each epoch another random order, which this seed decides.
    #[must_use]
    pub fn shuffle(self, seed: u64) -> Self {
        DataLoader { seed: Some(seed), ..self }
    }

    /// Whether to leave out the last batch if it is smaller than the others.
    #[must_use]
    pub fn drop_last(self, drop_last: bool) -> Self {
        DataLoader { drop_last, ..self }
    }

    /// The number of batches in an epoch.
    #[must_use]
    pub fn len(&self) -> usize {
        let rows = self.dataset.len();
        if self.drop_last { rows / self.batch_size } else { rows.div_ceil(self.batch_size) }
    }

    /// Whether an epoch has no batches. See [`DataLoader`].
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The batches of an epoch, each inputs [batch, `X`…] and targets [batch, `Y`…] in memory of their own.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![3, 1]> = tensor![[4.0], [0.0], [2.0]];
    /// let all = TensorDataset::new(x, tensor![0, 1, 2])?;
    /// let loader = DataLoader::new(&all).batch_size(2)?;
    /// let batches: Vec<(Tensor<Shape![_, 1]>, Tensor<Shape![_], i64>)> = loader.batches(0).collect();
    /// assert_eq!(batches[0].0.to_vec(), [4.0, 0.0]);
    /// assert_eq!(batches[1].1.to_vec(), [2]);
    /// # Ok::<(), plywood::Error>(())
    /// ```
    #[must_use]
    pub fn batches(&self, epoch: u64) -> Batches<'a, X, Y, E, L> {
        let mut order = Vec::new();
        self.order_into(epoch, &mut order);
        Batches { loader: *self, order, next: 0 }
    }

    /// Writes the rows of an epoch in their order over `order`, all of them, even if the last batch is left out.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![3, 1]> = tensor![[4.0], [0.0], [2.0]];
    /// let all = TensorDataset::new(x, tensor![0, 1, 2])?;
    /// let mut order = vec![];
    /// DataLoader::new(&all).order_into(0, &mut order);
    /// assert_eq!(order, [0, 1, 2]);
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn order_into(&self, epoch: u64, order: &mut Vec<usize>) {
        order.clear();
        order.extend(0..self.dataset.len());
        if let Some(seed) = self.seed {
            Generator::manual_seed(seed).stream(epoch).shuffle(order);
        }
    }

    /// The rows of each batch, out of the rows of an epoch in their order.
    pub fn chunks<'o>(&self, order: &'o [usize]) -> impl ExactSizeIterator<Item = &'o [usize]> + use<'o, X, Y, E, L> {
        let kept = if self.drop_last { order.len() / self.batch_size * self.batch_size } else { order.len() };
        order[..kept].chunks(self.batch_size)
    }
}

/// The batches of an epoch; see [`DataLoader::batches`].
#[derive(Clone, Debug)]
pub struct Batches<'a, X: Features, Y: Features = (), E: Element = f32, L: Element = i64> {
    loader: DataLoader<'a, X, Y, E, L>,
    order: Vec<usize>,
    next: usize,
}

impl<X: Features, Y: Features, E: Element, L: Element> Iterator for Batches<'_, X, Y, E, L> {
    type Item = Batch<X, Y, E, L>;

    fn next(&mut self) -> Option<Self::Item> {
        let rows = self.loader.chunks(&self.order).nth(self.next)?;
        self.next += 1;
        Some(sure(self.loader.dataset.gather(rows)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.loader.len() - self.next;
        (left, Some(left))
    }
}

impl<X: Features, Y: Features, E: Element, L: Element> ExactSizeIterator for Batches<'_, X, Y, E, L> {}
impl<X: Features, Y: Features, E: Element, L: Element> FusedIterator for Batches<'_, X, Y, E, L> {}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    fn numbered(rows: usize) -> TensorDataset<Shape![2]> {
        let x: Tensor<Shape![_, 2]> = Tensor::from_vec((0..rows * 2).map(|i| i as f32).collect()).unwrap();
        TensorDataset::new(x, Tensor::<Shape![_], i64>::from_vec((0..rows as i64).collect()).unwrap()).unwrap()
    }

    #[test]
    fn an_epoch_covers_every_row_exactly_once_in_batches_of_the_right_size() {
        for rows in [0, 1, 2, 5, 12, 13] {
            let all = numbered(rows);
            for size in [1, 2, 3, 4, 12, 13, 14, usize::MAX] {
                let loader = DataLoader::new(&all).batch_size(size).unwrap().shuffle(9);
                let batches: Vec<_> = loader.batches(3).collect();
                assert_eq!(batches.len(), loader.len());
                assert_eq!(loader.batches(3).len(), loader.len());
                for (i, (x, y)) in batches.iter().enumerate() {
                    assert_eq!(x.sizes()[0], size.min(rows - i * size));
                    assert!(x.rows().zip(y).all(|(x, y)| x.to_vec() == [*y as f32 * 2.0, *y as f32 * 2.0 + 1.0]));
                }
                let mut seen: Vec<i64> = batches.iter().flat_map(|(_, y)| y.to_vec()).collect();
                seen.sort_unstable();
                assert_eq!(seen, (0..rows as i64).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn drop_last_leaves_out_only_a_batch_that_is_not_full() {
        let all = numbered(12);
        for (size, batches) in [(1, 12), (5, 2), (4, 3), (12, 1), (13, 0)] {
            let loader = DataLoader::new(&all).batch_size(size).unwrap().drop_last(true);
            assert_eq!((loader.len(), loader.batches(0).count()), (batches, batches));
            assert_eq!(loader.is_empty(), batches == 0);
            assert!(loader.batches(0).all(|(x, _)| x.sizes()[0] == size));
        }
    }

    #[test]
    fn the_order_is_a_function_of_seed_and_epoch_alone() {
        let all = numbered(50);
        let order = |seed, epoch| {
            let mut order = vec![99];
            DataLoader::new(&all).shuffle(seed).order_into(epoch, &mut order);
            order
        };
        assert_eq!(order(1, 5), order(1, 5));
        assert_ne!(order(1, 5), order(1, 6));
        assert_ne!(order(1, 5), order(2, 5));

        let loader = DataLoader::new(&all).batch_size(7).unwrap().shuffle(1);
        let rows: Vec<usize> =
            loader.batches(5).flat_map(|(_, y)| y.map(|y| *y as u64).to_vec()).map(|y| y as usize).collect();
        assert_eq!(rows, order(1, 5));
    }

    #[test]
    fn without_a_seed_every_epoch_is_in_order() {
        let all = numbered(5);
        let mut order = Vec::new();
        DataLoader::new(&all).order_into(7, &mut order);
        assert_eq!(order, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn epochs_after_the_first_take_no_new_memory() {
        let all = numbered(23);
        let loader = DataLoader::new(&all).batch_size(5).unwrap().shuffle(0);
        let mut order = Vec::new();
        let (mut x, mut y) = all.gather(&[]).unwrap();
        let mut places = Vec::new();
        for epoch in 0..4 {
            loader.order_into(epoch, &mut order);
            for rows in loader.chunks(&order) {
                all.gather_into(rows, &mut x, &mut y).unwrap();
                places.push((order.as_ptr(), x.as_slice().as_ptr(), y.as_slice().as_ptr()));
            }
        }
        assert!(places.windows(2).all(|pair| pair[0] == pair[1]));
    }
}
