//! What a small layer computes: sizes that the compiler knows, and no call on the way.
//!
//! Everything is inlined into a step that is compiled for one instruction set (see [`super::simd`]). Not in a build
//! without optimisation, where each inlined piece would take stack and time of its own.

mod activate;
mod product;

use super::simd::Simd;
use crate::element::Float;
use crate::nn::Activation;
use crate::nn::activation::Pass;
use core::mem::MaybeUninit;
use product::Product;

pub use activate::{activate, activate_keeping, derive, derive_kept, padded, pairwise};
pub use product::Small;

/// The weights of the largest layer that counts as small.
pub const LARGEST: usize = 64 * 64;

/// The elements that [`activate`] and the losses take at once: enough for a vector of any instruction set.
pub const LANES: usize = 16;

/// A slice of `len` elements of anything on the stack, or in registers if there are few. Not a function that takes a
/// closure, which the compiler might not inline.
macro_rules! with_scratch {
    ($len:expr, |$name:ident| $body:expr) => {{
        let len = $len;
        if len <= FEW {
            let mut memory = MaybeUninit::<[E; FEW]>::uninit();
            // SAFETY: of plain numbers, of which every one is written before it is read.
            let $name = unsafe { core::slice::from_raw_parts_mut(memory.as_mut_ptr().cast::<E>(), len) };
            $body
        } else {
            assert!(len <= LARGEST);
            let mut memory = MaybeUninit::<[E; LARGEST]>::uninit();
            // SAFETY: as above.
            let $name = unsafe { core::slice::from_raw_parts_mut(memory.as_mut_ptr().cast::<E>(), len) };
            $body
        }
    }};
}

const FEW: usize = 256;

/// `y = A(x · wᵀ + b)`, as [`super::linear_forward`].
#[cfg_attr(not(debug_assertions), inline(always))]
pub fn forward<E: Float, S: Simd, A: Activation>(
    x: &[E],
    w: &[E],
    b: Option<&[E]>,
    y: &mut [E],
    slopes: &mut [E],
    sizes @ (rows, inputs, outputs): (usize, usize, usize),
) {
    let job = Product { a: x, a_row: inputs, a_col: 1, b: w, b_row: inputs, y: &mut *y, init: b, sizes };
    // At once, as the stores of y and its loads would wait for each other; but not in fours what are more.
    if rows == 1 && (A::FROM_OUTPUT || slopes.is_empty()) && (inputs < 8 || outputs <= 4) {
        return linear::<E, S, A>(job);
    }
    linear::<E, S, Pass>(job);
    activate_keeping::<E, A>(y, slopes);
}

/// `y = A(x · wᵀ + b)`, with w in the place of its transpose.
#[cfg_attr(not(debug_assertions), inline(always))]
fn linear<E: Float, S: Simd, A: Activation>(job: Product<'_, E>) {
    let (w, (rows, inputs, outputs)) = (job.b, job.sizes);
    if inputs >= 8 && (rows <= 2 || outputs <= 4) || rows == 1 && outputs == 4 {
        return E::dots::<S, A>(job);
    }
    if rows == 1 && outputs == 1 {
        return single::<E, A>(job);
    }
    with_scratch!(inputs * outputs, |wt| {
        E::transpose::<S>(w, wt, (outputs, inputs));
        let job = Product { b: wt, b_row: outputs, ..job };
        // The one row as a constant, where it is one.
        if rows == 1 {
            return E::product::<S, A>(Product { sizes: (1, inputs, outputs), ..job });
        }
        E::product::<S, A>(job);
    });
}

/// One number of few products, which are added in pairs.
#[cfg_attr(not(debug_assertions), inline(always))]
fn single<E: Float, A: Activation>(job: Product<'_, E>) {
    let k = job.sizes.1;
    let mut sums = [E::zero(); 8];
    let products = sums[..k].iter_mut().zip(&job.a[..k]).zip(&job.b[..k]);
    products.for_each(|((sum, a), b)| *sum = *a * *b);
    for half in [4, 2, 1] {
        for i in half..k.min(2 * half) {
            let more = sums[i];
            sums[i - half] += more;
        }
    }
    job.y[0] = A::forward(job.init.map_or(sums[0], |init| init[0] + sums[0]));
}

/// The gradients of [`forward`], as [`super::linear_backward`].
#[cfg_attr(not(debug_assertions), inline(always))]
#[allow(clippy::too_many_arguments)]
pub fn backward<E: Float, S: Simd, A: Activation>(
    x: &[E],
    w: &[E],
    v: &[E],
    dy: &mut [E],
    dx: Option<&mut [E]>,
    dw: &mut [E],
    db: Option<&mut [E]>,
    (rows, inputs, outputs): (usize, usize, usize),
) {
    assert!(db.as_ref().is_none_or(|db| db.len() == outputs), "not one bias an output");
    derive_kept::<E, A>(dy, v);
    let dy = &*dy;
    if let Some(db) = db {
        E::column_sums::<S>(dy, db);
    }
    if inputs < 8 && outputs >= 8 {
        with_scratch!(inputs * outputs, |dwt| {
            let sizes = (inputs, rows, outputs);
            E::product::<S, Pass>(Product {
                a: x,
                a_row: 1,
                a_col: inputs,
                b: dy,
                b_row: outputs,
                y: dwt,
                init: None,
                sizes,
            });
            E::transpose::<S>(dwt, dw, (inputs, outputs));
        });
    } else {
        let sizes = (outputs, rows, inputs);
        E::product::<S, Pass>(Product {
            a: dy,
            a_row: 1,
            a_col: outputs,
            b: x,
            b_row: inputs,
            y: dw,
            init: None,
            sizes,
        });
    }
    if let Some(dx) = dx {
        let sizes = (rows, outputs, inputs);
        E::product::<S, Pass>(Product {
            a: dy,
            a_row: outputs,
            a_col: 1,
            b: w,
            b_row: inputs,
            y: dx,
            init: None,
            sizes,
        });
    }
}
