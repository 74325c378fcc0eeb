use super::simd::widest;
use super::small::{activate_keeping, derive_kept};
use super::{Beside, Matrix, Params, is_product, pool};
use crate::element::Float;
use crate::nn::Activation;
use plywood_kernels::prefetch;

/// `y = A(x · wᵀ + b)`: `x: [rows, in]`, `w: [out, in]`, `b: [out]`, `y: [rows, out]`.
///
/// `slopes` keeps A′(x · wᵀ + b) where that does not follow from the output (see [`Activation::FROM_OUTPUT`]); otherwise
/// it is empty, and so it is where no gradient will be asked for.
pub fn linear_forward<E: Float, A: Activation>(
    x: &[E],
    w: &[E],
    b: Option<&[E]>,
    y: &mut [E],
    slopes: &mut [E],
    (rows, inputs, outputs): (usize, usize, usize),
) {
    assert!(slopes.is_empty() || slopes.len() == y.len(), "no room for the derivative");
    let keeps = !A::FROM_OUTPUT && !slopes.is_empty();
    assert!(b.is_none_or(|b| b.len() == outputs), "not one bias an output");
    let slopes = pool::Shared(slopes.as_mut_ptr());
    let (a, wt) = (Matrix::new(x, inputs), Matrix::transposed(w, inputs));
    E::gemm_then(y, a, wt, (rows, inputs, outputs), Beside::NOTHING, |piece| {
        widest(
            #[inline(always)]
            || {
                piece.for_each_row(
                    #[inline(always)]
                    |i, j, y| {
                        if let Some(b) = b {
                            y.iter_mut().zip(&b[j..]).for_each(|(y, b)| *y += *b);
                        }
                        let slopes = if keeps {
                            // SAFETY: `slopes` is as long as the whole output, and each piece of the output is given to one
                            // thread once.
                            unsafe { core::slice::from_raw_parts_mut(slopes.get().add(i * outputs + j), y.len()) }
                        } else {
                            &mut []
                        };
                        activate_keeping::<E, A>(y, slopes);
                    },
                );
            },
        );
    });
}

/// The gradients of [`linear_forward`].
///
/// `v` is the output or, if the activation's derivative does not follow from it, the kept slopes. `dy` becomes the
/// gradient of `x · wᵀ + b`; `dw`, `db` and, if there is one, `dx` are overwritten. Weights that are to be updated are so
/// with each piece of their gradient, while it is in a near cache.
#[allow(clippy::too_many_arguments)]
pub fn linear_backward<E: Float, A: Activation>(
    x: &[E],
    w: Params<'_, E>,
    v: &[E],
    dy: &mut [E],
    dx: Option<&mut [E]>,
    dw: &mut [E],
    db: Option<&mut [E]>,
    (rows, inputs, outputs): (usize, usize, usize),
) {
    through_activation::<E, A>(v, dy, db, (rows, outputs));
    if let Some(dx) = dx {
        let w = Matrix::new(w.get(), inputs);
        E::gemm_then(dx, Matrix::new(dy, outputs), w, (rows, outputs, inputs), Beside::NOTHING, |_| {});
    }
    let (a, b, sizes) = (Matrix::transposed(dy, outputs), Matrix::new(x, inputs), (outputs, rows, inputs));
    match w.in_pieces() {
        None => E::gemm_then(dw, a, b, sizes, Beside::NOTHING, |_| {}),
        Some(w) => E::gemm_then(dw, a, b, sizes, Beside::instead(w.as_ptr()), |piece| {
            // SAFETY: each piece of the gradient is given to one thread, once.
            piece.for_each_row(|i, j, dw| unsafe { w.update(i * inputs + j, dw) });
        }),
    }
}

/// `dy *= A'`, and `db`, the sum of its rows, in one pass.
fn through_activation<E: Float, A: Activation>(
    v: &[E],
    dy: &mut [E],
    db: Option<&mut [E]>,
    (rows, outputs): (usize, usize),
) {
    assert!(
        is_product(dy.len(), [rows, outputs]) && (A::IDENTITY || v.len() == dy.len()),
        "slices are not of the sizes"
    );
    assert!(db.as_ref().is_none_or(|db| db.len() == outputs), "not one bias an output");
    let parts = pool::threads_for(rows * outputs).min(outputs / COLUMNS).max(1);
    let shared = pool::Shared(dy.as_mut_ptr());
    let db = db.map(|db| pool::Shared(db.as_mut_ptr()));
    // By columns: a sum is all of one thread.
    pool::run(parts, |part| {
        let columns = pool::cut(outputs, parts, COLUMNS, part);
        // SAFETY: `db` has all columns, and each is in one part.
        let mut db = db
            .as_ref()
            .map(|db| unsafe { core::slice::from_raw_parts_mut(db.get().add(columns.start), columns.len()) });
        if let Some(db) = &mut db {
            db.fill(E::zero());
        }
        widest(
            #[inline(always)]
            || {
                for i in 0..rows {
                    let start = i * outputs + columns.start;
                    // SAFETY: the part's columns of one row.
                    let dy = unsafe { core::slice::from_raw_parts_mut(shared.get().add(start), columns.len()) };
                    if !A::IDENTITY {
                        // The next row: with each, the processor's own guesses begin anew.
                        for j in (start..start + columns.len()).step_by(LINE / size_of::<E>()) {
                            prefetch(shared.get().wrapping_add(outputs + j).cast_const());
                            prefetch(v.as_ptr().wrapping_add(outputs + j));
                        }
                        derive_kept::<E, A>(dy, &v[start..]);
                    }
                    if let Some(db) = &mut db {
                        db.iter_mut().zip(&*dy).for_each(|(db, dy)| *db += *dy);
                    }
                }
            },
        );
    });
}

/// A thread takes so many columns or more, in cache lines of its own.
const COLUMNS: usize = 64;
/// The bytes of a line of a cache.
const LINE: usize = 64;
