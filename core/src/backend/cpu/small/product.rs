//! The products of a small layer, and the sums of columns.

use crate::backend::cpu::is_inside;
use crate::backend::cpu::simd::Simd;
use crate::element::Float;
use crate::nn::Activation;
#[cfg(target_arch = "aarch64")]
use plywood_kernels::{F32x4, F64x2};
#[cfg(target_arch = "x86_64")]
use plywood_kernels::{F32x8, F32x16, F64x4, F64x8};
use plywood_kernels::{Portable, Vector};
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use plywood_kernels::{transpose_pd, transpose_ps};

/// The operands of `y[m, n] = init + a[m, k] · b[k, n]`.
pub(super) struct Product<'a, E> {
    /// Element (i, p) is `a[i · a_row + p · a_col]`.
    pub(super) a: &'a [E],
    pub(super) a_row: usize,
    pub(super) a_col: usize,
    /// Row-major, its rows `b_row` apart.
    pub(super) b: &'a [E],
    pub(super) b_row: usize,
    /// Row-major, for the `m · n` elements that are written.
    pub(super) y: &'a mut [E],
    /// What each row of y begins with, if not with zeros.
    pub(super) init: Option<&'a [E]>,
    pub(super) sizes: (usize, usize, usize),
}

/// Element types with small products.
#[doc(hidden)]
#[allow(private_interfaces)]
pub trait Small: Sized {
    fn product<S: Simd, A: Activation>(job: Product<'_, Self>);
    fn dots<S: Simd, A: Activation>(job: Product<'_, Self>);
    fn column_sums<S: Simd>(b: &[Self], y: &mut [Self]);
    /// `to[cols, rows] = from[rows, cols]ᵀ`.
    fn transpose<S: Simd>(from: &[Self], to: &mut [Self], sizes: (usize, usize));
}

macro_rules! small {
    ($E:ident, Portable<$lanes:literal>, $V128:ident, $V256:ident<$half:literal>, $V512:ident, $transpose:ident) => {
        #[allow(private_interfaces)]
        impl Small for $E {
            // In all of these, SAFETY: the slices hold what the sizes say, and code that is compiled for S runs where S is.

            #[cfg_attr(not(debug_assertions), inline(always))]
            fn product<S: Simd, A: Activation>(job: Product<'_, $E>) {
                check(&job, false);
                // SAFETY: see above.
                unsafe {
                    #[cfg(target_arch = "x86_64")]
                    if S::AVX512 {
                        if job.sizes.2 > $half {
                            return product::<$V512, A, 4>(job);
                        }
                        return product::<$V256, A, 4>(job);
                    }
                    #[cfg(target_arch = "x86_64")]
                    if S::AVX2 {
                        return product::<$V256, A, 2>(job);
                    }
                    #[cfg(target_arch = "aarch64")]
                    if S::NEON {
                        return product::<$V128, A, 4>(job);
                    }
                    product::<Portable<$E, $lanes>, A, 2>(job);
                }
            }

            #[cfg_attr(not(debug_assertions), inline(always))]
            fn dots<S: Simd, A: Activation>(job: Product<'_, $E>) {
                check(&job, true);
                // SAFETY: see above.
                unsafe {
                    #[cfg(target_arch = "x86_64")]
                    if S::AVX512 && job.sizes.1 > $half {
                        return dots::<$V512, A>(job);
                    }
                    #[cfg(target_arch = "x86_64")]
                    if S::AVX2 {
                        return dots::<$V256, A>(job);
                    }
                    #[cfg(target_arch = "aarch64")]
                    if S::NEON {
                        return dots::<$V128, A>(job);
                    }
                    dots::<Portable<$E, $lanes>, A>(job);
                }
            }

            #[cfg_attr(not(debug_assertions), inline(always))]
            fn column_sums<S: Simd>(b: &[$E], y: &mut [$E]) {
                // SAFETY: see above.
                unsafe {
                    #[cfg(target_arch = "x86_64")]
                    if S::AVX512 && y.len() > $half {
                        return column_sums::<$V512>(b, y);
                    }
                    #[cfg(target_arch = "x86_64")]
                    if S::AVX2 {
                        return column_sums::<$V256>(b, y);
                    }
                    #[cfg(target_arch = "aarch64")]
                    if S::NEON {
                        return column_sums::<$V128>(b, y);
                    }
                    column_sums::<Portable<$E, $lanes>>(b, y);
                }
            }

            #[cfg_attr(not(debug_assertions), inline(always))]
            fn transpose<S: Simd>(from: &[$E], to: &mut [$E], (rows, cols): (usize, usize)) {
                assert!(from.len() >= rows * cols && to.len() >= rows * cols, "a matrix to transpose is too short");
                let blocks = (S::AVX2 || S::NEON) && rows >= $half && cols >= $half;
                let whole = if blocks { (rows - rows % $half, cols - cols % $half) } else { (0, 0) };
                #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
                if blocks {
                    for i in (0..whole.0).step_by($half) {
                        for j in (0..whole.1).step_by($half) {
                            // SAFETY: the block at (i, j) is inside of the matrix.
                            unsafe {
                                let from = from.as_ptr().add(i * cols + j);
                                $transpose(from, cols, to.as_mut_ptr().add(j * rows + i), rows);
                            }
                        }
                    }
                }
                for j in 0..cols {
                    for i in if j < whole.1 { whole.0 } else { 0 }..rows {
                        to[j * rows + i] = from[i * cols + j];
                    }
                }
            }
        }
    };
}

small!(f32, Portable<4>, F32x4, F32x8<8>, F32x16, transpose_ps);
small!(f64, Portable<2>, F64x2, F64x4<4>, F64x8, transpose_pd);

#[inline(always)]
fn check<E>(job: &Product<'_, E>, transposed: bool) {
    let (m, k, n) = job.sizes;
    let (b_rows, b_cols) = if transposed { (n, k) } else { (k, n) };
    assert!(
        m.checked_mul(n).is_some_and(|numel| job.y.len() >= numel)
            && job.init.is_none_or(|init| init.len() >= n)
            && is_inside(job.a.len(), (m, k), (job.a_row, job.a_col))
            && is_inside(job.b.len(), (b_rows, b_cols), (job.b_row, 1)),
        "operands of a small layer are too short"
    );
}

/// `y = A(init + a · b)`, in tiles of 4 rows and up to C vectors, then of single rows.
///
/// # Safety
///
/// As of the others below: the machine has V's instructions, and [`check`] has found the operands long enough.
#[inline(always)]
unsafe fn product<V: Vector, A: Activation, const C: usize>(mut job: Product<'_, V::E>)
where
    V::E: Float,
{
    let n = job.sizes.2;
    let mut column = 0;
    // SAFETY: the columns from `column` on are more than what the vectors but the last take.
    unsafe {
        while C > 2 && n - column > 2 * V::LANES {
            if n - column > 3 * V::LANES {
                columns::<V, A, 4>(&mut job, column);
            } else {
                columns::<V, A, 3>(&mut job, column);
            }
            column = n.min(column + 4 * V::LANES);
        }
        while n - column > V::LANES {
            columns::<V, A, 2>(&mut job, column);
            column = n.min(column + 2 * V::LANES);
        }
        if n > column {
            columns::<V, A, 1>(&mut job, column);
        }
    }
}

#[cfg_attr(not(debug_assertions), inline(always))]
unsafe fn columns<V: Vector, A: Activation, const C: usize>(job: &mut Product<'_, V::E>, column: usize)
where
    V::E: Float,
{
    let m = job.sizes.0;
    let mut row = 0;
    // SAFETY: there are as many rows from `row` on.
    unsafe {
        while row + 4 <= m {
            tile::<V, A, 4, C>(job, row, column);
            row += 4;
        }
        while row < m {
            tile::<V, A, 1, C>(job, row, column);
            row += 1;
        }
    }
}

#[inline(always)]
unsafe fn tile<V: Vector, A: Activation, const R: usize, const C: usize>(
    job: &mut Product<'_, V::E>,
    row: usize,
    column: usize,
) where
    V::E: Float,
{
    let (_, k, n) = job.sizes;
    let last = V::LANES.min(n - column - (C - 1) * V::LANES);
    // SAFETY: R rows from `row` on, C - 1 vectors and `last` elements from `column` on are inside of y, and the products
    // that lead to them inside of a and b.
    unsafe {
        let load = |from: *const V::E, c: usize| {
            let from = from.add(column + c * V::LANES);
            if c + 1 < C || last == V::LANES { V::load(from) } else { V::load_first(from, last) }
        };
        let mut sums = [[V::zero(); C]; R];
        if let Some(init) = job.init {
            for c in 0..C {
                let init = load(init.as_ptr(), c);
                sums.iter_mut().for_each(|sums| sums[c] = init);
            }
        }
        let (a, b) = (job.a.as_ptr().add(row * job.a_row), job.b.as_ptr());
        for p in 0..k {
            let mut vectors = [V::zero(); C];
            for (c, vector) in vectors.iter_mut().enumerate() {
                *vector = load(b.add(p * job.b_row), c);
            }
            for (i, sums) in sums.iter_mut().enumerate() {
                let factor = V::splat(*a.add(i * job.a_row + p * job.a_col));
                for (sum, vector) in sums.iter_mut().zip(vectors) {
                    *sum = factor.mul_add(vector, *sum);
                }
            }
        }
        if !A::IDENTITY {
            const { assert!(size_of::<V>() == V::LANES * size_of::<V::E>()) };
            // The numbers of the vectors, as a slice: the compiler makes one loop of it.
            let numbers = core::slice::from_raw_parts_mut(sums.as_mut_ptr().cast::<V::E>(), R * C * V::LANES);
            for y in numbers {
                *y = A::forward(*y);
            }
        }
        let y = job.y.as_mut_ptr().add(row * n + column);
        for (i, sums) in sums.iter().enumerate() {
            for (c, sum) in sums.iter().enumerate() {
                let y = y.add(i * n + c * V::LANES);
                if c + 1 < C || last == V::LANES { sum.store(y) } else { store_first(*sum, y, last) }
            }
        }
    }
}

/// Stores the first `n` elements, in pieces: what a masked store has written, the processor cannot read again until it is
/// in the cache.
#[inline(always)]
unsafe fn store_first<V: Vector>(vector: V, to: *mut V::E, n: usize) {
    let numbers = (&raw const vector).cast::<V::E>();
    let mut at = 0;
    for piece in [8, 4, 2, 1] {
        if n & piece != 0 {
            // SAFETY: `at + piece` is at most `n`, which the vector and the memory behind `to` have.
            unsafe { numbers.add(at).copy_to_nonoverlapping(to.add(at), piece) };
            at += piece;
        }
    }
}

/// `y[m, n] = A(init + a[m, k] · b[n, k]ᵀ)`: each number a sum along both operands' rows.
#[inline(always)]
unsafe fn dots<V: Vector, A: Activation>(job: Product<'_, V::E>)
where
    V::E: Float,
{
    let (m, _, n) = job.sizes;
    for i in 0..m {
        let mut j = 0;
        // SAFETY: the caller's contract; column j and the three after it are in b and y.
        unsafe {
            while j + 4 <= n {
                let mut sums = V::four_sums(dot::<V, 4>(&job, i, j));
                if let Some(init) = job.init {
                    sums.iter_mut().zip(&init[j..]).for_each(|(sum, init)| *sum = *init + *sum);
                }
                if !A::IDENTITY {
                    for y in &mut sums {
                        *y = A::forward(*y);
                    }
                }
                job.y[i * n + j..][..4].copy_from_slice(&sums);
                j += 4;
            }
            while j < n {
                let [sum] = dot::<V, 1>(&job, i, j);
                let sum = sum.sum();
                job.y[i * n + j] = A::forward(job.init.map_or(sum, |init| init[j] + sum));
                j += 1;
            }
        }
    }
}

/// Row i of a times C columns from j on, lane by lane.
#[inline(always)]
unsafe fn dot<V: Vector, const C: usize>(job: &Product<'_, V::E>, i: usize, j: usize) -> [V; C] {
    let k = job.sizes.1;
    // SAFETY: row i of a and rows j to j + C of b have k elements.
    unsafe {
        let (a, b) = (job.a.as_ptr().add(i * job.a_row), job.b.as_ptr().add(j * job.b_row));
        let mut sums = [V::zero(); C];
        let mut p = 0;
        while p < k {
            let last = V::LANES.min(k - p);
            let load = |from: *const V::E| if last == V::LANES { V::load(from) } else { V::load_first(from, last) };
            let row = load(a.add(p));
            for (c, sum) in sums.iter_mut().enumerate() {
                *sum = row.mul_add(load(b.add(c * job.b_row + p)), *sum);
            }
            p += V::LANES;
        }
        sums
    }
}

/// The sums of the columns of `b[k, n]`, four rows under way at once.
#[inline(always)]
unsafe fn column_sums<V: Vector>(b: &[V::E], y: &mut [V::E]) {
    let n = y.len();
    let k = b.len() / n.max(1);
    let mut column = 0;
    while column < n {
        let last = V::LANES.min(n - column);
        // SAFETY: every row has `last` elements from `column` on.
        unsafe {
            let load = |row: usize| {
                let from = b.as_ptr().add(row * n + column);
                if last == V::LANES { V::load(from) } else { V::load_first(from, last) }
            };
            let mut sums = [V::zero(); 4];
            let mut row = 0;
            while row + 4 <= k {
                for (i, sum) in sums.iter_mut().enumerate() {
                    *sum = sum.add(load(row + i));
                }
                row += 4;
            }
            while row < k {
                sums[0] = sums[0].add(load(row));
                row += 1;
            }
            let sum = sums[0].add(sums[1]).add(sums[2].add(sums[3]));
            let y = y.as_mut_ptr().add(column);
            if last == V::LANES { sum.store(y) } else { sum.store_first(y, last) }
        }
        column += last;
    }
}
