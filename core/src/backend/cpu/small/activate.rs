//! Activations and their derivatives, on slices.
//!
//! What calls a function of an activation is a loop and not a `for_each` or `map`: these are functions, which the compiler
//! may leave by themselves when their closure is long, and then compiles for the least of all processors.

use super::LANES;
use crate::element::Float;
use crate::nn::Activation;

/// `y = A(y)`. Whole vectors in one loop, which the compiler vectorises whatever its body is; the rest as one more.
#[inline(always)]
pub fn activate<E: Float, A: Activation>(y: &mut [E]) {
    let (whole, rest) = y.split_at_mut(y.len() - y.len() % LANES);
    for y in whole {
        *y = A::forward(*y);
    }
    if !rest.is_empty() {
        let mut chunk = padded(rest);
        for y in &mut chunk {
            *y = A::forward(*y);
        }
        rest.copy_from_slice(&chunk[..rest.len()]);
    }
}

/// [`activate`], and A′(y), for [`derive_kept`], where that takes what A takes and there is room for it: both have most of
/// their work in common. The value has the same bits with and without.
#[inline(always)]
pub fn activate_keeping<E: Float, A: Activation>(y: &mut [E], slopes: &mut [E]) {
    if A::IDENTITY {
        return;
    }
    if A::FROM_OUTPUT || slopes.is_empty() {
        return activate::<E, A>(y);
    }
    let (whole, rest) = y.split_at_mut(y.len() - y.len() % LANES);
    let (slopes, slopes_rest) = slopes.split_at_mut(whole.len());
    for (y, slope) in whole.iter_mut().zip(slopes) {
        (*y, *slope) = (A::forward(*y), A::derivative(*y));
    }
    if !rest.is_empty() {
        let mut chunk = padded(rest);
        let mut slopes = [E::zero(); LANES];
        for (y, slope) in chunk.iter_mut().zip(&mut slopes) {
            (*y, *slope) = (A::forward(*y), A::derivative(*y));
        }
        rest.copy_from_slice(&chunk[..rest.len()]);
        slopes_rest.copy_from_slice(&slopes[..rest.len()]);
    }
}

/// `dy = dy · A′`, from the output of A or from the slopes that [`activate_keeping`] has kept.
#[inline(always)]
pub fn derive_kept<E: Float, A: Activation>(dy: &mut [E], v: &[E]) {
    if A::IDENTITY {
        return;
    }
    if A::FROM_OUTPUT {
        return derive::<E, A>(dy, v);
    }
    let slopes = &v[..dy.len()];
    dy.iter_mut().zip(slopes).for_each(|(dy, slope)| *dy *= *slope);
}

/// `dy = dy · A′(v)`, likewise.
#[inline(always)]
pub fn derive<E: Float, A: Activation>(dy: &mut [E], v: &[E]) {
    let v = &v[..dy.len()];
    let (whole, rest) = dy.split_at_mut(dy.len() - dy.len() % LANES);
    let (v_whole, v_rest) = v.split_at(whole.len());
    for (dy, v) in whole.iter_mut().zip(v_whole) {
        *dy *= A::derivative(*v);
    }
    if !rest.is_empty() {
        let (mut chunk, v) = (padded(rest), padded(v_rest));
        for (dy, v) in chunk.iter_mut().zip(v) {
            *dy *= A::derivative(v);
        }
        rest.copy_from_slice(&chunk[..rest.len()]);
    }
}

/// A few elements and then zeros.
#[inline(always)]
pub fn padded<E: Float>(rest: &[E]) -> [E; LANES] {
    let mut chunk = [E::zero(); LANES];
    chunk[..rest.len()].copy_from_slice(rest);
    chunk
}

/// The sum of the lanes: of their halves, and so on.
#[inline(always)]
pub fn pairwise<E: Copy + core::ops::Add<Output = E>>(mut lanes: [E; LANES]) -> E {
    for half in [8, 4, 2, 1] {
        for i in 0..half {
            lanes[i] = lanes[i] + lanes[i + half];
        }
    }
    lanes[0]
}
