//! A loss in words that a device with kernels of its own understands.

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
    /// So many bytes on the device: numbers of the network's element type, or `i32` classes.
    There(&'t Memory, usize),
    /// `i32` classes on the device, made of those of another type.
    Made { labels: Memory, of: &'t Memory, dtype: DType },
}

impl<'t> Target<'t> {
    /// Numbers of the network's element type.
    pub(super) fn reals<S: Shape, E: Float, B: Storage<E>>(target: &'t Tensor<S, E, B>) -> Self {
        if let Some(memory) = target.memory() {
            return Target::There(memory, target.numel() * size_of::<E>());
        }
        Target::Reals(bytemuck::cast_slice(target.as_slice()))
    }

    /// The memory and how much of it, if it is on the device already.
    pub(crate) fn there(&self) -> Option<(&Memory, usize)> {
        match self {
            Target::There(memory, bytes) => Some((memory, *bytes)),
            Target::Made { labels, .. } => Some((labels, labels.len())),
            Target::Reals(_) | Target::Labels { .. } => None,
        }
    }

    /// A class each; on a GPU, as `i32`: what is none of those is none of the classes either.
    pub(super) fn labels<S: Shape, L: Label, B: Storage<L>>(target: &'t Tensor<S, L, B>) -> Result<Self> {
        if let (Some(memory), Some(array)) = (target.memory(), target.array()) {
            if L::DTYPE == DType::I32 {
                return Ok(Target::There(memory, target.numel() * 4));
            }
            let code = cuda::tensor::Code::new("(number::cast(x, v) ? v : (OUT)-1)");
            let (labels, _) = cuda::tensor::computed(DType::I32, &[array], &code)?;
            return Ok(Target::Made { labels, of: memory, dtype: L::DTYPE });
        }
        let labels = target.as_slice();
        // Checked before: a class, and no network has more than 2³¹ of them.
        let of = |i: usize| labels[i].to_i32().unwrap_or(-1);
        Ok(Target::Labels { len: labels.len(), of: Box::new(of) })
    }

    /// The label at a place, as it was given.
    fn label(&self, place: usize) -> Result<String> {
        match self {
            Target::Labels { of, .. } => Ok(of(place).to_string()),
            Target::There(memory, _) => cuda::tensor::shown(memory, DType::I32, place),
            Target::Made { of, dtype, .. } => cuda::tensor::shown(of, *dtype, place),
            Target::Reals(_) => unreachable!("labels are whole numbers"),
        }
    }

    /// The number at a place.
    fn real<E: Float>(&self, place: usize) -> Result<E> {
        match self {
            Target::Reals(bytes) => {
                Ok(bytemuck::pod_read_unaligned(&bytes[place * size_of::<E>()..][..size_of::<E>()]))
            }
            Target::There(memory, _) => cuda::tensor::element(memory, place),
            Target::Labels { .. } | Target::Made { .. } => unreachable!("probabilities are floats"),
        }
    }
}

impl DeviceLoss<'_> {
    /// The error for a target, or for one of `n` predictions, that is none: `position` is that of `kernels/loss.cu`.
    pub(crate) fn refusal<E: Float>(
        &self,
        position: usize,
        n: usize,
        prediction: impl FnOnce(usize) -> Result<E>,
    ) -> Result<Error> {
        if self.kind == LossKind::CrossEntropy {
            let label = self.target.label(position)?;
            return Ok(Error::Label { sample: position, label, classes: self.classes });
        }
        let (predicted, index) = (position < n, if position < n { position } else { position - n });
        let value = if predicted { prediction(index)? } else { self.target.real::<E>(index)? };
        Ok(super::no_probability(predicted, index, super::wide(value)))
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
    if let Some((target, _)) = loss.target.there()
        && target.gpu() != memory.gpu()
    {
        return Err(Error::Devices {
            what: "the prediction",
            left: memory.gpu().to_string(),
            other: "its target",
            right: target.gpu().to_string(),
        });
    }
    let places = (dy.and_then(|dy| dy.memory()), terms.and_then(|terms| terms.memory()));
    match cuda::loss(memory, E::DTYPE, n, loss, places.0, places.1)? {
        Ok(value) => Ok(value),
        Err(position) => Err(loss.refusal(position, n, |index| cuda::tensor::element::<E>(memory, index))?),
    }
}
