//! The primitives on the CPU.

#![allow(unsafe_code)]

mod gemm;
mod linear;
pub(crate) mod pool;
mod update;

pub use gemm::{Gemm, Matrix, matmul};
pub use linear::{linear_backward, linear_forward};
pub(crate) use pool::over_pieces;
pub use pool::{num_threads, set_num_threads};
pub use update::update;
