//! Panels: pieces of an operand, copied into the order in which a kernel reads them.

use super::isa::{Kernel, Kernels};
use crate::backend::Buffer;
use core::cell::RefCell;

/// Some lines of a matrix, as a kernel needs them: element (i, p), p along the sums, is at
/// `i · across + p · along`.
#[derive(Clone, Copy)]
pub(super) struct Lines<E> {
    pub from: *const E,
    pub across: usize,
    pub along: usize,
    pub count: usize,
    pub k: usize,
}

/// Copies lines to `to[p · width + i]`; from `count` to `width` there are zeros.
///
/// # Safety
///
/// The machine has the kernels' instructions, all lines can be read, `to` is valid for `k · width`, `count ≤ width`.
pub(super) unsafe fn pack<E: Kernel>(kernels: &Kernels<E>, lines: Lines<E>, to: *mut E, width: usize) {
    let Lines { from, across, along, count, k } = lines;
    let block = kernels.block;
    // SAFETY: the caller's contract; i stays below `count`, p below `k`, and i + zeros below `width`.
    unsafe {
        if across == 1 {
            for p in 0..k {
                core::ptr::copy_nonoverlapping(from.add(p * along), to.add(p * width), count);
            }
        } else if along == 1 && count >= block && k >= block {
            // The last block moves back until it fits, and writes some elements a second time.
            for i in (0..count).step_by(block).map(|i| i.min(count - block)) {
                for p in (0..k).step_by(block).map(|p| p.min(k - block)) {
                    (kernels.transpose)(from.add(i * across + p), across, to.add(p * width + i), width);
                }
            }
        } else {
            for i in 0..count {
                for p in 0..k {
                    *to.add(p * width + i) = *from.add(i * across + p * along);
                }
            }
        }
        if count < width {
            for p in 0..k {
                core::slice::from_raw_parts_mut(to.add(p * width + count), width - count).fill(E::zero());
            }
        }
    }
}

thread_local! {
    /// The memory of the panels. It grows to the largest product of its thread and stays.
    static PANELS: RefCell<Buffer<f64>> = RefCell::new(Buffer::zeros(0));
}

/// Runs `f` on memory for two runs of elements, each 64-byte aligned. What is in it is anything, but initialised.
pub(super) fn with_panels<E: Kernel, T>(first: usize, second: usize, f: impl FnOnce(*mut E, *mut E) -> T) -> T {
    const { assert!(size_of::<f64>().is_multiple_of(size_of::<E>()) && align_of::<E>() <= 64) };
    let line = 64 / size_of::<E>();
    let first = first.next_multiple_of(line);
    let len = ((first + second) * size_of::<E>()).div_ceil(size_of::<f64>());
    PANELS.with_borrow_mut(|panels| {
        if panels.as_slice().len() < len {
            panels.resize(len);
        }
        let start = panels.as_mut_slice().as_mut_ptr().cast::<E>();
        f(start, start.wrapping_add(first))
    })
}
