//! Layers, and the networks that [`sequential!`](crate::sequential) makes of them.

pub mod activation;
mod conv;
pub mod init;
mod layer;
mod linear;
mod max_pool;
mod model;
mod reshape;
mod softmax;
mod summary;
pub(crate) mod window;
mod workspace;

pub use activation::{
    Activate, Activation, ELU, GELU, GELUTanh, Hardtanh, LeakyReLU, ReLU, SiLU, Sigmoid, Softplus, Tanh,
};
pub use conv::{Conv2d, Conv2dView};
pub use layer::{Backward, Forward, Fuse, Layer, LayerInfo, TensorInfo, Then};
pub use linear::{Linear, LinearView};
pub use max_pool::MaxPool2d;
pub use model::{At, Gradients, Model, Uninit};
pub use reshape::{Flatten, Identity};
pub use softmax::{LogSoftmax, Softmax};
pub(crate) use softmax::{log_softmax, log_sum_exp, softmax};
pub use summary::{StateTensor, Summary};
pub use workspace::Workspace;
