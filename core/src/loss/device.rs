//! A loss in words that a device with kernels of its own understands.

use crate::backend::Buffer;
use crate::backend::cuda::{self, Memory};
use crate::element::{DType, Float, Label};
use crate::error::{Error, Result};
use crate::shape::Shape;
use crate::tensor::{Storage, Tensor};

/// Which loss.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
    /// `i32` classes on the device, made of others.
    Made(Buffer<i32>),
}

impl<'t> Target<'t> {
    /// Numbers of the network's element type.
    pub(super) fn reals<S: Shape, E: Float, B: Storage<E>>(target: &'t Tensor<S, E, B>) -> Self {
        if let Some(memory) = target.memory() {
            return Target::There(memory);
        }
        Target::Reals(bytemuck::cast_slice(target.as_slice()))
    }

    /// The memory, if it is on the device already.
    pub(crate) fn there(&self) -> Option<&Memory> {
        match self {
            Target::There(memory) => Some(memory),
            Target::Made(buffer) => buffer.memory(),
            Target::Reals(_) | Target::Labels { .. } => None,
        }
    }

    /// A class each; on a GPU, as `i32`.
    pub(super) fn labels<S: Shape, L: Label, B: Storage<L>>(target: &'t Tensor<S, L, B>) -> Result<Self> {
        if let Some(memory) = target.memory() {
            return Ok(match L::DTYPE {
                DType::I32 => Target::There(memory),
                _ => Target::Made(target.cast::<i32>()?.into_data()),
            });
        }
        let labels = target.as_slice();
        // Checked before: a class, and no network has more than 2³¹ of them.
        let of = |i: usize| labels[i].to_i32().unwrap_or(-1);
        Ok(Target::Labels { len: labels.len(), of: Box::new(of) })
    }
}

/// A tensor of this shape, with whatever is in it, on the GPU of another one.
pub(super) fn room<S: Shape, Y: Shape, E: Float, B: Storage<E>>(y: &Tensor<Y, E, B>, shape: S) -> Result<Tensor<S, E>> {
    let gpu = y.memory().expect("on a GPU").gpu();
    Ok(Tensor::of_memory(shape, Memory::new(gpu, shape.numel() * size_of::<E>())?))
}

/// The loss of predictions on a GPU; its gradient goes to `dy`, its terms to `terms`.
pub(super) fn computed<Y: Shape, S: Shape, E: Float, B: Storage<E>>(
    loss: &DeviceLoss<'_>,
    y: &Tensor<Y, E, B>,
    dy: Option<&mut Tensor<Y, E>>,
    terms: Option<&mut Tensor<S, E>>,
) -> Result<f64> {
    let (memory, n) = (y.memory().expect("on a GPU"), y.numel());
    let there = loss.target.there();
    if let Some(target) = there
        && target.gpu() != memory.gpu()
    {
        return Err(Error::Devices {
            what: "the predictions",
            left: memory.gpu().to_string(),
            other: "their targets",
            right: target.gpu().to_string(),
        });
    }
    let places = (dy.and_then(|dy| dy.memory()), terms.and_then(|terms| terms.memory()));
    let position = match cuda::loss(memory, E::DTYPE, n, loss, places.0, places.1)? {
        Ok(value) => return Ok(value),
        Err(position) => position,
    };
    if loss.kind == LossKind::CrossEntropy {
        let label = match (&loss.target, there) {
            (_, Some(labels)) => cuda::tensor::element::<i32>(labels, position)?,
            (Target::Labels { of, .. }, _) => of(position),
            _ => unreachable!("labels are whole numbers"),
        };
        return Err(Error::Label { sample: position, label: label.to_string(), classes: loss.classes });
    }
    let (prediction, index) = (position < n, if position < n { position } else { position - n });
    let value: E = match (&loss.target, there) {
        _ if prediction => cuda::tensor::element(memory, index)?,
        (_, Some(target)) => cuda::tensor::element(target, index)?,
        (Target::Reals(bytes), _) => bytemuck::pod_read_unaligned(&bytes[index * size_of::<E>()..][..size_of::<E>()]),
        _ => unreachable!("probabilities are floats"),
    };
    Err(super::no_probability(prediction, index, super::wide(value)))
}
