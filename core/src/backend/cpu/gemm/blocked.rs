//! The product of matrices that are worth cutting into tiles.
//!
//! After Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (2008): the sums are cut into pieces
//! of [`KC`], and a piece of b into column panels, which stay in a near cache while all of a passes by. Unlike there, a is
//! never packed: a tile has so few rows that reading them where they are costs no more, whichever way they lie.

use super::Product;
use super::isa::{Kernel, Kernels};
use super::pack::{Panel, pack, with_panel_memory};
use crate::backend::cpu::Matrix;
use plywood_kernels::gemm::kernel::Job;
use plywood_kernels::prefetch;

/// The longest piece of the sums.
pub(super) const KC: usize = 384;
/// The most columns of a block of b.
pub(super) const NC: usize = 2048;

/// Up to this many rows of y, b is read where it is if its rows are contiguous.
const ROWS_TO_PACK: usize = 256;
/// The same if the rows of b begin a multiple of [`ALIAS`] bytes apart: then they compete for few lines of the caches.
const ROWS_TO_PACK_ALIASES: usize = 32;
const ALIAS: usize = 1024;
/// A block of b of so many bytes stays in the second cache, and the tiles can follow the rows of y.
const RESIDENT: usize = 512 << 10;

/// The columns of a tile.
pub(super) fn width<E>(kernels: &Kernels<E>) -> usize {
    kernels.lanes * kernels.tiles[0].len()
}

/// A product, or a part of one.
///
/// # Safety
///
/// The machine has the kernels' instructions, the slices hold what the sizes say, and no other thread has these elements
/// of y.
pub(super) unsafe fn product<E: Kernel>(kernels: &Kernels<E>, product: Product<'_, E>) {
    let Product { y, y_row, a, b, sizes: (m, k, n), whole, adds } = product;
    let aliases = (b.row * size_of::<E>()).is_multiple_of(ALIAS);
    let in_place = b.col == 1 && m <= if aliases { ROWS_TO_PACK_ALIASES } else { ROWS_TO_PACK };
    // Taken whether or not it is needed, and for the whole product: then it grows with each of the sizes, and neither a
    // smaller batch nor a part ever asks for more than was taken for a larger one.
    with_panel_memory(k.min(KC) * whole.2.min(NC).next_multiple_of(kernels.lanes), |packed: *mut E| {
        for (pc, kc) in pieces(k, KC, 1) {
            for (jc, nc) in pieces(n, NC, width(kernels)) {
                let block = Block {
                    kernels,
                    y: y.wrapping_add(jc),
                    y_row,
                    a: Matrix { data: &a.data[pc * a.col..], ..a },
                    b: Matrix { data: &b.data[pc * b.row + jc * b.col..], ..b },
                    sizes: (m, kc, nc),
                    adds: adds || pc > 0,
                    packed,
                    in_place,
                };
                // SAFETY: columns `jc..jc + nc` and sums `pc..pc + kc` are inside the matrices, and the packed memory is
                // for the largest block.
                unsafe { block.run() }
            }
        }
    });
}

/// A piece of a product for which there is packed memory: pointers and slices begin at the piece.
struct Block<'a, E: 'static> {
    kernels: &'a Kernels<E>,
    y: *mut E,
    y_row: usize,
    a: Matrix<'a, E>,
    b: Matrix<'a, E>,
    /// Of the piece: (m, k, n).
    sizes: (usize, usize, usize),
    /// Whether what is in y belongs to the sums.
    adds: bool,
    /// Where b is packed.
    packed: *mut E,
    /// Whether b is read where it is, except for columns that do not fill their vectors.
    in_place: bool,
}

/// Some columns of a block of b.
#[derive(Clone, Copy)]
struct Columns {
    start: usize,
    len: usize,
    vectors: usize,
    /// The columns in the last vector.
    last: usize,
    packed: bool,
}

