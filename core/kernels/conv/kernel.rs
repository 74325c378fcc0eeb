//! The innermost loops, written once in [`Vector`]s and compiled for each instruction set (see [`super::Kernels`]).

// Loops over indices: there are hundreds of these kernels, and with iterators they took the compiler a second longer.
#![allow(clippy::needless_range_loop)]

use crate::Vector;

/// One call of [`correlate`].
pub struct Correlate<E> {
    /// The channels of the input.
    pub channels: usize,
    /// The distances of the taps from a pixel.
    pub taps: *const usize,
    pub tap_count: usize,
    /// The weights: for each channel, for each tap, one for each row of y.
    pub a: *const E,
    /// The first pixel in the first channel, and the distance of two channels.
    pub b: *const E,
    pub plane: usize,
    /// What each row of y begins with.
    pub bias: *const E,
    /// Row i begins at `i · y_row`.
    pub y: *mut E,
    pub y_row: usize,
}

/// R output channels of C vectors of neighbouring pixels: `y = bias + Σ a · b`.
///
/// # Safety
///
/// The machine has V's instructions; every tap of every channel of all pixels can be read, and all of y written.
#[inline(always)]
pub unsafe fn correlate<V: Vector, const R: usize, const C: usize>(job: &Correlate<V::E>) {
    let Correlate { channels, taps, tap_count, mut a, mut b, plane, bias, y, y_row } = *job;
    // SAFETY: the caller's contract. The pointers step with wrapping arithmetic because the last step leaves the memory.
    unsafe {
        let mut sums = [[V::zero(); C]; R];
        for i in 0..R {
            sums[i] = [V::splat(*bias.add(i)); C];
        }
        for _ in 0..channels {
            for t in 0..tap_count {
                let at = b.add(*taps.add(t));
                let mut pixels = [V::zero(); C];
                for c in 0..C {
                    pixels[c] = V::load(at.add(c * V::LANES));
                }
                for i in 0..R {
                    let weight = V::splat(*a.add(i));
                    for c in 0..C {
                        sums[i][c] = weight.mul_add(pixels[c], sums[i][c]);
                    }
                }
                a = a.wrapping_add(R);
            }
            b = b.wrapping_add(plane);
        }
        for i in 0..R {
            for c in 0..C {
                sums[i][c].store(y.add(i * y_row + c * V::LANES));
            }
        }
    }
}

/// One call of [`products`] or [`in_pixels`].
pub struct Reduce<E> {
    /// The images, lines and columns to sum over.
    pub images: usize,
    pub size: (usize, usize),
    /// The factor of row i is `i · a_row` from that of the first; of two lines, `a_line`; of two images, `a_image`. Along a
    /// line it lies as `steps` say. (For [`in_pixels`], there is one image, and `a` is dense.)
    pub a: *const E,
    pub a_row: usize,
    pub steps: *const usize,
    pub a_line: usize,
    pub a_image: usize,
    /// The distances of the vectors from the first, of two lines and of two images.
    pub b: *const E,
    pub offsets: *const usize,
    pub b_line: usize,
    pub b_image: usize,
    /// What is added to: vector c of row i is at `i · start_row + c · LANES`.
    pub start: *const E,
    pub start_row: usize,
    /// Vector c of row i is at `i · y_row + c · LANES`.
    pub y: *mut E,
    pub y_row: usize,
}

/// R rows of C vectors: `y[i] = start[i] + Σ a[i] · b`, an element times a vector, which lies LANES from the next of its line.
///
/// For the gradient of the weights, the rows are output channels, a vector holds input channels, and the sum is over the
/// pixels. For an output, the rows are neighbouring pixels, a vector holds output channels, and the sum is over the
/// channels (the lines) and the taps.
///
/// # Safety
///
/// The machine has V's instructions; `a` holds R factors and `b` C vectors for every term; `start` can be read and
/// `y` written.
#[inline(always)]
pub unsafe fn products<V: Vector, const R: usize, const C: usize>(job: &Reduce<V::E>) {
    let Reduce {
        images, size: (lines, columns), a, a_row, steps, a_line, a_image, b, offsets, b_line, b_image, ..
    } = *job;
    // SAFETY: the caller's contract.
    unsafe {
        let mut sums = start::<V, R, C>(job);
        for n in 0..images {
            let mut a = a.add(n * a_image);
            let mut vectors = [b; C];
            for c in 0..C {
                vectors[c] = b.add(n * b_image + *offsets.add(c));
            }
            for _ in 0..lines {
                for j in 0..columns {
                    let at = a.add(*steps.add(j));
                    let mut inputs = [V::zero(); C];
                    for c in 0..C {
                        inputs[c] = V::load(vectors[c].add(j * V::LANES));
                    }
                    for i in 0..R {
                        let factor = V::splat(*at.add(i * a_row));
                        for c in 0..C {
                            sums[i][c] = factor.mul_add(inputs[c], sums[i][c]);
                        }
                    }
                }
                a = a.wrapping_add(a_line);
                for c in 0..C {
                    vectors[c] = vectors[c].wrapping_add(b_line);
                }
            }
        }
        store::<V, R, C>(&sums, job);
    }
}

