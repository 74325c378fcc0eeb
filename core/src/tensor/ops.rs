//! Arithmetic on tensors of equal shape and with scalars, and the matrix product.

use super::{Storage, Tensor};
use crate::dim::{Dim, SameSize};
use crate::element::{Element, Float};
use crate::error::{Error, Result};
use crate::shape::{SameShape, Shape, Sizes, StaticShape};
use core::ops::{Add, Div, Mul, Neg, Sub};
use num_traits::NumCast;

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
        let mut y = Tensor::zeros_of(self.shape());
        y.as_mut_slice().iter_mut().zip(self.iter().map(f)).for_each(|(y, x)| *y = x);
        y
    }

    /// The same numbers as another element type; a float becomes an integer by truncation.
    ///
    /// # Errors
    /// If a number does not exist in `T` (300 as `u8`, NaN as an integer).
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![2]> = tensor![1.5, -2.0];
    /// assert_eq!(x.cast::<i64>()?.to_vec(), [1, -2]);
    /// assert_eq!(x.cast::<u8>().unwrap_err().to_string(), "element 1 of a cast to u8 is -2, but must be a number of that type");
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn cast<T: Element>(&self) -> Result<Tensor<S, T>> {
        let mut y = Tensor::zeros_of(self.shape());
        for (index, (y, x)) in y.as_mut_slice().iter_mut().zip(self.iter()).enumerate() {
            *y = NumCast::from(*x).ok_or_else(|| Error::Cast { index, to: T::DTYPE, value: x.to_string() })?;
        }
        Ok(y)
    }
}

macro_rules! arithmetic {
    ($($Trait:ident $method:ident),*) => {$(
        impl<S, T, E, A, B> $Trait<&Tensor<T, E, B>> for &Tensor<S, E, A>
        where
            S: StaticShape + SameShape<T>,
            T: StaticShape,
            E: Element,
            A: Storage<E>,
            B: Storage<E>,
        {
            type Output = Tensor<S, E>;

            fn $method(self, other: &Tensor<T, E, B>) -> Tensor<S, E> {
                let mut pairs = other.iter();
                self.map(|x| pairs.next().map_or(*x, |y| x.$method(*y)))
            }
        }

        impl<S: Shape, E: Element, A: Storage<E>> $Trait<E> for &Tensor<S, E, A> {
            type Output = Tensor<S, E>;

            fn $method(self, other: E) -> Tensor<S, E> {
                self.map(|x| x.$method(other))
            }
        }
    )*};
}

arithmetic!(Add add, Sub sub, Mul mul, Div div);

impl<S: Shape, E: Float, A: Storage<E>> Neg for &Tensor<S, E, A> {
    type Output = Tensor<S, E>;

    fn neg(self) -> Tensor<S, E> {
        self.map(|x| -*x)
    }
}

/// Inner sizes of a matrix product: the columns on the left and the rows on the right.
#[diagnostic::on_unimplemented(
    message = "a matrix product needs equal inner sizes, but the left matrix has {Self} columns and the right one {Rows} rows",
    label = "{Rows} rows where {Self} are needed"
)]
pub trait Inner<Rows: Dim>: Dim {}

#[diagnostic::do_not_recommend]
impl<Rows: Dim, Columns: SameSize<Rows>> Inner<Rows> for Columns {}

impl<M: Dim, K: Dim, E: Float, A: Storage<E>> Tensor<(M, K), E, A> {
    /// The matrix product: [m, k] · [k, n] = [m, n].
    ///
    /// # Errors
    /// If the inner sizes differ and at least one of them is known only at run time; otherwise that does not compile.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let a: Tensor<Shape![2, 3]> = tensor![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
    /// let b: Tensor<Shape![3, 1]> = tensor![[1.0], [0.0], [-1.0]];
    /// assert_eq!(a.matmul(&b)?.to_vec(), [-2.0, -2.0]);
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn matmul<J: Dim, N: Dim, B: Storage<E>>(&self, other: &Tensor<(J, N), E, B>) -> Result<Tensor<(M, N), E>>
    where
        K: Inner<J>,
    {
        let ((m, k), (j, n)) = (self.shape(), other.shape());
        if k.size() != j.size() {
            return Err(Error::Shape {
                what: "the inner sizes of a matrix product differ",
                left: Sizes(self.sizes().as_slice()).to_string(),
                right: Sizes(other.sizes().as_slice()).to_string(),
            });
        }
        let mut y = Tensor::zeros_of((m, n));
        crate::backend::cpu::matmul(
            self.as_slice(),
            other.as_slice(),
            y.as_mut_slice(),
            (m.size(), k.size(), n.size()),
        );
        Ok(y)
    }
}
