//! train

mod metrics;

pub use metrics::{ConfusionMatrix, accuracy};
