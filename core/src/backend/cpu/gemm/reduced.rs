//! Products of `f32` matrices whose operands are rounded to bf16, or split into two numbers of bf16 each.
//!
//! Both operands are packed, as words of 32 bits. A word is two terms of a sum in bf16, where the processor multiplies
//! those, and otherwise one term, an `f32` whose lower half is zero: then the tiles are those of exact products. The
//! loops around the tiles are Goto's: a block of a stays in the second cache, one of b in the third.
//!
//! A sum is cut and added in the same order whatever part of y is computed.

use super::super::simd::widest;
use super::Product;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
use super::amx;
use super::blocked::{KC, NC, pieces, width};
use super::isa::{Compiled, Isa, Kernels, Run};
use super::pack::{Panel, with_panel_memory};
use crate::backend::precision::{Precision, float32_matmul_precision};
use plywood_kernels::gemm::kernel::Job;
use plywood_kernels::prefetch;

/// Sizes from which on the packing of both operands pays.
const LEAST: usize = 32;

/// The rows of a block of a.
const MC: usize = 192;

/// The rows of a that are turned at once: a line of the cache of each term.
const GROUP: usize = 16;

/// How many rows ahead a row is asked for.
const AHEAD: usize = 8;

/// A product, or a part of one, less exact than its type.
///
/// # Safety
///
/// As [`super::blocked::product`]; the machine has the instruction set.
pub(super) type Reduced<E> = unsafe fn(Isa, Product<'_, E>);

/// How to compute a product of these sizes, if it is to be less exact than `f32`.
#[inline]
pub(super) fn reduced(isa: Isa, (m, k, n): (usize, usize, usize)) -> Option<Reduced<f32>> {
    match float32_matmul_precision() {
        Precision::Bf16 if m.min(k).min(n) >= LEAST => Some(bf16(isa)),
        Precision::High if m.min(k).min(n) >= LEAST => high(isa),
        _ => None,
    }
}

fn bf16(isa: Isa) -> Reduced<f32> {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    if amx::is_available(isa) {
        return amx::product::<1>;
    }
    #[cfg(target_arch = "x86_64")]
    if has_pairs(isa) {
        return pairs;
    }
    let _ = isa;
    rounded
}

/// Split operands are worth their time with AMX alone.
fn high(isa: Isa) -> Option<Reduced<f32>> {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    if amx::is_available(isa) {
        return Some(amx::product::<2>);
    }
    let _ = isa;
    None
}

/// # Safety
///
/// As [`Reduced`].
pub(super) unsafe fn rounded(isa: Isa, part: Product<'_, f32>) {
    let kernels = f32::for_products(isa);
    // SAFETY: the caller's contract.
    unsafe { product(kernels, &mut Vectors::<1>::new(kernels, kernels.tiles[kernels.tiles.len() - 1]), part) }
}

/// Whether AVX-512-BF16 belongs to an instruction set of this machine.
#[cfg(target_arch = "x86_64")]
pub(super) fn has_pairs(isa: Isa) -> bool {
    isa == Isa::Avx512 && is_x86_feature_detected!("avx512bf16")
}

/// # Safety
///
/// As [`Reduced`], for AVX-512 with AVX-512-BF16.
#[cfg(target_arch = "x86_64")]
pub(super) unsafe fn pairs(isa: Isa, part: Product<'_, f32>) {
    let kernels = f32::for_products(isa);
    // SAFETY: the caller's contract; the tiles are of the same sizes as those of AVX-512.
    unsafe { product(kernels, &mut Vectors::<2>::new(kernels, avx512::TILES), part) }
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use super::Run;
    use plywood_kernels::Bf16x32;
    use plywood_kernels::gemm::kernel::{self, Job};

    #[target_feature(enable = "avx512f,avx512bf16,avx2,fma")]
    unsafe fn tile<const R: usize, const C: usize>(job: &Job<f32>) {
        // SAFETY: the caller's contract is the kernel's, and the features are the vector's.
        unsafe { kernel::tile::<Bf16x32, R, C>(job) }
    }

    pub(super) static TILES: &[Run<f32>] = &[tile::<6, 1>, tile::<6, 2>, tile::<6, 3>, tile::<6, 4>];
}

/// What multiplies packed words.
pub(super) trait Tiles {
    /// The terms of a word.
    const TERMS: usize;
    /// The numbers that a term is split into. Each of them has words of its own.
    const PARTS: usize = 1;
    /// The words of a sum that are multiplied at once. Sums are filled up with zeros to a multiple of it.
    const STEP: usize = 1;
    /// A multiple of this many rows leaves no tile in part.
    const ROWS: usize = 1;
    /// Whether the words of a row of a must be next to each other. Otherwise, those of a column may be.
    const ALONG: bool = false;

    /// The most rows and columns of y at once.
    fn size(&self) -> (usize, usize);

    /// Computes some rows and columns of y: of a job where `columns` are all of them. The second parts of a and b lie
    /// `parts` behind the first.
    ///
    /// # Safety
    ///
    /// The machine has the instructions; `a` holds `rows` rows, and may be read up to those of a whole tile or a multiple of
    /// [`GROUP`]; `b` holds the columns of a whole tile; of y, there is what is computed.
    unsafe fn tile(&mut self, job: &Job<f32>, rows: usize, parts: (usize, usize));
}

/// Tiles of vectors, whose words have `W` terms.
struct Vectors<'a, const W: usize> {
    kernels: &'a Kernels<f32>,
    /// Those of the most rows, by their vectors.
    tiles: &'a [Run<f32>],
    /// Where a tile of fewer rows is computed, as one of the most.
    whole: [f32; LARGEST],
}

