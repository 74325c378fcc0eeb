//! Parameters as safetensors.

mod format;
mod header;
mod load;
mod save;

pub use load::{load, load_bytes};
pub use save::{save, to_bytes};

/// What stands for the file's name where there is no file.
const IN_MEMORY: &str = "bytes in memory";

#[cfg(test)]
mod tests;
