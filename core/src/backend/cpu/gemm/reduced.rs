//! Products of `f32` matrices whose operands are rounded to bf16.
//!
//! Both operands are packed, as words of 32 bits. A word is two terms of a sum in bf16, where the processor multiplies
//! those, and otherwise one term, an `f32` whose lower half is zero: then the tiles are those of exact products. The
//! loops around the tiles are Goto's: a block of a stays in the second cache, one of b in the third.
//!
//! A sum is cut and added in the same order whatever part of y is computed.

use super::super::simd::widest;
use super::Product;
use super::blocked::{KC, NC, pieces, width};
use super::isa::{Isa, Kernel, Kernels, Run};
use super::kernel::Job;
use super::pack::{Panel, with_panel_memory};
use super::vector::prefetch;
use crate::backend::precision::{Precision, float32_matmul_precision};

/// Sizes from which on the packing of both operands pays.
const LEAST: usize = 32;

/// The rows of a block of a.
const MC: usize = 192;

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
        _ => None,
    }
}

pub(super) fn bf16(isa: Isa) -> Reduced<f32> {
    #[cfg(target_arch = "x86_64")]
    if isa == Isa::Avx512 && is_x86_feature_detected!("avx512bf16") {
        return pairs;
    }
    let _ = isa;
    rounded
}

/// # Safety
///
/// As [`Reduced`].
pub(super) unsafe fn rounded(isa: Isa, part: Product<'_, f32>) {
    let kernels = f32::kernels(isa);
    // SAFETY: the caller's contract.
    unsafe { product::<1>(kernels, kernels.tiles, part) }
}

/// # Safety
///
/// As [`Reduced`], for AVX-512 with AVX-512-BF16.
#[cfg(target_arch = "x86_64")]
pub(super) unsafe fn pairs(isa: Isa, part: Product<'_, f32>) {
    // SAFETY: the caller's contract; the tiles are of the same sizes as those of AVX-512.
    unsafe { product::<2>(f32::kernels(isa), avx512::TILES, part) }
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use super::super::kernel::{self, Job};
    use super::super::x86::Bf16x32;
    use super::Run;

    #[target_feature(enable = "avx512f,avx512bf16,avx2,fma")]
    unsafe fn tile<const R: usize, const C: usize>(job: &Job<f32>) {
        // SAFETY: the caller's contract is the kernel's, and the features are the vector's.
        unsafe { kernel::tile::<Bf16x32, R, C>(job) }
    }

    macro_rules! tiles {
        ($($rows:literal)*) => { &[$(&[tile::<$rows, 1>, tile::<$rows, 2>, tile::<$rows, 3>, tile::<$rows, 4>]),*] };
    }

    pub(super) static TILES: &[&[Run<f32>]] = tiles!(1 2 3 4 5 6);
}

/// The product by tiles of words of `W` terms each; `kernels` are those of the instruction set for `f32`.
///
/// # Safety
///
/// As [`super::blocked::product`]; the machine has the tiles' instructions.
unsafe fn product<const W: usize>(kernels: &Kernels<f32>, tiles: &[&[Run<f32>]], product: Product<'_, f32>) {
    let Product { y, y_row, a, b, sizes: (m, k, n), whole, adds } = product;
    let (width, lanes, block) = (width(kernels), kernels.lanes, kernels.block);
    // For the whole product, as in `blocked`, and not less than there: of a smaller batch the product may be of `f32`. With
    // room for whole blocks of a transpose.
    let most = whole.1.min(KC).next_multiple_of(block);
    let b_len = most * whole.2.min(NC).next_multiple_of(width);
    let a_len = most * whole.0.min(MC);
    with_panel_memory(b_len + a_len + block * most, |packed: *mut f32| {
        let a_packed = packed.wrapping_add(b_len);
        let columns_of_b = a_packed.wrapping_add(a_len);
        for (pc, kc) in pieces(k, KC * W, W) {
            let words = kc.div_ceil(W);
            let height = words.next_multiple_of(block);
            for (jc, nc) in pieces(n, NC, width) {
                let panels = || (0..nc).step_by(width).map(|start| (start, width.min(nc - start)));
                for (start, count) in panels() {
                    let from = b.data[pc * b.row + (jc + start) * b.col..].as_ptr();
                    let panel = Panel { from, across: b.col, along: b.row, count, k: kc };
                    let to = packed.wrapping_add(start * height);
                    // SAFETY: the columns are inside of b, and there is memory for whole panels of `height` words and,
                    // behind those of a, for `block` columns.
                    unsafe { pack_b::<W>(kernels, panel, to, width, columns_of_b) }
                }
                for (ic, mc) in pieces(m, MC, tiles.len()) {
                    let from = a.data[ic * a.row + pc * a.col..].as_ptr();
                    let panel = Panel { from, across: a.row, along: a.col, count: mc, k: kc };
                    let (a_row, a_col) = if a.row == 1 { (1, mc) } else { (words, 1) };
                    // SAFETY: the rows are inside of a, and there is memory for as many of `words`.
                    widest(|| unsafe {
                        if a.row == 1 { across::<W>(panel, a_packed, mc) } else { along::<W>(panel, a_packed, words) }
                    });
                    for (start, count) in panels() {
                        let vectors = count.div_ceil(lanes);
                        for (i, rows) in pieces(mc, tiles.len(), 1) {
                            let job = Job {
                                k: words,
                                a: a_packed.wrapping_add(i * a_row).cast_const(),
                                a_row,
                                a_col,
                                b: packed.wrapping_add(start * height).cast_const(),
                                b_step: width,
                                y: y.wrapping_add((ic + i) * y_row + jc + start),
                                y_row,
                                columns: count - (vectors - 1) * lanes,
                                adds: adds || pc > 0,
                            };
                            // SAFETY: the caller's contract: `rows` rows of a, a panel of whole vectors, a tile of y.
                            unsafe { tiles[rows - 1][vectors - 1](&job) }
                        }
                    }
                }
            }
        }
    });
}

