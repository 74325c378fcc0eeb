//! Everything a program needs: `use plywood::prelude::*;`

#[cfg(feature = "autograd")]
pub use crate::autograd::{Variable, no_grad};
pub use crate::backend::Device;
#[cfg(feature = "csv")]
pub use crate::data::Table;
pub use crate::data::{DataLoader, StandardScaler, TensorDataset};
pub use crate::dim::{D, Dim, Dyn, StaticDim};
pub use crate::element::{Element, Float, Label, Numeric};
pub use crate::generator::Generator;
pub use crate::loss::{BCELoss, BCEWithLogitsLoss, CrossEntropyLoss, Loss, MSELoss};
pub use crate::nn::{Gradients, Layer, Model, Workspace};
pub use crate::optim::{Adam, AdamW, Optimizer, SGD};
pub use crate::shape::{Features, Shape, StaticShape};
pub use crate::tensor::{Join, Tensor, TensorView, TensorViewMut};
pub use crate::train::{ConfusionMatrix, Fit, Trainer, accuracy};
#[cfg(test)]
pub(crate) use plywood_macros::{Shape, sequential, tensor};
