//! Neural networks whose tensor sizes are types.
//!
//! You list layers in [`sequential!`]; the macro turns the list into a struct with straight-line forward and backward
//! code, and a network that does not fit together does not compile.
//!
//! ```
//! use plywood::prelude::*;
//!
//! sequential! {
//!     /// Mammal, bird, reptile, … from sixteen traits.
//!     pub struct ZooNet {
//!         Linear(16, 32),
//!         ReLU,
//!         out: Linear(_, 7),
//!     }
//! }
//!
//! let mut rng = Generator::manual_seed(0);
//! let mut model = ZooNet::init(&mut rng);
//! let x: Tensor<Shape![5, 16]> = Tensor::rand(&mut rng);
//! let labels = tensor![0, 1, 2, 3, 4];
//!
//! let mut optimizer = Adam::new(1e-2);
//! for _ in 0..10 {
//!     let (_loss, grads) = model.gradients(&x, &labels, &CrossEntropyLoss)?;
//!     optimizer.step(&mut model, &grads)?;
//! }
//! let y: Tensor<Shape![5, 7]> = model.forward(&x);
//! # Ok::<(), plywood::Error>(())
//! ```
//!
//! **[From PyTorch to Plywood](guide)** shows each construct of an introduction to PyTorch beside ours.
//!
//! Sizes live in [`dim`] and [`shape`], tensors in [`mod@tensor`], layers in [`nn`], then [`loss`], [`optim`], [`data`],
//! [`train`] and [`io`]; [`mod@graph`] shows a network as text, DOT or Mermaid. With the feature `plot`, `plywood::plot` draws
//! figures.

#![deny(missing_docs)]

extern crate self as plywood;

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
pub use error::{Error, Result};
pub use generator::Generator;
pub use plywood_macros::{Shape, Size, sequential, tensor};
pub use shape::{Features, Shape, StaticShape};
pub use tensor::{Tensor, TensorView, TensorViewMut};

/// What the macros write into your crate; not for use by hand.
#[doc(hidden)]
pub mod __private {
    pub use crate::backend::Buffer;
    pub use crate::backend::cpu::simd::Simd;
    pub use crate::backend::cpu::{
        Conv, Window, conv2d_backward, conv2d_forward, max_pool2d_backward, max_pool2d_forward,
    };
    pub use crate::dim::{check_size, limb};
    pub use crate::nn::activation::bits;
    pub use crate::nn::window::window_size;
    pub use crate::nn::{backward, forward};
    pub use crate::shape::{EndsWith, Flat, Image};
    pub use crate::tensor::{Storage, literal};

    /// The larger of two numbers.
    #[must_use]
    pub const fn max(a: usize, b: usize) -> usize {
        if a > b { a } else { b }
    }
}