/// The most elements of a tile.
const LARGEST: usize = 6 * 64;

impl<'a, const W: usize> Vectors<'a, W> {
    fn new(kernels: &'a Kernels<f32>, tiles: &'a [Run<f32>]) -> Self {
        Vectors { kernels, tiles, whole: [0.0; LARGEST] }
    }
}

impl<const W: usize> Tiles for Vectors<'_, W> {
    const TERMS: usize = W;

    fn size(&self) -> (usize, usize) {
        (self.kernels.tiles.len(), width(self.kernels))
    }

    unsafe fn tile(&mut self, job: &Job<f32>, rows: usize, _: (usize, usize)) {
        let (most, width) = self.size();
        let vectors = job.columns.div_ceil(self.kernels.lanes);
        let last = job.columns - (vectors - 1) * self.kernels.lanes;
        let run = self.tiles[vectors - 1];
        if rows == most {
            // SAFETY: the caller's contract: the rows of a, a panel of whole vectors, a tile of y.
            return unsafe { run(&Job { columns: last, ..*job }) };
        }
        assert!(most * width <= LARGEST, "a tile larger than the room for it");
        let whole = Job { y: self.whole.as_mut_ptr(), y_row: width, columns: last, adds: false, ..*job };
        // SAFETY: likewise; more rows of a can be read, and `whole` has room for a tile.
        unsafe { run(&whole) };
        for (i, from) in self.whole.chunks_exact(width).enumerate().take(rows) {
            // SAFETY: the caller's contract: a row of the tile of y.
            let to = unsafe { core::slice::from_raw_parts_mut(job.y.add(i * job.y_row), job.columns) };
            to.iter_mut().zip(from).for_each(|(to, from)| *to = if job.adds { *to + from } else { *from });
        }
    }
}

