//! Training: the loop with its data, progress, history and evaluation.
//!
//! ```
//! use plywood::prelude::*;
//!
//! let x: Tensor<Shape![4, 2]> = tensor![[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]];
//! let data: TensorDataset<Shape![2]> = TensorDataset::new(x, tensor![0, 1, 1, 0])?;
//! let model = sequential![Linear(2, 8), Tanh, Linear(8, 2)].init(&mut Generator::manual_seed(0));
//! let mut trainer = Trainer::new(model, CrossEntropyLoss, Adam::new(0.05));
//! trainer.fit(&data, Fit::epochs(200).batch(4).quiet())?;
//! assert_eq!(accuracy(&trainer.model().forward(data.inputs()), data.targets())?, 1.0);
//! # Ok::<(), plywood::Error>(())
//! ```

mod fit;
mod history;
mod metrics;
#[cfg(feature = "cuda")]
mod on_gpu;
#[cfg(feature = "nccl")]
mod parallel;
mod progress;
mod trainer;

pub use fit::Fit;
pub use history::{Epoch, Evaluation, History};
pub use metrics::{ConfusionMatrix, accuracy};
pub use trainer::Trainer;
