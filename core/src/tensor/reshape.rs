//! The same elements under another shape.

use super::create::shape_of_numel;
use super::zip::shape_of;
use super::{Axis, FromNumel, NewAxis, Rows, Storage, Tensor, Unit};
use crate::dim::{D, StaticDim};
use crate::element::Element;
use crate::error::Result;
use crate::shape::{Flat, FlatNum, Shape, StaticShape};

/// Shapes with as many elements as another, both known at compile time. See [`Tensor::reshape`].
#[diagnostic::on_unimplemented(
    message = "a tensor of shape {Self} does not have as many elements as one of shape {Other}",
    label = "{Other} has another number of elements",
    note = "where sizes are known only at run time (`Dyn`), `try_reshape` counts them and gives a `Result`"
)]
pub trait SameNumel<Other: StaticShape>: StaticShape {}

/// Equal numbers.
#[doc(hidden)]
pub trait SameNumber<Other> {}
impl<N> SameNumber<N> for N {}

#[diagnostic::do_not_recommend]
impl<S, T> SameNumel<T> for S
where
    S: StaticShape + FlatNum,
    T: StaticShape + FlatNum,
    S::Num: SameNumber<T::Num>,
{
}

impl<S: Shape, E: Element, B: Storage<E>> Tensor<S, E, B> {
    fn as_shape<T: Shape>(&self, sizes: &[usize]) -> Tensor<T, E> {
        self.to_owned().into_shape(shape_of(sizes))
    }

    /// The same elements, row-major, under another shape; that it has as many is checked by the types.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![2, 3]> = tensor![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
    /// let y = x.reshape::<Shape![3, 2]>();
    /// assert_eq!(y, tensor![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    /// ```
    #[must_use]
    pub fn reshape<T: StaticShape>(&self) -> Tensor<T, E>
    where
        S: SameNumel<T>,
    {
        self.as_shape(T::SIZES)
    }

    /// The same elements, row-major, under another shape. A first size that is `Dyn` follows from their number, as −1
    /// does in PyTorch.
    ///
    /// # Errors
    /// If the number of elements is not the shape's.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![_, 3]> = Tensor::zeros_of((Dyn(4), D));
    /// assert_eq!(x.try_reshape::<Shape![_, 2]>()?.sizes(), [6, 2]);
    /// let wrong = x.try_reshape::<Shape![_, 5]>().unwrap_err();
    /// assert_eq!(wrong.to_string(), "12 elements do not fill whole rows of a tensor of shape [_, 5], which have 5 each");
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn try_reshape<T: FromNumel>(&self) -> Result<Tensor<T, E>> {
        let shape = shape_of_numel(self.numel())?;
        Ok(self.to_owned().into_shape(shape))
    }

    /// All elements in one dimension, as many as the type says; `try_reshape::<Shape![_]>()` where it does not.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![2, 3]> = tensor![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
    /// let y: Tensor<Shape![6]> = x.flatten();
    /// assert_eq!(y, tensor![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    /// ```
    #[must_use]
    pub fn flatten(&self) -> Tensor<(S::Numel,), E>
    where
        S: Flat<Numel: StaticDim>,
    {
        self.as_shape(&[self.numel()])
    }

    /// Each row in one dimension: `[batch, …]` becomes `[batch, n]`, as `flatten(start_dim=1)` in PyTorch.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![_, 1, 28, 28]> = Tensor::zeros_of((Dyn(5), D, D, D));
    /// let y: Tensor<Shape![_, 784]> = x.flatten_rows();
    /// assert_eq!(y.sizes(), [5, 784]);
    /// ```
    #[must_use]
    pub fn flatten_rows(&self) -> Tensor<(S::First, <S::Row as Flat>::Numel), E>
    where
        S: Rows<Row: Flat<Numel: StaticDim>>,
    {
        self.as_shape(&[self.shape().rows(), S::Row::NUMEL])
    }

    /// The shape without the axis `I`, which has the size 1.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![3, 1]> = tensor![[1.0], [2.0], [3.0]];
    /// assert_eq!(x.squeeze::<1>(), tensor![1.0, 2.0, 3.0]);
    /// ```
    #[must_use]
    pub fn squeeze<const I: usize>(&self) -> Tensor<S::Removed, E>
    where
        S: Axis<I, Size: Unit>,
    {
        let mut sizes = self.sizes().as_ref().to_vec();
        sizes.remove(I);
        self.as_shape(&sizes)
    }

    /// The shape with an axis `I` of size 1 put in.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![3]> = tensor![1.0, 2.0, 3.0];
    /// let column: Tensor<Shape![3, 1]> = x.unsqueeze::<1>();
    /// let row: Tensor<Shape![1, 3]> = x.unsqueeze::<0>();
    /// assert_eq!((row * column).sizes(), [3, 3]);
    /// ```
    #[must_use]
    pub fn unsqueeze<const I: usize>(&self) -> Tensor<S::Added<D<1>>, E>
    where
        S: NewAxis<I>,
    {
        let mut sizes = self.sizes().as_ref().to_vec();
        sizes.insert(I, 1);
        self.as_shape(&sizes)
    }
}
