//! `Softmax` and `LogSoftmax` over the last dimension.

use super::on::{OnBackward, OnForward};
use super::{Backward, Forward, Layer, Op};
use crate::backend::cpu::Params;
use crate::backend::cpu::math;
use crate::backend::cpu::simd::{Simd, Unknown, dispatch};
use crate::backend::cpu::small::{LANES, padded, pairwise};
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

/// max x of one row.
#[inline(always)]
fn maximum<E: Float>(x: &[E]) -> E {
    x.iter().fold(E::neg_infinity(), |max, x| if *x > max { *x } else { max })
}

/// Σ e^(x − max) of one row: sums of every 16th element, and of those.
#[inline(always)]
fn sum_exp<E: Float>(x: &[E], max: E) -> E {
    let mut sums = [E::zero(); LANES];
    let (chunks, rest) = x.as_chunks::<LANES>();
    for chunk in chunks {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *sum += math::exp(*x - max);
        }
    }
    if !rest.is_empty() {
        let mut exps = padded(rest);
        for x in &mut exps {
            *x = math::exp(*x - max);
        }
        sums.iter_mut().zip(&exps[..rest.len()]).for_each(|(sum, exp)| *sum += *exp);
    }
    pairwise(sums)
}

/// max x and ln Σ e^(x − max x) of one row: x − ln Σ eˣ is x − max − log, in this order, as next to a large maximum the
/// logarithm would lose its digits.
#[inline(always)]
pub(crate) fn log_sum_exp<E: Float>(x: &[E]) -> (E, E) {
    let max = maximum(x);
    (max, math::ln(sum_exp(x, max)))
}

/// Writes x − ln Σ eˣ of one row.
#[inline(always)]
pub(crate) fn log_softmax<E: Float>(x: &[E], y: &mut [E]) {
    let (max, log) = log_sum_exp(x);
    y.iter_mut().zip(x).for_each(|(y, x)| *y = *x - max - log);
}

/// Writes eˣ / Σ eˣ of one row.
#[inline(always)]
pub(crate) fn softmax<E: Float>(x: &[E], y: &mut [E]) {
    let max = maximum(x);
    let sum = sum_exp(x, max);
    for (y, x) in y.iter_mut().zip(x) {
        *y = math::exp(*x - max) / sum;
    }
}

impl<S: EndsWith> Layer for Softmax<S> {
    type Input = S;
    type Output = S;
    type View<'a, E: Float> = ();
    const KIND: &'static str = "Softmax";
    const OP: Op = Op::Softmax { size: S::Last::SIZE };

    fn view<E: Float>(_params: &[E]) {}

    fn forward_pass<E: Float>(pass: Forward<'_, E>) {
        dispatch::<Unknown, _>(OnForward::<Self, E>::new(pass));
    }

    fn backward_pass<E: Float>(pass: Backward<'_, E>) {
        dispatch::<Unknown, _>(OnBackward::<Self, E>::new(pass));
    }

    #[inline(always)]
    fn forward_on<E: Float, T: Simd>(pass: Forward<'_, E>) {
        if !T::KNOWN {
            return Self::forward_pass(pass);
        }
        for (x, y) in pass.x.chunks_exact(S::Last::SIZE.max(1)).zip(pass.y.chunks_exact_mut(S::Last::SIZE.max(1))) {
            softmax(x, y);
        }
    }

    #[inline(always)]
    fn backward_on<E: Float, T: Simd>(pass: Backward<'_, E, Params<'_, E>>) {
        if !T::KNOWN {
            return pass.then_update(Self::backward_pass);
        }
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
    const OP: Op = Op::LogSoftmax { size: S::Last::SIZE };

    fn view<E: Float>(_params: &[E]) {}

    fn forward_pass<E: Float>(pass: Forward<'_, E>) {
        dispatch::<Unknown, _>(OnForward::<Self, E>::new(pass));
    }

    fn backward_pass<E: Float>(pass: Backward<'_, E>) {
        dispatch::<Unknown, _>(OnBackward::<Self, E>::new(pass));
    }

    #[inline(always)]
    fn forward_on<E: Float, T: Simd>(pass: Forward<'_, E>) {
        if !T::KNOWN {
            return Self::forward_pass(pass);
        }
        for (x, y) in pass.x.chunks_exact(S::Last::SIZE.max(1)).zip(pass.y.chunks_exact_mut(S::Last::SIZE.max(1))) {
            log_softmax(x, y);
        }
    }

    #[inline(always)]
    fn backward_on<E: Float, T: Simd>(pass: Backward<'_, E, Params<'_, E>>) {
        if !T::KNOWN {
            return pass.then_update(Self::backward_pass);
        }
        let Some(dx) = pass.dx else { return };
        let rows = pass.y.chunks_exact(S::Last::SIZE.max(1)).zip(pass.dy.chunks_exact(S::Last::SIZE.max(1)));
        for (dx, (y, dy)) in dx.chunks_exact_mut(S::Last::SIZE.max(1)).zip(rows) {
            let sum: E = dy.iter().copied().sum();
            for (dx, (y, dy)) in dx.iter_mut().zip(y.iter().zip(dy)) {
                *dx = *dy - math::exp(*y) * sum;
            }
        }
    }
}
