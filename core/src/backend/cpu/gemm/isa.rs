//! The kernels compiled for each instruction set.

use super::kernel::{self, Job};
use super::reduced::{self, Reduced};
use super::vector::Vector;
use crate::backend::cpu::gemm;
pub(in crate::backend::cpu) use crate::backend::cpu::simd::Isa;

/// A kernel of [`super::kernel`] for one instruction set.
pub(super) type Run<E> = unsafe fn(&Job<E>);

/// The most rows and columns of [`kernel::dots`].
pub(super) const DOTS: usize = 4;

/// The most rows of b that [`kernel::combine`] takes at once.
pub(super) const COMBINED: usize = 8;

/// The kernels of one instruction set for one element type.
pub(super) struct Kernels<E: 'static> {
    /// The elements of a vector.
    pub lanes: usize,
    /// `tiles[r - 1][c - 1]`: [`kernel::tile`] of r rows and c vectors.
    pub tiles: &'static [&'static [Run<E>]],
    /// `dots[r - 1][c - 1]`: [`kernel::dots`] of r rows and c columns.
    pub dots: [[Run<E>; DOTS]; DOTS],
    /// `combine[p - 1]`: [`kernel::combine`] of p rows.
    pub combine: [Run<E>; COMBINED],
    /// The side of what `transpose` transposes.
    pub block: usize,
    /// `to[j, i] = from[i, j]` of a square block: `from`, the distance of its rows, `to`, the distance of its rows.
    pub transpose: unsafe fn(*const E, usize, *mut E, usize),
}

/// Element types with kernels.
pub(super) trait Kernel: num_traits::Float + core::ops::AddAssign + Send + Sync + 'static {
    /// The kernels of an instruction set. Running them asks for a machine that has it.
    fn kernels(isa: Isa) -> &'static Kernels<Self>;

    /// How to compute a product of these sizes, if it is to be less exact than its type.
    #[inline]
    fn reduced(_: Isa, _: (usize, usize, usize)) -> Option<Reduced<Self>> {
        None
    }
}

/// The kernels of every instruction set, by a macro that makes those of one, and the choice between them. It takes names
/// from where it is called: `Kernels`, `Isa` and `gemm`.
macro_rules! for_each_isa {
    ($kernels:ident) => {
        // Those for f32 are part of this crate; those for f64 are compiled into a program that computes in f64, and so
        // cost the others nothing.
        for_each_isa!($kernels static choose_f32 f32: 4 F32x8 F32x16 F32x4 transpose_ps);
        for_each_isa!($kernels const choose_f64 f64: 2 F64x4 F64x8 F64x2 transpose_pd);
    };
    ($kernels:ident $item:ident $choose:ident $E:ident: $lanes:literal $V256:ident $V512:ident $V128:ident $transpose:ident) => {
        #[inline]
        fn $choose(isa: Isa) -> &'static Kernels<$E> {
            $kernels!($item portable: $E, gemm::Portable<$E, $lanes>, 8 registers, gemm::transpose::<$E>);
            #[cfg(target_arch = "x86_64")]
            $kernels!($item avx2: $E, gemm::$V256, 16 registers, gemm::$transpose, "avx2,fma");
            #[cfg(target_arch = "x86_64")]
            $kernels!($item avx512: $E, gemm::$V512, 32 registers, gemm::$transpose, "avx512f,avx2,fma");
            #[cfg(target_arch = "aarch64")]
            $kernels!($item neon: $E, gemm::$V128, 32 registers, gemm::$transpose, "neon");
            match isa {
                Isa::Portable => &portable::KERNELS,
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 => &avx2::KERNELS,
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512 => &avx512::KERNELS,
                #[cfg(target_arch = "aarch64")]
                Isa::Neon => &neon::KERNELS,
            }
        }
    };
}
pub(in crate::backend::cpu) use for_each_isa;

/// Tiles as large as so many registers can hold besides their factors.
macro_rules! tiles {
    ($tile:ident, 8) => { tiles!($tile [1 2 3 4] [1 2]) };
    ($tile:ident, 16) => { tiles!($tile [1 2 3 4 5 6] [1 2]) };
    ($tile:ident, 32) => { tiles!($tile [1 2 3 4 5 6] [1 2 3 4]) };
    ($tile:ident [$($rows:literal)*] $vectors:tt) => { &[$(tiles!($tile $rows $vectors)),*] };
    ($tile:ident $rows:literal [$($vectors:literal)*]) => { &[$($tile::<$rows, $vectors>),*] };
}

macro_rules! kernels {
    ($item:ident $name:ident: $E:ty, $V:ty, $registers:tt registers, $transpose:path $(, $features:literal)?) => {
        mod $name {
            use super::*;

            // In all three, SAFETY: the caller's contract is the kernel's, and the features are the vector's.

            $(#[target_feature(enable = $features)])?
            unsafe fn tile<const R: usize, const C: usize>(job: &Job<$E>) {
                // SAFETY: see above.
                unsafe { kernel::tile::<$V, R, C>(job) }
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn dots<const R: usize, const C: usize, const U: usize>(job: &Job<$E>) {
                // SAFETY: see above.
                unsafe { kernel::dots::<$V, R, C, U>(job) }
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn combine<const P: usize>(job: &Job<$E>) {
                // SAFETY: see above.
                unsafe { kernel::combine::<$V, P>(job) }
            }

            pub(super) $item KERNELS: Kernels<$E> = Kernels {
                lanes: <$V as Vector>::LANES,
                tiles: tiles!(tile, $registers),
                dots: [
                    [dots::<1, 1, 4>, dots::<1, 2, 4>, dots::<1, 3, 2>, dots::<1, 4, 2>],
                    [dots::<2, 1, 2>, dots::<2, 2, 2>, dots::<2, 3, 1>, dots::<2, 4, 1>],
                    [dots::<3, 1, 2>, dots::<3, 2, 1>, dots::<3, 3, 1>, dots::<3, 4, 1>],
                    [dots::<4, 1, 2>, dots::<4, 2, 1>, dots::<4, 3, 1>, dots::<4, 4, 1>],
                ],
                combine: [
                    combine::<1>, combine::<2>, combine::<3>, combine::<4>,
                    combine::<5>, combine::<6>, combine::<7>, combine::<8>,
                ],
                block: 32 / size_of::<$E>(),
                transpose: $transpose,
            };
        }
    };
}

for_each_isa!(kernels);

/// A block's transpose in plain code.
///
/// # Safety
///
/// A block of 32 bytes a side can be read at `from` and written at `to`, in rows that far apart.
pub(in crate::backend::cpu) unsafe fn transpose<E: Copy>(from: *const E, from_row: usize, to: *mut E, to_row: usize) {
    let block = 32 / size_of::<E>();
    for j in 0..block {
        for i in 0..block {
            // SAFETY: i and j are inside the block.
            unsafe { *to.add(j * to_row + i) = *from.add(i * from_row + j) }
        }
    }
}

impl Kernel for f32 {
    #[inline]
    fn kernels(isa: Isa) -> &'static Kernels<f32> {
        choose_f32(isa)
    }

    #[inline]
    fn reduced(isa: Isa, sizes: (usize, usize, usize)) -> Option<Reduced<f32>> {
        reduced::reduced(isa, sizes)
    }
}

impl Kernel for f64 {
    #[inline]
    fn kernels(isa: Isa) -> &'static Kernels<f64> {
        choose_f64(isa)
    }
}
