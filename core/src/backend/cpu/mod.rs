//! The primitives on the CPU.

#![allow(unsafe_code)]

mod clip;
#[cfg(feature = "conv")]
mod conv;
mod gemm;
mod linear;
pub mod math;
#[cfg(feature = "conv")]
mod max_pool;
pub(crate) mod pool;
pub mod simd;
pub mod small;
#[cfg(test)]
mod tests;
mod update;

pub(crate) use clip::{limit, scale, sum_of_squares};
#[cfg(feature = "conv")]
pub use conv::{Conv, Window, conv2d_backward, conv2d_forward};
pub use gemm::{Beside, Gemm, Matrix, matmul};
pub use linear::{linear_backward, linear_forward};
#[cfg(feature = "conv")]
pub use max_pool::{max_pool2d_backward, max_pool2d_forward};
pub(crate) use pool::over_pieces;
pub use pool::{num_threads, set_num_threads};
pub(crate) use simd::widest;
pub use update::{Descent, Params, update};

/// Whether `len` is the product of these sizes, which may be more than a `usize` can hold.
#[inline(always)]
fn is_product<const N: usize>(len: usize, sizes: [usize; N]) -> bool {
    sizes.into_iter().try_fold(1usize, usize::checked_mul) == Some(len)
}

/// Whether element (i, j) of a matrix of these sizes, at `i · row + j · col`, is inside of a slice for every i and j.
#[inline(always)]
fn is_inside(len: usize, (rows, cols): (usize, usize), (row, col): (usize, usize)) -> bool {
    if rows == 0 || cols == 0 {
        return true;
    }
    let last = (rows - 1).checked_mul(row).zip((cols - 1).checked_mul(col)).and_then(|(i, j)| i.checked_add(j));
    last.is_some_and(|last| last < len)
}
