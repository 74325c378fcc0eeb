//! Matrix products.
//!
//! As with the operators, what the types prove needs no `Result`: [`matmul`](Tensor::matmul) gives a tensor, and
//! [`try_matmul`](Tensor::try_matmul) compares sizes that are known only at run time.

use super::zip::shape_of;
use super::{Storage, Tensor, sure};
use crate::backend::cpu;
use crate::dim::{D, Dim, SameSize, StaticDim};
use crate::element::Float;
use crate::error::{Error, Result};
use crate::shape::{Shape, Sizes};

/// Inner sizes of a matrix product that are equal by their types: the columns on the left and the rows on the right.
/// See [`Tensor::matmul`].
#[diagnostic::on_unimplemented(
    message = "a matrix product needs equal inner sizes, but the left matrix has {Self} columns and the right one {Rows} rows",
    label = "{Rows} rows where {Self} are needed",
    note = "where an inner size is known only at run time (`Dyn`), `try_matmul` compares both and gives a `Result`"
)]
pub trait Inner<Rows: Dim>: Dim {}

#[diagnostic::do_not_recommend]
impl<N: StaticDim> Inner<N> for N {}

/// Inner sizes of a matrix product that may be equal: one of them may be known only at run time. See
/// [`Tensor::try_matmul`].
#[diagnostic::on_unimplemented(
    message = "a matrix product needs equal inner sizes, but the left matrix has {Self} columns and the right one {Rows} rows",
    label = "{Rows} rows where {Self} are needed"
)]
pub trait TryInner<Rows: Dim>: Dim {}

#[diagnostic::do_not_recommend]
impl<Rows: Dim, Columns: SameSize<Rows>> TryInner<Rows> for Columns {}

/// Two batches of matrices of equal number. See [`Tensor::matmul`].
#[diagnostic::on_unimplemented(
    message = "a product of batches of matrices needs as many on the left, {Self}, as on the right, {Other}",
    label = "{Other} matrices where {Self} are needed"
)]
pub trait SameBatch<Other: Dim>: Dim {}

#[diagnostic::do_not_recommend]
impl<N: StaticDim> SameBatch<N> for N {}

/// Two batches of matrices that may have equal number: one of them may be known only at run time. See
/// [`Tensor::try_matmul`].
#[diagnostic::on_unimplemented(
    message = "a product of batches of matrices needs as many on the left, {Self}, as on the right, {Other}",
    label = "{Other} matrices where {Self} are needed"
)]
pub trait TrySameBatch<Other: Dim>: Dim {}

#[diagnostic::do_not_recommend]
impl<Other: Dim, N: SameSize<Other>> TrySameBatch<Other> for N {}

/// Shapes whose ranks have a matrix product: what [`Tensor::matmul`] takes where the inner sizes fit.
#[diagnostic::on_unimplemented(
    message = "there is no matrix product of a tensor of shape {Self} and one of shape {Other}",
    label = "{Self} here, {Other} there",
    note = "a matrix goes with a matrix or a vector, a vector with a vector or a matrix, a batch of matrices with a batch of as many or with one matrix"
)]
pub trait MatMul<Other: Shape>: Shape {
    /// The shape of the product. See [`Tensor::matmul`].
    type Output: Shape;
    /// The inner size on the left. See [`Tensor::matmul`].
    type Columns: Dim;
    /// The inner size on the right. See [`Tensor::matmul`].
    type Rows: Dim;
    /// The number of matrices on the left, 1 where the right is a single matrix. See [`Tensor::matmul`].
    type Batch: Dim;
    /// The number of matrices on the right. See [`Tensor::matmul`].
    type OtherBatch: Dim;

    /// The number of products, of rows, of inner elements and of columns.
    #[doc(hidden)]
    fn plan(&self, other: &Other) -> [usize; 4];
}

macro_rules! products {
    ($([$($name:ident)*] $batch:ty, $other:ty; $left:ty, $right:ty => $output:ty; |$a:ident, $b:ident| $plan:expr;)*) => {$(
        #[diagnostic::do_not_recommend]
        impl<K: Dim, J: Dim, $($name: Dim),*> MatMul<$right> for $left {
            type Output = $output;
            type Columns = K;
            type Rows = J;
            type Batch = $batch;
            type OtherBatch = $other;

            fn plan(&self, $b: &$right) -> [usize; 4] {
                let $a = self;
                $plan
            }
        }
    )*};
}

products! {
    [M N] D<1>, D<1>; (M, K), (J, N) => (M, N); |a, b| [1, a.0.size(), a.1.size(), b.1.size()];
    [M] D<1>, D<1>; (M, K), (J,) => (M,); |a, _b| [1, a.0.size(), a.1.size(), 1];
    [N] D<1>, D<1>; (K,), (J, N) => (N,); |a, b| [1, 1, a.0.size(), b.1.size()];
    [] D<1>, D<1>; (K,), (J,) => (); |a, _b| [1, 1, a.0.size(), 1];
    [B M N] D<1>, D<1>; (B, M, K), (J, N) => (B, M, N); |a, b| [1, a.0.size() * a.1.size(), a.2.size(), b.1.size()];
    [B C M N] B, C; (B, M, K), (C, J, N) => (B, M, N); |a, b| [a.0.size(), a.1.size(), a.2.size(), b.2.size()];
}

