//! The product of matrices that are worth cutting into tiles.
//!
//! After Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (2008): the sums are cut into pieces
//! of [`KC`], and a piece of b into column panels, which stay in a near cache while all of a passes by. Unlike there, a is
//! packed only for narrow tiles, if its columns are what lies together: then the lines of a tile push each other out of the
//! first cache. Wide ones have so much to do with each number of a that reading it where it is costs no more.

use super::Product;
use super::isa::{Kernel, Kernels};
use super::pack::{Panel, pack, with_panel_memory, with_row_memory};
use super::then::Then;
use crate::backend::cpu::Matrix;
use plywood_kernels::gemm::kernel::Job;
use plywood_kernels::prefetch;

/// The longest piece of the sums.
pub(super) const KC: usize = 384;
/// The most columns of a block of b.
pub(super) const NC: usize = 2048;
/// The most rows of a that are packed at once.
pub(super) const MC: usize = 2048;

/// Up to this many rows of y, b is read where it is if its rows are contiguous.
const ROWS_TO_PACK: usize = 256;
/// The same if the rows of b begin a multiple of [`ALIAS`] bytes apart: then they compete for few lines of the caches.
const ROWS_TO_PACK_ALIASES: usize = 32;
const ALIAS: usize = 1024;
/// Tiles that are so many bytes across, or fewer, are narrow. With AVX2, a product of 1024 × 128 × 1024 with a transposed a
/// takes 0.55 of the time if it is packed; with AVX-512, whose tiles are not narrow, as long as before.
const NARROW: usize = 128;
/// So many columns are worth the packing of rows.
const COLUMNS_TO_PACK: usize = 64;
/// A block of b of so many bytes stays in the second cache, and the tiles can follow the rows of y.
const RESIDENT: usize = 512 << 10;

/// The columns of a tile.
pub(super) fn width<E>(kernels: &Kernels<E>) -> usize {
    kernels.lanes * kernels.tiles[0].len()
}

/// How many rows of a are packed together: those of a tile, and what fills a block of the transpose.
fn height<E>(kernels: &Kernels<E>) -> usize {
    kernels.tiles.len().next_multiple_of(kernels.block)
}

/// The memory for packed rows of a; 0 where it is read as it lies.
pub(super) fn row_memory<E>(kernels: &Kernels<E>, a: Matrix<'_, E>, (m, k, n): (usize, usize, usize)) -> usize {
    let narrow = width(kernels) * size_of::<E>() <= NARROW;
    let packs = narrow && a.col != 1 && n >= COLUMNS_TO_PACK;
    if packs { k.min(KC) * m.min(MC).div_ceil(kernels.tiles.len()) * height(kernels) } else { 0 }
}

/// A product, or a part of one.
///
/// # Safety
///
/// The machine has the kernels' instructions, the slices hold what the sizes say, and no other thread has these elements
/// of y.
pub(super) unsafe fn product<E: Kernel>(kernels: &Kernels<E>, product: Product<'_, E>) {
    let Product { y, y_row, a, b, sizes: (m, k, n), whole, adds, then } = product;
    let aliases = (b.row * size_of::<E>()).is_multiple_of(ALIAS);
    let in_place = b.col == 1 && m <= if aliases { ROWS_TO_PACK_ALIASES } else { ROWS_TO_PACK };
    let rows = row_memory(kernels, a, (whole.0, whole.1, n));
    let packs_rows = rows > 0;
    // Taken whether or not it is needed, and for the whole product: then it grows with each of the sizes, and neither a
    // smaller batch nor a part ever asks for more than was taken for a larger one.
    let panels = whole.1.min(KC) * whole.2.min(NC).next_multiple_of(kernels.lanes);
    with_panel_memory(panels, |packed: *mut E| {
        with_row_memory(rows, |packed_rows: *mut E| {
            for (pc, kc) in pieces(k, KC, 1) {
                for (ic, mc) in pieces(m, if packs_rows { MC } else { usize::MAX }, 1) {
                    let a = Matrix { data: &a.data[ic * a.row + pc * a.col..], ..a };
                    if packs_rows {
                        // SAFETY: rows `ic..ic + mc` and sums `pc..pc + kc` are inside a, and the memory is for the largest
                        // piece.
                        unsafe { pack_rows(kernels, a, (mc, kc), packed_rows) }
                    }
                    for (jc, nc) in pieces(n, NC, width(kernels)) {
                        let block = Block {
                            kernels,
                            y: y.wrapping_add(ic * y_row + jc),
                            y_row,
                            a,
                            b: Matrix { data: &b.data[pc * b.row + jc * b.col..], ..b },
                            sizes: (mc, kc, nc),
                            adds: adds || pc > 0,
                            packed,
                            packed_rows: packs_rows.then_some(packed_rows),
                            in_place,
                            then: then.filter(|_| pc + kc == k).map(|then| then.at(ic, jc)),
                        };
                        // SAFETY: columns `jc..jc + nc`, rows `ic..ic + mc` and sums `pc..pc + kc` are inside the matrices,
                        // and the packed memory is for the largest block.
                        unsafe { block.run() }
                    }
                }
            }
        });
    });
}

