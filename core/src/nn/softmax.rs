//! `Softmax` and `LogSoftmax` over the last dimension.

use super::{Backward, Forward, Layer};
use crate::dim::StaticDim;
use crate::element::Float;
use crate::shape::EndsWith;
use core::marker::PhantomData;

/// eˣ / Σ eˣ over the last dimension, as `torch.nn.Softmax(dim=-1)`; computed from x − max x, so nothing overflows.
///
/// ```
/// use plywood::prelude::*;
///
/// let net = sequential![Linear(2, 3), Softmax].init(&mut Generator::manual_seed(0));
/// let y = net.forward(&Tensor::<Shape![1, 2]>::ones());
/// assert!((y.iter().sum::<f32>() - 1.0).abs() < 1e-6);
/// ```
#[derive(Debug)]
pub struct Softmax<S>(PhantomData<S>);

/// x − ln Σ eˣ over the last dimension, as `torch.nn.LogSoftmax(dim=-1)`; computed from x − max x, so nothing overflows.
///
/// ```
/// use plywood::prelude::*;
///
/// let net = sequential![Linear(2, 3), LogSoftmax].init(&mut Generator::manual_seed(0));
/// let y = net.forward(&Tensor::<Shape![1, 2]>::ones());
/// assert!((y.iter().map(|y| y.exp()).sum::<f32>() - 1.0).abs() < 1e-6);
/// ```
#[derive(Debug)]
pub struct LogSoftmax<S>(PhantomData<S>);

/// max x and ln Σ e^(x − max x) of one row: x − ln Σ eˣ is x − max − log, in this order, as next to a large maximum the
/// logarithm would lose its digits.
pub(crate) fn log_sum_exp<E: Float>(x: &[E]) -> (E, E) {
    let max = x.iter().copied().fold(E::neg_infinity(), E::max);
    let sum: E = x.iter().map(|x| (*x - max).exp()).sum();
    (max, sum.ln())
}

/// Writes x − ln Σ eˣ of one row.
pub(crate) fn log_softmax<E: Float>(x: &[E], y: &mut [E]) {
    let (max, log) = log_sum_exp(x);
    y.iter_mut().zip(x).for_each(|(y, x)| *y = *x - max - log);
}

/// Writes eˣ / Σ eˣ of one row.
pub(crate) fn softmax<E: Float>(x: &[E], y: &mut [E]) {
    let max = x.iter().copied().fold(E::neg_infinity(), E::max);
    y.iter_mut().zip(x).for_each(|(y, x)| *y = (*x - max).exp());
    let sum: E = y.iter().copied().sum();
    y.iter_mut().for_each(|y| *y /= sum);
}

impl<S: EndsWith> Layer for Softmax<S> {
    type Input = S;
    type Output = S;
    type View<'a, E: Float> = ();
    const KIND: &'static str = "Softmax";

    fn view<E: Float>(_params: &[E]) {}

    fn forward_pass<E: Float>(pass: Forward<'_, E>) {
        for (x, y) in pass.x.chunks_exact(S::Last::SIZE.max(1)).zip(pass.y.chunks_exact_mut(S::Last::SIZE.max(1))) {
            softmax(x, y);
        }
    }

    fn backward_pass<E: Float>(pass: Backward<'_, E>) {
        let Some(dx) = pass.dx else { return };
        let rows = pass.y.chunks_exact(S::Last::SIZE.max(1)).zip(pass.dy.chunks_exact(S::Last::SIZE.max(1)));
        for (dx, (y, dy)) in dx.chunks_exact_mut(S::Last::SIZE.max(1)).zip(rows) {
            let dot: E = y.iter().zip(dy).map(|(y, dy)| *y * *dy).sum();
            dx.iter_mut().zip(y.iter().zip(dy)).for_each(|(dx, (y, dy))| *dx = *y * (*dy - dot));
        }
    }
}

impl<S: EndsWith> Layer for LogSoftmax<S> {
    type Input = S;
    type Output = S;
    type View<'a, E: Float> = ();
    const KIND: &'static str = "LogSoftmax";

    fn view<E: Float>(_params: &[E]) {}

    fn forward_pass<E: Float>(pass: Forward<'_, E>) {
        for (x, y) in pass.x.chunks_exact(S::Last::SIZE.max(1)).zip(pass.y.chunks_exact_mut(S::Last::SIZE.max(1))) {
            log_softmax(x, y);
        }
    }

    fn backward_pass<E: Float>(pass: Backward<'_, E>) {
        let Some(dx) = pass.dx else { return };
        let rows = pass.y.chunks_exact(S::Last::SIZE.max(1)).zip(pass.dy.chunks_exact(S::Last::SIZE.max(1)));
        for (dx, (y, dy)) in dx.chunks_exact_mut(S::Last::SIZE.max(1)).zip(rows) {
            let sum: E = dy.iter().copied().sum();
            dx.iter_mut().zip(y.iter().zip(dy)).for_each(|(dx, (y, dy))| *dx = *dy - y.exp() * sum);
        }
    }
}
