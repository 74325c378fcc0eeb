//! The same elements under another shape: the gradient takes the old one again.

use super::Variable;
use super::broadcast::sum_to;
use super::node::Record;
use crate::dim::{D, Dim, StaticDim};
use crate::element::Float;
use crate::error::Result;
use crate::shape::{Flat, Shape, StaticShape};
use crate::tensor::{Axis, BroadcastTo, FromNumel, NewAxis, Rows, SameNumel, Tensor, Unit};

fn reshaped<S: Shape, T: Shape, E: Float>(name: &'static str, x: &Variable<S, E>, y: Tensor<T, E>) -> Variable<T, E> {
    let shape = x.shape();
    Record::new(name, y).of(x, move |dy| dy.clone().into_shape(shape)).done()
}

impl<S: Shape, E: Float> Variable<S, E> {
    /// [`Tensor::reshape`].
    ///
    /// ```
    /// use plywood::autograd::Variable;
    /// use plywood::prelude::*;
    ///
    /// let x = tensor![[1.0, 2.0], [3.0, 4.0]].requires_grad();
    /// let y: Variable<Shape![4]> = x.reshape();
    /// (y * tensor![1.0, 2.0, 3.0, 4.0]).sum().backward()?;
    /// assert_eq!(x.grad(), Some(tensor![[1.0, 2.0], [3.0, 4.0]]));
    /// # Ok::<(), plywood::Error>(())
    /// ```
    #[must_use]
    pub fn reshape<T: StaticShape>(&self) -> Variable<T, E>
    where
        S: SameNumel<T>,
    {
        reshaped("reshape", self, self.value().reshape())
    }

    /// [`Tensor::try_reshape`], for sizes known only at run time; see [`reshape`](Variable::reshape).
    ///
    /// # Errors
    /// If the number of elements is not the shape's.
    pub fn try_reshape<T: FromNumel>(&self) -> Result<Variable<T, E>> {
        Ok(reshaped("reshape", self, self.value().try_reshape()?))
    }

    /// [`Tensor::try_shape`]: the same sizes under another type; see [`reshape`](Variable::reshape).
    ///
    /// # Errors
    /// If the sizes are not those of the type `T`.
    pub fn try_shape<T: Shape>(&self) -> Result<Variable<T, E>> {
        Ok(reshaped("try_shape", self, self.value().try_shape()?))
    }

    /// [`Tensor::flatten`]; see [`reshape`](Variable::reshape).
    #[must_use]
    pub fn flatten(&self) -> Variable<(S::Numel,), E>
    where
        S: Flat<Numel: StaticDim>,
    {
        reshaped("flatten", self, self.value().flatten())
    }

    /// [`Tensor::flatten_rows`]: `[batch, …]` becomes `[batch, n]`; see [`reshape`](Variable::reshape).
    #[must_use]
    pub fn flatten_rows(&self) -> Variable<(S::First, <S::Row as Flat>::Numel), E>
    where
        S: Rows<Row: Flat<Numel: StaticDim>>,
    {
        reshaped("flatten_rows", self, self.value().flatten_rows())
    }

    /// [`Tensor::squeeze`]; see [`reshape`](Variable::reshape).
    #[must_use]
    pub fn squeeze<const I: usize>(&self) -> Variable<S::Removed, E>
    where
        S: Axis<I, Size: Unit>,
    {
        reshaped("squeeze", self, self.value().squeeze())
    }

    /// [`Tensor::unsqueeze`]; see [`reshape`](Variable::reshape).
    #[must_use]
    pub fn unsqueeze<const I: usize>(&self) -> Variable<S::Added<D<1>>, E>
    where
        S: NewAxis<I>,
    {
        reshaped("unsqueeze", self, self.value().unsqueeze())
    }

    /// [`Tensor::broadcast_to`]; the gradient is the sum over what is repeated.
    ///
    /// ```
    /// use plywood::autograd::Variable;
    /// use plywood::prelude::*;
    ///
    /// let x = tensor![[1.0], [2.0]].requires_grad();
    /// let y: Variable<Shape![2, 3]> = x.broadcast_to(Default::default());
    /// y.sum().backward()?;
    /// assert_eq!(x.grad(), Some(tensor![[3.0], [3.0]]));
    /// # Ok::<(), plywood::Error>(())
    /// ```
    #[must_use]
    pub fn broadcast_to<T: Shape>(&self, shape: T) -> Variable<T, E>
    where
        S: BroadcastTo<T>,
    {
        let old = self.shape();
        Record::new("broadcast_to", self.value().broadcast_to(shape)).of(self, move |dy| sum_to(dy.clone(), old)).done()
    }
}

impl<M: Dim, N: Dim, E: Float> Variable<(M, N), E> {
    /// [`Tensor::transpose`]: rows become columns.
    ///
    /// ```
    /// use plywood::autograd::Variable;
    /// use plywood::prelude::*;
    ///
    /// let x = tensor![[1.0, 2.0, 3.0]].requires_grad();
    /// let y: Variable<Shape![3, 1]> = x.transpose();
    /// y.sum().backward()?;
    /// assert_eq!(x.grad(), Some(tensor![[1.0, 1.0, 1.0]]));
    /// # Ok::<(), plywood::Error>(())
    /// ```
    #[must_use]
    pub fn transpose(&self) -> Variable<(N, M), E> {
        Record::new("transpose", self.value().transpose()).of(self, Tensor::transpose).done()
    }
}