impl<S: Shape, E: Float, A: Storage<E>> Tensor<S, E, A> {
    /// The matrix product: `[m, k]` · `[k, n]` = `[m, n]`, with equal inner sizes k.
    ///
    /// A vector on the left is one row, on the right one column, and leaves no axis behind: `[m, k]` · `[k]` =
    /// `[m]`. A batch of matrices goes with a batch of as many, or with one matrix: `[b, m, k]` · `[k, n]` =
    /// `[b, m, n]`.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let a: Tensor<Shape![2, 3]> = tensor![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
    /// let b: Tensor<Shape![3, 1]> = tensor![[1.0], [0.0], [-1.0]];
    /// assert_eq!(a.matmul(&b), tensor![[-2.0], [-2.0]]);
    ///
    /// let v: Tensor<Shape![3]> = tensor![1.0, 0.0, -1.0];
    /// assert_eq!(a.matmul(&v), tensor![-2.0, -2.0]);
    /// assert_eq!(v.matmul(&v).item(), 2.0);
    ///
    /// let batch: Tensor<Shape![_, 2, 3]> = Tensor::full_of((Dyn(4), D, D), 1.0);
    /// assert_eq!(batch.matmul(&b).sizes(), [4, 2, 1]);
    /// ```
    #[must_use]
    pub fn matmul<T: Shape, B: Storage<E>>(&self, other: &Tensor<T, E, B>) -> Tensor<S::Output, E>
    where
        S: MatMul<T>,
        S::Columns: Inner<S::Rows>,
        S::Batch: SameBatch<S::OtherBatch>,
    {
        sure(self.product(other))
    }

    /// The matrix product where an inner size, or the number of matrices in two batches, is known only at run time.
    ///
    /// # Errors
    /// If the inner sizes or the batches differ. Where both are types, that does not compile.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![_, 2]> = Tensor::from_vec(vec![1.0, 2.0, 3.0, 4.0])?;
    /// assert_eq!(x.transpose().try_matmul(&x)?, tensor![[10.0, 14.0], [14.0, 20.0]]);
    ///
    /// let y: Tensor<Shape![_, 2]> = Tensor::zeros_of((Dyn(3), D));
    /// let wrong = x.transpose().try_matmul(&y).unwrap_err();
    /// assert_eq!(wrong.to_string(), "the inner sizes of a matrix product differ: [2, 2] against [3, 2]");
    ///
    /// let batch: Tensor<Shape![_, 1, 2]> = x.unsqueeze::<1>();
    /// assert_eq!(batch.try_matmul(&batch.permute::<0, 2, 1>())?.to_vec(), [5.0, 25.0]);
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn try_matmul<T: Shape, B: Storage<E>>(&self, other: &Tensor<T, E, B>) -> Result<Tensor<S::Output, E>>
    where
        S: MatMul<T>,
        S::Columns: TryInner<S::Rows>,
        S::Batch: TrySameBatch<S::OtherBatch>,
    {
        let (a, b) = (self.sizes(), other.sizes());
        let (a, b) = (a.as_ref(), b.as_ref());
        let differ = |what| Error::Shape { what, left: Sizes(a).to_string(), right: Sizes(b).to_string() };
        if a[a.len() - 1] != b[b.len().saturating_sub(2)] {
            return Err(differ("the inner sizes of a matrix product differ"));
        }
        if b.len() == 3 && a[0] != b[0] {
            return Err(differ("the numbers of matrices of a product differ"));
        }
        self.product(other)
    }

    fn product<T: Shape, B: Storage<E>>(&self, other: &Tensor<T, E, B>) -> Result<Tensor<S::Output, E>>
    where
        S: MatMul<T>,
    {
        let [count, m, k, n] = self.shape().plan(&other.shape());
        let sizes = product_sizes(self.sizes().as_ref(), other.sizes().as_ref());
        #[cfg(feature = "cuda")]
        if super::on_gpu::pair(self, other)?.is_some() {
            let (Some(a), Some(b)) = (self.memory(), other.memory()) else { unreachable!("both are there") };
            let y = crate::backend::cuda::tensor::products((a, b), E::DTYPE, [count, m, k, n], (false, false))?;
            return Ok(Tensor::of_memory(shape_of(&sizes), y));
        }
        let mut y = Tensor::zeros_of(shape_of(&sizes));
        let (a, b, out) = (self.as_slice(), other.as_slice(), y.as_mut_slice());
        for i in 0..count {
            cpu::matmul(&a[i * m * k..][..m * k], &b[i * k * n..][..k * n], &mut out[i * m * n..][..m * n], (m, k, n));
        }
        Ok(y)
    }
}

/// What is left of both without the inner size; a batch counts once.
fn product_sizes(a: &[usize], b: &[usize]) -> Vec<usize> {
    let columns = if b.len() > 1 { &b[b.len() - 1..] } else { &[] };
    [&a[..a.len() - 1], columns].concat()
}
