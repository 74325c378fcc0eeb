//! The vectors of aarch64: NEON.

use super::vector::Vector;
use core::arch::aarch64::*;

/// A vector in one register: its type, its lanes, and the intrinsics behind each method.
macro_rules! vector {
    (
        $(#[$doc:meta])*
        $Name:ident($Register:ty) = [$E:ty; $lanes:literal];
        $splat:ident $load:ident $store:ident $add:ident $mul_add:ident $sum:ident;
        $load_first:ident, $store_first:ident, $four_sums:ident
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        #[repr(transparent)]
        pub struct $Name($Register);

        impl Vector for $Name {
            type E = $E;
            const LANES: usize = $lanes;

            #[inline]
            #[target_feature(enable = "neon")]
            unsafe fn zero() -> Self {
                $Name($splat(0.0))
            }

            #[inline]
            #[target_feature(enable = "neon")]
            unsafe fn splat(x: $E) -> Self {
                $Name($splat(x))
            }

            #[inline]
            #[target_feature(enable = "neon")]
            unsafe fn load(from: *const $E) -> Self {
                // SAFETY: `from` is valid for all lanes; the load asks for no more than the elements' alignment.
                unsafe { $Name($load(from)) }
            }

            #[inline]
            #[target_feature(enable = "neon")]
            unsafe fn load_first(from: *const $E, n: usize) -> Self {
                // SAFETY: `from` is valid for `n` elements.
                unsafe { $Name($load_first(from, n)) }
            }

            #[inline]
            #[target_feature(enable = "neon")]
            unsafe fn store(self, to: *mut $E) {
                // SAFETY: `to` is valid for all lanes; the store asks for no more than the elements' alignment.
                unsafe { $store(to, self.0) }
            }

            #[inline]
            #[target_feature(enable = "neon")]
            unsafe fn store_first(self, to: *mut $E, n: usize) {
                // SAFETY: `to` is valid for `n` elements.
                unsafe { $store_first(to, self.0, n) }
            }

            #[inline]
            #[target_feature(enable = "neon")]
            unsafe fn stream(self, to: *mut $E) {
                // SAFETY: the caller's contract.
                unsafe { self.store(to) }
            }

            #[inline]
            #[target_feature(enable = "neon")]
            unsafe fn add(self, other: Self) -> Self {
                $Name($add(self.0, other.0))
            }

            #[inline]
            #[target_feature(enable = "neon")]
            unsafe fn mul_add(self, b: Self, c: Self) -> Self {
                $Name($mul_add(c.0, self.0, b.0))
            }

            #[inline]
            #[target_feature(enable = "neon")]
            unsafe fn sum(self) -> $E {
                $sum(self.0)
            }

            #[inline]
            #[target_feature(enable = "neon")]
            unsafe fn four_sums([a, b, c, d]: [Self; 4]) -> [$E; 4] {
                $four_sums([a.0, b.0, c.0, d.0])
            }
        }
    };
}

vector! {
    /// Four `f32`.
    F32x4(float32x4_t) = [f32; 4];
    vdupq_n_f32 vld1q_f32 vst1q_f32 vaddq_f32 vfmaq_f32 vaddvq_f32;
    load_first_ps, store_first_ps, four_sums_4
}

vector! {
    /// Two `f64`.
    F64x2(float64x2_t) = [f64; 2];
    vdupq_n_f64 vld1q_f64 vst1q_f64 vaddq_f64 vfmaq_f64 vaddvq_f64;
    load_first_pd, store_first_pd, four_sums_2_pd
}

/// Without a branch, as there are no masked loads: the last element stands in for those behind it. Branches in each of many
/// loads would keep the compiler from unrolling their loop, and so the sums of a tile out of registers.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn load_first_ps(from: *const f32, n: usize) -> float32x4_t {
    // SAFETY: the caller's contract: all four are among the first `n` elements, of which there is one.
    let x: [f32; 4] = core::array::from_fn(|i| unsafe { *from.add(i.min(n - 1)) });
    let places = [0, 1, 2, 3];
    // SAFETY: there are four of each.
    let (x, places) = unsafe { (vld1q_u32(x.as_ptr().cast()), vld1q_u32(places.as_ptr())) };
    vreinterpretq_f32_u32(vandq_u32(x, vcltq_u32(places, vdupq_n_u32(n as u32))))
}

