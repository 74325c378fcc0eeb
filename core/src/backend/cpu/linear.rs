use super::Matrix;
use crate::element::Float;
use crate::nn::Activation;

/// `y = A(x · wᵀ + b)`: `x: [rows, in]`, `w: [out, in]`, `b: [out]`, `y: [rows, out]`.
///
/// `pre` keeps `x · wᵀ + b` where the activation's derivative needs it (see [`Activation::FROM_OUTPUT`]); otherwise it
/// is empty.
pub fn linear_forward<E: Float, A: Activation>(
    x: &[E],
    w: &[E],
    b: Option<&[E]>,
    y: &mut [E],
    pre: &mut [E],
    (rows, inputs, outputs): (usize, usize, usize),
) {
    match b {
        Some(b) => y.chunks_exact_mut(outputs).for_each(|row| row.copy_from_slice(b)),
        None => y.fill(E::zero()),
    }
    E::gemm(y, Matrix::new(x, inputs), Matrix::transposed(w, inputs), (rows, inputs, outputs));
    if !A::FROM_OUTPUT {
        pre.copy_from_slice(y);
    }
    if !A::IDENTITY {
        y.iter_mut().for_each(|y| *y = A::forward(*y));
    }
}

/// The gradients of [`linear_forward`].
///
/// `v` is the output or, if the activation's derivative needs it, the kept input of the activation. `dy` becomes the
/// gradient of `x · wᵀ + b`; `dw`, `db` and, if there is one, `dx` are overwritten.
#[allow(clippy::too_many_arguments)]
pub fn linear_backward<E: Float, A: Activation>(
    x: &[E],
    w: &[E],
    v: &[E],
    dy: &mut [E],
    dx: Option<&mut [E]>,
    dw: &mut [E],
    db: Option<&mut [E]>,
    (rows, inputs, outputs): (usize, usize, usize),
) {
    if !A::IDENTITY {
        dy.iter_mut().zip(v).for_each(|(dy, v)| *dy *= A::derivative(*v));
    }
    if let Some(db) = db {
        db.fill(E::zero());
        for row in dy.chunks_exact(outputs) {
            db.iter_mut().zip(row).for_each(|(db, dy)| *db += *dy);
        }
    }
    dw.fill(E::zero());
    E::gemm(dw, Matrix::transposed(dy, outputs), Matrix::new(x, inputs), (outputs, rows, inputs));
    if let Some(dx) = dx {
        dx.fill(E::zero());
        E::gemm(dx, Matrix::new(dy, outputs), Matrix::new(w, inputs), (rows, outputs, inputs));
    }
}
