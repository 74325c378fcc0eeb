//! The primitives on the CPU.

#![allow(unsafe_code)]

mod conv;
mod gemm;
mod linear;
pub mod math;
mod max_pool;
pub(crate) mod pool;
pub mod simd;
pub mod small;
mod update;

pub use conv::{Conv, Convolve, Window, conv2d_backward, conv2d_forward};
pub use gemm::{Gemm, Matrix, matmul};
pub use linear::{linear_backward, linear_forward};
pub use max_pool::{max_pool2d_backward, max_pool2d_forward};
pub(crate) use pool::over_pieces;
pub use pool::{num_threads, set_num_threads};
pub(crate) use simd::widest;
pub use update::update;