impl<E: Kernel> Block<'_, E> {
    /// All tiles of the block.
    ///
    /// # Safety
    ///
    /// The machine has the kernels' instructions, the matrices hold what the sizes say and the packed memory is for
    /// those sizes.
    unsafe fn run(&self) {
        let (m, k, n) = self.sizes;
        let width = width(self.kernels);
        let rows = || pieces(m, self.kernels.tiles.len(), 1);
        let columns = || (0..n).step_by(width).map(|start| self.columns(start, width.min(n - start)));
        // SAFETY: the caller's contract; rows and columns are inside the block.
        unsafe {
            if k * n * size_of::<E>() <= RESIDENT {
                columns().for_each(|columns| self.pack(columns));
                for rows in rows() {
                    columns().for_each(|columns| self.tile(rows, columns));
                }
            } else {
                let tiles = rows().count();
                for columns in columns() {
                    self.pack(columns);
                    for (i, rows) in rows().enumerate() {
                        self.prefetch(columns.start + columns.len, (i, tiles));
                        self.tile(rows, columns);
                    }
                }
            }
        }
    }

    fn columns(&self, start: usize, len: usize) -> Columns {
        let vectors = len.div_ceil(self.kernels.lanes);
        let last = len - (vectors - 1) * self.kernels.lanes;
        Columns { start, len, vectors, last, packed: !self.in_place || last < self.kernels.lanes }
    }

    /// # Safety
    ///
    /// As [`Block::run`], with columns of the block.
    unsafe fn pack(&self, columns: Columns) {
        if columns.packed {
            let from = self.b.data[columns.start * self.b.col..].as_ptr();
            let k = self.sizes.1;
            let panel = Panel { from, across: self.b.col, along: self.b.row, count: columns.len, k };
            // SAFETY: the caller's contract; panels before this one take `start · k` elements, because all but the last
            // fill their vectors.
            unsafe {
                pack(self.kernels, panel, self.packed.add(columns.start * k), columns.vectors * self.kernels.lanes);
            }
        }
    }

    /// Asks for one of `parts` of the columns from `start` on, which are packed next: they are in memory farther away
    /// than the arithmetic, which can go on meanwhile.
    fn prefetch(&self, start: usize, (part, parts): (usize, usize)) {
        let (_, k, n) = self.sizes;
        let len = width(self.kernels).min(n - start);
        let line = 64 / size_of::<E>();
        let (rows, row, cols) = if self.b.col == 1 { (k, self.b.row, len) } else { (len, self.b.col, k) };
        let from = self.b.data.as_ptr().wrapping_add(start * self.b.col);
        for i in part * rows / parts..(part + 1) * rows / parts {
            for j in (0..cols).step_by(line) {
                prefetch(from.wrapping_add(i * row + j));
            }
        }
    }

    /// # Safety
    ///
    /// As [`Block::run`], with rows and columns of the block, packed where they are to be.
    #[inline(always)]
    unsafe fn tile(&self, (i, rows): (usize, usize), columns: Columns) {
        let k = self.sizes.1;
        let (b, b_step) = if columns.packed {
            (self.packed.wrapping_add(columns.start * k).cast_const(), columns.vectors * self.kernels.lanes)
        } else {
            (self.b.data[columns.start..].as_ptr(), self.b.row)
        };
        let y = self.y.wrapping_add(i * self.y_row + columns.start);
        let job = Job {
            k,
            a: self.a.data[i * self.a.row..].as_ptr(),
            a_row: self.a.row,
            a_col: self.a.col,
            b,
            b_step,
            y,
            y_row: self.y_row,
            columns: columns.last,
            adds: self.adds,
        };
        // SAFETY: the caller's contract: `rows` rows of a, whole vectors of b (in packed memory, or because they are
        // whole in b), and the tile of y.
        unsafe { self.kernels.tiles[rows - 1][columns.vectors - 1](&job) }
    }
}

/// Cuts `0..len` into as few pieces of at most `most` as there can be, of about equal size: (start, size). All but the
/// last are multiples of `unit`, which divides `most`.
pub(super) fn pieces(len: usize, most: usize, unit: usize) -> impl Iterator<Item = (usize, usize)> {
    let count = len.div_ceil(most).max(1);
    let size = len.div_ceil(count).next_multiple_of(unit);
    (0..len).step_by(size.max(1)).map(move |start| (start, size.min(len - start)))
}
