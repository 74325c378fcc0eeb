//! Products too small to be worth a kernel.

use super::Matrix;

/// The product by plain loops, along whichever direction is contiguous.
pub(super) fn product<E: num_traits::Float + core::ops::AddAssign>(
    y: &mut [E],
    a: Matrix<'_, E>,
    b: Matrix<'_, E>,
    (m, k, n): (usize, usize, usize),
) {
    for i in 0..m {
        let y = &mut y[i * n..][..n];
        if b.col == 1 {
            for p in 0..k {
                let factor = a.data[i * a.row + p * a.col];
                for (y, b) in y.iter_mut().zip(&b.data[p * b.row..][..n]) {
                    *y += factor * *b;
                }
            }
        } else {
            for (j, y) in y.iter_mut().enumerate() {
                for p in 0..k {
                    *y += a.data[i * a.row + p * a.col] * b.data[p * b.row + j * b.col];
                }
            }
        }
    }
}
