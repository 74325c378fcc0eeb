//! Matrix products: with y = a · b, da = dy · bᵀ and db = aᵀ · dy.

use super::node::Record;
use super::{Operand, Variable};
use crate::backend::cpu::Matrix;
#[cfg(feature = "cuda")]
use crate::backend::cuda::tensor::products;
use crate::element::Float;
use crate::error::Result;
use crate::shape::Shape;
#[cfg(feature = "cuda")]
use crate::tensor::sure;
use crate::tensor::{Inner, MatMul, SameBatch, Tensor, TryInner, TrySameBatch};
use std::rc::Rc;

fn product<S: MatMul<T>, T: Shape, E: Float>(
    a: &Variable<S, E>,
    b: &Variable<T, E>,
    y: Tensor<S::Output, E>,
) -> Variable<S::Output, E> {
    let [count, m, k, n] = a.shape().plan(&b.shape());
    let (left, right) = (a.shape(), b.shape());
    let (saved_a, saved_b) = (Rc::clone(&a.value), Rc::clone(&b.value));
    Record::new("matmul", y)
        .of(a, move |dy| {
            #[cfg(feature = "cuda")]
            if let (Some(dy), Some(b)) = (dy.memory(), saved_b.memory()) {
                return Tensor::of_memory(left, sure(products((dy, b), E::DTYPE, [count, m, n, k], (false, true))));
            }
            let mut da = Tensor::zeros_of(left);
            for i in 0..count {
                let (dy, b) = (&dy.as_slice()[i * m * n..][..m * n], &saved_b.as_slice()[i * k * n..][..k * n]);
                let da = &mut da.as_mut_slice()[i * m * k..][..m * k];
                E::gemm(da, Matrix::new(dy, n), Matrix::transposed(b, n), (m, n, k));
            }
            da
        })
        .of(b, move |dy| {
            #[cfg(feature = "cuda")]
            if let (Some(a), Some(dy)) = (saved_a.memory(), dy.memory()) {
                return Tensor::of_memory(right, sure(products((a, dy), E::DTYPE, [count, k, m, n], (true, false))));
            }
            let mut db = Tensor::zeros_of(right);
            for i in 0..count {
                let (dy, a) = (&dy.as_slice()[i * m * n..][..m * n], &saved_a.as_slice()[i * m * k..][..m * k]);
                let db = &mut db.as_mut_slice()[i * k * n..][..k * n];
                E::gemm(db, Matrix::transposed(a, k), Matrix::new(dy, n), (k, m, n));
            }
            db
        })
        .done()
}

impl<S: Shape, E: Float> Variable<S, E> {
    /// [`Tensor::matmul`]: matrices, vectors, batches of matrices.
    ///
    /// ```
    /// use plywood::autograd::Variable;
    /// use plywood::prelude::*;
    ///
    /// let a: Variable<Shape![1, 2]> = tensor![[1.0, 2.0]].requires_grad();
    /// let b: Tensor<Shape![2, 3]> = tensor![[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]];
    /// let y: Variable<Shape![1, 3]> = a.matmul(&b);
    /// y.sum().backward()?;
    /// assert_eq!(a.grad(), Some(tensor![[2.0, 2.0]]));
    /// # Ok::<(), plywood::Error>(())
    /// ```
    #[must_use]
    pub fn matmul<R: Operand<Elem = E>>(&self, other: &R) -> Variable<S::Output, E>
    where
        S: MatMul<R::Shape>,
        S::Columns: Inner<S::Rows>,
        S::Batch: SameBatch<S::OtherBatch>,
    {
        let other = other.variable();
        product(self, &other, self.value().matmul(other.value()))
    }

    /// [`matmul`](Variable::matmul) where an inner size, or the number of matrices in two batches, is known only at run
    /// time.
    ///
    /// # Errors
    /// If the inner sizes or the batches differ, as those of [`Tensor::try_matmul`].
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x = Tensor::<Shape![_, 2]>::from_vec(vec![1.0, 2.0, 3.0, 4.0])?.requires_grad();
    /// let y = x.transpose().try_matmul(&x)?;
    /// assert_eq!(*y.value(), tensor![[10.0, 14.0], [14.0, 20.0]]);
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn try_matmul<R: Operand<Elem = E>>(&self, other: &R) -> Result<Variable<S::Output, E>>
    where
        S: MatMul<R::Shape>,
        S::Columns: TryInner<S::Rows>,
        S::Batch: TrySameBatch<S::OtherBatch>,
    {
        let other = other.variable();
        Ok(product(self, &other, self.value().try_matmul(other.value())?))
    }
}
