//! Tensors that follow a rule: ranges, the identity, one-hot rows.

use super::{Storage, Tensor};
use crate::dim::{Dim, StaticDim};
use crate::element::{Float, Label, Numeric};
use crate::error::{Error, Result};

impl<N: StaticDim, E: Float> Tensor<(N,), E> {
    /// Numbers at equal distances from `start` to `end`, both included; only `start` if there is one number.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![5]> = Tensor::linspace(0.0, 1.0);
    /// assert_eq!(x.to_vec(), [0.0, 0.25, 0.5, 0.75, 1.0]);
    /// ```
    #[must_use]
    pub fn linspace(start: E, end: E) -> Self {
        let mut x = Self::zeros();
        let last = E::of(N::SIZE.saturating_sub(1).max(1) as f64);
        let step = (end - start) / last;
        for (i, x) in x.as_mut_slice().iter_mut().enumerate() {
            let i = E::of(i as f64);
            // From the closer end, so that both ends are exact.
            *x = if i + i <= last { start + step * i } else { end - step * (last - i) };
        }
        x
    }
}

impl<N: StaticDim, E: Numeric> Tensor<(N,), E> {
    /// 0, 1, 2, … as many as the type says.
    ///
    /// # Errors
    /// If the last number does not exist in `E` (300 as `u8`).
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![3], i64> = Tensor::arange()?;
    /// assert_eq!(x.to_vec(), [0, 1, 2]);
    /// assert!(Tensor::<Shape![300], u8>::arange().is_err());
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn arange() -> Result<Self> {
        let mut x = Self::zeros();
        for (index, x) in x.as_mut_slice().iter_mut().enumerate() {
            *x = E::from(index).ok_or_else(|| Error::Cast { index, to: E::DTYPE, value: index.to_string() })?;
        }
        Ok(x)
    }
}

impl<N: StaticDim, E: Numeric> Tensor<(N, N), E> {
    /// The identity: ones on the diagonal, zeros elsewhere.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// assert_eq!(Tensor::<Shape![2, 2]>::eye(), tensor![[1.0, 0.0], [0.0, 1.0]]);
    /// ```
    #[must_use]
    pub fn eye() -> Self {
        let mut x = Self::zeros();
        x.as_mut_slice().iter_mut().step_by(N::SIZE + 1).for_each(|x| *x = E::one());
        x
    }
}

impl<N: Dim, L: Label, B: Storage<L>> Tensor<(N,), L, B> {
    /// For each label a row with 1 at its place and 0 elsewhere: `[batch]` becomes `[batch, C]`.
    ///
    /// # Errors
    /// If a label is not one of the classes 0 to C − 1.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let labels: Tensor<Shape![2], i64> = tensor![2, 0];
    /// assert_eq!(labels.one_hot::<D<3>, f32>()?, tensor![[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]);
    /// assert!(labels.one_hot::<D<2>, f32>().is_err());
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn one_hot<C: StaticDim, E: Numeric>(&self) -> Result<Tensor<(N, C), E>> {
        #[cfg(feature = "cuda")]
        if let Some(labels) = self.array() {
            let shape = (self.shape().0, C::default());
            return super::on_gpu::one_hot(shape, labels)?.map_err(|sample| Error::Label {
                sample,
                label: super::on_gpu::element(self, sample).to_string(),
                classes: C::SIZE,
            });
        }
        let mut y = Tensor::zeros_of((self.shape().0, C::default()));
        for (sample, label) in self.iter().enumerate() {
            let class = label.to_usize().filter(|class| *class < C::SIZE).ok_or_else(|| Error::Label {
                sample,
                label: label.to_string(),
                classes: C::SIZE,
            })?;
            y.as_mut_slice()[sample * C::SIZE + class] = E::one();
        }
        Ok(y)
    }
}
