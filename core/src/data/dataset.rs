use crate::backend::Device;
use crate::dim::Dyn;
use crate::element::Element;
use crate::error::{Error, MoveError, Result};
use crate::shape::{Features, Shape, Sizes};
use crate::tensor::{Rows, Tensor};

/// Inputs [batch, `X`…] and targets [batch, `Y`…] of as many samples. See
/// [`DataLoader::batches`](crate::data::DataLoader::batches).
pub type Batch<X, Y, E, L> = (Tensor<<X as Features>::Batched<Dyn>, E>, Tensor<<Y as Features>::Batched<Dyn>, L>);

/// Samples in memory, each an input of shape `X` with a target of shape `Y`: `torch.utils.data.TensorDataset`.
///
/// Inputs are a tensor [rows, `X`…], targets a tensor [rows, `Y`…]. As declared here the targets are class labels, one
/// `i64` a row; for a regression they are floats, as in `TensorDataset<Shape![3], Shape![1], f32, f32>`.
///
/// The tensors may be on a GPU, both on the same: [`to`](TensorDataset::to) moves them. Batches are then gathered there, and a
/// [`Trainer`](crate::train::Trainer) on that GPU copies nothing but their row numbers.
///
/// Each row keeps the number that it had in the first data set ([`indices`](TensorDataset::indices)), through every
/// split and subset.
///
/// ```
/// use plywood::prelude::*;
///
/// let x: Tensor<Shape![4, 2]> = tensor![[0.0, 1.0], [2.0, 3.0], [4.0, 5.0], [6.0, 7.0]];
/// let all: TensorDataset<Shape![2]> = TensorDataset::new(x, tensor![0, 1, 1, 0])?;
/// assert_eq!(all.len(), 4);
///
/// let (train, test) = all.split(0.75, &mut Generator::manual_seed(0))?;
/// assert_eq!((train.len(), test.len()), (3, 1));
/// let row = test.indices()[0];
/// assert_eq!(test.inputs().row(0), all.inputs().row(row));
/// # Ok::<(), plywood::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct TensorDataset<X: Features, Y: Features = (), E: Element = f32, L: Element = i64> {
    inputs: Tensor<X::Batched<Dyn>, E>,
    targets: Tensor<Y::Batched<Dyn>, L>,
    indices: Vec<usize>,
}

impl<X: Features, Y: Features, E: Element, L: Element> TensorDataset<X, Y, E, L> {
    /// Inputs and the target of each, numbered from 0. The elements are moved, not copied.
    ///
    /// # Errors
    /// If there are not as many targets as inputs, or they are not on the same device.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![3, 2]> = tensor![[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]];
    /// let wrong = TensorDataset::new(x, tensor![0, 1]).unwrap_err();
    /// assert_eq!(wrong.to_string(), "inputs and targets differ in the number of rows: [3, 2] against [2]");
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn new<S: Rows<Row = X>, T: Rows<Row = Y>>(inputs: Tensor<S, E>, targets: Tensor<T, L>) -> Result<Self> {
        check_rows(&inputs, &targets)?;
        if inputs.device() != targets.device() {
            return Err(Error::Devices {
                what: "the input of a data set",
                left: inputs.device().to_string(),
                other: "its target",
                right: targets.device().to_string(),
            });
        }
        let rows = inputs.shape().rows();
        Ok(TensorDataset {
            inputs: inputs.into_shape(X::default().batched(Dyn(rows))),
            targets: targets.into_shape(Y::default().batched(Dyn(rows))),
            indices: (0..rows).collect(),
        })
    }

    /// Where the tensors are. See [`to`](TensorDataset::to).
    #[must_use]
    pub fn device(&self) -> Device {
        self.inputs.device()
    }

