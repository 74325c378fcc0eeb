//! Data: scaling, splitting and batching.

mod dataset;
mod loader;
mod scaler;
mod split;

pub use dataset::{Batch, TensorDataset};
pub use loader::{Batches, DataLoader};
pub use scaler::StandardScaler;
