//! The innermost loops, written once in [`Vector`]s.
//!
//! Each is inlined into functions that are compiled for one instruction set (see [`super::Kernels`]); on its own, none runs
//! fast.

// Loops over indices: there are hundreds of these kernels, and with iterators they took the compiler a second longer.
#![allow(clippy::needless_range_loop)]

use crate::{Vector, prefetch};

/// One call of a kernel: `y = a · b` or `y += a · b` for a few rows and columns.
#[derive(Clone, Copy)]
pub struct Job<E> {
    /// The length of the sums.
    pub k: usize,
    /// Element (i, p) is at `i · a_row + p · a_col`.
    pub a: *const E,
    pub a_row: usize,
    pub a_col: usize,
    /// In [`tile`] and [`combine`] row p begins at `p · b_step`; in [`dots`] column j does at `j · b_step`.
    pub b: *const E,
    pub b_step: usize,
    /// Row i begins at `i · y_row`.
    pub y: *mut E,
    pub y_row: usize,
    /// In [`tile`], what will be used after y, in rows that are as far apart; any address will do.
    pub beside: *const E,
    /// The columns of y: in [`tile`] those in the last vector, in [`combine`] all.
    pub columns: usize,
    /// Whether what is in y belongs to the sums.
    pub adds: bool,
}

/// How many steps ahead the factors of a tile are asked for, those of one row a step: the processor does not foresee the
/// beginnings of so many rows.
const AHEAD: usize = 24;
/// The same where the factors of a step lie together. Those of the next steps are often a multiple of 4 KiB away, in lines that
/// share one set of the first cache, which holds 8 or 12 of them: what is asked for earlier is gone before it is used.
const AHEAD_TOGETHER: usize = 2;
/// The most rows of a tile, rounded up to a power of two.
const MOST_ROWS: usize = 8;

/// A tile of y, R rows by C vectors, the last of them perhaps in part: sums of outer products.
///
/// # Safety
///
/// The machine has V's instructions; `a` holds R rows of `k`, `b` `k` rows of C whole vectors (of anything, where the
/// last is not whole in y), `y` R rows of C - 1 vectors and `columns` elements, `1 ≤ columns ≤ LANES`.
#[inline(always)]
pub unsafe fn tile<V: Vector, const R: usize, const C: usize>(job: &Job<V::E>) {
    let Job { k, mut a, a_row, a_col, mut b, b_step, y, y_row, beside, columns, adds } = *job;
    let ask = |i: usize, c: usize| {
        prefetch(y.wrapping_add(i * y_row + c * V::LANES));
        prefetch(beside.wrapping_add(i * y_row + c * V::LANES));
    };
    // The lines of y are asked for one a step, and as late as that: a long sum would push them out of the first cache. Those of
    // a single vector a row are few, and its steps too short to ask in.
    let late = if C > 1 { k.saturating_sub(MOST_ROWS * C) } else { 0 };
    if late == 0 {
        for i in 0..R {
            for c in 0..C {
                ask(i, c);
            }
        }
    }
    let ahead = a_col.wrapping_mul(if a_row == 1 { AHEAD_TOGETHER } else { AHEAD });
    // SAFETY: the caller's contract: every offset below is inside the matrices it describes. The pointers step with
    // wrapping arithmetic because the last step leaves them.
    unsafe {
        let mut sums = [[V::zero(); C]; R];
        for p in 0..k {
            prefetch(a.wrapping_add(ahead + p % MOST_ROWS * a_row));
            if late > 0 && p >= late {
                ask((p - late) % MOST_ROWS, (p - late) / MOST_ROWS);
            }
            let mut columns = [V::zero(); C];
            for c in 0..C {
                columns[c] = V::load(b.add(c * V::LANES));
            }
            for i in 0..R {
                let factor = V::splat(*a.add(i * a_row));
                for c in 0..C {
                    sums[i][c] = factor.mul_add(columns[c], sums[i][c]);
                }
            }
            a = a.wrapping_add(a_col);
            b = b.wrapping_add(b_step);
        }
        let whole = columns == V::LANES;
        for i in 0..R {
            for c in 0..C {
                let (y, sum) = (y.add(i * y_row + c * V::LANES), sums[i][c]);
                match (c + 1 < C || whole, adds) {
                    (true, true) => V::load(y).add(sum).store(y),
                    (true, false) => sum.store(y),
                    (false, true) => V::load_first(y, columns).add(sum).store_first(y, columns),
                    (false, false) => sum.store_first(y, columns),
                }
            }
        }
    }
}

