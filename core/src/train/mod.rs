//! Training: the loop with its data, progress, history and evaluation.

mod fit;
mod history;
mod metrics;
mod progress;
mod trainer;

pub use fit::Fit;
pub use history::{Epoch, Evaluation, History};
pub use metrics::{ConfusionMatrix, accuracy};
pub use trainer::Trainer;
