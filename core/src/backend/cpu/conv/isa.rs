//! The kernels compiled for each instruction set.

use super::kernel::{self, Correlate, Reduce};
#[cfg(target_arch = "x86_64")]
use crate::backend::cpu::gemm::{F32x8, F32x16, F64x4, F64x8, transpose_pd, transpose_ps};
use crate::backend::cpu::gemm::{Isa, Portable, Vector, transpose};

/// `tiles[r - 1][c - 1]`: a kernel of r rows and c vectors.
pub(super) type Tiles<J> = &'static [&'static [unsafe fn(&J)]];

/// (from, distance of its rows), (to, distance of its rows), (rows, columns).
pub(super) type Copy<E> = unsafe fn((*const E, usize), (*mut E, usize), (usize, usize));

/// The kernels of one instruction set for one element type.
pub struct Kernels<E: 'static> {
    /// The elements of a vector.
    pub lanes: usize,
    /// [`kernel::correlate`].
    pub correlate: Tiles<Correlate<E>>,
    /// [`kernel::over_pixels`].
    pub over_pixels: Tiles<Reduce<E>>,
    /// [`kernel::in_pixels`].
    pub in_pixels: Tiles<Reduce<E>>,
    /// [`kernel::copy`].
    pub copy: Copy<E>,
    /// [`kernel::sum_lanes`].
    pub sum_lanes: unsafe fn(*const E, *mut E, usize),
    /// The side of what `transpose` transposes.
    pub block: usize,
    /// `to[j, i] = from[i, j]` of a square block: `from`, the distance of its rows, `to`, the distance of its rows.
    pub transpose: unsafe fn(*const E, usize, *mut E, usize),
}

/// Element types with kernels for convolutions.
pub trait Convolve: Sized + 'static {
    /// The kernels of an instruction set. Running them asks for a machine that has it.
    #[doc(hidden)]
    fn kernels(isa: Isa) -> &'static Kernels<Self>;
}

macro_rules! tiles {
    ($tile:ident $rows:literal [$($vectors:literal)*]) => { &[$($tile::<$rows, $vectors>),*] };
}

macro_rules! kernels {
    ($item:ident $name:ident: $E:ty, $V:ty, tiles [$($rows:literal)*] by $vectors:tt, $transpose:path $(, $features:literal)?) => {
        mod $name {
            use super::*;

            // In all of them, SAFETY: the caller's contract is the kernel's, and the features are the vector's.

            $(#[target_feature(enable = $features)])?
            unsafe fn correlate<const R: usize, const C: usize>(job: &Correlate<$E>) {
                // SAFETY: see above.
                unsafe { kernel::correlate::<$V, R, C>(job) }
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn over_pixels<const R: usize, const C: usize>(job: &Reduce<$E>) {
                // SAFETY: see above.
                unsafe { kernel::over_pixels::<$V, R, C>(job) }
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn in_pixels<const R: usize, const C: usize>(job: &Reduce<$E>) {
                // SAFETY: see above.
                unsafe { kernel::in_pixels::<$V, R, C>(job) }
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn copy(from: (*const $E, usize), to: (*mut $E, usize), size: (usize, usize)) {
                // SAFETY: see above.
                unsafe { kernel::copy::<$V>(from, to, size) }
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn sum_lanes(from: *const $E, to: *mut $E, count: usize) {
                // SAFETY: see above.
                unsafe { kernel::sum_lanes::<$V>(from, to, count) }
            }

            pub(super) $item KERNELS: Kernels<$E> = Kernels {
                lanes: <$V as Vector>::LANES,
                correlate: &[$(tiles!(correlate $rows $vectors)),*],
                over_pixels: &[$(tiles!(over_pixels $rows $vectors)),*],
                in_pixels: &[$(tiles!(in_pixels $rows $vectors)),*],
                copy,
                sum_lanes,
                block: 32 / size_of::<$E>(),
                transpose: $transpose,
            };
        }
    };
}

// Those for f32 are part of this crate; those for f64 are compiled into a program that computes in f64, and so cost the
// others nothing.
kernels!(static portable_f32: f32, Portable<f32, 4>, tiles [1 2 3 4] by [1 2], transpose::<f32>);
kernels!(const portable_f64: f64, Portable<f64, 2>, tiles [1 2 3 4] by [1 2], transpose::<f64>);
#[cfg(target_arch = "x86_64")]
kernels!(static avx2_f32: f32, F32x8, tiles [1 2 3 4 5 6] by [1 2], transpose_ps, "avx2,fma");
#[cfg(target_arch = "x86_64")]
kernels!(const avx2_f64: f64, F64x4, tiles [1 2 3 4 5 6] by [1 2], transpose_pd, "avx2,fma");
// Eight rows, because channels often come in eights.
#[cfg(target_arch = "x86_64")]
kernels!(static avx512_f32: f32, F32x16, tiles [1 2 3 4 5 6 7 8] by [1 2 3], transpose_ps, "avx512f,avx2,fma");
#[cfg(target_arch = "x86_64")]
kernels!(const avx512_f64: f64, F64x8, tiles [1 2 3 4 5 6 7 8] by [1 2 3], transpose_pd, "avx512f,avx2,fma");

macro_rules! convolve {
    ($E:ty: $portable:ident, $avx2:ident, $avx512:ident) => {
        impl Convolve for $E {
            #[inline]
            fn kernels(isa: Isa) -> &'static Kernels<$E> {
                match isa {
                    Isa::Portable => &$portable::KERNELS,
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx2 => &$avx2::KERNELS,
                    #[cfg(target_arch = "x86_64")]
                    Isa::Avx512 => &$avx512::KERNELS,
                }
            }
        }
    };
}

convolve!(f32: portable_f32, avx2_f32, avx512_f32);
convolve!(f64: portable_f64, avx2_f64, avx512_f64);
