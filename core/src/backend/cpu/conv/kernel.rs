//! The innermost loops, written once in [`Vector`]s and compiled for each instruction set (see [`super::isa`]).

use crate::backend::cpu::gemm::Vector;

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
pub(super) unsafe fn correlate<V: Vector, const R: usize, const C: usize>(job: &Correlate<V::E>) {
    let Correlate { channels, taps, tap_count, mut a, mut b, plane, bias, y, y_row } = *job;
    // SAFETY: the caller's contract. The pointers step with wrapping arithmetic because the last step leaves the memory.
    unsafe {
        let mut sums = [[V::zero(); C]; R];
        for (i, sums) in sums.iter_mut().enumerate() {
            *sums = [V::splat(*bias.add(i)); C];
        }
        for _ in 0..channels {
            for t in 0..tap_count {
                let at = b.add(*taps.add(t));
                let mut pixels = [V::zero(); C];
                for (c, pixels) in pixels.iter_mut().enumerate() {
                    *pixels = V::load(at.add(c * V::LANES));
                }
                for (i, sums) in sums.iter_mut().enumerate() {
                    let weight = V::splat(*a.add(i));
                    for (sum, pixels) in sums.iter_mut().zip(pixels) {
                        *sum = weight.mul_add(pixels, *sum);
                    }
                }
                a = a.wrapping_add(R);
            }
            b = b.wrapping_add(plane);
        }
        for (i, sums) in sums.iter().enumerate() {
            for (c, sum) in sums.iter().enumerate() {
                sum.store(y.add(i * y_row + c * V::LANES));
            }
        }
    }
}

/// One call of [`over_pixels`] or [`in_pixels`].
pub struct Reduce<E> {
    /// The rows and columns of pixels to sum over.
    pub size: (usize, usize),
    /// Channel i of the output's gradient begins at `i · a_row`; its pixels are dense.
    pub a: *const E,
    pub a_row: usize,
    /// The distances of the vectors of the input from its first pixel, and of two of its rows.
    pub b: *const E,
    pub offsets: *const usize,
    pub b_line: usize,
    /// Vector c of row i is at `i · y_row + c · LANES`.
    pub y: *mut E,
    pub y_row: usize,
}

/// R output channels by C vectors of weights: a vector holds input channels, and lies LANES from that of the next pixel.
///
/// # Safety
///
/// The machine has V's instructions; `a` holds R channels and `b` C vectors for every pixel; `y` can be read and written.
#[inline(always)]
pub(super) unsafe fn over_pixels<V: Vector, const R: usize, const C: usize>(job: &Reduce<V::E>) {
    let Reduce { size: (rows, columns), mut a, a_row, b, offsets, b_line, y, y_row } = *job;
    // SAFETY: the caller's contract.
    unsafe {
        let mut sums = [[V::zero(); C]; R];
        let mut vectors = [b; C];
        for (c, vector) in vectors.iter_mut().enumerate() {
            *vector = b.add(*offsets.add(c));
        }
        for _ in 0..rows {
            for j in 0..columns {
                let mut inputs = [V::zero(); C];
                for (input, vector) in inputs.iter_mut().zip(vectors) {
                    *input = V::load(vector.add(j * V::LANES));
                }
                for (i, sums) in sums.iter_mut().enumerate() {
                    let factor = V::splat(*a.add(i * a_row));
                    for (sum, input) in sums.iter_mut().zip(inputs) {
                        *sum = factor.mul_add(input, *sum);
                    }
                }
                a = a.wrapping_add(1);
            }
            vectors = vectors.map(|vector| vector.wrapping_add(b_line));
        }
        add_to::<V, R, C>(&sums, y, y_row);
    }
}

/// R output channels by C weights, each a vector of partial sums: a vector holds neighbouring pixels.
///
/// # Safety
///
/// As [`over_pixels`].
#[inline(always)]
pub(super) unsafe fn in_pixels<V: Vector, const R: usize, const C: usize>(job: &Reduce<V::E>) {
    let Reduce { size: (rows, columns), mut a, a_row, b, offsets, b_line, y, y_row } = *job;
    // SAFETY: the caller's contract; loads end with the columns.
    unsafe {
        let mut sums = [[V::zero(); C]; R];
        let mut vectors = [b; C];
        for (c, vector) in vectors.iter_mut().enumerate() {
            *vector = b.add(*offsets.add(c));
        }
        for _ in 0..rows {
            let mut j = 0;
            while j + V::LANES <= columns {
                multiply::<V, R, C>(&mut sums, |from| V::load(from.add(j)), a, a_row, &vectors);
                j += V::LANES;
            }
            if j < columns {
                multiply::<V, R, C>(&mut sums, |from| V::load_first(from.add(j), columns - j), a, a_row, &vectors);
            }
            a = a.wrapping_add(columns);
            vectors = vectors.map(|vector| vector.wrapping_add(b_line));
        }
        add_to::<V, R, C>(&sums, y, y_row);
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
        for (input, vector) in inputs.iter_mut().zip(vectors) {
            *input = load(*vector);
        }
        for (i, sums) in sums.iter_mut().enumerate() {
            let factor = load(a.add(i * a_row));
            for (sum, input) in sums.iter_mut().zip(inputs) {
                *sum = factor.mul_add(input, *sum);
            }
        }
    }
}

/// # Safety
///
/// The machine has V's instructions, and all vectors of y can be read and written.
#[inline(always)]
unsafe fn add_to<V: Vector, const R: usize, const C: usize>(sums: &[[V; C]; R], y: *mut V::E, y_row: usize) {
    for (i, sums) in sums.iter().enumerate() {
        for (c, sum) in sums.iter().enumerate() {
            // SAFETY: the caller's contract.
            unsafe {
                let y = y.add(i * y_row + c * V::LANES);
                V::load(y).add(*sum).store(y);
            }
        }
    }
}

/// Copies rows of elements: (from, distance of its rows), (to, distance of its rows), (rows, columns).
///
/// # Safety
///
/// The machine has V's instructions; the rows can be read and written.
#[inline(always)]
pub(super) unsafe fn copy<V: Vector>(
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
pub(super) unsafe fn sum_lanes<V: Vector>(from: *const V::E, to: *mut V::E, count: usize) {
    for i in 0..count {
        // SAFETY: the caller's contract.
        unsafe { *to.add(i) = V::load(from.add(i * V::LANES)).sum() }
    }
}
