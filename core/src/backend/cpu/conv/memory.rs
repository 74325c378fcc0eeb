//! Memory that a convolution needs besides its operands: a thread's own, taken once and kept.

use crate::backend::Buffer;
use crate::element::Float;
use core::cell::RefCell;
use std::thread::LocalKey;

type Memory = RefCell<Buffer<f64>>;

thread_local! {
    /// What all jobs of a call read, or leave behind for it.
    pub(super) static CALL: Memory = RefCell::new(Buffer::zeros(0));
    /// What one job needs.
    pub(super) static JOB: Memory = RefCell::new(Buffer::zeros(0));
    /// Distances of taps.
    static TAPS: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// Runs `f` on areas of these lengths, each 64-byte aligned and with a cache line behind it that may be read. What is in
/// them is anything.
pub(super) fn with<E: Float, T, const N: usize>(
    memory: &'static LocalKey<Memory>,
    areas: [usize; N],
    f: impl FnOnce([&mut [E]; N]) -> T,
) -> T {
    let line = 64 / size_of::<E>();
    let room = |len: usize| len.checked_next_multiple_of(line)?.checked_add(line);
    let elements = areas.iter().try_fold(0usize, |sum, len| sum.checked_add(room(*len)?));
    let bytes = elements.and_then(|elements| elements.checked_mul(size_of::<E>())).expect("capacity overflow");
    let len = bytes.div_ceil(size_of::<f64>());
    memory.with_borrow_mut(|memory| {
        if memory.as_slice().len() < len {
            memory.resize(len);
        }
        let mut rest: &mut [E] = bytemuck::cast_slice_mut(memory.as_mut_slice());
        f(areas.map(|len| {
            let (area, behind) = core::mem::take(&mut rest).split_at_mut(room(len).expect("no more than all"));
            rest = behind;
            &mut area[..len]
        }))
    })
}

/// Runs `f` on the distances of taps.
pub(super) fn with_taps<T>(taps: impl Iterator<Item = usize>, f: impl FnOnce(&[usize]) -> T) -> T {
    TAPS.with_borrow_mut(|memory| {
        memory.clear();
        memory.extend(taps);
        f(memory)
    })
}
