//! NVIDIA GPUs.
//!
//! Nothing of CUDA is needed to build, and none to run without a GPU: the driver, NVRTC and cuBLASLt are looked for when
//! [`Device::cuda`](crate::Device::cuda) is asked, and cuDNN, which may be absent, for the first convolution. A network's block
//! of parameters, its gradients, and an optimizer's moments are one block of a GPU's memory each; a training step is recorded
//! once for each size of batches and runs as one graph or, of a small network, as one kernel.

#![allow(unsafe_code)]

mod backward;
mod convolve;
mod cudnn;
mod driver;
mod executor;
mod gather;
mod gpu;
mod kernels;
mod lane;
mod library;
mod linear;
mod loss;
mod matmul;
mod memory;
#[cfg(feature = "nccl")]
mod nccl;
mod network;
mod optimizer;
mod pass;
mod plan;
mod relu;
mod shapes;
mod small;
mod statistics;
pub(crate) mod tensor;

pub(crate) use executor::{Executor, Input};
pub(crate) use gather::gather;
pub use gpu::Gpu;
pub(crate) use loss::loss;
pub(crate) use memory::Memory;
#[cfg(feature = "nccl")]
pub(crate) use nccl::{Communicator, UniqueId};
pub(crate) use optimizer::{Clipping, Rule, Update};
pub(crate) use statistics::Stats;
