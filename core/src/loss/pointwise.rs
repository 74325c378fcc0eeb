//! What the losses of one element each have in common.

use super::check_sizes;
use crate::element::Float;
use crate::error::Result;
use crate::shape::{SameShape, Shape};
use crate::tensor::{Storage, Tensor, TensorView};

/// Shapes of targets for predictions of shape `Y`: the same shape.
#[diagnostic::on_unimplemented(
    message = "the targets' shape is {Self}, but the predictions' is {Y}",
    label = "targets {Self} against predictions {Y}",
    note = "this loss compares element by element, so both have the same shape"
)]
pub trait TargetFor<Y: Shape>: Shape {}

#[diagnostic::do_not_recommend]
impl<Y: Shape, S: SameShape<Y>> TargetFor<Y> for S {}

/// Writes the terms and the scaled derivatives of a loss whose term and derivative are functions of one prediction and
/// one target.
pub(super) fn pointwise<Y: Shape, S: TargetFor<Y>, E: Float, B: Storage<E>>(
    y: TensorView<'_, Y, E>,
    target: &Tensor<S, E, B>,
    scale: E,
    dy: Option<&mut [E]>,
    mut term: impl FnMut(E),
    f: impl Fn(E, E) -> E,
    derivative: impl Fn(E, E) -> E,
) -> Result<()> {
    check_sizes("predictions and targets differ in shape", y.sizes().as_ref(), target.sizes().as_ref())?;
    let pairs = || y.iter().copied().zip(target.iter().copied());
    pairs().for_each(|(y, t)| term(f(y, t)));
    if let Some(dy) = dy {
        dy.iter_mut().zip(pairs()).for_each(|(dy, (y, t))| *dy = scale * derivative(y, t));
    }
    Ok(())
}

/// How many predictions lie on their target's side of a threshold, and out of how many.
pub(super) fn same_side<Y: Shape, S: Shape, E: Float, B: Storage<E>>(
    y: TensorView<'_, Y, E>,
    threshold: f64,
    target: &Tensor<S, E, B>,
) -> (usize, usize) {
    let right = y.iter().zip(target).filter(|(y, t)| (**y > E::of(threshold)) == (**t > E::of(0.5)));
    (right.count(), y.numel())
}
