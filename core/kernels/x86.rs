//! The vectors of x86-64: AVX2 with FMA, and AVX-512.

use super::vector::Vector;
use core::arch::x86_64::*;

/// A vector in one register: its type, its lanes, the features it needs, and the intrinsics behind each method.
///
/// `$mask` gives what the masked load and store take for the first `n` lanes.
macro_rules! vector {
    (
        $(#[$doc:meta])*
        $Name:ident($Register:ty) = [$E:ty; $lanes:literal], $features:literal;
        $zero:ident $splat:ident $load:ident $store:ident $stream:ident $add:ident $mul_add:ident;
        $mask:expr, $load_first:ident, $store_first:ident;
        $sum:expr, $four_sums:ident
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        #[repr(transparent)]
        pub struct $Name($Register);

        impl Vector for $Name {
            type E = $E;
            const LANES: usize = $lanes;

            #[inline]
            #[target_feature(enable = $features)]
            unsafe fn zero() -> Self {
                $Name($zero())
            }

            #[inline]
            #[target_feature(enable = $features)]
            unsafe fn splat(x: $E) -> Self {
                $Name($splat(x))
            }

            #[inline]
            #[target_feature(enable = $features)]
            unsafe fn load(from: *const $E) -> Self {
                // SAFETY: `from` is valid for all lanes; the load asks for no alignment.
                unsafe { $Name($load(from)) }
            }

            #[inline]
            #[target_feature(enable = $features)]
            unsafe fn load_first(from: *const $E, n: usize) -> Self {
                // SAFETY: `from` is valid for `n` elements, and the mask keeps the load from the others.
                unsafe { $Name($load_first($mask(n), from)) }
            }

            #[inline]
            #[target_feature(enable = $features)]
            unsafe fn store(self, to: *mut $E) {
                // SAFETY: `to` is valid for all lanes; the store asks for no alignment.
                unsafe { $store(to, self.0) }
            }

            #[inline]
            #[target_feature(enable = $features)]
            unsafe fn store_first(self, to: *mut $E, n: usize) {
                // SAFETY: `to` is valid for `n` elements, and the mask keeps the store from the others.
                unsafe { $store_first(to, $mask(n), self.0) }
            }

            #[inline]
            #[target_feature(enable = $features)]
            unsafe fn stream(self, to: *mut $E) {
                // SAFETY: `to` is valid for all lanes, and aligned to them.
                unsafe { $stream(to, self.0) }
            }

            #[inline]
            #[target_feature(enable = $features)]
            unsafe fn add(self, other: Self) -> Self {
                $Name($add(self.0, other.0))
            }

            #[inline]
            #[target_feature(enable = $features)]
            unsafe fn mul_add(self, b: Self, c: Self) -> Self {
                $Name($mul_add(self.0, b.0, c.0))
            }

            #[inline]
            #[target_feature(enable = $features)]
            unsafe fn sum(self) -> $E {
                $sum(self.0)
            }

            #[inline]
            #[target_feature(enable = $features)]
            unsafe fn four_sums([a, b, c, d]: [Self; 4]) -> [$E; 4] {
                $four_sums([a.0, b.0, c.0, d.0])
            }
        }
    };
}

vector! {
    /// Sixteen `f32` of AVX-512.
    F32x16(__m512) = [f32; 16], "avx512f,avx2,fma";
    _mm512_setzero_ps _mm512_set1_ps _mm512_loadu_ps _mm512_storeu_ps _mm512_stream_ps _mm512_add_ps _mm512_fmadd_ps;
    |n| ((1u32 << n) - 1) as __mmask16, _mm512_maskz_loadu_ps, _mm512_mask_storeu_ps;
    _mm512_reduce_add_ps, four_sums_16
}

vector! {
    /// Sixteen `f32` of AVX-512 or, in the factors of `mul_add`, sixteen pairs of bf16.
    Bf16x32(__m512) = [f32; 16], "avx512f,avx512bf16,avx2,fma";
    _mm512_setzero_ps _mm512_set1_ps _mm512_loadu_ps _mm512_storeu_ps _mm512_stream_ps _mm512_add_ps dot_pairs;
    |n| ((1u32 << n) - 1) as __mmask16, _mm512_maskz_loadu_ps, _mm512_mask_storeu_ps;
    _mm512_reduce_add_ps, four_sums_16
}

/// `c` and the products of both halves of each lane.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn dot_pairs(a: __m512, b: __m512, c: __m512) -> __m512 {
    // SAFETY: both types are the bits of a register.
    let [a, b] = unsafe { core::mem::transmute::<[__m512; 2], [__m512bh; 2]>([a, b]) };
    _mm512_dpbf16_ps(c, a, b)
}

