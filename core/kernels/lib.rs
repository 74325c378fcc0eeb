//! The innermost loops of Plywood's products and convolutions on a CPU, compiled for each instruction set. The crate
//! `plywood` is what a program depends on; this one promises nothing, and is apart only so that it compiles beside the rest.

// All of it is either an instruction, or called with pointers.
#![allow(unsafe_code)]

#[cfg(feature = "conv")]
pub mod conv;
pub mod gemm;
mod isa;
#[cfg(target_arch = "aarch64")]
mod neon;
mod vector;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use isa::Isa;
#[cfg(target_arch = "aarch64")]
pub use neon::{F32x4, F64x2, transpose_pd, transpose_ps};
pub use vector::{Portable, Vector, end_streams, prefetch};
#[cfg(target_arch = "x86_64")]
pub use x86::{Bf16x32, F32x8, F32x16, F64x4, F64x8, transpose_pd, transpose_ps};

/// Element types that the kernels are compiled for.
pub trait Compiled: Sized + 'static {
    /// The kernels of products for an instruction set. Running them asks for a machine that has it.
    fn for_products(isa: Isa) -> &'static gemm::Kernels<Self>;

    /// The kernels of convolutions, likewise.
    #[cfg(feature = "conv")]
    fn for_convolutions(isa: Isa) -> &'static conv::Kernels<Self>;
}

macro_rules! compiled {
    ($($E:ident $choose:ident)*) => {$(
        impl Compiled for $E {
            #[inline]
            fn for_products(isa: Isa) -> &'static gemm::Kernels<$E> {
                gemm::$choose(isa)
            }

            #[cfg(feature = "conv")]
            #[inline]
            fn for_convolutions(isa: Isa) -> &'static conv::Kernels<$E> {
                conv::$choose(isa)
            }
        }
    )*};
}
compiled!(f32 choose_f32 f64 choose_f64);

/// The kernels of every instruction set, by a macro that makes those of one, and the choice between them. `Kernels` and `Isa`
/// are those of the module where it stands.
macro_rules! for_each_isa {
    ($kernels:ident) => {
        // Those for f32 are part of this crate; those for f64 are compiled into a program that computes in f64, and so
        // cost the others nothing.
        for_each_isa!($kernels static choose_f32 f32: 4 F32x8 F32x16 F32x4 transpose_ps);
        for_each_isa!($kernels const choose_f64 f64: 2 F64x4 F64x8 F64x2 transpose_pd);
    };
    ($kernels:ident $item:ident $choose:ident $E:ident: $lanes:literal $V256:ident $V512:ident $V128:ident $transpose:ident) => {
        #[inline]
        pub(crate) fn $choose(isa: Isa) -> &'static Kernels<$E> {
            $kernels!($item portable: $E, crate::Portable<$E, $lanes>, 8 registers, crate::transpose::<$E>);
            #[cfg(target_arch = "x86_64")]
            $kernels!($item avx2: $E, crate::$V256, 16 registers, crate::$transpose, "avx2,fma");
            #[cfg(target_arch = "x86_64")]
            $kernels!($item avx512: $E, crate::$V512, 32 registers, crate::$transpose, "avx512f,avx2,fma");
            #[cfg(target_arch = "aarch64")]
            $kernels!($item neon: $E, crate::$V128, 32 registers, crate::$transpose, "neon");
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
use for_each_isa;

/// `[[f::<1, 1>, f::<1, 2>], [f::<2, 1>, f::<2, 2>]]` of `f, [1 2] [1 2]`: tiles of so many rows and vectors.
macro_rules! tiles {
    ($tile:ident, [$($rows:literal)*] $vectors:tt) => { &[$(crate::tiles!($tile, $rows $vectors)),*] };
    ($tile:ident, $rows:literal [$($vectors:literal)*]) => { &[$($tile::<$rows, $vectors>),*] };
}
use tiles;

/// A block's transpose in plain code.
///
/// # Safety
///
/// A block of 32 bytes a side can be read at `from` and written at `to`, in rows that far apart.
pub unsafe fn transpose<E: Copy>(from: *const E, from_row: usize, to: *mut E, to_row: usize) {
    let block = 32 / size_of::<E>();
    for j in 0..block {
        for i in 0..block {
            // SAFETY: i and j are inside the block.
            unsafe { *to.add(j * to_row + i) = *from.add(i * from_row + j) }
        }
    }
}
