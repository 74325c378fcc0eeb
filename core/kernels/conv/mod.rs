//! The kernels of convolutions, compiled for each instruction set.

pub mod kernel;

use crate::{Isa, Vector, for_each_isa};
use kernel::{Correlate, Reduce};

/// `tiles[r - 1][c - 1]`: a kernel of r rows and c vectors.
pub type Tiles<J> = &'static [&'static [unsafe fn(&J)]];

/// (from, distance of its rows), (to, distance of its rows), (rows, columns).
pub type Copy<E> = unsafe fn((*const E, usize), (*mut E, usize), (usize, usize));

/// The kernels of one instruction set for one element type.
pub struct Kernels<E: 'static> {
    /// The elements of a vector.
    pub lanes: usize,
    /// [`kernel::correlate`].
    pub correlate: Tiles<Correlate<E>>,
    /// [`kernel::products`].
    pub products: Tiles<Reduce<E>>,
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

/// Tiles as large as so many registers can hold besides their factors.
macro_rules! tiles {
    ($tile:ident, 8) => { crate::tiles!($tile, [1 2 3 4] [1 2]) };
    ($tile:ident, 16) => { crate::tiles!($tile, [1 2 3 4 5 6] [1 2]) };
    // Eight rows, because channels often come in eights.
    ($tile:ident, 32) => { crate::tiles!($tile, [1 2 3 4 5 6 7 8] [1 2 3]) };
}

macro_rules! kernels {
    ($item:ident $name:ident: $E:ty, $V:ty, $registers:tt registers, $transpose:path $(, $features:literal)?) => {
        mod $name {
            use super::*;

            // In all of them, SAFETY: the caller's contract is the kernel's, and the features are the vector's.

            $(#[target_feature(enable = $features)])?
            unsafe fn correlate<const R: usize, const C: usize>(job: &Correlate<$E>) {
                // SAFETY: see above.
                unsafe { kernel::correlate::<$V, R, C>(job) }
            }

            $(#[target_feature(enable = $features)])?
            unsafe fn products<const R: usize, const C: usize>(job: &Reduce<$E>) {
                // SAFETY: see above.
                unsafe { kernel::products::<$V, R, C>(job) }
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
                correlate: tiles!(correlate, $registers),
                products: tiles!(products, $registers),
                in_pixels: tiles!(in_pixels, $registers),
                copy,
                sum_lanes,
                block: 32 / size_of::<$E>(),
                transpose: $transpose,
            };
        }
    };
}

for_each_isa!(kernels);
