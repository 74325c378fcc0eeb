//! Work on memory of which each part takes a piece of its own.

use super::{run, threads_for};
use core::ops::Range;

/// A pass over a block whose elements do not depend on one another, on as many threads as pay: `f` takes where a piece
/// begins, and the piece.
pub(crate) fn over_pieces<T: Send>(data: &mut [T], f: impl Fn(usize, &mut [T]) + Sync) {
    // An element takes a nanosecond, where it is more than memory that takes the time.
    in_pieces(data, threads_for(data.len()), f);
}

/// [`over_pieces`], and the sum of what `f` gives of the pieces. These depend on the length alone, so the sum does, too.
pub(crate) fn sum_over_pieces<T: Send>(data: &mut [T], f: impl Fn(usize, &mut [T]) -> f64 + Sync) -> f64 {
    const PARTS: usize = 16;
    let (whole, data) = (data.len(), Shared(data.as_mut_ptr()));
    sum_of_parts(PARTS, whole, |part| {
        let range = cut(whole, PARTS, 64, part);
        // SAFETY: pieces are inside the slice and do not overlap, and each is given to one part.
        f(range.start, unsafe { core::slice::from_raw_parts_mut(data.get().add(range.start), range.len()) })
    })
}

fn in_pieces<T: Send>(data: &mut [T], parts: usize, f: impl Fn(usize, &mut [T]) + Sync) {
    let (whole, data) = (data.len(), Shared(data.as_mut_ptr()));
    run(parts, |part| {
        let range = cut(whole, parts, 64, part);
        // SAFETY: pieces are inside the slice and do not overlap, and each is given to one part.
        f(range.start, unsafe { core::slice::from_raw_parts_mut(data.get().add(range.start), range.len()) });
    });
}

/// The sum of what `f` gives of each part, on as many threads as pay for work that takes one so many nanoseconds. It is
/// added up in the order of the parts: the number of threads changes no bit.
pub(crate) fn sum_of_parts(parts: usize, nanoseconds: usize, f: impl Fn(usize) -> f64 + Sync) -> f64 {
    let mut sums = [0.0; MOST_PARTS];
    assert!(parts <= sums.len(), "{parts} parts of a sum");
    let to = Shared(sums.as_mut_ptr());
    // SAFETY: one of the parts, for which there is room; no other part writes there.
    let part = |part: usize| unsafe { to.get().add(part).write(f(part)) };
    if threads_for(nanoseconds) == 1 {
        (0..parts).for_each(part)
    } else {
        run(parts, part)
    }
    sums.iter().sum()
}

/// The most parts of a sum.
pub(crate) const MOST_PARTS: usize = 64;

/// One of `parts` pieces of `0..len`, all about equal and all but the last a multiple of `unit`. A piece may be empty.
pub(crate) fn cut(len: usize, parts: usize, unit: usize, part: usize) -> Range<usize> {
    let units = len.div_ceil(unit);
    let border = |part: usize| (units * part / parts * unit).min(len);
    border(part)..border(part + 1)
}

/// A pointer to memory of which every part takes a piece of its own.
pub(crate) struct Shared<T>(pub(crate) *mut T);

impl<T> Shared<T> {
    /// The pointer: a method, so that a closure borrows the whole.
    pub(crate) fn get(&self) -> *mut T {
        self.0
    }
}

// SAFETY: a pointer alone does nothing; who follows it takes a piece that no other thread has.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_a_slice() {
        for len in [0, 1, 63, 64, 1000] {
            for parts in [1, 2, 3, 7] {
                let mut data = vec![0; len];
                in_pieces(&mut data, parts, |start, piece| {
                    piece.iter_mut().enumerate().for_each(|(i, x)| *x += start + i);
                });
                assert_eq!(data, (0..len).collect::<Vec<_>>(), "{parts} parts");
            }
        }
    }
}
