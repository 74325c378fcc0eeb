//! The matrix product.

use super::{Storage, Tensor};
use crate::dim::{Dim, SameSize};
use crate::element::Float;
use crate::error::{Error, Result};
use crate::shape::Sizes;

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
