//! What a small layer computes: sizes that the compiler knows, and no call on the way.
//!
//! Everything is inlined into a step that is compiled for one instruction set (see [`super::simd`]). Not in a build
//! without optimisation, where each inlined piece would take stack and time of its own.
//!
//! What calls a function of an activation is a loop and not a `for_each` or `map`: these are functions, which the compiler
//! may leave by themselves when their closure is long, and then compiles for the least of all processors.

#[cfg(target_arch = "aarch64")]
use super::gemm::{F32x4, F64x2};
#[cfg(target_arch = "x86_64")]
use super::gemm::{F32x8, F32x16, F64x4, F64x8};
use super::gemm::{Portable, Vector};
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use super::gemm::{transpose_pd, transpose_ps};
use super::is_inside;
use super::simd::Simd;
use crate::element::Float;
use crate::nn::Activation;
use crate::nn::activation::Pass;
use core::mem::MaybeUninit;

/// The weights of the largest layer that counts as small.
pub const LARGEST: usize = 64 * 64;

/// The elements that [`activate`] and the losses take at once: enough for a vector of any instruction set.
pub const LANES: usize = 16;

/// The operands of `y[m, n] = init + a[m, k] · b[k, n]`.
struct Product<'a, E> {
    /// Element (i, p) is `a[i · a_row + p · a_col]`.
    a: &'a [E],
    a_row: usize,
    a_col: usize,
    /// Row-major, its rows `b_row` apart.
    b: &'a [E],
    b_row: usize,
    /// Row-major, for the `m · n` elements that are written.
    y: &'a mut [E],
    /// What each row of y begins with, if not with zeros.
    init: Option<&'a [E]>,
    sizes: (usize, usize, usize),
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

/// A slice of `len` elements of anything on the stack, or in registers if there are few. Not a function that takes a
/// closure, which the compiler might not inline.
macro_rules! with_scratch {
    ($len:expr, |$name:ident| $body:expr) => {{
        let len = $len;
        if len <= FEW {
            let mut memory = MaybeUninit::<[E; FEW]>::uninit();
            // SAFETY: of plain numbers, of which every one is written before it is read.
            let $name = unsafe { core::slice::from_raw_parts_mut(memory.as_mut_ptr().cast::<E>(), len) };
            $body
        } else {
            assert!(len <= LARGEST);
            let mut memory = MaybeUninit::<[E; LARGEST]>::uninit();
            // SAFETY: as above.
            let $name = unsafe { core::slice::from_raw_parts_mut(memory.as_mut_ptr().cast::<E>(), len) };
            $body
        }
    }};
}

const FEW: usize = 256;

/// `y = A(x · wᵀ + b)`, as [`super::linear_forward`].
#[cfg_attr(not(debug_assertions), inline(always))]
pub fn forward<E: Float, S: Simd, A: Activation>(
    x: &[E],
    w: &[E],
    b: Option<&[E]>,
    y: &mut [E],
    slopes: &mut [E],
    sizes @ (rows, inputs, outputs): (usize, usize, usize),
) {
    let job = Product { a: x, a_row: inputs, a_col: 1, b: w, b_row: inputs, y: &mut *y, init: b, sizes };
    // At once, as the stores of y and its loads would wait for each other; but not in fours what are more.
    if rows == 1 && (A::FROM_OUTPUT || slopes.is_empty()) && (inputs < 8 || outputs <= 4) {
        return linear::<E, S, A>(job);
    }
    linear::<E, S, Pass>(job);
    activate_keeping::<E, A>(y, slopes);
}

/// `y = A(x · wᵀ + b)`, with w in the place of its transpose.
#[cfg_attr(not(debug_assertions), inline(always))]
fn linear<E: Float, S: Simd, A: Activation>(job: Product<'_, E>) {
    let (w, (rows, inputs, outputs)) = (job.b, job.sizes);
    if inputs >= 8 && (rows <= 2 || outputs <= 4) || rows == 1 && outputs == 4 {
        return E::dots::<S, A>(job);
    }
    if rows == 1 && outputs == 1 {
        return single::<E, A>(job);
    }
    with_scratch!(inputs * outputs, |wt| {
        E::transpose::<S>(w, wt, (outputs, inputs));
        let job = Product { b: wt, b_row: outputs, ..job };
        // The one row as a constant, where it is one.
        if rows == 1 {
            return E::product::<S, A>(Product { sizes: (1, inputs, outputs), ..job });
        }
        E::product::<S, A>(job);
    });
}

/// One number of few products, which are added in pairs.
#[cfg_attr(not(debug_assertions), inline(always))]
fn single<E: Float, A: Activation>(job: Product<'_, E>) {
    let k = job.sizes.1;
    let mut sums = [E::zero(); 8];
    let products = sums[..k].iter_mut().zip(&job.a[..k]).zip(&job.b[..k]);
    products.for_each(|((sum, a), b)| *sum = *a * *b);
    for half in [4, 2, 1] {
        for i in half..k.min(2 * half) {
            sums[i - half] = sums[i - half] + sums[i];
        }
    }
    job.y[0] = A::forward(job.init.map_or(sums[0], |init| init[0] + sums[0]));
}

