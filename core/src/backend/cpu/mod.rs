//! The primitives on the CPU.

#![allow(unsafe_code)]

mod gemm;
mod linear;
pub mod math;
pub mod simd;
pub mod small;

pub use gemm::{Gemm, Matrix, matmul};
pub use linear::{linear_backward, linear_forward};
