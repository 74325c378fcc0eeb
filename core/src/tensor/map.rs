//! Every element through a function, and into another type.

#[cfg(feature = "cuda")]
use super::on_gpu;
use super::{Storage, Tensor};
use crate::element::Element;
use crate::error::{Error, Result};
use crate::shape::Shape;

impl<S: Shape, E: Element, B: Storage<E>> Tensor<S, E, B> {
    /// A tensor of the same shape whose elements are `f` of these.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![3]> = tensor![1.0, 2.0, 3.0];
    /// assert_eq!(x.map(|x| x * x).to_vec(), [1.0, 4.0, 9.0]);
    /// ```
    #[must_use]
    pub fn map<T: Element>(&self, f: impl FnMut(&E) -> T) -> Tensor<S, T> {
        #[cfg(feature = "cuda")]
        on_gpu::not_there("map", self);
        let mut y = Tensor::zeros_of(self.shape());
        y.as_mut_slice().iter_mut().zip(self.iter().map(f)).for_each(|(y, x)| *y = x);
        y
    }

    /// `map` by a function that devices know, too: `code` is it in CUDA C++, in `x` and the numbers `p` and `q`.
    #[cfg_attr(not(feature = "cuda"), expect(unused_variables))]
    pub(crate) fn map_by<T: Element, N: Element>(
        &self,
        code: &str,
        numbers: &[N],
        f: impl FnMut(&E) -> T,
    ) -> Tensor<S, T> {
        #[cfg(feature = "cuda")]
        if let Some(x) = self.array() {
            return super::sure(on_gpu::mapped(self.shape(), &[x], code, numbers));
        }
        self.map(f)
    }

    /// The same values as another element type: a float becomes an integer by truncation, `true` becomes 1, and every
    /// number but 0 becomes `true`.
    ///
    /// # Errors
    /// If a number does not exist in `T` (300 as `u8`, NaN as an integer).
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![2]> = tensor![1.5, -2.0];
    /// assert_eq!(x.cast::<i64>()?.to_vec(), [1, -2]);
    /// assert_eq!(x.cast::<bool>()?.cast::<f64>()?.to_vec(), [1.0, 1.0]);
    /// assert_eq!(x.cast::<u8>().unwrap_err().to_string(), "element 1 of a cast to u8 is -2, but must be a number of that type");
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn cast<T: Element>(&self) -> Result<Tensor<S, T>> {
        #[cfg(feature = "cuda")]
        if let Some(memory) = self.memory() {
            return on_gpu::cast(self, memory);
        }
        let mut y = Tensor::zeros_of(self.shape());
        for (index, (y, x)) in y.as_mut_slice().iter_mut().zip(self.iter()).enumerate() {
            *y = x.cast_to().ok_or_else(|| Error::Cast { index, to: T::DTYPE, value: x.to_string() })?;
        }
        Ok(y)
    }
}
