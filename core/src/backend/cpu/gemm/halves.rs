//! A transposed product in two halves of its sums.
//!
//! Of weights W, the forward product and the gradient take some rows each thread, the same in both, and so does the
//! update. The gradient of the inputs, dy · W, would take some columns, if it were cut by its own: then half of the lines
//! that a thread updates have been read by another, and to write such a line takes ten times as long, or fifty if the two
//! do not share a cache. So here a thread takes some terms of each sum, rows of W, and the sums of the two halves are added
//! afterwards. There are two whatever the number of threads, so the bits do not depend on it.

use super::isa::{Kernel, Kernels};
use super::then::Then;
use super::{Matrix, Product, blocked, pool, turned};
use crate::backend::cpu::simd::widest;

/// `y = a · b` in so many parts.
///
/// # Safety
///
/// The machine has the kernels' instructions, and the slices hold what the sizes say.
pub(super) unsafe fn product<E: Kernel>(
    kernels: &Kernels<E>,
    parts: usize,
    y: &mut [E],
    a: Matrix<'_, E>,
    b: Matrix<'_, E>,
    (m, k, n): (usize, usize, usize),
    then: Option<Then<'_, E>>,
) {
    let shared = pool::Shared(y.as_mut_ptr());
    let run = |count: usize, f: &(dyn Fn(usize) + Sync)| {
        if parts == 1 { (0..count).for_each(f) } else { pool::run(count, f) }
    };
    // The parts of one half.
    let across = if parts.is_multiple_of(2) { parts / 2 } else { parts };
    let (turned_a, turned_b) = (b.turned(), a.turned());
    turned::with_memory(2, (m, k, n), |memory: *mut E| {
        for (j, columns) in blocked::pieces(n, turned::COLUMNS, 1) {
            let halves = [0, 1].map(|half| pool::Shared(memory.wrapping_add(half * m * columns)));
            run(2 * across, &|part| {
                let (half, part) = (part / across, part % across);
                let sums = pool::cut(k, 2, kernels.lanes, half);
                let range = pool::cut(columns, across, kernels.lanes, part);
                let product = Product {
                    y: halves[half].get().wrapping_add(range.start * m),
                    y_row: m,
                    a: Matrix { data: &turned_a.data[sums.start * turned_a.col + j + range.start..], ..turned_a },
                    b: Matrix { data: &turned_b.data[sums.start * turned_b.row..], ..turned_b },
                    sizes: (range.len(), sums.len(), m),
                    // As in `turned::product`.
                    whole: (n, k, n),
                    adds: false,
                    then: None,
                };
                // SAFETY: the caller's contract; the columns of one half are of one part.
                unsafe { blocked::product(kernels, product) }
            });
            run(parts, &|part| {
                let range = pool::cut(columns, parts, kernels.lanes, part);
                // Some at a time, which are still in a near cache when they are turned.
                for (start, count) in blocked::pieces(range.len(), turned::AT_ONCE.1, kernels.lanes) {
                    let start = range.start + start;
                    let [first, second] = halves.each_ref().map(|half| half.get().wrapping_add(start * m));
                    // SAFETY: columns of one part, in each half, which both are complete.
                    let (sums, others) = unsafe {
                        let len = count * m;
                        (core::slice::from_raw_parts_mut(first, len), core::slice::from_raw_parts(second, len))
                    };
                    widest(
                        #[inline(always)]
                        || sums.iter_mut().zip(others).for_each(|(sum, other)| *sum += *other),
                    );
                    let column = j + start;
                    let y = (shared.get().wrapping_add(column), n);
                    // SAFETY: the caller's contract: these columns of y are of one part.
                    unsafe { turned::turn(kernels, first, (m, count), y, then.map(|then| then.at(0, column))) }
                }
            });
        }
    });
}
