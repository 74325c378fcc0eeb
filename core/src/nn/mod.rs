//! Layers, and the networks that [`sequential!`](crate::sequential) makes of them.

pub mod activation;
pub mod init;
mod layer;
mod linear;
mod model;
mod on;
mod reshape;
mod softmax;
mod summary;
mod workspace;

pub use activation::{
    Activate, Activation, ELU, GELU, GELUTanh, Hardtanh, LeakyReLU, ReLU, SiLU, Sigmoid, Softplus, Tanh,
};
pub use layer::{Backward, Forward, Fuse, Layer, LayerInfo, TensorInfo, Then};
pub use linear::{Linear, LinearView};
pub use model::{At, Gradients, Model, Uninit};
#[doc(hidden)]
pub use on::{backward, forward};
pub use reshape::{Flatten, Identity};
pub use softmax::{LogSoftmax, Softmax};
pub(crate) use softmax::{log_softmax, log_sum_exp, softmax};
pub use summary::{StateTensor, Summary};
pub use workspace::Workspace;
