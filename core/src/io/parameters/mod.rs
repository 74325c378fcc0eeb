//! Parameters as safetensors.

mod format;
mod header;
mod load;
mod save;

pub use load::{load, load_bytes};
pub use save::{save, to_bytes};

#[cfg(test)]
mod tests;