    /// The data set on this device; as it is, if it is there already.
    ///
    /// # Errors
    /// If the device's memory does not suffice, or it fails; the data set is in the error, see [`MoveError`].
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let device = Device::best()?;
    /// let data = TensorDataset::new(Tensor::<Shape![4, 2]>::ones(), tensor![0, 1, 1, 0])?.to(&device)?;
    /// let model = sequential![Linear(2, 2)].init(&mut Generator::manual_seed(0));
    /// let mut trainer = Trainer::new(model, CrossEntropyLoss, Adam::new(1e-2)).on(&data.device())?;
    /// trainer.fit(&data, Fit::epochs(3).batch(2).quiet())?;
    /// # Ok::<(), plywood::Error>(())
    /// ```
    #[allow(clippy::result_large_err, reason = "the value itself is as large")]
    pub fn to(self, device: &Device) -> Result<Self, MoveError<Self>> {
        if self.device() == *device {
            return Ok(self);
        }
        match self.inputs.copied_to(device).and_then(|inputs| Ok((inputs, self.targets.copied_to(device)?))) {
            Ok((inputs, targets)) => Ok(TensorDataset { inputs, targets, indices: self.indices }),
            Err(error) => Err(MoveError { value: self, error }),
        }
    }

    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// Whether there are no rows. See [`TensorDataset`].
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// The inputs [rows, `X`…].
    #[must_use]
    pub fn inputs(&self) -> &Tensor<X::Batched<Dyn>, E> {
        &self.inputs
    }

    /// The targets [rows, `Y`…].
    #[must_use]
    pub fn targets(&self) -> &Tensor<Y::Batched<Dyn>, L> {
        &self.targets
    }

    /// The number that each row had in the data set it was taken from first.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let names = ["aardvark", "bass", "chicken"];
    /// let x: Tensor<Shape![3, 1]> = tensor![[4.0], [0.0], [2.0]];
    /// let animals = TensorDataset::new(x, tensor![0, 1, 2])?;
    /// let some = animals.subset(&[2, 0])?.subset(&[0])?;
    /// assert_eq!(names[some.indices()[0]], "chicken");
    /// # Ok::<(), plywood::Error>(())
    /// ```
    #[must_use]
    pub fn indices(&self) -> &[usize] {
        &self.indices
    }

    /// The rows of these numbers (of this data set, from 0), in this order; a number given twice is two rows.
    ///
    /// # Errors
    /// If there is no row of such a number.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![3, 1]> = tensor![[4.0], [0.0], [2.0]];
    /// let all = TensorDataset::new(x, tensor![0, 1, 2])?;
    /// assert_eq!(all.subset(&[2, 0])?.inputs().to_vec(), [2.0, 4.0]);
    /// let wrong = all.subset(&[0, 3]).unwrap_err();
    /// assert_eq!(wrong.to_string(), "row 3 was asked for (at position 1), but the data set has 3 rows, numbered from 0");
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn subset(&self, rows: &[usize]) -> Result<Self> {
        let (inputs, targets) = self.gather(rows)?;
        Ok(TensorDataset { inputs, targets, indices: rows.iter().map(|row| self.indices[*row]).collect() })
    }

    /// The same targets and indices with other inputs: scaled, reshaped, computed from these.
    ///
    /// # Errors
    /// If `f` changes the number of rows.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![3, 1]> = tensor![[1.0], [2.0], [6.0]];
    /// let all = TensorDataset::new(x, tensor![0, 0, 1])?;
    /// let scaler = StandardScaler::fit(all.inputs())?;
    /// let scaled = all.map_inputs(|x| scaler.transform(x))?;
    /// assert!(scaled.inputs().iter().sum::<f32>().abs() < 1e-6);
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn map_inputs<S: Rows, F: Element>(
        &self,
        f: impl FnOnce(&Tensor<X::Batched<Dyn>, E>) -> Tensor<S, F>,
    ) -> Result<TensorDataset<S::Row, Y, F, L>> {
        let inputs = f(&self.inputs);
        check_rows(&inputs, &self.targets)?;
        Ok(TensorDataset {
            inputs: inputs.into_shape(S::Row::default().batched(Dyn(self.len()))),
            targets: self.targets.clone(),
            indices: self.indices.clone(),
        })
    }

