use super::pointwise::{TargetFor, pointwise, same_side};
use super::{Loss, Result};
use crate::element::Float;
use crate::error::Error;
use crate::nn::{Activation, Sigmoid};
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

fn probabilities<E: Float>(what: &'static str, values: &[E], hint: &'static str) -> Result<()> {
    match values.iter().position(|p| !(E::zero()..=E::one()).contains(p)) {
        None => Ok(()),
        Some(index) => {
            let value = values[index].to_f64().unwrap_or(f64::NAN);
            Err(Error::Range { what, index, value, low: 0.0, high: 1.0, hint })
        }
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
        probabilities(
            "the prediction at index",
            y.as_slice(),
            "; BCELoss takes probabilities, so end the network with Sigmoid or use BCEWithLogitsLoss",
        )?;
        probabilities("the target at index", target.as_slice(), "; BCELoss takes probabilities as targets")?;
        let floor = E::of(-100.0);
        let f = |p: E, t: E| {
            let (yes, no) = (p.ln().max(floor), (-p).ln_1p().max(floor));
            (t - E::one()) * no - t * yes
        };
        let derivative = |p: E, t: E| (p - t) / (p * (E::one() - p)).max(E::of(1e-12));
        pointwise(y, target, scale, dy, term, f, derivative)
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
        let f = |z: E, t: E| (E::one() - t) * z + (-z).max(E::zero()) + (-z.abs()).exp().ln_1p();
        pointwise(y, target, scale, dy, term, f, |z, t| Sigmoid::forward(z) - t)
    }

    fn correct(&self, y: TensorView<'_, Y, E>, target: &Tensor<S, E, B>) -> Option<(usize, usize)> {
        Some(same_side(y, 0.0, target))
    }
}
