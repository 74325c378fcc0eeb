//! The kernels of the matrix product, compiled for each instruction set.

pub mod kernel;

use crate::{Isa, Vector, for_each_isa};
use kernel::Job;

/// A kernel of [`kernel`] for one instruction set.
pub type Run<E> = unsafe fn(&Job<E>);

/// The most rows of b that [`kernel::combine`] takes at once.
pub const COMBINED: usize = 8;

/// The kernels of one instruction set for one element type.
pub struct Kernels<E: 'static> {
    /// The elements of a vector.
    pub lanes: usize,
    /// `tiles[r - 1][c - 1]`: [`kernel::tile`] of r rows and c vectors.
    pub tiles: &'static [&'static [Run<E>]],
    /// `dots[r - 1][c - 1]`: [`kernel::dots`] of r rows and c columns, of which there may be fewer for more rows.
    pub dots: &'static [&'static [Run<E>]],
    /// `combine[p - 1]`: [`kernel::combine`] of p rows.
    pub combine: [Run<E>; COMBINED],
    /// [`kernel::stream`].
    pub stream: Run<E>,
    /// The side of what `transpose` transposes.
    pub block: usize,
    /// `to[j, i] = from[i, j]` of a square block: `from`, the distance of its rows, `to`, the distance of its rows.
    pub transpose: unsafe fn(*const E, usize, *mut E, usize),
}

/// Tiles as large as so many registers can hold besides their factors.
macro_rules! tiles {
    ($tile:ident, 8) => { crate::tiles!($tile, [1 2 3 4] [1 2]) };
    ($tile:ident, 16) => { crate::tiles!($tile, [1 2 3 4 5 6] [1 2]) };
    ($tile:ident, 32) => { crate::tiles!($tile, [1 2 3 4 5 6] [1 2 3 4]) };
}

/// Dot products, of which so many registers can hold the sums besides a row's and the columns' vectors.
macro_rules! dots {
    ($dots:ident, 8) => { &[dots!($dots, one row), &[$dots::<2, 1, 2>, $dots::<2, 2, 2>]] };
    ($dots:ident, 16) => {
        &[
            dots!($dots, one row),
            dots!($dots, two rows),
            &[$dots::<3, 1, 2>, $dots::<3, 2, 1>, $dots::<3, 3, 1>],
        ]
    };
    ($dots:ident, 32) => {
        &[
            dots!($dots, one row),
            dots!($dots, two rows),
            &[$dots::<3, 1, 2>, $dots::<3, 2, 1>, $dots::<3, 3, 1>, $dots::<3, 4, 1>],
            &[$dots::<4, 1, 2>, $dots::<4, 2, 1>, $dots::<4, 3, 1>, $dots::<4, 4, 1>],
        ]
    };
    ($dots:ident, one row) => { &[$dots::<1, 1, 4>, $dots::<1, 2, 4>, $dots::<1, 3, 2>, $dots::<1, 4, 2>] };
    ($dots:ident, two rows) => { &[$dots::<2, 1, 2>, $dots::<2, 2, 2>, $dots::<2, 3, 1>, $dots::<2, 4, 1>] };
}

macro_rules! kernels {
    ($item:ident $name:ident: $E:ty, $V:ty, $registers:tt registers, $transpose:path $(, $features:literal)?) => {
        mod $name {
            use super::*;

            // In all of them, SAFETY: the caller's contract is the kernel's, and the features are the vector's.

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

            $(#[target_feature(enable = $features)])?
            unsafe fn stream(job: &Job<$E>) {
                // SAFETY: see above.
                unsafe { kernel::stream::<$V>(job) }
            }

            pub(super) $item KERNELS: Kernels<$E> = Kernels {
                lanes: <$V as Vector>::LANES,
                tiles: tiles!(tile, $registers),
                dots: dots!(dots, $registers),
                combine: [
                    combine::<1>, combine::<2>, combine::<3>, combine::<4>,
                    combine::<5>, combine::<6>, combine::<7>, combine::<8>,
                ],
                stream,
                block: 32 / size_of::<$E>(),
                transpose: $transpose,
            };
        }
    };
}

for_each_isa!(kernels);