vector! {
    /// Eight `f64` of AVX-512.
    F64x8(__m512d) = [f64; 8], "avx512f,avx2,fma";
    _mm512_setzero_pd _mm512_set1_pd _mm512_loadu_pd _mm512_storeu_pd _mm512_stream_pd _mm512_add_pd _mm512_fmadd_pd;
    |n| ((1u32 << n) - 1) as __mmask8, _mm512_maskz_loadu_pd, _mm512_mask_storeu_pd;
    _mm512_reduce_add_pd, four_sums_8_pd
}

vector! {
    /// Eight `f32` of AVX2.
    F32x8(__m256) = [f32; 8], "avx2,fma";
    _mm256_setzero_ps _mm256_set1_ps _mm256_loadu_ps _mm256_storeu_ps _mm256_stream_ps _mm256_add_ps _mm256_fmadd_ps;
    first_of_8, load_first_ps, _mm256_maskstore_ps;
    sum_ps, four_sums_8
}

vector! {
    /// Four `f64` of AVX2.
    F64x4(__m256d) = [f64; 4], "avx2,fma";
    _mm256_setzero_pd _mm256_set1_pd _mm256_loadu_pd _mm256_storeu_pd _mm256_stream_pd _mm256_add_pd _mm256_fmadd_pd;
    first_of_4, load_first_pd, _mm256_maskstore_pd;
    sum_pd, four_sums_4_pd
}

#[inline]
#[target_feature(enable = "avx2")]
fn first_of_8(n: usize) -> __m256i {
    _mm256_cmpgt_epi32(_mm256_set1_epi32(n as i32), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))
}

#[inline]
#[target_feature(enable = "avx2")]
fn first_of_4(n: usize) -> __m256i {
    _mm256_cmpgt_epi64(_mm256_set1_epi64x(n as i64), _mm256_setr_epi64x(0, 1, 2, 3))
}

/// The masked load with its arguments in AVX-512's order.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn load_first_ps(mask: __m256i, from: *const f32) -> __m256 {
    // SAFETY: the caller's contract is the same.
    unsafe { _mm256_maskload_ps(from, mask) }
}

/// The masked load with its arguments in AVX-512's order.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn load_first_pd(mask: __m256i, from: *const f64) -> __m256d {
    // SAFETY: the caller's contract is the same.
    unsafe { _mm256_maskload_pd(from, mask) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn sum_ps(x: __m256) -> f32 {
    let four = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
}

#[inline]
#[target_feature(enable = "avx2")]
fn sum_pd(x: __m256d) -> f64 {
    let two = _mm_add_pd(_mm256_castpd256_pd128(x), _mm256_extractf128_pd::<1>(x));
    _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)))
}

