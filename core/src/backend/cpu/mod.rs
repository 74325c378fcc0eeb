//! The primitives on the CPU.

#![allow(unsafe_code)]

mod linear;

pub use linear::{linear_backward, linear_forward};

/// A matrix inside a slice: element (i, j) is `data[i · row + j · col]`.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a, E> {
    /// The elements.
    pub data: &'a [E],
    /// The distance between two rows.
    pub row: usize,
    /// The distance between two columns.
    pub col: usize,
}

impl<'a, E> Matrix<'a, E> {
    /// A row-major matrix of `cols` columns.
    #[must_use]
    pub fn new(data: &'a [E], cols: usize) -> Self {
        Matrix { data, row: cols, col: 1 }
    }

    /// The transpose of a row-major matrix of `cols` columns.
    #[must_use]
    pub fn transposed(data: &'a [E], cols: usize) -> Self {
        Matrix { data, row: 1, col: cols }
    }

    fn holds(&self, rows: usize, cols: usize) -> bool {
        rows == 0 || cols == 0 || (rows - 1) * self.row + (cols - 1) * self.col < self.data.len()
    }
}

/// Element types with a matrix product.
pub trait Gemm: Sized {
    /// `y[m, n] += a[m, k] · b[k, n]`, with `y` row-major.
    fn gemm(y: &mut [Self], a: Matrix<'_, Self>, b: Matrix<'_, Self>, sizes: (usize, usize, usize));
}

/// Up to this many multiply-adds plain loops beat the start of a blocked product.
const SMALL: usize = 2048;

macro_rules! gemm {
    ($($ty:ty),*) => {$(
        impl Gemm for $ty {
            fn gemm(y: &mut [$ty], a: Matrix<'_, $ty>, b: Matrix<'_, $ty>, (m, k, n): (usize, usize, usize)) {
                assert!(y.len() == m * n && a.holds(m, k) && b.holds(k, n), "matrices of a product are too short");
                if m == 0 || n == 0 || k == 0 {
                    return;
                }
                if m * n * k <= SMALL {
                    return small(y, a, b, (m, k, n));
                }
                // SAFETY: the assertion above keeps every index inside its slice, `y` is borrowed mutably and so
                // overlaps neither operand.
                unsafe {
                    gemm::gemm(
                        m, n, k,
                        y.as_mut_ptr(), 1, n as isize, true,
                        a.data.as_ptr(), a.col as isize, a.row as isize,
                        b.data.as_ptr(), b.col as isize, b.row as isize,
                        1.0, 1.0, false, false, false,
                        gemm::Parallelism::None,
                    );
                }
            }
        }
    )*};
}

gemm!(f32, f64);

/// The product by plain loops, along whichever direction is contiguous.
fn small<E: num_traits::Float + core::ops::AddAssign>(
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

/// `y[m, n] = a[m, k] · b[k, n]`, all row-major.
pub fn matmul<E: Gemm>(a: &[E], b: &[E], y: &mut [E], (m, k, n): (usize, usize, usize)) {
    E::gemm(y, Matrix::new(a, k), Matrix::new(b, n), (m, k, n));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::Generator;

    /// Every layout of the operands, below and above the size where the blocked product takes over.
    #[test]
    fn products_agree_with_the_definition() {
        let mut rng = Generator::manual_seed(3);
        for (m, k, n) in [(1, 1, 1), (3, 5, 2), (7, 1, 9), (17, 31, 13), (64, 33, 65), (0, 3, 2), (2, 0, 3)] {
            let a: Vec<f64> = (0..m * k).map(|_| rng.normal()).collect();
            let b: Vec<f64> = (0..k * n).map(|_| rng.normal()).collect();
            let at: Vec<f64> = (0..m * k).map(|i| a[i % m * k + i / m]).collect();
            let bt: Vec<f64> = (0..k * n).map(|i| b[i % k * n + i / k]).collect();
            for left in [Matrix::new(&a, k), Matrix::transposed(&at, m)] {
                for right in [Matrix::new(&b, n), Matrix::transposed(&bt, k)] {
                    let mut y = vec![0.5; m * n];
                    f64::gemm(&mut y, left, right, (m, k, n));
                    for (i, y) in y.iter().enumerate() {
                        let expected: f64 = (0..k).map(|p| a[i / n * k + p] * b[p * n + i % n]).sum();
                        assert!((y - 0.5 - expected).abs() < 1e-12, "{m} {k} {n}");
                    }
                }
            }
        }
    }
}
