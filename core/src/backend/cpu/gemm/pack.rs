//! Panels: columns of b, copied into the order in which a kernel reads them.

use super::isa::{Kernel, Kernels};
use crate::backend::Buffer;
use core::cell::RefCell;
use plywood_kernels::prefetch;
use std::thread::LocalKey;

/// How many rows ahead a row is asked for.
const AHEAD: usize = 16;

/// Some columns of b: element p, along the sums, of column i is at `i · across + p · along`.
#[derive(Clone, Copy)]
pub(super) struct Panel<E> {
    pub from: *const E,
    pub across: usize,
    pub along: usize,
    pub count: usize,
    pub k: usize,
}

/// Copies columns to `to[p · width + i]`; what is from `count` to `width` stays.
///
/// # Safety
///
/// The machine has the kernels' instructions, all columns can be read, `to` is valid for `k · width`, `count ≤ width`.
pub(super) unsafe fn pack<E: Kernel>(kernels: &Kernels<E>, panel: Panel<E>, to: *mut E, width: usize) {
    let Panel { from, across, along, count, k } = panel;
    let block = kernels.block;
    // SAFETY: the caller's contract; i stays below `count`, p below `k`.
    unsafe {
        if across == 1 {
            for p in 0..k {
                // The rows are far apart, in pages of their own: the processor does not foresee them.
                for i in (0..count).step_by(64 / size_of::<E>()) {
                    prefetch(from.wrapping_add((p + AHEAD) * along + i));
                }
                copy(from.add(p * along), to.add(p * width), count);
            }
        } else if along == 1 && count >= block && k >= block {
            // The last block moves back until it fits, and writes some elements a second time.
            let starts = |len: usize| (0..len).step_by(block).map(move |start| start.min(len - block));
            let transpose = |i: usize, p: usize| {
                (kernels.transpose)(from.add(i * across + p), across, to.add(p * width + i), width);
            };
            // Along the rows that are farther apart: a piece of a cache line is not near for long.
            if across >= width {
                starts(count).for_each(|i| starts(k).for_each(|p| transpose(i, p)));
            } else {
                starts(k).for_each(|p| starts(count).for_each(|i| transpose(i, p)));
            }
        } else {
            for i in 0..count {
                for p in 0..k {
                    *to.add(p * width + i) = *from.add(i * across + p * along);
                }
            }
        }
    }
}

/// Copies `count` elements: a few, for which a call of `memcpy` takes longer than the copy.
///
/// # Safety
///
/// They can be read and written.
#[inline(always)]
unsafe fn copy<E: Copy>(from: *const E, to: *mut E, count: usize) {
    type Piece = [u8; 16];
    let piece = size_of::<Piece>() / size_of::<E>();
    // SAFETY: the caller's contract. The last piece moves back until it fits.
    unsafe {
        if count >= piece {
            for i in (0..count).step_by(piece).map(|i| i.min(count - piece)) {
                to.add(i).cast::<Piece>().write_unaligned(from.add(i).cast::<Piece>().read_unaligned());
            }
        } else {
            for i in 0..count {
                *to.add(i) = *from.add(i);
            }
        }
    }
}

type Memory = LocalKey<RefCell<Buffer<f64>>>;

thread_local! {
    /// The memory of the panels. It grows to the largest product of its thread and stays.
    static PANELS: RefCell<Buffer<f64>> = RefCell::new(Buffer::zeros(0));
    /// The memory of the rows of a, likewise.
    static ROWS: RefCell<Buffer<f64>> = RefCell::new(Buffer::zeros(0));
    /// The memory of what is computed transposed; it grows and stays likewise.
    static TURNED: RefCell<Buffer<f64>> = RefCell::new(Buffer::zeros(0));
}

/// Runs `f` on memory for `len` elements of panels, 64-byte aligned. What is in it is anything, but initialised.
pub(super) fn with_panel_memory<E: Kernel, T>(len: usize, f: impl FnOnce(*mut E) -> T) -> T {
    with_memory(&PANELS, len, f)
}

/// The same for rows of a.
pub(super) fn with_row_memory<E: Kernel, T>(len: usize, f: impl FnOnce(*mut E) -> T) -> T {
    with_memory(&ROWS, len, f)
}

/// The same for what is computed transposed.
pub(super) fn with_turned_memory<E: Kernel, T>(len: usize, f: impl FnOnce(*mut E) -> T) -> T {
    with_memory(&TURNED, len, f)
}

fn with_memory<E: Kernel, T>(memory: &'static Memory, len: usize, f: impl FnOnce(*mut E) -> T) -> T {
    const { assert!(size_of::<E>() <= size_of::<f64>() && align_of::<E>() <= 64) };
    memory.with_borrow_mut(|memory| {
        let len = (len * size_of::<E>()).div_ceil(size_of::<f64>());
        if memory.as_slice().len() < len {
            memory.resize(len);
        }
        f(memory.as_mut_slice().as_mut_ptr().cast())
    })
}
