//! What computes: memory and the primitives of each device.
//!
//! This is the only place with `unsafe` code. Layers call the primitives in [`cpu`]; each takes flat row-major slices
//! and run-time sizes, fuses what belongs together, and panics if a slice is shorter than its sizes say.

mod buffer;
pub mod cpu;
mod device;
mod precision;

pub use buffer::Buffer;
pub use cpu::Gemm;
pub use device::Device;
pub use precision::{Precision, float32_matmul_precision, set_float32_matmul_precision};
