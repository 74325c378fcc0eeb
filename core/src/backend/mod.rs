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
//! of CUDA 13 NVRTC and cuBLASLt: of a toolkit, or what `pip install nvidia-cuda-nvrtc nvidia-cublas` installs. If there is
//! cuDNN 9, too (`pip install nvidia-cudnn-cu13`), it computes the convolutions for which it is faster.
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
//! println!("training on {device:#}"); // cuda:0 (NVIDIA H100 80GB HBM3, 79.1 GiB, compute capability 9.0, with cuDNN)
//! let model = Net::init(&mut Generator::manual_seed(0));
//! let mut trainer = Trainer::new(model, CrossEntropyLoss, Adam::new(1e-3)).on(&device)?;
//! trainer.fit(&data, Fit::epochs(10).batch(64).shuffle(0))?;
//! plywood::io::save(trainer.model(), "net.safetensors")?;
//! # Ok::<(), plywood::Error>(())
//! ```
//!
//! A [`Trainer`](crate::train::Trainer) brings each batch to the GPU while the one before is computed, and records the
//! whole step (forward, loss, backward, clipping, update) as one CUDA graph, which then runs by a single call; losses
//! stay on the GPU until an epoch is over. Parameters, gradients and moments are one block of memory each. Products of
//! matrices are cuBLASLt's, by the algorithm that was the fastest when it was first computed. So is decided, too,
//! whether the same kernel adds the bias and takes the ReLU, whether on the way back it takes the ReLU's derivative,
//! from a mask of a bit an element, and the bias's gradient, and whether a convolution is cuDNN's, of which only
//! algorithms are taken that give the same bits every time. Everything else is kernels of Plywood's own, compiled on
//! the first use for the GPU that is there, and kept on disk.
//!
//! A step of a small network takes hardly longer than the starting of its dozen kernels. So it runs as one kernel that is
//! written for the network, or as two that share the samples among several blocks, if that is the faster way: both are
//! measured at the second step with batches of one size. That is for networks of up to 16 layers, `Linear` and activations
//! with a formula, up to 1024 inputs and 128 outputs a layer, batches of up to 1024 samples, all losses and optimizers, one
//! GPU, and gradients that are not clipped. Those kernels compute products in `f32`, whatever is permitted.
//!
//! Numbers are those of the CPU up to rounding: `f32` products are computed in `f32` unless
//! [`set_float32_matmul_precision`] permits TF32 ([`Precision::High`]) or bf16 ([`Precision::Bf16`]).
//!
//! A [`TensorDataset`](crate::data::TensorDataset) that fits there can be on the GPU as well (`data.to(&device)?`): then only
//! row numbers go up.
//!
//! # What runs on a GPU
//!
//! Networks of all layers that Plywood has, with activations of your own that state their
//! [`Formula`](crate::nn::Formula); all losses; all optimizers; [`save`](crate::io::save) and [`load`](crate::io::load). A
//! layer, loss or optimizer of your own has no kernel: a network with it is an
//! [`Error::NoKernel`](crate::Error::NoKernel) that names it.
//!
//! A tensor on a GPU has the operations that it has on the CPU, with the same results up to rounding, and they stay on
//! the GPU: arithmetic, functions of each element, comparisons, casts, reductions, `softmax`, `cumsum`, `sort`, `topk`,
//! products of matrices, other shapes, joins, parts and picks; so have [variables](crate::autograd) with their
//! gradients, and networks in their expressions.
//!
//! ```
//! use plywood::prelude::*;
//!
//! let device = Device::best()?;
//! let x: Tensor<Shape![2, 3]> = tensor![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]].to(&device)?;
//! let centred = &x - x.mean_keep::<1>();
//! assert_eq!(centred.device(), device);
//! assert_eq!(centred.to_vec(), [-1.0, 0.0, 1.0, -1.0, 0.0, 1.0]); // waits for the GPU, and copies
//! # Ok::<(), plywood::Error>(())
//! ```
//!
//! Everything that two tensors meet in has to be on one device, or it is an [`Error::Devices`](crate::Error::Devices); what
//! gives no `Result` panics with its text, and does so where a GPU's memory does not suffice, too. Whole numbers wrap around.
//! Numbers come back through what gives numbers: [`to_vec`](crate::Tensor::to_vec), [`item`](crate::Tensor::item),
//! [`get`](crate::Tensor::get), reductions of the whole, `==`, printing, files, figures, and
//! [`accuracy`](crate::train::accuracy); each waits for the GPU.
//!
//! What takes a function of Rust has no kernel: [`map`](crate::Tensor::map), [`zip`](crate::Tensor::zip),
//! [`zip_assign`](crate::Tensor::zip_assign) and [`try_zip`](crate::Tensor::try_zip); nor has what gives a slice or a view
//! ([`as_slice`](crate::Tensor::as_slice), [`iter`](crate::Tensor::iter), [`row`](crate::Tensor::row),
//! [`view`](crate::Tensor::view)) or borrows parts of a network (its [`parameters`](crate::nn::Model::parameters), a layer's
//! `weight()`, [`forward_with`](crate::nn::Model::forward_with)). Nothing is computed on the CPU in silence: these panic or
//! give an error, and say to move the numbers with `.to(&Device::Cpu)?`.

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
