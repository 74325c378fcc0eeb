//! A loss in words that a device with kernels of its own understands.

use crate::backend::cuda::Memory;
use crate::element::{DType, Float, Label};
use crate::error::{Error, Result};
use crate::shape::Shape;
use crate::tensor::{Storage, Tensor};

/// Which loss.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossKind {
    Mse,
    Bce,
    BceWithLogits,
    CrossEntropy,
    CrossEntropyOfProbabilities,
}

/// A loss on one batch.
#[doc(hidden)]
pub struct DeviceLoss<'t> {
    pub(crate) kind: LossKind,
    /// The samples, and the classes of the predictions.
    pub(crate) batch: usize,
    pub(crate) classes: usize,
    /// The terms are added up and divided by this.
    pub(crate) divisor: f64,
    /// How many predictions are right or wrong: none, where the loss is not about classes.
    pub(crate) predictions: usize,
    pub(crate) target: Target<'t>,
}

/// The targets.
#[doc(hidden)]
pub enum Target<'t> {
    /// Numbers of the network's element type.
    Reals(&'t [u8]),
    /// A class each.
    Labels { len: usize, of: Box<dyn Fn(usize) -> i32 + 't> },
    /// Numbers of the network's element type, or `i32` classes, on the device.
    There(&'t Memory),
}

impl<'t> Target<'t> {
    /// Numbers of the network's element type.
    pub(super) fn reals<S: Shape, E: Float, B: Storage<E>>(target: &'t Tensor<S, E, B>) -> Self {
        if let Some(memory) = target.memory() {
            return Target::There(memory);
        }
        Target::Reals(bytemuck::cast_slice(target.as_slice()))
    }

    /// A class each; on a GPU, as `i32`.
    pub(super) fn labels<S: Shape, L: Label, B: Storage<L>>(target: &'t Tensor<S, L, B>) -> Result<Self> {
        if let Some(memory) = target.memory() {
            if L::DTYPE == DType::I32 {
                return Ok(Target::There(memory));
            }
            return Err(Error::NoKernel {
                what: format!("CrossEntropyLoss of {} labels", L::DTYPE),
                device: memory.gpu().to_string(),
                hint: "; make the labels `i32`, or leave them on the CPU, from where each batch is copied",
            });
        }
        let labels = target.as_slice();
        // Checked before: a class, and no network has more than 2³¹ of them.
        let of = |i: usize| labels[i].to_i32().unwrap_or(-1);
        Ok(Target::Labels { len: labels.len(), of: Box::new(of) })
    }
}