/// The product by tiles; `kernels` are those of the instruction set for `f32`.
///
/// # Safety
///
/// As [`super::blocked::product`]; the machine has the tiles' instructions.
pub(super) unsafe fn product<T: Tiles>(kernels: &Kernels<f32>, tiles: &mut T, product: Product<'_, f32>) {
    let Product { y, y_row, a, b, sizes: (m, k, n), whole, adds, .. } = product;
    let ((rows, width), block) = (tiles.size(), kernels.block);
    // For the whole product, as in `blocked`, and not less than there: of a smaller batch the product may be of `f32`. With
    // room for whole blocks of a transpose.
    let most = whole.1.min(KC).next_multiple_of(block.max(T::STEP));
    let b_part = most * whole.2.min(NC).next_multiple_of(width);
    let a_part = most * whole.0.min(MC).next_multiple_of(GROUP);
    with_panel_memory(T::PARTS * (b_part + a_part) + GROUP * most, |packed: *mut f32| {
        let a_packed = packed.wrapping_add(T::PARTS * b_part);
        let scratch = a_packed.wrapping_add(T::PARTS * a_part);
        for (pc, kc) in pieces(k, KC * T::TERMS, T::TERMS) {
            let words = kc.div_ceil(T::TERMS).next_multiple_of(T::STEP);
            let height = words.next_multiple_of(block);
            for (jc, nc) in pieces(n, NC, width) {
                let panels = || (0..nc).step_by(width).map(|start| (start, width.min(nc - start)));
                for (start, count) in panels() {
                    let from = b.data[pc * b.row + (jc + start) * b.col..].as_ptr();
                    let panel = Panel { from, across: b.col, along: b.row, count, k: kc };
                    let to = Words { to: packed.wrapping_add(start * height), row: width, along: false, words };
                    // SAFETY: the columns are inside of b, and there is memory for whole panels of `height` words.
                    unsafe { pack_parts::<T>(kernels, panel, to, b_part, scratch) }
                }
                for (ic, mc) in pieces(m, MC, rows) {
                    let from = a.data[ic * a.row + pc * a.col..].as_ptr();
                    let panel = Panel { from, across: a.row, along: a.col, count: mc, k: kc };
                    let along = T::ALONG || a.row != 1;
                    let (a_row, a_col) = if along { (words, 1) } else { (1, mc) };
                    let to = Words { to: a_packed, row: a_row.max(a_col), along, words };
                    // SAFETY: the rows are inside of a, and there is memory for whole groups of them.
                    unsafe { pack_parts::<T>(kernels, panel, to, a_part, scratch) }
                    for (start, columns) in panels() {
                        for (i, rows) in pieces(mc, rows, T::ROWS) {
                            let job = Job {
                                k: words,
                                a: a_packed.wrapping_add(i * a_row).cast_const(),
                                a_row,
                                a_col,
                                b: packed.wrapping_add(start * height).cast_const(),
                                b_step: width,
                                y: y.wrapping_add((ic + i) * y_row + jc + start),
                                y_row,
                                beside: y,
                                columns,
                                adds: adds || pc > 0,
                            };
                            // SAFETY: the caller's contract: rows of a, a panel of a whole tile, a tile of y.
                            unsafe { tiles.tile(&job, rows, (a_part, b_part)) }
                        }
                    }
                }
            }
        }
    });
    // SAFETY: complete.
    unsafe { product.then() }
}

/// Where words go: word w of row or column i to `to[i · row + w]`, if they lie along the sums, or to `to[w · row + i]`.
#[derive(Clone, Copy)]
struct Words {
    to: *mut f32,
    row: usize,
    along: bool,
    /// How many: those behind the terms are zero.
    words: usize,
}

/// Packs all parts of the numbers of a panel, each `distance` behind the one before.
///
/// # Safety
///
/// As [`pack`], for each part.
unsafe fn pack_parts<T: Tiles>(
    kernels: &Kernels<f32>,
    panel: Panel<f32>,
    to: Words,
    distance: usize,
    scratch: *mut f32,
) {
    for part in 0..T::PARTS {
        let to = Words { to: to.to.wrapping_add(part * distance), ..to };
        let pack = match (T::TERMS, part) {
            (1, _) => pack::<1, 0>,
            (_, 0) => pack::<2, 0>,
            _ => pack::<2, 1>,
        };
        // SAFETY: the caller's contract.
        unsafe { pack(kernels, panel, to, scratch) }
    }
}