    /// The rows of these numbers, in this order, as tensors of their own.
    ///
    /// # Errors
    /// If there is no row of such a number.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let inputs: Tensor<Shape![3, 1]> = tensor![[4.0], [0.0], [2.0]];
    /// let all = TensorDataset::new(inputs, tensor![0, 1, 2])?;
    /// let (x, labels): (Tensor<Shape![_, 1]>, Tensor<Shape![_], i64>) = all.gather(&[2, 0])?;
    /// assert_eq!((x.to_vec(), labels.to_vec()), (vec![2.0, 4.0], vec![2, 0]));
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn gather(&self, rows: &[usize]) -> Result<Batch<X, Y, E, L>> {
        let (mut x, mut y) = empty_batch::<X, Y, E, L>();
        self.gather_into(rows, &mut x, &mut y)?;
        Ok((x, y))
    }

    /// [`gather`](TensorDataset::gather) in memory that is used again: nothing is allocated unless the rows are more
    /// than `x` and `y` have ever held, or these are on another device.
    ///
    /// # Errors
    /// If there is no row of such a number; `x` and `y` are then as they were. If a GPU fails.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let inputs: Tensor<Shape![3, 1]> = tensor![[4.0], [0.0], [2.0]];
    /// let all = TensorDataset::new(inputs, tensor![0, 1, 2])?;
    /// let (mut x, mut y) = all.gather(&[0, 1, 2])?;
    /// all.gather_into(&[2], &mut x, &mut y)?;
    /// assert_eq!((x.to_vec(), y.to_vec()), (vec![2.0], vec![2]));
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn gather_into(
        &self,
        rows: &[usize],
        x: &mut Tensor<X::Batched<Dyn>, E>,
        y: &mut Tensor<Y::Batched<Dyn>, L>,
    ) -> Result<()> {
        if let Some(position) = rows.iter().position(|row| *row >= self.len()) {
            return Err(Error::Row { position, row: rows[position], rows: self.len() });
        }
        #[cfg(feature = "cuda")]
        if let (Some(inputs), Some(targets)) = (self.inputs.memory(), self.targets.memory()) {
            let (gpu, count) = (inputs.gpu(), Dyn(rows.len()));
            let x = x.make_room(gpu, X::default().batched(count))?;
            let y = y.make_room(gpu, Y::default().batched(count))?;
            let parts = [(inputs, x, X::NUMEL * size_of::<E>()), (targets, y, Y::NUMEL * size_of::<L>())];
            return crate::backend::cuda::gather(rows, parts);
        }
        gather_rows::<X, E>(&self.inputs, rows, x);
        gather_rows::<Y, L>(&self.targets, rows, y);
        Ok(())
    }
}

fn check_rows<S: Shape, T: Shape, E: Element, L: Element>(inputs: &Tensor<S, E>, targets: &Tensor<T, L>) -> Result<()> {
    let (left, right) = (inputs.sizes(), targets.sizes());
    let (left, right) = (left.as_ref(), right.as_ref());
    if left.first() == right.first() {
        return Ok(());
    }
    Err(Error::Shape {
        what: "inputs and targets differ in the number of rows",
        left: Sizes(left).to_string(),
        right: Sizes(right).to_string(),
    })
}

pub(super) fn empty_batch<X: Features, Y: Features, E: Element, L: Element>() -> Batch<X, Y, E, L> {
    (Tensor::zeros_of(X::default().batched(Dyn(0))), Tensor::zeros_of(Y::default().batched(Dyn(0))))
}

