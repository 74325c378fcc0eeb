//! A register full of numbers: what the kernels are written in.

/// A vector of one instruction set.
///
/// # Safety
///
/// Of every method: the machine has the instruction set, and a pointer is valid for the elements that the method's name
/// promises (all lanes, or the first `n`, from one to all).
#[allow(clippy::missing_safety_doc)] // Said above, for all.
pub trait Vector: Copy {
    type E: Copy;
    /// The elements of a vector.
    const LANES: usize;

    unsafe fn zero() -> Self;
    unsafe fn splat(x: Self::E) -> Self;
    unsafe fn load(from: *const Self::E) -> Self;
    /// The first `n` elements, then zeros. Memory behind them is not read.
    unsafe fn load_first(from: *const Self::E, n: usize) -> Self;
    unsafe fn store(self, to: *mut Self::E);
    /// Stores the first `n` elements. Memory behind them is not written.
    unsafe fn store_first(self, to: *mut Self::E, n: usize);
    /// Stores all lanes past the caches where the instruction set can; the address is a multiple of their size.
    unsafe fn stream(self, to: *mut Self::E);
    unsafe fn add(self, other: Self) -> Self;
    /// `self · b + c`.
    unsafe fn mul_add(self, b: Self, c: Self) -> Self;
    /// The sum of the lanes.
    unsafe fn sum(self) -> Self::E;
    /// The sums of the lanes of four vectors.
    unsafe fn four_sums(vectors: [Self; 4]) -> [Self::E; 4];
}

/// Vectors in plain code, for the compiler to turn into whatever the target has.
#[derive(Clone, Copy)]
pub struct Portable<E, const L: usize>([E; L]);

macro_rules! portable {
    ($($E:ty),*) => {$(
        impl<const L: usize> Vector for Portable<$E, L> {
            type E = $E;
            const LANES: usize = L;

            #[inline(always)]
            unsafe fn zero() -> Self {
                Portable([0.0; L])
            }

            #[inline(always)]
            unsafe fn splat(x: $E) -> Self {
                Portable([x; L])
            }

            #[inline(always)]
            unsafe fn load(from: *const $E) -> Self {
                // SAFETY: `from` is valid for all lanes, and an array has the alignment of its elements.
                unsafe { Portable(from.cast::<[$E; L]>().read()) }
            }

            #[inline(always)]
            unsafe fn load_first(from: *const $E, n: usize) -> Self {
                let mut first = [0.0; L];
                // SAFETY: `from` is valid for `n` elements, which are no more than the lanes.
                unsafe { from.copy_to_nonoverlapping(first.as_mut_ptr(), n) }
                Portable(first)
            }

            #[inline(always)]
            unsafe fn store(self, to: *mut $E) {
                // SAFETY: `to` is valid for all lanes, and an array has the alignment of its elements.
                unsafe { to.cast::<[$E; L]>().write(self.0) }
            }

            #[inline(always)]
            unsafe fn store_first(self, to: *mut $E, n: usize) {
                // SAFETY: `to` is valid for `n` elements, which are no more than the lanes.
                unsafe { self.0.as_ptr().copy_to_nonoverlapping(to, n) }
            }

            #[inline(always)]
            unsafe fn stream(self, to: *mut $E) {
                // SAFETY: the caller's contract.
                unsafe { self.store(to) }
            }

            #[inline(always)]
            unsafe fn add(self, other: Self) -> Self {
                let mut sums = self.0;
                for i in 0..L {
                    sums[i] += other.0[i];
                }
                Portable(sums)
            }

            #[inline(always)]
            unsafe fn mul_add(self, b: Self, c: Self) -> Self {
                // Where the target has no fused instruction, `mul_add` calls a function for every element.
                let mut sums = c.0;
                for i in 0..L {
                    sums[i] = if cfg!(any(target_arch = "aarch64", target_feature = "fma")) {
                        self.0[i].mul_add(b.0[i], sums[i])
                } else {
                        self.0[i] * b.0[i] + sums[i]
                    };
                }
                Portable(sums)
            }

            #[inline(always)]
            unsafe fn sum(self) -> $E {
                self.0.iter().sum()
            }

            #[inline(always)]
            unsafe fn four_sums(vectors: [Self; 4]) -> [$E; 4] {
                vectors.map(|v| v.0.iter().sum())
            }
        }
    )*};
}

portable!(f32, f64);

/// What was stored by [`Vector::stream`] is stored before anything after this: as with other stores, once another thread
/// knows of it.
#[inline(always)]
pub fn end_streams() {
    // SAFETY: every processor of this kind has it.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        core::arch::x86_64::_mm_sfence();
    }
}

/// Asks for the memory at an address ahead of its use; any address will do.
#[inline(always)]
pub fn prefetch<E>(at: *const E) {
    // SAFETY: a prefetch neither reads nor faults.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(at.cast());
    }
    // SAFETY: likewise.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        core::arch::asm!("prfm pldl1keep, [{at}]", at = in(reg) at, options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = at;
}
