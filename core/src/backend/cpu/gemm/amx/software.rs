//! The tile registers in plain code, as the manual describes them.

use super::{Registers, SIDE};

/// The words of a register, row by row.
type Tile = [[u32; SIDE]; SIDE];

pub(in super::super) struct Software([Tile; 8]);

impl Software {
    pub(in super::super) const fn new() -> Self {
        Software([[[0; SIDE]; SIDE]; 8])
    }

    pub(super) fn tile(&mut self, t: usize) -> &mut Tile {
        &mut self.0[t]
    }

    /// # Safety
    ///
    /// The rows of a tile, `row` words apart, can be read.
    pub(super) unsafe fn read(&mut self, t: usize, from: *const u32, row: usize) {
        for (i, words) in self.0[t].iter_mut().enumerate() {
            // SAFETY: the caller's contract.
            *words = core::array::from_fn(|w| unsafe { *from.add(i * row + w) });
        }
    }

    /// # Safety
    ///
    /// The rows of a tile, `row` words apart, can be written.
    pub(super) unsafe fn write(&self, t: usize, to: *mut u32, row: usize) {
        for (i, words) in self.0[t].iter().enumerate() {
            // SAFETY: the caller's contract.
            unsafe { to.add(i * row).copy_from_nonoverlapping(words.as_ptr(), SIDE) }
        }
    }

    /// The manual's operation of TDPBF16PS: two sums for each element, of the first and of the second halves of words, by
    /// fused steps that round to nearest and take and give zeros for subnormal numbers.
    pub(super) fn products(&mut self, c: usize, a: usize, b: usize) {
        let flushed = |x: f32| if x.is_subnormal() { 0.0f32.copysign(x) } else { x };
        let terms = |word: u32| [word << 16, word & 0xffff_0000].map(|bits| flushed(f32::from_bits(bits)));
        for i in 0..SIDE {
            let mut sums = [[0.0f32; 2]; SIDE];
            for w in 0..SIDE {
                let a = terms(self.0[a][i][w]);
                for (sums, b) in sums.iter_mut().zip(self.0[b][w]) {
                    let b = terms(b);
                    *sums = core::array::from_fn(|half| flushed(a[half].mul_add(b[half], sums[half])));
                }
            }
            for (c, [first, second]) in self.0[c][i].iter_mut().zip(sums) {
                *c = flushed(flushed(f32::from_bits(*c)) + flushed(first + second)).to_bits();
            }
        }
    }
}

impl Registers for Software {
    unsafe fn zero<const T: usize>(&mut self) {
        *self.tile(T) = [[0; SIDE]; SIDE];
    }

    unsafe fn load<const T: usize>(&mut self, from: *const f32, row: usize) {
        // SAFETY: the caller's contract.
        unsafe { self.read(T, from.cast(), row) }
    }

    unsafe fn store<const T: usize>(&mut self, to: *mut f32, row: usize) {
        // SAFETY: the caller's contract.
        unsafe { self.write(T, to.cast(), row) }
    }

    unsafe fn multiply<const C: usize, const A: usize, const B: usize>(&mut self) {
        self.products(C, A, B);
    }
}
