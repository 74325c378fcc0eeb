//! The matrix product: `y[m, n] += a[m, k] · b[k, n]`.
//!
//! A product takes one of four ways, by its sizes and by how its operands lie in memory:
//!
//! - plain loops, where anything else takes longer to start than they take to run;
//! - dot products, where both operands lie along the sums and `y` has too few rows or columns for tiles;
//! - combinations of the rows of `b`, for a single row of `y` or a few terms;
//! - tiles of `y`, sums of outer products held in registers, for everything else.
//!
//! The last three exist for AVX-512, for AVX2, and in plain code. Which of them runs is the processor's affair, and the
//! numbers differ in the last bits from one to another; on one machine they depend on the operands and sizes alone.
//! Nothing is allocated but the memory of a thread's panels, when a product first needs more than any before.

mod blocked;
mod isa;
mod kernel;
mod pack;
mod small;
#[cfg(test)]
mod tests;
pub(super) mod vector;
#[cfg(target_arch = "x86_64")]
pub(super) mod x86;

use isa::{COMBINED, DOTS, Isa, Kernel, Kernels};
use kernel::Job;

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

macro_rules! gemm {
    ($($E:ty),*) => {$(
        impl Gemm for $E {
            #[inline]
            fn gemm(y: &mut [$E], a: Matrix<'_, $E>, b: Matrix<'_, $E>, (m, k, n): (usize, usize, usize)) {
                check(y, a, b, (m, k, n));
                if m * k * n <= if b.col == 1 { SMALL } else { SMALL_STRIDED } {
                    small::product(y, a, b, (m, k, n));
                } else {
                    large(Isa::best(), y, a, b, (m, k, n));
                }
            }
        }
    )*};
}

gemm!(f32, f64);

/// `y[m, n] = a[m, k] · b[k, n]`, all row-major.
pub fn matmul<E: Gemm>(a: &[E], b: &[E], y: &mut [E], (m, k, n): (usize, usize, usize)) {
    E::gemm(y, Matrix::new(a, k), Matrix::new(b, n), (m, k, n));
}

/// Up to this many multiply-adds plain loops beat the start of anything else.
const SMALL: usize = 384;
/// The same where the columns of `b` are apart, which the loops cannot vectorise.
const SMALL_STRIDED: usize = 128;

/// Up to this many rows, or [`DOTS`] columns, dot products beat the packing of `b`, given a sum this long.
const DOT_ROWS: usize = 8;
const DOT_SUM: usize = 64;

/// From this size of y on, combinations of a few rows beat tiles: y takes the time, and they pass along its rows. For a
/// single term, rows of this length do.
const COMBINED_AREA: usize = 1 << 15;
const COMBINED_COLUMNS: usize = 64;

fn check<E>(y: &[E], a: Matrix<'_, E>, b: Matrix<'_, E>, (m, k, n): (usize, usize, usize)) {
    assert!(y.len() == m * n && a.holds(m, k) && b.holds(k, n), "matrices of a product are too short");
}

/// The product with the kernels of an instruction set, which this machine must have.
///
/// Not inlined: the plain loops beside it are over before its registers are saved.
#[inline(never)]
fn large<E: Kernel>(isa: Isa, y: &mut [E], a: Matrix<'_, E>, b: Matrix<'_, E>, (m, k, n): (usize, usize, usize)) {
    check(y, a, b, (m, k, n));
    assert!(isa.is_available(), "{isa:?} on a machine without it");
    if m == 0 || n == 0 || k == 0 {
        return;
    }
    let kernels = E::kernels(isa);
    // SAFETY: this machine has the instructions and the slices hold what the sizes say: both are asserted above.
    unsafe {
        if a.col == 1 && b.row == 1 && (m == 1 || (m <= DOT_ROWS || n <= DOTS) && k >= DOT_SUM) {
            dots(kernels, y, a, b, (m, k, n));
        } else if b.col == 1
            && (m == 1 || k == 1 && n >= COMBINED_COLUMNS || k <= COMBINED / 2 && m * n >= COMBINED_AREA)
        {
            combine(kernels, y, a, b, (m, k, n));
        } else {
            blocked::product(kernels, y, a, b, (m, k, n));
        }
    }
}

/// The product where both operands lie along the sums: `a.col` and `b.row` are 1.
///
/// # Safety
///
/// As [`blocked::product`].
unsafe fn dots<E: Kernel>(
    kernels: &Kernels<E>,
    y: &mut [E],
    a: Matrix<'_, E>,
    b: Matrix<'_, E>,
    (m, k, n): (usize, usize, usize),
) {
    for j in (0..n).step_by(DOTS) {
        let columns = DOTS.min(n - j);
        for (i, rows) in blocked::pieces(m, DOTS, 1) {
            let job = Job {
                k,
                a: a.data[i * a.row..].as_ptr(),
                a_row: a.row,
                a_col: 1,
                b: b.data[j * b.col..].as_ptr(),
                b_step: b.col,
                y: y[i * n + j..].as_mut_ptr(),
                y_row: n,
                columns,
            };
            // SAFETY: `rows` rows from i on and `columns` columns from j on are inside the operands and y.
            unsafe { kernels.dots[rows - 1][columns - 1](&job) }
        }
    }
}

/// The product row by row, with row-major `b`.
///
/// # Safety
///
/// As [`blocked::product`].
unsafe fn combine<E: Kernel>(
    kernels: &Kernels<E>,
    y: &mut [E],
    a: Matrix<'_, E>,
    b: Matrix<'_, E>,
    (m, k, n): (usize, usize, usize),
) {
    for i in 0..m {
        for p in (0..k).step_by(COMBINED) {
            let at_once = COMBINED.min(k - p);
            let job = Job {
                k: at_once,
                a: a.data[i * a.row + p * a.col..].as_ptr(),
                a_row: a.row,
                a_col: a.col,
                b: b.data[p * b.row..].as_ptr(),
                b_step: b.row,
                y: y[i * n..].as_mut_ptr(),
                y_row: n,
                columns: n,
            };
            // SAFETY: `at_once` rows of b from p on, as many elements of row i of a, and the whole row i of y.
            unsafe { kernels.combine[at_once - 1](&job) }
        }
    }
}