/// The rows of y and a in each tile: (start, how many).
fn tile_rows<E>(kernels: &Kernels<E>, m: usize) -> impl Iterator<Item = (usize, usize)> + use<E> {
    pieces(m, kernels.tiles.len(), 1)
}

/// Packs m rows of a, of k sums each: for each tile, [`height`] rows from its first on, or as many as there are. Those of the
/// next tile among them are not read, but whole blocks are quicker to transpose.
///
/// # Safety
///
/// The machine has the kernels' instructions, a holds the rows, and `to` is valid for what [`row_memory`] says.
unsafe fn pack_rows<E: Kernel>(kernels: &Kernels<E>, a: Matrix<'_, E>, (m, k): (usize, usize), to: *mut E) {
    let height = height(kernels);
    for (tile, (start, _)) in tile_rows(kernels, m).enumerate() {
        let from = a.data[start * a.row..].as_ptr();
        let panel = Panel { from, across: a.row, along: a.col, count: height.min(m - start), k };
        // SAFETY: the caller's contract; there is room for as many tiles.
        unsafe { pack(kernels, panel, to.add(tile * k * height), height) }
    }
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
    /// Where a is packed, if it is.
    packed_rows: Option<*mut E>,
    /// Whether b is read where it is, except for columns that do not fill their vectors.
    in_place: bool,
    /// What follows, if the sums are complete after this piece of them.
    then: Option<Then<'a, E>>,
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
        let rows = || tile_rows(self.kernels, m).enumerate();
        let columns = || (0..n).step_by(width).map(|start| self.columns(start, width.min(n - start)));
        // SAFETY: the caller's contract; rows and columns are inside the block.
        unsafe {
            if k * n * size_of::<E>() <= RESIDENT {
                columns().for_each(|columns| self.pack(columns));
                for rows in rows() {
                    columns().for_each(|columns| self.tile(rows, columns));
                    self.then(rows.1, (0, n));
                }
            } else {
                let tiles = rows().count();
                for columns in columns() {
                    self.pack(columns);
                    for rows in rows() {
                        self.prefetch(columns.start + columns.len, (rows.0, tiles));
                        self.tile(rows, columns);
                        self.then(rows.1, (columns.start, columns.len));
                    }
                }
            }
        }
    }

    /// # Safety
    ///
    /// As [`Block::run`]; these rows and columns, (start, how many), are inside the block and complete.
    unsafe fn then(&self, (i, rows): (usize, usize), (j, columns): (usize, usize)) {
        if let Some(then) = self.then {
            // SAFETY: the caller's contract.
            unsafe { then.at(i, j).call(self.y(i, j), self.y_row, (rows, columns)) }
        }
    }

    /// Where rows of y from the i-th on are written, in columns from the j-th on: over those before if nobody needs them, for
    /// then they are in a near cache, and no memory is written but that of what follows.
    fn y(&self, i: usize, j: usize) -> *mut E {
        let takes_all = self.then.is_some_and(Then::takes_all) && !self.adds;
        self.y.wrapping_add(if takes_all { 0 } else { i * self.y_row } + j)
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
    unsafe fn tile(&self, (tile, (i, rows)): (usize, (usize, usize)), columns: Columns) {
        let k = self.sizes.1;
        let (b, b_step) = if columns.packed {
            (self.packed.wrapping_add(columns.start * k).cast_const(), columns.vectors * self.kernels.lanes)
        } else {
            (self.b.data[columns.start..].as_ptr(), self.b.row)
        };
        let y = self.y(i, columns.start);
        let height = height(self.kernels);
        let (a, a_row, a_col) = match self.packed_rows {
            Some(packed) => (packed.wrapping_add(tile * k * height).cast_const(), 1, height),
            None => (self.a.data[i * self.a.row..].as_ptr(), self.a.row, self.a.col),
        };
        let (y_row, columns_in_last) = (self.y_row, columns.last);
        let beside = self.then.map_or(y.cast_const(), |then| then.beside(y, (i, columns.start), y_row));
        let job = Job { k, a, a_row, a_col, b, b_step, y, y_row, beside, columns: columns_in_last, adds: self.adds };
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
