//! Columns, ranges and elements picked by numbers that the running program has.

use super::lanes::around;
#[cfg(feature = "cuda")]
use super::on_gpu;
use super::{Axis, Storage, Tensor};
use crate::dim::{Dim, StaticDim};
use crate::element::{Element, Label};
use crate::error::{Error, Result};
use crate::shape::{Shape, Sizes};

impl Error {
    fn index(position: usize, index: impl ToString, axis: usize, size: usize) -> Self {
        Error::Index { position, index: index.to_string(), axis, size }
    }
}

/// The index as a position on an axis of this size.
fn checked<L: Label>(position: usize, index: L, axis: usize, size: usize) -> Result<usize> {
    index.to_usize().filter(|i| *i < size).ok_or_else(|| Error::index(position, index, axis, size))
}

impl<M: Dim, N: Dim, E: Element, B: Storage<E>> Tensor<(M, N), E, B> {
    /// A column, copied; `None` outside.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![2, 3]> = tensor![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
    /// assert_eq!(x.column(2), Some(tensor![3.0, 6.0]));
    /// assert!(x.column(3).is_none());
    /// ```
    #[must_use]
    pub fn column(&self, index: usize) -> Option<Tensor<(M,), E>> {
        let [_, size] = self.sizes();
        (index < size).then(|| {
            #[cfg(feature = "cuda")]
            if let Some(x) = self.array() {
                return super::sure(on_gpu::copied((self.shape().0,), &x.narrowed(1, index, 1)));
            }
            let mut y = Tensor::zeros_of((self.shape().0,));
            let x = self.as_slice()[index..].iter().step_by(size);
            y.as_mut_slice().iter_mut().zip(x).for_each(|(y, x)| *y = *x);
            y
        })
    }
}

impl<S: Shape, E: Element, B: Storage<E>> Tensor<S, E, B> {
    /// `Length` positions of axis `I` from `start` on.
    ///
    /// # Errors
    /// If they do not lie in the axis.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![_, 2]> = Tensor::from_vec(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0])?;
    /// assert_eq!(x.narrow::<0, D<2>>(1)?, tensor![[3.0, 4.0], [5.0, 6.0]]);
    /// let wrong = x.narrow::<0, D<2>>(2).unwrap_err();
    /// assert_eq!(wrong.to_string(), "the range 2..4 does not lie in axis 0, which has 3 positions");
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn narrow<const I: usize, Length: StaticDim>(&self, start: usize) -> Result<Tensor<S::With<Length>, E>>
    where
        S: Axis<I>,
    {
        let end = start.saturating_add(Length::SIZE);
        if end > self.sizes().as_ref()[I] {
            return Err(Error::Slice { start, end, axis: I, size: self.sizes().as_ref()[I] });
        }
        Ok(self.range::<I, _>(start, Length::SIZE))
    }

    /// The axis `I`, to pick from it by indices: [`index_select`](Along::index_select) and [`gather`](Along::gather).
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![3]> = tensor![0.5, 1.5, 2.5];
    /// assert_eq!(x.along::<0>().index_select(&tensor![1, 1])?, tensor![1.5, 1.5]);
    /// # Ok::<(), plywood::Error>(())
    /// ```
    #[must_use]
    pub fn along<const I: usize>(&self) -> Along<'_, I, S, E, B>
    where
        S: Axis<I>,
    {
        Along(self)
    }
}

/// The axis `I` of a tensor; see [`Tensor::along`].
#[derive(Debug)]
pub struct Along<'a, const I: usize, S: Shape, E: Element, B: Storage<E>>(&'a Tensor<S, E, B>);

impl<const I: usize, S: Axis<I>, E: Element, B: Storage<E>> Along<'_, I, S, E, B> {
    /// The positions of the axis that `indices` lists, in its order; one may stand there twice.
    ///
    /// # Errors
    /// If an index is outside the axis.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![3, 2]> = tensor![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]];
    /// let indices: Tensor<Shape![2], i64> = tensor![2, 0];
    /// let y: Tensor<Shape![2, 2]> = x.along::<0>().index_select(&indices)?;
    /// assert_eq!(y, tensor![[5.0, 6.0], [1.0, 2.0]]);
    ///
    /// let indices: Tensor<Shape![2], i64> = tensor![0, -1];
    /// let wrong = x.along::<0>().index_select(&indices).unwrap_err();
    /// assert_eq!(wrong.to_string(), "index 1 is -1, but axis 0 has 3 positions, numbered from 0");
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn index_select<N: Dim, L: Label, A: Storage<L>>(
        &self,
        indices: &Tensor<(N,), L, A>,
    ) -> Result<Tensor<S::With<N>, E>> {
        let (before, size, after) = around(self.0.sizes().as_ref(), I);
        #[cfg(feature = "cuda")]
        if let Some((x, list)) = on_gpu::pair(self.0, indices)? {
            let shape = self.0.resized::<I, S::With<N>>(indices.numel());
            let list = on_gpu::along(&list, I, shape.sizes().as_ref());
            // Every place of an index refuses it: the first of all is in the first row.
            return on_gpu::picked(shape, x, list, I)?.map_err(|place| {
                let position = place / after % indices.numel();
                Error::index(position, on_gpu::element(indices, position), I, size)
            });
        }
        let mut y = Tensor::zeros_of(self.0.resized::<I, S::With<N>>(indices.numel()));
        for (k, index) in indices.iter().enumerate() {
            let index = checked(k, *index, I, size)?;
            for i in 0..before {
                y.as_mut_slice()[(i * indices.numel() + k) * after..][..after]
                    .copy_from_slice(&self.0.as_slice()[(i * size + index) * after..][..after]);
            }
        }
        Ok(y)
    }

    /// For each place of `indices` the element at the same place, but at that index along the axis, as in PyTorch.
    ///
    /// # Errors
    /// If an index is outside the axis, or if `indices` is larger than this tensor along another axis.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let logits: Tensor<Shape![2, 3]> = tensor![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
    /// let labels: Tensor<Shape![2, 1], i64> = tensor![[2], [0]];
    /// assert_eq!(logits.along::<1>().gather(&labels)?, tensor![[3.0], [4.0]]);
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn gather<N: Dim, L: Label, A: Storage<L>>(
        &self,
        indices: &Tensor<S::With<N>, L, A>,
    ) -> Result<Tensor<S::With<N>, E>> {
        let (sizes, given) = (self.0.sizes(), indices.sizes());
        let (sizes, given) = (sizes.as_ref(), given.as_ref());
        if (0..sizes.len()).any(|i| i != I && given[i] > sizes[i]) {
            return Err(Error::Shape {
                what: "the indices of a gather are larger than the tensor along another axis",
                left: Sizes(given).to_string(),
                right: Sizes(sizes).to_string(),
            });
        }
        #[cfg(feature = "cuda")]
        if let Some((x, list)) = on_gpu::pair(self.0, indices)? {
            return on_gpu::picked(indices.shape(), x, list, I)?
                .map_err(|place| Error::index(place, on_gpu::element(indices, place), I, sizes[I]));
        }
        let mut y = Tensor::zeros_of(indices.shape());
        for (place, index) in indices.iter().enumerate() {
            let index = checked(place, *index, I, sizes[I])?;
            let (mut rest, mut from, mut stride) = (place, 0, 1);
            for i in (0..sizes.len()).rev() {
                from += stride * if i == I { index } else { rest % given[i] };
                rest /= given[i];
                stride *= sizes[i];
            }
            y.as_mut_slice()[place] = self.0.as_slice()[from];
        }
        Ok(y)
    }
}
