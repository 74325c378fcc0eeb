//! Tensors in NumPy's files.

mod header;
mod literal;
#[cfg(feature = "npz")]
mod npz;
mod read;
mod write;

#[cfg(feature = "npz")]
pub use npz::{Npz, NpzWriter};
pub use read::{from_npy, read_npy};
pub use write::{to_npy, write_npy};

#[cfg(test)]
mod tests;
