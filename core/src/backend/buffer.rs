#![allow(unsafe_code)]

use crate::element::Element;
use core::fmt::{self, Debug};
use core::marker::PhantomData;

/// One cache line, so that a vector of them is 64-byte aligned.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

// SAFETY: all zeros is a valid `[u8; 64]`.
unsafe impl bytemuck::Zeroable for Line {}
// SAFETY: 64 bytes of alignment 64: no padding, and every bit pattern is valid.
unsafe impl bytemuck::Pod for Line {}

/// Owned memory of a tensor or a model: on the heap, 64-byte aligned.
#[derive(Clone)]
pub struct Buffer<E> {
    lines: Vec<Line>,
    len: usize,
    element: PhantomData<E>,
}

impl<E: Element> Buffer<E> {
    /// A line holds a whole number of elements, each at a place aligned for it.
    const FITS: () = assert!(size_of::<Line>().is_multiple_of(size_of::<E>()) && align_of::<Line>() >= align_of::<E>());

    /// `len` zeros.
    #[must_use]
    pub fn zeros(len: usize) -> Self {
        let lines = (len * size_of::<E>()).div_ceil(size_of::<Line>());
        Buffer { lines: vec![Line([0; 64]); lines], len, element: PhantomData }
    }

    /// A copy of the slice.
    #[must_use]
    pub fn copy_of(slice: &[E]) -> Self {
        let mut buffer = Self::zeros(slice.len());
        buffer.as_mut_slice().copy_from_slice(slice);
        buffer
    }

    /// Changes the length; what is new is zero. Memory is taken only when there is not enough.
    pub fn resize(&mut self, len: usize) {
        let lines = (len * size_of::<E>()).div_ceil(size_of::<Line>());
        let old = self.len.min(len);
        self.lines.resize(lines, Line([0; 64]));
        self.len = len;
        self.as_mut_slice()[old..].fill(E::zeroed());
    }

    /// The elements.
    #[must_use]
    pub fn as_slice(&self) -> &[E] {
        const { Self::FITS };
        // SAFETY: `lines` has room for `len` elements and its alignment is a multiple of theirs. Every byte is zero, which
        // `Zeroable` makes a valid element, or was written through `as_mut_slice` as part of an `E`.
        unsafe { core::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }

    /// The elements.
    #[must_use]
    pub fn as_mut_slice(&mut self) -> &mut [E] {
        const { Self::FITS };
        // SAFETY: as in `as_slice`; `lines` is borrowed mutably, and `NoUninit` says that an `E` leaves no byte undefined.
        unsafe { core::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

impl<E: Element> PartialEq for Buffer<E> {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl<E: Element> Debug for Buffer<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Debug::fmt(self.as_slice(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_aligned_to_64_bytes() {
        for len in [1, 15, 16, 17, 1000] {
            let buffer = Buffer::<f32>::zeros(len);
            assert_eq!(buffer.as_slice().as_ptr() as usize % 64, 0);
            assert_eq!(buffer.as_slice().len(), len);
        }
    }

    #[test]
    fn booleans_start_false_and_keep_what_is_written() {
        let mut buffer = Buffer::<bool>::zeros(70);
        assert!(buffer.as_slice().iter().all(|x| !x));
        buffer.as_mut_slice()[69] = true;
        buffer.resize(100);
        assert_eq!(buffer.as_slice().iter().position(|x| *x), Some(69));
        assert!(!buffer.as_slice()[99]);
        assert_eq!(Buffer::copy_of(&[true, false]).as_slice(), [true, false]);
    }

    #[test]
    fn resize_keeps_what_fits_and_zeroes_what_is_new() {
        let mut buffer = Buffer::copy_of(&[1.0f32, 2.0, 3.0]);
        buffer.resize(2);
        buffer.resize(40);
        assert_eq!(&buffer.as_slice()[..3], &[1.0, 2.0, 0.0]);
        assert!(buffer.as_slice()[3..].iter().all(|x| *x == 0.0));
    }
}