/// Packs columns of b to words at `to[w · width + i]`.
///
/// # Safety
///
/// The machine has the kernels' instructions, the columns can be read, `to` is valid for whole blocks of words times
/// `width`, which is at least `count` and whole blocks, and `scratch` for a block of columns of whole blocks.
unsafe fn pack_b<const W: usize>(
    kernels: &Kernels<f32>,
    panel: Panel<f32>,
    to: *mut f32,
    width: usize,
    scratch: *mut f32,
) {
    // SAFETY: the caller's contract.
    unsafe {
        if panel.across == 1 {
            return widest(|| across::<W>(panel, to, width));
        }
        let block = kernels.block;
        let height = panel.k.div_ceil(W).next_multiple_of(block);
        for start in (0..panel.count).step_by(block) {
            let from = panel.from.add(start * panel.across);
            let columns = Panel { from, count: block.min(panel.count - start), ..panel };
            widest(|| along::<W>(columns, scratch, height));
            for w in (0..height).step_by(block) {
                (kernels.transpose)(scratch.add(w), height, to.add(w * width + start), width);
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
unsafe fn along<const W: usize>(panel: Panel<f32>, to: *mut f32, row: usize) {
    let Panel { from, across, along, count, k } = panel;
    for i in 0..count {
        // SAFETY: the caller's contract; a word is two halves or one `f32`, and of the last word of an odd sum the other
        // half is written too.
        unsafe {
            let (from, to) = (from.add(i * across), to.add(i * row));
            if W == 2 {
                let to = to.cast::<u16>();
                if along == 1 {
                    let (from, to) = (core::slice::from_raw_parts(from, k), core::slice::from_raw_parts_mut(to, k));
                    to.iter_mut().zip(from).for_each(|(to, x)| *to = (round(*x) >> 16) as u16);
                } else {
                    (0..k).for_each(|p| *to.add(p) = (round(*from.add(p * along)) >> 16) as u16);
                }
                if k % 2 == 1 {
                    *to.add(k) = 0;
                }
            } else {
                (0..k).for_each(|p| *to.add(p) = f32::from_bits(round(*from.add(p * along))));
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
unsafe fn across<const W: usize>(panel: Panel<f32>, to: *mut f32, row: usize) {
    let Panel { from, along, count, k, .. } = panel;
    for w in 0..k.div_ceil(W) {
        // SAFETY: the caller's contract: term `w · W` is below `k`, and so is the next where there is one.
        unsafe {
            let term = |p: usize| {
                for i in (0..count).step_by(16) {
                    prefetch(from.wrapping_add((p + AHEAD) * along + i));
                }
                core::slice::from_raw_parts(from.add(p * along), count)
            };
            let (first, to) = (term(w * W), core::slice::from_raw_parts_mut(to.add(w * row), count));
            if W == 1 {
                to.iter_mut().zip(first).for_each(|(to, x)| *to = f32::from_bits(round(*x)));
            } else if w * W + 1 < k {
                let second = term(w * W + 1);
                for ((to, x), next) in to.iter_mut().zip(first).zip(second) {
                    *to = f32::from_bits(round(*x) >> 16 | round(*next));
                }
            } else {
                to.iter_mut().zip(first).for_each(|(to, x)| *to = f32::from_bits(round(*x) >> 16));
            }
        }
    }
}

/// The bits of the nearest bf16, ties to even, in the upper half; NaN stays NaN.
#[inline(always)]
pub(super) fn round(x: f32) -> u32 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1));
    (if x.is_nan() { bits | 0x0040_0000 } else { rounded }) & 0xffff_0000
}