/// The gradients of [`forward`], as [`super::linear_backward`].
#[cfg_attr(not(debug_assertions), inline(always))]
#[allow(clippy::too_many_arguments)]
pub fn backward<E: Float, S: Simd, A: Activation>(
    x: &[E],
    w: &[E],
    v: &[E],
    dy: &mut [E],
    dx: Option<&mut [E]>,
    dw: &mut [E],
    db: Option<&mut [E]>,
    (rows, inputs, outputs): (usize, usize, usize),
) {
    assert!(db.as_ref().is_none_or(|db| db.len() == outputs), "not one bias an output");
    derive_kept::<E, A>(dy, v);
    let dy = &*dy;
    if let Some(db) = db {
        E::column_sums::<S>(dy, db);
    }
    if inputs < 8 && outputs >= 8 {
        with_scratch!(inputs * outputs, |dwt| {
            let sizes = (inputs, rows, outputs);
            E::product::<S, Pass>(Product {
                a: x,
                a_row: 1,
                a_col: inputs,
                b: dy,
                b_row: outputs,
                y: dwt,
                init: None,
                sizes,
            });
            E::transpose::<S>(dwt, dw, (inputs, outputs));
        });
    } else {
        let sizes = (outputs, rows, inputs);
        E::product::<S, Pass>(Product {
            a: dy,
            a_row: 1,
            a_col: outputs,
            b: x,
            b_row: inputs,
            y: dw,
            init: None,
            sizes,
        });
    }
    if let Some(dx) = dx {
        let sizes = (rows, outputs, inputs);
        E::product::<S, Pass>(Product {
            a: dy,
            a_row: outputs,
            a_col: 1,
            b: w,
            b_row: inputs,
            y: dx,
            init: None,
            sizes,
        });
    }
}

/// `y = A(y)`. Whole vectors in one loop, which the compiler vectorises whatever its body is; the rest as one more.
#[inline(always)]
pub fn activate<E: Float, A: Activation>(y: &mut [E]) {
    let (whole, rest) = y.split_at_mut(y.len() - y.len() % LANES);
    for y in whole {
        *y = A::forward(*y);
    }
    if !rest.is_empty() {
        let mut chunk = padded(rest);
        for y in &mut chunk {
            *y = A::forward(*y);
        }
        rest.copy_from_slice(&chunk[..rest.len()]);
    }
}

/// [`activate`], and A′(y), for [`derive_kept`], where that takes what A takes and there is room for it: both have most of
/// their work in common. The value has the same bits with and without.
#[inline(always)]
pub fn activate_keeping<E: Float, A: Activation>(y: &mut [E], slopes: &mut [E]) {
    if A::IDENTITY {
        return;
    }
    if A::FROM_OUTPUT || slopes.is_empty() {
        return activate::<E, A>(y);
    }
    let (whole, rest) = y.split_at_mut(y.len() - y.len() % LANES);
    let (slopes, slopes_rest) = slopes.split_at_mut(whole.len());
    for (y, slope) in whole.iter_mut().zip(slopes) {
        (*y, *slope) = (A::forward(*y), A::derivative(*y));
    }
    if !rest.is_empty() {
        let mut chunk = padded(rest);
        let mut slopes = [E::zero(); LANES];
        for (y, slope) in chunk.iter_mut().zip(&mut slopes) {
            (*y, *slope) = (A::forward(*y), A::derivative(*y));
        }
        rest.copy_from_slice(&chunk[..rest.len()]);
        slopes_rest.copy_from_slice(&slopes[..rest.len()]);
    }
}

/// `dy = dy · A′`, from the output of A or from the slopes that [`activate_keeping`] has kept.
#[inline(always)]
pub fn derive_kept<E: Float, A: Activation>(dy: &mut [E], v: &[E]) {
    if A::IDENTITY {
        return;
    }
    if A::FROM_OUTPUT {
        return derive::<E, A>(dy, v);
    }
    let slopes = &v[..dy.len()];
    dy.iter_mut().zip(slopes).for_each(|(dy, slope)| *dy *= *slope);
}

/// `dy = dy · A′(v)`, likewise.
#[inline(always)]
pub fn derive<E: Float, A: Activation>(dy: &mut [E], v: &[E]) {
    let v = &v[..dy.len()];
    let (whole, rest) = dy.split_at_mut(dy.len() - dy.len() % LANES);
    let (v_whole, v_rest) = v.split_at(whole.len());
    for (dy, v) in whole.iter_mut().zip(v_whole) {
        *dy *= A::derivative(*v);
    }
    if !rest.is_empty() {
        let (mut chunk, v) = (padded(rest), padded(v_rest));
        for (dy, v) in chunk.iter_mut().zip(v) {
            *dy *= A::derivative(v);
        }
        rest.copy_from_slice(&chunk[..rest.len()]);
    }
}

/// A few elements and then zeros.
#[inline(always)]
pub fn padded<E: Float>(rest: &[E]) -> [E; LANES] {
    let mut chunk = [E::zero(); LANES];
    chunk[..rest.len()].copy_from_slice(rest);
    chunk
}

/// The sum of the lanes: of their halves, and so on.
#[inline(always)]
pub fn pairwise<E: Copy + core::ops::Add<Output = E>>(mut lanes: [E; LANES]) -> E {
    for half in [8, 4, 2, 1] {
        for i in 0..half {
            lanes[i] = lanes[i] + lanes[i + half];
        }
    }
    lanes[0]
}
