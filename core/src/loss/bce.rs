use super::pointwise::{self, Pointwise, TargetFor, same_side};
#[cfg(feature = "cuda")]
use super::{DeviceLoss, LossKind};
use super::{Loss, Result, here};
#[cfg(feature = "cuda")]
use crate::backend::Device;
use crate::backend::cpu::math;
use crate::element::Float;
use crate::error::Error;
use crate::shape::Shape;
use crate::tensor::{Storage, Tensor, TensorView};

/// Binary cross-entropy of probabilities: the mean of −(t · ln p + (1 − t) · ln(1 − p)), as `torch.nn.BCELoss`.
///
/// Predictions (after a `Sigmoid`) and targets are probabilities of the same shape. As in PyTorch, logarithms are not
/// less than −100, so a certain and wrong prediction costs 100. Prefer [`BCEWithLogitsLoss`], which needs no such bound.
///
/// ```
/// use plywood::prelude::*;
///
/// let p: Tensor<Shape![2], f64> = tensor![0.5, 1.0];
/// let loss = BCELoss.forward(&p, &tensor![1.0, 0.0])?;
/// assert!((loss - (2f64.ln() + 100.0) / 2.0).abs() < 1e-12);
/// # Ok::<(), plywood::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BCELoss;

/// Binary cross-entropy of logits: the mean of (1 − t) · z + max(−z, 0) + ln(1 + e^−|z|), as `torch.nn.BCEWithLogitsLoss`.
///
/// Targets are probabilities of the predictions' shape. It is [`BCELoss`] after a `Sigmoid`, stable for every finite logit.
///
/// ```
/// use plywood::prelude::*;
///
/// let z: Tensor<Shape![2], f64> = tensor![0.0, 10_000.0];
/// let loss = BCEWithLogitsLoss.forward(&z, &tensor![1.0, 0.0])?;
/// assert_eq!(loss, (2f64.ln() + 10_000.0) / 2.0);
/// # Ok::<(), plywood::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BCEWithLogitsLoss;

/// A prediction, or a target, that is no probability.
pub(crate) fn no_probability(prediction: bool, index: usize, value: f64) -> Error {
    let (what, hint) = if prediction {
        let hint = "; BCELoss takes probabilities, so end the network with Sigmoid or use BCEWithLogitsLoss";
        ("the prediction at index", hint)
    } else {
        ("the target at index", "; BCELoss takes probabilities as targets")
    };
    Error::Range { what, index, value, low: 0.0, high: 1.0, hint }
}

fn probabilities<E: Float>(values: &[E], predictions: bool) -> Result<()> {
    match values.iter().position(|p| !(E::zero()..=E::one()).contains(p)) {
        None => Ok(()),
        Some(index) => Err(no_probability(predictions, index, values[index].to_f64().unwrap_or(f64::NAN))),
    }
}

#[inline(always)]
fn check<S: Shape, E: Float, B: Storage<E>>(y: &[E], target: &Tensor<S, E, B>) -> Result<()> {
    here(target)?;
    probabilities(y, true)?;
    probabilities(target.as_slice(), false)
}

impl Pointwise for BCELoss {
    #[inline(always)]
    fn term<E: Float>(p: E, t: E) -> E {
        let floor = E::of(-100.0);
        let (yes, no) = (math::ln(p).max(floor), math::ln_1p(-p).max(floor));
        (t - E::one()) * no - t * yes
    }

    #[inline(always)]
    fn derivative<E: Float>(p: E, t: E) -> E {
        (p - t) / (p * (E::one() - p)).max(E::of(1e-12))
    }
}

impl Pointwise for BCEWithLogitsLoss {
    #[inline(always)]
    fn term<E: Float>(z: E, t: E) -> E {
        (E::one() - t) * z + (-z).max(E::zero()) + math::ln_1p(math::exp(-z.abs()))
    }

    #[inline(always)]
    fn derivative<E: Float>(z: E, t: E) -> E {
        math::sigmoid(z) - t
    }
}

impl<Y: Shape, S: TargetFor<Y>, E: Float, B: Storage<E>> Loss<Y, Tensor<S, E, B>, E> for BCELoss {
    type Terms = Y;

    fn terms_shape(&self, y: Y) -> Y {
        y
    }

    fn terms(
        &self,
        y: TensorView<'_, Y, E>,
        target: &Tensor<S, E, B>,
        scale: E,
        dy: Option<&mut [E]>,
        term: impl FnMut(E),
    ) -> Result<()> {
        check(y.as_slice(), target)?;
        pointwise::terms::<Self, _, _, _, _>(y, target, scale, dy, term)
    }

    #[inline(always)]
    fn total(&self, y: TensorView<'_, Y, E>, target: &Tensor<S, E, B>, scale: E, dy: Option<&mut [E]>) -> Result<f64> {
        check(y.as_slice(), target)?;
        pointwise::total::<Self, _, _, _, _>(y, target, scale, dy)
    }

    #[cfg(feature = "cuda")]
    fn on_device<'t>(&self, y: Y, target: &'t Tensor<S, E, B>) -> Result<DeviceLoss<'t>> {
        if target.device() == Device::Cpu {
            probabilities(target.as_slice(), false)?;
        }
        pointwise::on_device(LossKind::Bce, y, target)
    }

    fn correct(&self, y: TensorView<'_, Y, E>, target: &Tensor<S, E, B>) -> Option<(usize, usize)> {
        Some(same_side(y, 0.5, target))
    }
}

impl<Y: Shape, S: TargetFor<Y>, E: Float, B: Storage<E>> Loss<Y, Tensor<S, E, B>, E> for BCEWithLogitsLoss {
    type Terms = Y;

    fn terms_shape(&self, y: Y) -> Y {
        y
    }

    fn terms(
        &self,
        y: TensorView<'_, Y, E>,
        target: &Tensor<S, E, B>,
        scale: E,
        dy: Option<&mut [E]>,
        term: impl FnMut(E),
    ) -> Result<()> {
        pointwise::terms::<Self, _, _, _, _>(y, target, scale, dy, term)
    }

    #[inline(always)]
    fn total(&self, y: TensorView<'_, Y, E>, target: &Tensor<S, E, B>, scale: E, dy: Option<&mut [E]>) -> Result<f64> {
        pointwise::total::<Self, _, _, _, _>(y, target, scale, dy)
    }

    #[cfg(feature = "cuda")]
    fn on_device<'t>(&self, y: Y, target: &'t Tensor<S, E, B>) -> Result<DeviceLoss<'t>> {
        pointwise::on_device(LossKind::BceWithLogits, y, target)
    }

    fn correct(&self, y: TensorView<'_, Y, E>, target: &Tensor<S, E, B>) -> Option<(usize, usize)> {
        Some(same_side(y, 0.0, target))
    }
}
