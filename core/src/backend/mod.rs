//! Where tensors are and what computes with them: a [`Device`] and its memory, a [`Buffer`].
//!
//! ```
//! use plywood::prelude::*;
//!
//! assert_eq!(Device::default(), Device::Cpu);
//! ```
//!
//! # NVIDIA GPUs
//!
//! With the feature `cuda`, [`Device::cuda`] gives a GPU and [`Device::best`] takes one where there is one. Nothing of CUDA
//! is needed to build, and the same program runs on a machine without a GPU. Where there is one, it needs the driver, and
//! of CUDA 13 NVRTC and cuBLASLt: of a toolkit, or what `pip install nvidia-cuda-nvrtc nvidia-cublas` installs.
//!
//! | Variable | |
//! |---|---|
//! | `PLYWOOD_DEVICE` | What [`Device::best`] gives: `cpu`, `cuda`, `cuda:1` |
//! | `PLYWOOD_CUDA_LIBS` | Folders with those libraries, looked in before all others, separated by `:` (`;` on Windows) |
//! | `PLYWOOD_CACHE_DIR` | Where compiled kernels are kept: `plywood` in the user's cache folder, unless it is set |
//!
//! ```no_run
//! use plywood::prelude::*;
//!
//! sequential! { struct Net { Linear(784, 128), ReLU, Linear(_, 10) } }
//!
//! # let data: TensorDataset<Shape![784]> = TensorDataset::new(Tensor::<Shape![4, 784]>::ones(), tensor![0, 1, 2, 3])?;
//! let device = Device::best()?;
//! println!("training on {device:#}"); // cuda:0 (NVIDIA H100 80GB HBM3, 79.1 GiB, compute capability 9.0)
//! let model = Net::init(&mut Generator::manual_seed(0));
//! let mut trainer = Trainer::new(model, CrossEntropyLoss, Adam::new(1e-3)).on(&device)?;
//! trainer.fit(&data, Fit::epochs(10).batch(64).shuffle(0))?;
//! plywood::io::save(trainer.model(), "net.safetensors")?;
//! # Ok::<(), plywood::Error>(())
//! ```
//!
//! A [`Trainer`](crate::train::Trainer) brings each batch to the GPU while the one before is computed, and records the whole
//! step (forward, loss, backward, update) as one CUDA graph, which then runs by a single call; losses stay on the GPU until
//! an epoch is over. Parameters, gradients and moments are one block of memory each. Products of matrices are cuBLASLt's, by
//! the algorithm, and with or without the bias and ReLU in the same kernel, that was the fastest when it was first computed.
//! Everything else is kernels of Plywood's own, compiled on the first use for the GPU that is there, and kept on disk.
//!
//! Numbers are those of the CPU up to rounding: `f32` products are computed in `f32` unless
//! [`set_float32_matmul_precision`] permits TF32 ([`Precision::High`]) or bf16 ([`Precision::Bf16`]).
//!
//! What runs on a GPU: networks of all layers that Plywood has, with activations of your own that state their
//! [`Formula`](crate::nn::Formula); all losses as mean or sum; all optimizers; [`save`](crate::io::save) and
//! [`load`](crate::io::load). A layer, loss or optimizer of your own has no kernel: a network with it is an
//! [`Error::NoKernel`](crate::Error::NoKernel) that names it. Nothing is computed on the CPU in silence: what has no kernel
//! panics or gives an error, and says to move the numbers with `.to(&Device::Cpu)?`.

// This is the only place with `unsafe` code. Layers call the primitives in `cpu`; each takes flat row-major slices and
// run-time sizes, fuses what belongs together, and panics if a slice is shorter than its sizes say.

mod buffer;
#[allow(unreachable_pub)] // `pub` inside means the crate's own
pub(crate) mod cpu;
#[cfg(feature = "cuda")]
pub(crate) mod cuda;
mod device;
mod pages;
mod precision;

pub use buffer::Buffer;
#[cfg(feature = "cuda")]
pub use cuda::Gpu;
pub use device::Device;
pub use precision::{Precision, float32_matmul_precision, set_float32_matmul_precision};
