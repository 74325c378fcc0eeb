//! What turns each lane along an axis into another lane: softmax, running sums, order.

use super::elementwise::is_nan;
use super::{Axis, Storage, Tensor};
use crate::dim::StaticDim;
use crate::element::{Float, Numeric};
use crate::error::{Error, Result};
use crate::shape::Shape;
use core::cmp::Ordering;

impl<S: Shape, E: Float, B: Storage<E>> Tensor<S, E, B> {
    /// eˣ / Σ eˣ along axis `I`: positive numbers that sum to 1.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![1, 2]> = tensor![[1000.0, 1000.0]];
    /// assert_eq!(x.softmax::<1>(), tensor![[0.5, 0.5]]);
    /// ```
    #[must_use]
    pub fn softmax<const I: usize>(&self) -> Tensor<S, E>
    where
        S: Axis<I>,
    {
        #[cfg(feature = "cuda")]
        if let Some(x) = self.array() {
            return super::sure(super::on_gpu::softmax(self.shape(), &x, I, false));
        }
        self.map_lanes(self.sizes().as_ref()[I], crate::nn::softmax)
    }

    /// x − ln(Σ eˣ) along axis `I`: the logarithm of [`softmax`](Tensor::softmax), without underflow.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![1, 2]> = tensor![[0.0, -1000.0]];
    /// assert_eq!(x.log_softmax::<1>(), tensor![[0.0, -1000.0]]);
    /// ```
    #[must_use]
    pub fn log_softmax<const I: usize>(&self) -> Tensor<S, E>
    where
        S: Axis<I>,
    {
        #[cfg(feature = "cuda")]
        if let Some(x) = self.array() {
            return super::sure(super::on_gpu::softmax(self.shape(), &x, I, true));
        }
        self.map_lanes(self.sizes().as_ref()[I], crate::nn::log_softmax)
    }
}

/// NaN counts as the largest, as in NumPy and PyTorch.
fn order<E: Numeric>(x: E, y: E) -> Ordering {
    x.partial_cmp(&y).unwrap_or_else(|| is_nan(x).cmp(&is_nan(y)))
}

/// The positions of a lane in the order of its elements; equal ones stay in theirs.
fn sorted<E: Numeric>(x: &[E], descending: bool) -> Vec<usize> {
    let mut positions: Vec<usize> = (0..x.len()).collect();
    positions.sort_by(|i, j| if descending { order(x[*j], x[*i]) } else { order(x[*i], x[*j]) });
    positions
}

impl<S: Shape, E: Numeric, B: Storage<E>> Tensor<S, E, B> {
    /// Running sums along axis `I`.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![2, 3]> = tensor![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
    /// assert_eq!(x.cumsum::<1>(), tensor![[1.0, 3.0, 6.0], [4.0, 9.0, 15.0]]);
    /// ```
    #[must_use]
    pub fn cumsum<const I: usize>(&self) -> Tensor<S, E>
    where
        S: Axis<I>,
    {
        #[cfg(feature = "cuda")]
        if let Some(x) = self.array() {
            return super::sure(super::on_gpu::cumsum(self.shape(), &x, I));
        }
        self.map_lanes(self.sizes().as_ref()[I], |x, y| {
            let mut sum = E::zero();
            for (y, x) in y.iter_mut().zip(x) {
                sum = sum + *x;
                *y = sum;
            }
        })
    }

    /// The elements along axis `I` from small to large, NaN last, and where each was.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![3]> = tensor![0.5, -1.0, 0.25];
    /// let (values, positions) = x.sort::<0>();
    /// assert_eq!(values, tensor![-1.0, 0.25, 0.5]);
    /// assert_eq!(positions.to_vec(), [1, 2, 0]);
    /// ```
    #[must_use]
    pub fn sort<const I: usize>(&self) -> (Tensor<S, E>, Tensor<S, i64>)
    where
        S: Axis<I>,
    {
        self.ordered::<I, S>(self.sizes().as_ref()[I], false)
    }

    /// The `K` largest elements along axis `I`, largest first, and where each was.
    ///
    /// # Errors
    /// If the axis has fewer than `K` elements.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![1, 3]> = tensor![[0.5, -1.0, 2.0]];
    /// let (values, positions) = x.topk::<1, D<2>>()?;
    /// assert_eq!(values, tensor![[2.0, 0.5]]);
    /// assert_eq!(positions.to_vec(), [2, 0]);
    /// assert!(x.topk::<1, D<4>>().is_err());
    /// # Ok::<(), plywood::Error>(())
    /// ```
    #[allow(clippy::type_complexity)]
    pub fn topk<const I: usize, K: StaticDim>(&self) -> Result<(Tensor<S::With<K>, E>, Tensor<S::With<K>, i64>)>
    where
        S: Axis<I>,
    {
        let size = self.sizes().as_ref()[I];
        if K::SIZE > size {
            return Err(Error::Setting {
                what: "the number of largest elements",
                given: format!("{}, of an axis of size {size}", K::SIZE),
                expected: "at most the size of the axis",
            });
        }
        Ok(self.ordered::<I, S::With<K>>(K::SIZE, true))
    }

    fn ordered<const I: usize, Out: Shape>(&self, size: usize, descending: bool) -> (Tensor<Out, E>, Tensor<Out, i64>)
    where
        S: Axis<I>,
    {
        #[cfg(feature = "cuda")]
        if let Some(x) = self.array() {
            return super::sure(super::on_gpu::ordered(self.resized::<I, Out>(size), &x, I, descending));
        }
        let values = self.map_lanes(size, |x, y| {
            y.iter_mut().zip(sorted(x, descending)).for_each(|(y, i)| *y = x[i]);
        });
        let positions = self.map_lanes(size, |x, y| {
            y.iter_mut().zip(sorted(x, descending)).for_each(|(y, i)| *y = super::reduce::index(i));
        });
        (values, positions)
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    /// The logarithm of the sum would lose its digits if it were added to the largest element first.
    #[test]
    fn log_softmax_keeps_its_digits_next_to_large_numbers() {
        let x: Tensor<Shape![2]> = tensor![10_000.0, 10_000.0];
        let y = x.log_softmax::<0>();
        assert!(y.iter().all(|y| (y + core::f32::consts::LN_2).abs() < 1e-6), "{y}");
    }
}