fn gather_rows<X: Features, E: Element>(
    from: &Tensor<X::Batched<Dyn>, E>,
    rows: &[usize],
    to: &mut Tensor<X::Batched<Dyn>, E>,
) {
    if to.device() != Device::Cpu {
        *to = Tensor::zeros_of(X::default().batched(Dyn(0)));
    }
    to.reshape_in_place(X::default().batched(Dyn(rows.len())));
    let (from, to) = (from.as_slice(), to.as_mut_slice());
    for (position, row) in rows.iter().enumerate() {
        to[position * X::NUMEL..][..X::NUMEL].copy_from_slice(&from[row * X::NUMEL..][..X::NUMEL]);
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    fn numbered(rows: usize) -> TensorDataset<Shape![2, 3]> {
        let x: Tensor<Shape![_, 2, 3]> = Tensor::from_vec((0..rows * 6).map(|i| i as f32).collect()).unwrap();
        TensorDataset::new(x, Tensor::<Shape![_], i64>::from_vec((0..rows as i64).collect()).unwrap()).unwrap()
    }

    #[test]
    fn sizes_known_at_compile_time_and_at_run_time_give_the_same_data_set() {
        let x: Tensor<Shape![2, 1]> = tensor![[1.0], [2.0]];
        let y: Tensor<Shape![2], i64> = tensor![0, 1];
        let fixed = TensorDataset::new(x.clone(), y.clone()).unwrap();
        let free =
            TensorDataset::new(x.try_shape::<Shape![_, 1]>().unwrap(), y.try_shape::<Shape![_]>().unwrap()).unwrap();
        assert_eq!(fixed, free);
    }

    #[test]
    fn a_subset_takes_input_target_and_index_of_the_same_row() {
        let all = numbered(7);
        let some = all.subset(&[6, 0, 6]).unwrap();
        assert_eq!(some.indices(), [6, 0, 6]);
        assert_eq!(some.targets().to_vec(), [6, 0, 6]);
        for (row, index) in some.inputs().rows().zip(some.indices()) {
            assert_eq!(row, all.inputs().row(*index).unwrap());
        }
        assert_eq!(some.subset(&[1, 2]).unwrap().indices(), [0, 6]);
        assert!(all.subset(&[]).unwrap().is_empty());
    }

    #[test]
    fn a_failed_gather_leaves_the_batch_as_it_was() {
        let all = numbered(3);
        let (mut x, mut y) = all.gather(&[1]).unwrap();
        assert!(all.gather_into(&[0, 1, usize::MAX], &mut x, &mut y).is_err());
        assert_eq!(x, all.gather(&[1]).unwrap().0);
        assert_eq!(y.to_vec(), [1]);
    }

    #[test]
    fn a_smaller_batch_between_larger_ones_reuses_the_memory() {
        let all = numbered(40);
        let rows: Vec<usize> = (0..40).collect();
        let (mut x, mut y) = all.gather(&rows).unwrap();
        let at = (x.as_slice().as_ptr(), y.as_slice().as_ptr());
        for count in [3, 40, 0, 17, 40] {
            all.gather_into(&rows[..count], &mut x, &mut y).unwrap();
            assert_eq!((x.as_slice().as_ptr(), y.as_slice().as_ptr()), at);
            assert_eq!(x.sizes(), [count, 2, 3]);
        }
        assert_eq!(&x, all.inputs());
    }

    #[test]
    fn inputs_mapped_to_another_shape_and_type_keep_targets_and_indices() {
        let some = numbered(5).subset(&[4, 2]).unwrap();
        let sums: TensorDataset<Shape![1], (), f64> = some
            .map_inputs(|x| {
                let sums = x.rows().map(|row| row.iter().map(|x| f64::from(*x)).sum()).collect();
                Tensor::<Shape![_, 1], f64>::from_vec(sums).unwrap()
            })
            .unwrap();
        assert_eq!(sums.inputs().to_vec(), [159.0, 87.0]);
        assert_eq!((sums.indices(), sums.targets()), (some.indices(), some.targets()));

        let wrong = some.map_inputs(|_| Tensor::<Shape![3, 1]>::zeros()).unwrap_err();
        assert_eq!(wrong.to_string(), "inputs and targets differ in the number of rows: [3, 1] against [2]");
    }
}
