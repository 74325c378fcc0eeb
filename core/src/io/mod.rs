//! Files: the parameters of a network as [safetensors](https://huggingface.co/docs/safetensors), under PyTorch's names
//! (feature `safetensors`, on by default).

#[cfg(feature = "safetensors")]
mod atomic;
#[cfg(feature = "safetensors")]
mod parameters;

#[cfg(feature = "safetensors")]
pub use parameters::{load, load_bytes, save, to_bytes};
