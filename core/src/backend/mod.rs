//! Where tensors are and what computes with them: a [`Device`] and its memory, a [`Buffer`].
//!
//! ```
//! use plywood::prelude::*;
//!
//! assert_eq!(Device::default(), Device::Cpu);
//! ```

// This is the only place with `unsafe` code. Layers call the primitives in `cpu`; each takes flat row-major slices and
// run-time sizes, fuses what belongs together, and panics if a slice is shorter than its sizes say.

mod buffer;
#[allow(unreachable_pub)] // `pub` inside means the crate's own
pub(crate) mod cpu;
mod device;
mod pages;
mod precision;

pub use buffer::Buffer;
pub use device::Device;
pub use precision::{Precision, float32_matmul_precision, set_float32_matmul_precision};
