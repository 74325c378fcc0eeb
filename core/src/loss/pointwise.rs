//! What the losses of one element each have in common.

#[cfg(feature = "cuda")]
use super::{DeviceLoss, LossKind, Target};
use super::{check_sizes, here, wide};
use crate::backend::cpu::pool::sum_over_pieces;
use crate::backend::cpu::simd::widest;
use crate::backend::cpu::small::{LANES, padded, pairwise};
use crate::element::Float;
use crate::error::Result;
use crate::shape::{SameShape, Shape};
use crate::tensor::{Storage, Tensor, TensorView};

/// Shapes of targets for predictions of shape `Y`: the same shape.
///
/// ```
/// use plywood::loss::TargetFor;
/// use plywood::prelude::*;
///
/// fn compared<Y: Shape, T: TargetFor<Y>>() {}
/// compared::<Shape![_, 3], Shape![5, 3]>(); // `Shape![5]` does not compile
/// ```
#[diagnostic::on_unimplemented(
    message = "the targets' shape is {Self}, but the predictions' is {Y}",
    label = "targets {Self} against predictions {Y}",
    note = "this loss compares element by element, so both have the same shape"
)]
pub trait TargetFor<Y: Shape>: Shape {}

#[diagnostic::do_not_recommend]
impl<Y: Shape, S: SameShape<Y>> TargetFor<Y> for S {}

/// A loss whose terms are functions of one prediction and one target.
pub(super) trait Pointwise {
    /// The term.
    fn term<E: Float>(y: E, t: E) -> E;

    /// Its derivative by the prediction.
    fn derivative<E: Float>(y: E, t: E) -> E;
}

/// [`Loss::terms`](super::Loss::terms).
pub(super) fn terms<P: Pointwise, Y: Shape, S: TargetFor<Y>, E: Float, B: Storage<E>>(
    y: TensorView<'_, Y, E>,
    target: &Tensor<S, E, B>,
    scale: E,
    dy: Option<&mut [E]>,
    mut term: impl FnMut(E),
) -> Result<()> {
    here(target)?;
    check_sizes("predictions and targets differ in shape", y.sizes().as_ref(), target.sizes().as_ref())?;
    let pairs = || y.iter().copied().zip(target.iter().copied());
    pairs().for_each(|(y, t)| term(P::term(y, t)));
    if let Some(dy) = dy {
        dy.iter_mut().zip(pairs()).for_each(|(dy, (y, t))| *dy = scale * P::derivative(y, t));
    }
    Ok(())
}

/// [`Loss::total`](super::Loss::total).
#[inline(always)]
pub(super) fn total<P: Pointwise, Y: Shape, S: TargetFor<Y>, E: Float, B: Storage<E>>(
    y: TensorView<'_, Y, E>,
    target: &Tensor<S, E, B>,
    scale: E,
    dy: Option<&mut [E]>,
) -> Result<f64> {
    here(target)?;
    check_sizes("predictions and targets differ in shape", y.sizes().as_ref(), target.sizes().as_ref())?;
    let numel = y.numel();
    let (y, t) = (&y.as_slice()[..numel], &target.as_slice()[..numel]);
    match dy {
        Some(dy) if numel >= LARGE => Ok(large::<P, E>(y, t, scale, &mut dy[..numel])),
        dy => Ok(pass::<P, E>(y, t, scale, dy)),
    }
}

/// From so many elements on, a loss is computed in pieces.
const LARGE: usize = 1 << 15;
/// The elements whose terms are added up and derived while they are in the first cache.
const PIECE: usize = 1 << 10;

/// [`total`] on as many threads as pay. The sum is that of the pieces, whatever the number of threads.
#[inline(never)]
fn large<P: Pointwise, E: Float>(y: &[E], t: &[E], scale: E, dy: &mut [E]) -> f64 {
    sum_over_pieces(dy, |start, dy| {
        let [y, t] = [y, t].map(|from| from[start..][..dy.len()].chunks(PIECE));
        widest(
            #[inline(always)]
            || dy.chunks_mut(PIECE).zip(y.zip(t)).map(|(dy, (y, t))| pass::<P, E>(y, t, scale, Some(dy))).sum(),
        )
    })
}

/// Sums of every 16th term, and of those.
#[inline(always)]
fn pass<P: Pointwise, E: Float>(y: &[E], t: &[E], scale: E, dy: Option<&mut [E]>) -> f64 {
    let numel = y.len();
    let ((y, y_rest), (t, t_rest)) = (y.as_chunks::<LANES>(), t.as_chunks::<LANES>());
    let mut sums = [0.0; LANES];
    for (y, t) in y.iter().zip(t) {
        for i in 0..LANES {
            sums[i] += wide(P::term(y[i], t[i]));
        }
    }
    let (y_last, t_last) = (padded(y_rest), padded(t_rest));
    if !y_rest.is_empty() {
        let mut last = [0.0; LANES];
        for i in 0..LANES {
            last[i] = wide(P::term(y_last[i], t_last[i]));
        }
        sums.iter_mut().zip(&last[..y_rest.len()]).for_each(|(sum, last)| *sum += *last);
    }
    if let Some(dy) = dy {
        let (dy, dy_rest) = dy[..numel].as_chunks_mut::<LANES>();
        for (dy, (y, t)) in dy.iter_mut().zip(y.iter().zip(t)) {
            for i in 0..LANES {
                dy[i] = scale * P::derivative(y[i], t[i]);
            }
        }
        if !dy_rest.is_empty() {
            let mut last = [E::zero(); LANES];
            for i in 0..LANES {
                last[i] = scale * P::derivative(y_last[i], t_last[i]);
            }
            dy_rest.copy_from_slice(&last[..dy_rest.len()]);
        }
    }
    pairwise(sums)
}

/// [`Loss::on_device`](super::Loss::on_device).
#[cfg(feature = "cuda")]
pub(super) fn on_device<'t, Y: Shape, S: TargetFor<Y>, E: Float, B: Storage<E>>(
    kind: LossKind,
    y: Y,
    target: &'t Tensor<S, E, B>,
) -> Result<DeviceLoss<'t>> {
    check_sizes("predictions and targets differ in shape", y.sizes().as_ref(), target.sizes().as_ref())?;
    let numel = y.numel();
    let predictions = if kind == LossKind::Mse { 0 } else { numel };
    let target = Target::reals(target);
    Ok(DeviceLoss { kind, batch: numel, classes: 1, divisor: numel as f64, predictions, target })
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