#[inline]
#[target_feature(enable = "avx2")]
fn four_sums_8([a, b, c, d]: [__m256; 4]) -> [f32; 4] {
    // Not `hadd`, which does the same in more steps.
    let pairs = |x, y| _mm256_add_ps(_mm256_unpacklo_ps(x, y), _mm256_unpackhi_ps(x, y));
    let (ab, cd) = (pairs(a, b), pairs(c, d));
    let halves = _mm256_add_ps(_mm256_shuffle_ps::<0x44>(ab, cd), _mm256_shuffle_ps::<0xee>(ab, cd));
    let sums = _mm_add_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps::<1>(halves));
    // SAFETY: both are four numbers.
    unsafe { core::mem::transmute::<__m128, [f32; 4]>(sums) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn four_sums_4_pd([a, b, c, d]: [__m256d; 4]) -> [f64; 4] {
    let (ab, cd) = (_mm256_hadd_pd(a, b), _mm256_hadd_pd(c, d));
    let sums = _mm256_add_pd(_mm256_permute2f128_pd::<0x20>(ab, cd), _mm256_permute2f128_pd::<0x31>(ab, cd));
    // SAFETY: both are four numbers.
    unsafe { core::mem::transmute::<__m256d, [f64; 4]>(sums) }
}

#[inline]
#[target_feature(enable = "avx512f,avx2")]
fn four_sums_16([a, b, c, d]: [__m512; 4]) -> [f32; 4] {
    let half = |x: __m512| {
        let high = _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(_mm512_castps_pd(x)));
        _mm256_add_ps(_mm512_castps512_ps256(x), high)
    };
    four_sums_8([half(a), half(b), half(c), half(d)])
}

#[inline]
#[target_feature(enable = "avx512f,avx2")]
fn four_sums_8_pd([a, b, c, d]: [__m512d; 4]) -> [f64; 4] {
    let half = |x: __m512d| _mm256_add_pd(_mm512_castpd512_pd256(x), _mm512_extractf64x4_pd::<1>(x));
    four_sums_4_pd([half(a), half(b), half(c), half(d)])
}

/// `to[j, i] = from[i, j]`, 8 × 8: half rows meet in one register on loading, so that no shuffle crosses its halves.
///
/// # Safety
///
/// The machine has AVX2; eight rows of eight elements, `from_row` and `to_row` apart, can be read and written.
#[target_feature(enable = "avx2")]
pub unsafe fn transpose_ps(from: *const f32, from_row: usize, to: *mut f32, to_row: usize) {
    for half in 0..2 {
        let pair = |i: usize| {
            // SAFETY: `i` and `i + 4` are below eight, and so are the four columns from `4 · half` on.
            unsafe {
                let (low, high) = (from.add(i * from_row + 4 * half), from.add((i + 4) * from_row + 4 * half));
                _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(_mm_loadu_ps(low)), _mm_loadu_ps(high))
            }
        };
        let (a, b, c, d) = (pair(0), pair(1), pair(2), pair(3));
        let (ab, cd) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d));
        let (ab_high, cd_high) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d));
        let rows = [
            _mm256_shuffle_ps::<0x44>(ab, cd),
            _mm256_shuffle_ps::<0xee>(ab, cd),
            _mm256_shuffle_ps::<0x44>(ab_high, cd_high),
            _mm256_shuffle_ps::<0xee>(ab_high, cd_high),
        ];
        for (j, row) in rows.into_iter().enumerate() {
            // SAFETY: row `4 · half + j` is one of eight.
            unsafe { _mm256_storeu_ps(to.add((4 * half + j) * to_row), row) }
        }
    }
}

/// `to[j, i] = from[i, j]`, 4 × 4, in the way of [`transpose_ps`].
///
/// # Safety
///
/// The machine has AVX2; four rows of four elements, `from_row` and `to_row` apart, can be read and written.
#[target_feature(enable = "avx2")]
pub unsafe fn transpose_pd(from: *const f64, from_row: usize, to: *mut f64, to_row: usize) {
    for half in 0..2 {
        let pair = |i: usize| {
            // SAFETY: `i` and `i + 2` are below four, and so are the two columns from `2 · half` on.
            unsafe {
                let (low, high) = (from.add(i * from_row + 2 * half), from.add((i + 2) * from_row + 2 * half));
                _mm256_insertf128_pd::<1>(_mm256_castpd128_pd256(_mm_loadu_pd(low)), _mm_loadu_pd(high))
            }
        };
        let (a, b) = (pair(0), pair(1));
        // SAFETY: rows `2 · half` and `2 · half + 1` are two of four.
        unsafe {
            _mm256_storeu_pd(to.add(2 * half * to_row), _mm256_unpacklo_pd(a, b));
            _mm256_storeu_pd(to.add((2 * half + 1) * to_row), _mm256_unpackhi_pd(a, b));
        }
    }
}
