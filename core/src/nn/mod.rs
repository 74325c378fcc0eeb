//! Layers, and the networks that `sequential!` makes of them.
//!
//! ```
//! use plywood::prelude::*;
//!
//! sequential! {
//!     /// A picture of 8 × 8, one of ten digits.
//!     struct Digits: (1, 8, 8) => 10 {
//!         Conv2d(1, 4, 3, padding = 1),
//!         ReLU,
//!         MaxPool2d(2),
//!         Flatten,
//!         out: Linear(_, 10),
//!     }
//! }
//!
//! let model = Digits::init(&mut Generator::manual_seed(0));
//! let logits: Tensor<Shape![5, 10]> = model.forward(&Tensor::<Shape![5, 1, 8, 8]>::zeros());
//! assert_eq!(logits.row(0), logits.row(4)); // the same picture each time
//! println!("{}", model.summary());
//! ```

pub mod activation;
#[cfg(feature = "conv")]
mod conv;
pub mod init;
mod layer;
mod linear;
#[cfg(feature = "conv")]
mod max_pool;
mod model;
mod on;
#[cfg(feature = "cuda")]
pub(crate) mod on_gpu;
mod op;
mod reshape;
mod softmax;
mod summary;
#[cfg(feature = "conv")]
mod window;
mod workspace;

pub use activation::{
    Activate, Activation, ELU, Formula, GELU, GELUTanh, Hardtanh, LeakyReLU, ReLU, SiLU, Sigmoid, Softplus, Tanh,
};
#[cfg(feature = "conv")]
pub use conv::{Conv2d, Conv2dView};
pub use layer::{Backward, Forward, Fuse, Layer, LayerInfo, TensorInfo, Then};
pub use linear::{Linear, LinearView};
#[cfg(feature = "conv")]
pub use max_pool::MaxPool2d;
#[cfg(feature = "autograd")]
pub(crate) use model::Wanted;
pub use model::{At, Gradients, Model, Uninit};
#[doc(hidden)]
pub use on::{backward, forward};
pub(crate) use on::{is_small, step};
#[doc(hidden)]
pub use op::Op;
pub use reshape::{Flatten, Identity};
pub use softmax::{LogSoftmax, Softmax};
pub(crate) use softmax::{log_softmax, log_sum_exp, softmax};
pub(crate) use summary::Grouped;
pub use summary::{StateTensor, Summary};
pub use workspace::Workspace;
