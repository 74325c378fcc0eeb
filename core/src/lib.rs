//! All of [Plywood](../plywood/index.html) but its macros, so that both compile at the same time. The crate `plywood` is
//! what a program depends on.

#![deny(missing_docs)]

#[cfg(test)]
extern crate self as plywood;

#[cfg(feature = "autograd")]
pub mod autograd;
pub mod backend;
pub mod data;
pub mod dim;
#[cfg(feature = "nccl")]
pub mod distributed;
pub mod element;
mod error;
pub mod generator;
pub mod graph;
#[doc = include_str!("guide.md")]
pub mod guide {}
pub mod io;
pub mod loss;
pub mod nn;
pub mod optim;
#[cfg(feature = "plot")]
pub mod plot;
pub mod prelude;
pub mod shape;
pub mod tensor;
pub mod train;

pub use backend::cpu::{math, num_threads, set_num_threads};
pub use backend::{Device, Precision, float32_matmul_precision, set_float32_matmul_precision};
pub use dim::{D, Dim, Dyn, StaticDim};
pub use element::{Element, Float, Numeric};
pub use error::{Error, MoveError, Result};
pub use generator::Generator;
pub use shape::{Features, Shape, StaticShape};
pub use tensor::{Tensor, TensorView, TensorViewMut};

/// What the macros write into your crate; not for use by hand.
#[doc(hidden)]
pub mod __private {
    pub use crate::backend::Buffer;
    pub use crate::backend::cpu::Params;
    pub use crate::backend::cpu::simd::Simd;
    #[cfg(feature = "conv")]
    pub use crate::backend::cpu::{
        Conv, Window, conv2d_backward, conv2d_forward, max_pool2d_backward, max_pool2d_forward,
    };
    pub use crate::dim::{check_size, limb, window_size};
    pub use crate::nn::activation::bits;
    pub use crate::nn::{backward, forward};
    pub use crate::shape::{EndsWith, Flat, Image};
    pub use crate::tensor::{Storage, literal};

    /// The larger of two numbers.
    #[must_use]
    pub const fn max(a: usize, b: usize) -> usize {
        if a > b { a } else { b }
    }
}