/// As [`load_first_ps`].
#[inline]
#[target_feature(enable = "neon")]
unsafe fn load_first_pd(from: *const f64, n: usize) -> float64x2_t {
    // SAFETY: the caller's contract: both are among the first `n` elements, of which there is one.
    let x: [f64; 2] = core::array::from_fn(|i| unsafe { *from.add(i.min(n - 1)) });
    let places = [0, 1];
    // SAFETY: there are two of each.
    let (x, places) = unsafe { (vld1q_u64(x.as_ptr().cast()), vld1q_u64(places.as_ptr())) };
    vreinterpretq_f64_u64(vandq_u64(x, vcltq_u64(places, vdupq_n_u64(n as u64))))
}

#[inline]
#[target_feature(enable = "neon")]
unsafe fn store_first_ps(to: *mut f32, x: float32x4_t, n: usize) {
    // SAFETY: the caller's contract: `n` elements.
    unsafe {
        match n {
            1 => vst1q_lane_f32::<0>(to, x),
            2 => vst1_f32(to, vget_low_f32(x)),
            3 => {
                vst1_f32(to, vget_low_f32(x));
                vst1q_lane_f32::<2>(to.add(2), x);
            }
            _ => vst1q_f32(to, x),
        }
    }
}

#[inline]
#[target_feature(enable = "neon")]
unsafe fn store_first_pd(to: *mut f64, x: float64x2_t, n: usize) {
    // SAFETY: the caller's contract: `n` elements.
    unsafe {
        match n {
            1 => vst1q_lane_f64::<0>(to, x),
            _ => vst1q_f64(to, x),
        }
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn four_sums_4([a, b, c, d]: [float32x4_t; 4]) -> [f32; 4] {
    let sums = vpaddq_f32(vpaddq_f32(a, b), vpaddq_f32(c, d));
    // SAFETY: both are four numbers.
    unsafe { core::mem::transmute::<float32x4_t, [f32; 4]>(sums) }
}

#[inline]
#[target_feature(enable = "neon")]
fn four_sums_2_pd([a, b, c, d]: [float64x2_t; 4]) -> [f64; 4] {
    let sums = [vpaddq_f64(a, b), vpaddq_f64(c, d)];
    // SAFETY: both are four numbers.
    unsafe { core::mem::transmute::<[float64x2_t; 2], [f64; 4]>(sums) }
}

/// `to[j, i] = from[i, j]`, 8 × 8, in four quarters of 4 × 4.
///
/// # Safety
///
/// The machine has NEON; eight rows of eight elements, `from_row` and `to_row` apart, can be read and written.
#[target_feature(enable = "neon")]
pub unsafe fn transpose_ps(from: *const f32, from_row: usize, to: *mut f32, to_row: usize) {
    for (i, j) in [(0, 0), (0, 4), (4, 0), (4, 4)] {
        // SAFETY: four rows and columns from `i` and `j` on are among the eight.
        unsafe {
            let row = |r: usize| vreinterpretq_f64_f32(vld1q_f32(from.add((i + r) * from_row + j)));
            // Pairs of rows 0 and 2, and of 1 and 3: columns 0 and 1 in the first, 2 and 3 in the second.
            let (a, b, c, d) = (row(0), row(1), row(2), row(3));
            let [ac, bd] = [(a, c), (b, d)]
                .map(|(x, y)| [vreinterpretq_f32_f64(vzip1q_f64(x, y)), vreinterpretq_f32_f64(vzip2q_f64(x, y))]);
            for half in 0..2 {
                // a0 a1 c0 c1 and b0 b1 d0 d1: the even ones are a column, and so are the odd ones.
                let to = to.add((j + 2 * half) * to_row + i);
                vst1q_f32(to, vtrn1q_f32(ac[half], bd[half]));
                vst1q_f32(to.add(to_row), vtrn2q_f32(ac[half], bd[half]));
            }
        }
    }
}

/// `to[j, i] = from[i, j]`, 4 × 4, in four quarters of 2 × 2.
///
/// # Safety
///
/// The machine has NEON; four rows of four elements, `from_row` and `to_row` apart, can be read and written.
#[target_feature(enable = "neon")]
pub unsafe fn transpose_pd(from: *const f64, from_row: usize, to: *mut f64, to_row: usize) {
    for (i, j) in [(0, 0), (0, 2), (2, 0), (2, 2)] {
        // SAFETY: two rows and columns from `i` and `j` on are among the four.
        unsafe {
            let (a, b) = (vld1q_f64(from.add(i * from_row + j)), vld1q_f64(from.add((i + 1) * from_row + j)));
            let to = to.add(j * to_row + i);
            vst1q_f64(to, vzip1q_f64(a, b));
            vst1q_f64(to.add(to_row), vzip2q_f64(a, b));
        }
    }
}