/// Packs a part of the numbers of a panel to words of `W` terms.
///
/// # Safety
///
/// The machine has the kernels' instructions. The panel can be read and the words written: if they lie otherwise than the
/// panel, whole blocks of them, in sums and across. `scratch` is for [`GROUP`] times whole blocks of words.
unsafe fn pack<const W: usize, const PART: usize>(
    kernels: &Kernels<f32>,
    panel: Panel<f32>,
    to: Words,
    scratch: *mut f32,
) {
    let block = kernels.block;
    let height = to.words.next_multiple_of(block);
    let (lies_along, turns) = (panel.across != 1, (panel.across != 1) != to.along);
    let (group, first, row) = match (turns, lies_along) {
        (false, _) => (panel.count, to.to, to.row),
        (true, true) => (block, scratch, height),
        (true, false) => (GROUP, scratch, GROUP),
    };
    for start in (0..panel.count).step_by(group) {
        let count = group.min(panel.count - start);
        let piece = Panel { from: panel.from.wrapping_add(start * panel.across), count, ..panel };
        // SAFETY: the caller's contract; a group fits the scratch memory, and blocks of it their places.
        unsafe {
            widest(
                #[inline(always)]
                || match lies_along {
                    true => along::<W, PART>(piece, first, row, to.words),
                    false => across::<W, PART>(piece, first, row, to.words),
                },
            );
            if turns {
                for i in (0..count).step_by(block) {
                    for w in (0..height).step_by(block) {
                        let (from, place) = match lies_along {
                            true => (i * height + w, w * to.row + start + i),
                            false => (w * GROUP + i, (start + i) * to.row + w),
                        };
                        (kernels.transpose)(scratch.add(from), row, to.to.add(place), to.row);
                    }
                }
            }
        }
    }
}

/// Words at `to[i · row + w]`.
///
/// # Safety
///
/// The panel can be read, and `to` written.
#[inline(always)]
unsafe fn along<const W: usize, const PART: usize>(panel: Panel<f32>, to: *mut f32, row: usize, words: usize) {
    let Panel { from, across, along, count, k } = panel;
    for i in 0..count {
        // SAFETY: the caller's contract; a word is two halves or one `f32`.
        unsafe {
            let (from, to) = (from.add(i * across), to.add(i * row));
            if W == 2 {
                let to = core::slice::from_raw_parts_mut(to.cast::<u16>(), 2 * words);
                if along == 1 {
                    let from = core::slice::from_raw_parts(from, k);
                    to.iter_mut().zip(from).for_each(|(to, x)| *to = (part::<PART>(*x) >> 16) as u16);
                } else {
                    (0..k).for_each(|p| to[p] = (part::<PART>(*from.add(p * along)) >> 16) as u16);
                }
                to[k..].fill(0);
            } else {
                (0..k).for_each(|p| *to.add(p) = f32::from_bits(part::<PART>(*from.add(p * along))));
                (k..words).for_each(|p| *to.add(p) = 0.0);
            }
        }
    }
}

/// Words at `to[w · row + i]`, of a panel where `across` is 1.
///
/// # Safety
///
/// The panel can be read, and `to` written.
#[inline(always)]
unsafe fn across<const W: usize, const PART: usize>(panel: Panel<f32>, to: *mut f32, row: usize, words: usize) {
    let Panel { from, along, count, k, .. } = panel;
    for w in 0..words {
        // SAFETY: the caller's contract; terms are below `k`.
        unsafe {
            let term = |p: usize| {
                for i in (0..count).step_by(16) {
                    prefetch(from.wrapping_add((p + AHEAD) * along + i));
                }
                core::slice::from_raw_parts(from.add(p * along), count)
            };
            let to = core::slice::from_raw_parts_mut(to.add(w * row), count);
            if w * W >= k {
                to.fill(0.0);
            } else if W == 1 {
                to.iter_mut().zip(term(w)).for_each(|(to, x)| *to = f32::from_bits(part::<PART>(*x)));
            } else if w * W + 1 < k {
                for ((to, x), next) in to.iter_mut().zip(term(w * W)).zip(term(w * W + 1)) {
                    *to = f32::from_bits(part::<PART>(*x) >> 16 | part::<PART>(*next));
                }
            } else {
                to.iter_mut().zip(term(w * W)).for_each(|(to, x)| *to = f32::from_bits(part::<PART>(*x) >> 16));
            }
        }
    }
}

/// The bits of a part of a number, in the upper half: of the nearest bf16, and of that of what is then left.
#[inline(always)]
pub(super) fn part<const PART: usize>(x: f32) -> u32 {
    let nearest = round(x);
    if PART == 0 {
        return nearest;
    }
    let nearest = f32::from_bits(nearest);
    round(if nearest.is_infinite() { 0.0 } else { x - nearest })
}

/// The bits of the nearest bf16, ties to even, in the upper half; NaN stays NaN.
#[inline(always)]
fn round(x: f32) -> u32 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1));
    (if x.is_nan() { bits | 0x0040_0000 } else { rounded }) & 0xffff_0000
}
