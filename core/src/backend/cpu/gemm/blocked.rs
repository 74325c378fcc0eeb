//! The product of matrices that are worth cutting into tiles.
//!
//! As in Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (2008): the sums are cut into
//! pieces of [`KC`], b into column panels that stay in the first caches while all of a passes by, a into blocks of
//! [`MC`] rows that stay in the second.

use super::isa::{Kernel, Kernels, VECTORS};
use super::kernel::Job;
use super::pack::{Lines, pack, with_panels};
use crate::backend::cpu::Matrix;

/// The longest piece of the sums.
pub(super) const KC: usize = 384;
/// The rows of the packed block of a.
pub(super) const MC: usize = 384;
/// The columns of the packed block of b.
pub(super) const NC: usize = 2048;

/// Below this many column panels a row-major `a` is read where it is: packing it would not come back.
const PANELS_TO_PACK_A: usize = 3;

/// `y += a · b`; all sizes are at least 1.
///
/// # Safety
///
/// The machine has the kernels' instructions, and the slices hold what the sizes say.
pub(super) unsafe fn product<E: Kernel>(
    kernels: &Kernels<E>,
    y: &mut [E],
    a: Matrix<'_, E>,
    b: Matrix<'_, E>,
    (m, k, n): (usize, usize, usize),
) {
    let width = kernels.lanes * VECTORS;
    let (mc, kc, nc) = (m.min(MC), k.min(KC), n.min(NC).next_multiple_of(kernels.lanes));
    // Taken whether or not it is needed: then it grows with each of the sizes, and a smaller batch never asks for more
    // than a larger one.
    with_panels(mc * kc, kc * nc, |packed_a: *mut E, packed_b: *mut E| {
        let pack_a = n > width * PANELS_TO_PACK_A || a.row != 1 && a.col != 1;
        for (pc, kc) in pieces(k, KC, 1) {
            for (jc, nc) in pieces(n, NC, width) {
                for (ic, mc) in pieces(m, MC, 1) {
                    let block = Matrix { data: &a.data[ic * a.row + pc * a.col..], ..a };
                    if pack_a {
                        for (i, rows) in pieces(mc, kernels.tiles.len(), 1) {
                            // SAFETY: rows `ic + i..` and columns `pc..pc + kc` are inside `a`; the panels of `mc`
                            // rows take `mc · kc` together.
                            unsafe {
                                let from = block.data.as_ptr().add(i * a.row);
                                let lines = Lines { from, across: a.row, along: a.col, count: rows, k: kc };
                                pack(kernels, lines, packed_a.add(i * kc), rows);
                            }
                        }
                    }
                    for j in (0..nc).step_by(width) {
                        let columns = width.min(nc - j);
                        let vectors = columns.div_ceil(kernels.lanes);
                        let last = columns - (vectors - 1) * kernels.lanes;
                        let from = &b.data[pc * b.row + (jc + j) * b.col..];
                        let direct = b.col == 1 && last == kernels.lanes && m <= MC;
                        let panel = if direct { from.as_ptr() } else { packed_b.wrapping_add(j * kc) };
                        let stride = vectors * kernels.lanes;
                        if !direct && ic == 0 {
                            let lines =
                                Lines { from: from.as_ptr(), across: b.col, along: b.row, count: columns, k: kc };
                            // SAFETY: rows `pc..pc + kc` and `columns` columns from `jc + j` on are inside `b`; the
                            // panels take at most `kc · nc` together, `nc` in whole vectors.
                            unsafe { pack(kernels, lines, packed_b.add(j * kc), stride) }
                        }
                        for (i, rows) in pieces(mc, kernels.tiles.len(), 1) {
                            let (a, a_row, a_col) = if pack_a {
                                (packed_a.wrapping_add(i * kc).cast_const(), 1, rows)
                            } else {
                                (block.data.as_ptr().wrapping_add(i * a.row), a.row, a.col)
                            };
                            let job = Job {
                                k: kc,
                                a,
                                a_row,
                                a_col,
                                b: panel,
                                b_step: if direct { b.row } else { stride },
                                y: y[(ic + i) * n + jc + j..].as_mut_ptr(),
                                y_row: n,
                                columns: last,
                            };
                            // SAFETY: `rows` rows of a and whole vectors of b, packed or, where they are whole anyway,
                            // in place; y holds the tile from row `ic + i` and column `jc + j` on.
                            unsafe { kernels.tiles[rows - 1][vectors - 1](&job) }
                        }
                    }
                }
            }
        }
    });
}

/// Cuts `0..len` into as few pieces of at most `most` as there can be, of about equal size: (start, size). All but the
/// last are multiples of `unit`, which divides `most`.
pub(super) fn pieces(len: usize, most: usize, unit: usize) -> impl Iterator<Item = (usize, usize)> {
    let count = len.div_ceil(most).max(1);
    let size = len.div_ceil(count).next_multiple_of(unit);
    (0..len).step_by(size.max(1)).map(move |start| (start, size.min(len - start)))
}
