//! Products as their transposes: `yᵀ = bᵀ · aᵀ`, where `b` is much larger than `a`, whose rows are contiguous. So it is `a` that is
//! packed, and the larger operand stays where it is.

use super::isa::{Kernel, Kernels};
use super::then::Then;
use super::{DOT_ROWS, Matrix, Product, blocked, pack};
use core::ops::RangeInclusive;

/// For so many rows the packing of `b` is worth avoiding: for a few in any case, and for more if they fill their vectors.
pub(super) const ROWS: RangeInclusive<usize> = DOT_ROWS + 1..=512;
const FEW_ROWS: usize = 16;
/// The most columns that are computed before they are put in their places.
pub(super) const COLUMNS: usize = 2048;
/// Sums from this length on are worth two halves.
const HALVED_SUM: usize = 256;
/// So many rows and columns are put in their places at once: rows for whole lines of what is transposed, and for at least one
/// block of it, and columns that the first cache holds.
pub(super) const AT_ONCE: (usize, usize) = (16, 128);
/// A part is at least that far across.
pub(super) const ACROSS: usize = 64;

/// Whether a product of these sizes is better computed so.
pub(super) fn pays<E>(kernels: &Kernels<E>, (m, k, n): (usize, usize, usize)) -> bool {
    let unused = m.next_multiple_of(kernels.lanes) - m;
    ROWS.contains(&m) && (m <= FEW_ROWS || unused <= m / 16) && (n >= 4 * m && k >= 2 * m)
}

/// Whether its sums are computed in two halves: where they run down the rows of b, and are long enough.
pub(super) fn is_halved<E>(b: Matrix<'_, E>, k: usize) -> bool {
    b.col == 1 && k >= HALVED_SUM
}

/// Runs `f` on memory for so many transposed products of these sizes or any smaller batch, so that a smaller one never asks for
/// more.
pub(super) fn with_memory<E: Kernel, T>(
    count: usize,
    (m, k, n): (usize, usize, usize),
    f: impl FnOnce(*mut E) -> T,
) -> T {
    let rows = m.min(*ROWS.end()).min(n / 4).min(k / 2);
    let len = if rows < *ROWS.start() { 0 } else { rows * n.min(COLUMNS) };
    pack::with_turned_memory(count * len, f)
}

/// A product, or a part of one, as its transpose.
///
/// # Safety
///
/// As [`blocked::product`].
pub(super) unsafe fn product<E: Kernel>(kernels: &Kernels<E>, product: Product<'_, E>) {
    let Product { y, y_row, a, b, sizes: (m, k, n), whole, then, .. } = product;
    let (a, b) = (b.turned(), a.turned());
    with_memory(1, whole, |turned: *mut E| {
        for (j, columns) in blocked::pieces(n, COLUMNS, 1) {
            let part = Product {
                y: turned,
                y_row: m,
                a: Matrix { data: &a.data[j * a.row..], ..a },
                b,
                sizes: (columns, k, m),
                // With the panels of the product as it is, which a smaller batch may need.
                whole: (whole.2, k, whole.2),
                adds: false,
                then: None,
            };
            let then = then.map(|then| then.at(0, j));
            // SAFETY: the caller's contract: the transposes of the operands hold what the transposed sizes say, there is
            // memory for `columns · m` elements, and y has m rows with that many columns from j on.
            unsafe {
                blocked::product(kernels, part);
                turn(kernels, turned, (m, columns), (y.wrapping_add(j), y_row), then);
            }
        }
    });
}

/// Puts the transpose of `turned`, m rows of `columns`, into y, and does what follows.
///
/// # Safety
///
/// The machine has the kernels' instructions, `turned` holds all elements, and no other thread has these of y.
pub(super) unsafe fn turn<E: Kernel>(
    kernels: &Kernels<E>,
    turned: *const E,
    (m, columns): (usize, usize),
    (y, y_row): (*mut E, usize),
    then: Option<Then<'_, E>>,
) {
    for (j, columns) in blocked::pieces(columns, AT_ONCE.1, kernels.lanes) {
        for (i, rows) in blocked::pieces(m, AT_ONCE.0, 1) {
            let from = turned.wrapping_add(j * m + i);
            let panel = pack::Panel { from, across: m, along: 1, count: columns, k: rows };
            let y = y.wrapping_add(i * y_row + j);
            // SAFETY: the caller's contract, for some of the rows and columns.
            unsafe {
                pack::pack(kernels, panel, y, y_row);
                if let Some(then) = then {
                    then.at(i, j).call(y, y_row, (rows, columns));
                }
            }
        }
    }
}