/// R output channels by C weights, each a vector of partial sums: a vector holds neighbouring pixels.
///
/// # Safety
///
/// As [`products`], for one image whose lines of `a` are dense.
#[inline(always)]
pub unsafe fn in_pixels<V: Vector, const R: usize, const C: usize>(job: &Reduce<V::E>) {
    let Reduce { size: (lines, columns), mut a, a_row, b, offsets, b_line, .. } = *job;
    // SAFETY: the caller's contract; loads end with the columns.
    unsafe {
        let mut sums = start::<V, R, C>(job);
        let mut vectors = [b; C];
        for c in 0..C {
            vectors[c] = b.add(*offsets.add(c));
        }
        for _ in 0..lines {
            let mut j = 0;
            while j + V::LANES <= columns {
                multiply::<V, R, C>(&mut sums, |from| V::load(from.add(j)), a, a_row, &vectors);
                j += V::LANES;
            }
            if j < columns {
                multiply::<V, R, C>(&mut sums, |from| V::load_first(from.add(j), columns - j), a, a_row, &vectors);
            }
            a = a.wrapping_add(columns);
            for c in 0..C {
                vectors[c] = vectors[c].wrapping_add(b_line);
            }
        }
        store::<V, R, C>(&sums, job);
    }
}

/// # Safety
///
/// As [`in_pixels`], with a `load` that stays inside its row.
#[inline(always)]
unsafe fn multiply<V: Vector, const R: usize, const C: usize>(
    sums: &mut [[V; C]; R],
    load: impl Fn(*const V::E) -> V,
    a: *const V::E,
    a_row: usize,
    vectors: &[*const V::E; C],
) {
    // SAFETY: the caller's contract.
    unsafe {
        let mut inputs = [V::zero(); C];
        for c in 0..C {
            inputs[c] = load(vectors[c]);
        }
        for i in 0..R {
            let factor = load(a.add(i * a_row));
            for c in 0..C {
                sums[i][c] = factor.mul_add(inputs[c], sums[i][c]);
            }
        }
    }
}

/// # Safety
///
/// As [`products`].
#[inline(always)]
unsafe fn start<V: Vector, const R: usize, const C: usize>(job: &Reduce<V::E>) -> [[V; C]; R] {
    // SAFETY: the caller's contract.
    unsafe {
        let mut sums = [[V::zero(); C]; R];
        for i in 0..R {
            for c in 0..C {
                sums[i][c] = V::load(job.start.add(i * job.start_row + c * V::LANES));
            }
        }
        sums
    }
}

/// # Safety
///
/// As [`products`].
#[inline(always)]
unsafe fn store<V: Vector, const R: usize, const C: usize>(sums: &[[V; C]; R], job: &Reduce<V::E>) {
    for i in 0..R {
        for c in 0..C {
            // SAFETY: the caller's contract.
            unsafe { sums[i][c].store(job.y.add(i * job.y_row + c * V::LANES)) }
        }
    }
}

/// Copies rows of elements: (from, distance of its rows), (to, distance of its rows), (rows, columns).
///
/// # Safety
///
/// The machine has V's instructions; the rows can be read and written.
#[inline(always)]
pub unsafe fn copy<V: Vector>(
    (from, from_row): (*const V::E, usize),
    (to, to_row): (*mut V::E, usize),
    (rows, columns): (usize, usize),
) {
    let whole = columns / V::LANES * V::LANES;
    for i in 0..rows {
        // SAFETY: the caller's contract; j stays below `columns`.
        unsafe {
            let (from, to) = (from.add(i * from_row), to.add(i * to_row));
            for j in (0..whole).step_by(V::LANES) {
                V::load(from.add(j)).store(to.add(j));
            }
            if whole < columns {
                V::load_first(from.add(whole), columns - whole).store_first(to.add(whole), columns - whole);
            }
        }
    }
}

/// Turns rows of vectors into the sums of their lanes.
///
/// # Safety
///
/// The machine has V's instructions; `count` vectors can be read at `from` and as many elements written at `to`.
#[inline(always)]
pub unsafe fn sum_lanes<V: Vector>(from: *const V::E, to: *mut V::E, count: usize) {
    for i in 0..count {
        // SAFETY: the caller's contract.
        unsafe { *to.add(i) = V::load(from.add(i * V::LANES)).sum() }
    }
}
