//! Files: the parameters of a network as [safetensors](https://huggingface.co/docs/safetensors), under PyTorch's names
//! (feature `safetensors`, on by default), and tensors in [NumPy's files](https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html)
//! (features `npy` and, for archives of several arrays, `npz`).
//!
//! ```
//! # #[cfg(feature = "safetensors")]
//! # {
//! use plywood::prelude::*;
//!
//! sequential! { struct Net { Linear(2, 3) } }
//!
//! let model = Net::init(&mut Generator::manual_seed(0));
//! let file: Vec<u8> = plywood::io::to_bytes(&model)?; // `save(&model, path)?` writes it
//! let mut other = Net::init(&mut Generator::manual_seed(1));
//! plywood::io::load_bytes(&mut other, &file)?;
//! assert_eq!(other.parameters(), model.parameters());
//! # }
//! # Ok::<(), plywood::Error>(())
//! ```

#[cfg(any(feature = "safetensors", feature = "npy"))]
mod atomic;
#[cfg(feature = "npy")]
mod npy;
#[cfg(feature = "safetensors")]
mod parameters;

#[cfg(feature = "npz")]
pub use npy::{Npz, NpzWriter};
#[cfg(feature = "npy")]
pub use npy::{from_npy, read_npy, to_npy, write_npy};
#[cfg(feature = "safetensors")]
pub use parameters::{load, load_bytes, save, to_bytes};

/// What stands for the file's name where there is no file.
#[cfg(any(feature = "safetensors", feature = "npz"))]
const IN_MEMORY: &str = "bytes in memory";