/// R rows by C columns of y as dot products: both operands lie along the sum. U vectors of each are under way at once.
///
/// # Safety
///
/// The machine has V's instructions; `a` holds R rows of `k` (`a_col` is 1), `b` C columns of `k`, `y` R rows of C.
#[inline(always)]
pub unsafe fn dots<V: Vector, const R: usize, const C: usize, const U: usize>(job: &Job<V::E>)
where
    V::E: core::ops::Add<Output = V::E>,
{
    let Job { k, a, a_row, b, b_step, y, y_row, adds, .. } = *job;
    // SAFETY: the caller's contract; every load ends at or before `k`.
    unsafe {
        let mut sums = [[[V::zero(); C]; R]; U];
        let mut p = 0;
        while p + U * V::LANES <= k {
            for u in 0..U {
                step::<V, R, C>(
                    &mut sums[u],
                    |i, step| V::load(i.add(p + u * V::LANES + step)),
                    (a, a_row),
                    (b, b_step),
                );
            }
            p += U * V::LANES;
        }
        while p < k {
            let count = V::LANES.min(k - p);
            step::<V, R, C>(&mut sums[0], |i, step| V::load_first(i.add(p + step), count), (a, a_row), (b, b_step));
            p += V::LANES;
        }
        for i in 0..R {
            for j in 0..C {
                let mut sum = sums[0][i][j];
                for u in 1..U {
                    sum = sum.add(sums[u][i][j]);
                }
                let y = y.add(i * y_row + j);
                *y = if adds { *y + sum.sum() } else { sum.sum() };
            }
        }
    }
}

/// One vector along the sum of [`dots`]; `load` takes the operand and the offset of its row or column.
///
/// # Safety
///
/// As [`dots`].
#[inline(always)]
unsafe fn step<V: Vector, const R: usize, const C: usize>(
    sums: &mut [[V; C]; R],
    load: impl Fn(*const V::E, usize) -> V,
    (a, a_row): (*const V::E, usize),
    (b, b_col): (*const V::E, usize),
) {
    // SAFETY: the caller's contract.
    unsafe {
        let mut columns = [V::zero(); C];
        for j in 0..C {
            columns[j] = load(b, j * b_col);
        }
        for i in 0..R {
            let row = load(a, i * a_row);
            for j in 0..C {
                sums[i][j] = row.mul_add(columns[j], sums[i][j]);
            }
        }
    }
}

/// One row of y, any number of columns: a sum of P rows of b, each with its factor from a.
///
/// # Safety
///
/// The machine has V's instructions; `a` holds a row of P, `b` P rows of `columns`, `y` a row of `columns`.
#[inline(always)]
pub unsafe fn combine<V: Vector, const P: usize>(job: &Job<V::E>) {
    let Job { a, a_col, b, b_step, y, columns, adds, .. } = *job;
    // SAFETY: the caller's contract; whole vectors end at or before `columns`.
    unsafe {
        let mut factors = [V::zero(); P];
        for p in 0..P {
            factors[p] = V::splat(*a.add(p * a_col));
        }
        let mut j = 0;
        while j + V::LANES <= columns {
            let mut sum = if adds { V::load(y.add(j)) } else { V::zero() };
            for p in 0..P {
                sum = factors[p].mul_add(V::load(b.add(p * b_step + j)), sum);
            }
            sum.store(y.add(j));
            j += V::LANES;
        }
        if j < columns {
            let mut sum = if adds { V::load_first(y.add(j), columns - j) } else { V::zero() };
            for p in 0..P {
                sum = factors[p].mul_add(V::load_first(b.add(p * b_step + j), columns - j), sum);
            }
            sum.store_first(y.add(j), columns - j);
        }
    }
}

/// A row of y as by [`combine`] of one row of b, past the caches: for a y that none of them holds, of which otherwise every
/// line would be read before it is written. [`crate::end_streams`] comes after.
///
/// # Safety
///
/// As [`combine`] of one row; `adds` is not asked for.
#[inline(always)]
pub unsafe fn stream<V: Vector>(job: &Job<V::E>) {
    let Job { a, b, y, columns, .. } = *job;
    let aligned = y.align_offset(V::LANES * size_of::<V::E>()).min(columns);
    // SAFETY: the caller's contract; what is aligned are whole vectors, and they end at or before `columns`.
    unsafe {
        let factor = V::splat(*a);
        let part = |j: usize, n: usize| {
            if n > 0 {
                factor.mul_add(V::load_first(b.add(j), n), V::zero()).store_first(y.add(j), n);
            }
        };
        part(0, aligned);
        let mut j = aligned;
        while j + V::LANES <= columns {
            factor.mul_add(V::load(b.add(j)), V::zero()).stream(y.add(j));
            j += V::LANES;
        }
        part(j, columns - j);
    }
}
