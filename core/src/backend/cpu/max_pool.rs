//! The largest element of each place of a window, and where in the window it was.

use super::conv::{Window, share};
use super::gemm::Isa;
use super::is_product;
use super::pool::{self, Shared};
use super::simd::{Op, Simd, on};
use crate::element::Float;
use core::ops::Range;
use core::slice::from_raw_parts_mut;

/// What a thread does in a nanosecond, in elements of the input: an estimate.
const SPEED: usize = 4;

/// The maximum of each place of the window in each plane, as `torch.nn.functional.max_pool2d`: `x: [planes, height, width]`,
/// `y` and `indices: [planes, output]`.
///
/// `indices` holds the position of the maximum in the window, row by row: that of the first if there are several. NaN is
/// larger than any number, and the last of several is the maximum. The border is smaller than any number.
pub fn max_pool2d_forward<E: Float>(x: &[E], y: &mut [E], indices: &mut [u8], planes: usize, window: &Window) {
    forward(Isa::best(), x, y, indices, planes, window);
}

/// The gradient of [`max_pool2d_forward`]: `dy` goes to where the maxima were. `dx` is overwritten.
pub fn max_pool2d_backward<E: Float>(indices: &[u8], dy: &[E], dx: &mut [E], planes: usize, window: &Window) {
    backward(Isa::best(), indices, dy, dx, planes, window);
}

/// [`max_pool2d_forward`] with the vectors of an instruction set, which this machine must have.
fn forward<E: Float>(isa: Isa, x: &[E], y: &mut [E], indices: &mut [u8], planes: usize, window: &Window) {
    check(x, y, indices, planes, window);
    let (input, output) = sizes(window);
    let (y, indices) = (Shared(y.as_mut_ptr()), Shared(indices.as_mut_ptr()));
    run(planes, input, |planes| {
        // SAFETY: some of all planes, each of them in one part.
        let (y, indices) = unsafe {
            let (start, len) = (planes.start * output, planes.len() * output);
            (from_raw_parts_mut(y.get().add(start), len), from_raw_parts_mut(indices.get().add(start), len))
        };
        let x = &x[planes.start * input..planes.end * input];
        on(isa, Forward { x, y, indices, window });
    });
}

/// [`max_pool2d_backward`] with the vectors of an instruction set, which this machine must have.
fn backward<E: Float>(isa: Isa, indices: &[u8], dy: &[E], dx: &mut [E], planes: usize, window: &Window) {
    check(dx, dy, indices, planes, window);
    let (input, output) = sizes(window);
    let dx = Shared(dx.as_mut_ptr());
    run(planes, input, |planes| {
        // SAFETY: some of all planes, each of them in one part.
        let dx = unsafe { from_raw_parts_mut(dx.get().add(planes.start * input), planes.len() * input) };
        let outputs = planes.start * output..planes.end * output;
        on(isa, Backward { indices: &indices[outputs.clone()], dy: &dy[outputs], dx, window });
    });
}

/// Refuses slices that are not of these sizes.
fn check<E>(x: &[E], y: &[E], indices: &[u8], planes: usize, window: &Window) {
    window.check();
    assert!(window.area() <= 256, "a position in a window of {} elements does not fit a byte", window.area());
    let (input, output) = (window.input, window.output());
    assert!(
        is_product(x.len(), [planes, input.0, input.1]) && is_product(y.len(), [planes, output.0, output.1]),
        "planes are not of their window's sizes"
    );
    assert!(indices.len() == y.len(), "not one index an output");
}

/// The elements of a plane of the input and of the output.
fn sizes(window: &Window) -> (usize, usize) {
    let output = window.output();
    (window.input.0 * window.input.1, output.0 * output.1)
}

/// Calls `f` with all planes, in as many parts as are worth a thread each.
fn run(planes: usize, area: usize, f: impl Fn(Range<usize>) + Sync) {
    let parts = pool::threads_for(planes * area / SPEED).min(planes);
    pool::run(parts, |part| f(share(planes, parts, part)));
}

/// Whether the places of the window lie side by side, two by two.
fn is_two_by_two(window: &Window) -> bool {
    window.kernel == (2, 2) && window.stride == (2, 2) && window.padding == (0, 0) && window.dilation == (1, 1)
}

struct Forward<'a, E> {
    x: &'a [E],
    y: &'a mut [E],
    indices: &'a mut [u8],
    window: &'a Window,
}

impl<E: Float> Op for Forward<'_, E> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let Forward { x, y, indices, window } = self;
        let (input, output) = sizes(window);
        if output == 0 {
            return;
        }
        let planes = x.chunks_exact(input).zip(y.chunks_exact_mut(output).zip(indices.chunks_exact_mut(output)));
        for (x, (y, indices)) in planes {
            let columns = window.output().1;
            let lines = y.chunks_exact_mut(columns).zip(indices.chunks_exact_mut(columns)).enumerate();
            if is_two_by_two(window) {
                let width = window.input.1;
                for (i, (y, indices)) in lines {
                    let above = x[2 * i * width..][..2 * columns].as_chunks().0;
                    let below = x[(2 * i + 1) * width..][..2 * columns].as_chunks().0;
                    match columns {
                        16.. => maxima::<E, 16>(above, below, y, indices),
                        8.. => maxima::<E, 8>(above, below, y, indices),
                        4.. => maxima::<E, 4>(above, below, y, indices),
                        _ => maxima::<E, 1>(above, below, y, indices),
                    }
                }
            } else {
                for (i, (y, indices)) in lines {
                    let rows = inside(window.down(), i);
                    for (j, (y, index)) in y.iter_mut().zip(indices).enumerate() {
                        (*y, *index) = maximum(x, window, (rows.clone(), inside(window.across(), j)), (i, j));
                    }
                }
            }
        }
    }
}

/// The starts of blocks of `size` that cover `0..len`. The last one moves back until it fits.
#[inline(always)]
fn blocks(len: usize, size: usize) -> impl Iterator<Item = usize> {
    (0..len.div_ceil(size)).map(move |i| (i * size).min(len - size))
}

/// The maxima of a line of windows of two by two, N at a time: a number that the compiler knows, for its vectors.
///
/// `above` and `below` are pairs of neighbours of two rows.
#[inline(always)]
fn maxima<E: Float, const N: usize>(above: &[[E; 2]], below: &[[E; 2]], y: &mut [E], indices: &mut [u8]) {
    for j in blocks(y.len(), N) {
        let (above, below) = (&above[j..j + N], &below[j..j + N]);
        let (y, indices) = (&mut y[j..j + N], &mut indices[j..j + N]);
        let mut best = [E::zero(); N];
        let mut at = [0u32; N];
        for i in 0..N {
            (best[i], at[i]) = (above[i][0], 0);
            (best[i], at[i]) = larger((above[i][1], 1), (best[i], at[i]));
            (best[i], at[i]) = larger((below[i][0], 2), (best[i], at[i]));
            (best[i], at[i]) = larger((below[i][1], 3), (best[i], at[i]));
        }
        y.copy_from_slice(&best);
        for i in 0..N {
            indices[i] = at[i] as u8;
        }
    }
}

/// The next element of a window and its position, or the best before it.
#[inline(always)]
fn larger<E: Float>(next: (E, u32), best: (E, u32)) -> (E, u32) {
    let wins = (next.0 > best.0) | next.0.is_nan();
    (if wins { next.0 } else { best.0 }, if wins { next.1 } else { best.1 })
}

/// The positions of a window's place that are inside the plane, in one direction.
#[inline(always)]
fn inside(slide: super::conv::Slide, place: usize) -> Range<usize> {
    let start = place * slide.stride;
    let count = |end: usize| end.saturating_sub(start).div_ceil(slide.dilation).min(slide.kernel);
    count(slide.padding)..count(slide.padding + slide.input)
}

/// The maximum of one place of the window, and where it is.
#[inline(always)]
fn maximum<E: Float>(
    x: &[E],
    window: &Window,
    (rows, columns): (Range<usize>, Range<usize>),
    place: (usize, usize),
) -> (E, u8) {
    let mut best = E::neg_infinity();
    let mut at = rows.start * window.kernel.1 + columns.start;
    for row in rows {
        for column in columns.clone() {
            let x = x[element(window, place, (row, column))];
            if x > best || x.is_nan() {
                best = x;
                at = row * window.kernel.1 + column;
            }
        }
    }
    (best, at as u8)
}

/// The element of a plane at a position of a place of the window, which must be inside.
#[inline(always)]
fn element(window: &Window, place: (usize, usize), position: (usize, usize)) -> usize {
    let Window { input, stride, padding, dilation, .. } = *window;
    let row = place.0 * stride.0 + position.0 * dilation.0 - padding.0;
    let column = place.1 * stride.1 + position.1 * dilation.1 - padding.1;
    row * input.1 + column
}

struct Backward<'a, E> {
    indices: &'a [u8],
    dy: &'a [E],
    dx: &'a mut [E],
    window: &'a Window,
}

impl<E: Float> Op for Backward<'_, E> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let Backward { indices, dy, dx, window } = self;
        let (input, output) = sizes(window);
        if output == 0 {
            dx.fill(E::zero());
            return;
        }
        let columns = window.output().1;
        let planes = dx.chunks_exact_mut(input).zip(dy.chunks_exact(output).zip(indices.chunks_exact(output)));
        for (dx, (dy, indices)) in planes {
            if is_two_by_two(window) {
                let width = window.input.1;
                let (places, behind) = dx.split_at_mut(window.output().0 * 2 * width);
                behind.fill(E::zero());
                let lines = dy.chunks_exact(columns).zip(indices.chunks_exact(columns));
                for (dx, (dy, indices)) in places.chunks_exact_mut(2 * width).zip(lines) {
                    let (above, below) = dx.split_at_mut(width);
                    for (first, dx) in [(0, above), (2, below)] {
                        let (pairs, behind) = dx.split_at_mut(2 * columns);
                        behind.fill(E::zero());
                        let pairs = pairs.as_chunks_mut().0;
                        match columns {
                            16.. => gradients::<E, 16>(indices, dy, pairs, first),
                            8.. => gradients::<E, 8>(indices, dy, pairs, first),
                            4.. => gradients::<E, 4>(indices, dy, pairs, first),
                            _ => gradients::<E, 1>(indices, dy, pairs, first),
                        }
                    }
                }
            } else {
                dx.fill(E::zero());
                for (place, (dy, index)) in dy.iter().zip(indices).enumerate() {
                    let place = (place / columns, place % columns);
                    let position = (*index as usize / window.kernel.1, *index as usize % window.kernel.1);
                    let rows = inside(window.down(), place.0);
                    // A place that is all border has no element.
                    if rows.contains(&position.0) && inside(window.across(), place.1).contains(&position.1) {
                        dx[element(window, place, position)] += *dy;
                    }
                }
            }
        }
    }
}

/// The gradients of one of the two rows of a line of windows of two by two, whose positions are `first` and the next; N at
/// a time.
#[inline(always)]
fn gradients<E: Float, const N: usize>(indices: &[u8], dy: &[E], pairs: &mut [[E; 2]], first: u8) {
    for j in blocks(dy.len(), N) {
        let (indices, dy, pairs) = (&indices[j..j + N], &dy[j..j + N], &mut pairs[j..j + N]);
        let (mut left, mut right) = ([E::zero(); N], [E::zero(); N]);
        for i in 0..N {
            let dy = dy[i];
            left[i] = if indices[i] == first { dy } else { E::zero() };
            right[i] = if indices[i] == first + 1 { dy } else { E::zero() };
        }
        for i in 0..N {
            pairs[i] = [left[i], right[i]];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::Generator;

    fn square(input: (usize, usize), kernel: usize, stride: usize, padding: usize, dilation: usize) -> Window {
        let [kernel, stride, padding, dilation] = [kernel, stride, padding, dilation].map(|x| (x, x));
        Window { input, kernel, stride, padding, dilation }
    }

    /// Both directions by their definition: (y, indices, dx).
    fn expected(x: &[f64], dy: &[f64], planes: usize, window: &Window) -> (Vec<f64>, Vec<u8>, Vec<f64>) {
        let Window { input, kernel, stride, padding, dilation } = *window;
        let output = window.output();
        let (mut ys, mut indices, mut dx) = (Vec::new(), Vec::new(), vec![0.0; x.len()]);
        for (place, dy) in dy[..planes * output.0 * output.1].iter().enumerate() {
            let (j, i, plane) = (place % output.1, place / output.1 % output.0, place / output.1 / output.0);
            let (mut best, mut at) = (f64::NEG_INFINITY, None);
            for position in 0..kernel.0 * kernel.1 {
                let row = (i * stride.0 + position / kernel.1 * dilation.0).wrapping_sub(padding.0);
                let column = (j * stride.1 + position % kernel.1 * dilation.1).wrapping_sub(padding.1);
                if row < input.0 && column < input.1 {
                    let element = (plane * input.0 + row) * input.1 + column;
                    if at.is_none() || x[element] > best || x[element].is_nan() {
                        best = x[element];
                        at = Some((position, element));
                    }
                }
            }
            let (position, element) = at.unwrap();
            ys.push(best);
            indices.push(position as u8);
            dx[element] += dy;
        }
        (ys, indices, dx)
    }

    fn check<E: Float>(x: &[f64], planes: usize, window: &Window) {
        let len = planes * window.output().0 * window.output().1;
        let dy: Vec<f64> = (0..len).map(|i| (i % 13) as f64 - 6.0).collect();
        let (y, indices, dx) = expected(x, &dy, planes, window);
        let of = |values: &[f64]| -> Vec<E> { values.iter().map(|x| E::of(*x)).collect() };
        let text = |values: &[E]| format!("{values:?}");
        for isa in Isa::ALL.iter().copied().filter(|isa| isa.is_available()) {
            let what = format!("{isa:?}, {} planes, {window:?}", planes);
            let (mut out, mut out_indices) = (of(&vec![7.0; len]), vec![99; len]);
            forward(isa, &of(x), &mut out, &mut out_indices, planes, window);
            assert_eq!(text(&out), text(&of(&y)), "{what}: y");
            assert_eq!(out_indices, indices, "{what}: indices");
            let mut out_dx = of(&vec![7.0; x.len()]);
            backward(isa, &out_indices, &of(&dy), &mut out_dx, planes, window);
            assert_eq!(text(&out_dx), text(&of(&dx)), "{what}: dx");
        }
    }

    #[test]
    fn windows_of_all_kinds() {
        let mut rng = Generator::manual_seed(0);
        let special = [f64::NAN, f64::NEG_INFINITY, f64::INFINITY, -0.0, 0.0];
        for (kernel, stride, padding, dilation) in [
            (2, 2, 0, 1),
            (2, 2, 1, 1),
            (3, 2, 1, 1),
            (3, 3, 0, 1),
            (3, 1, 1, 1),
            (2, 1, 0, 2),
            (1, 2, 0, 1),
            (4, 3, 2, 1),
        ] {
            for height in [4, 5, 9] {
                for width in [4, 5, 7, 8, 9, 14, 15, 28, 33, 64] {
                    let window = square((height, width), kernel, stride, padding, dilation);
                    for planes in [0, 1, 3] {
                        // Few different numbers, so that there are ties, and some that are none.
                        let mut draw = || {
                            let z = (rng.normal::<f64>() * 2.0).round();
                            if z.abs() > 3.0 { special[rng.below(5)] } else { z }
                        };
                        let x: Vec<f64> = (0..planes * height * width).map(|_| draw()).collect();
                        check::<f32>(&x, planes, &window);
                        check::<f64>(&x, planes, &window);
                    }
                }
            }
        }
    }

    /// As PyTorch: the first of several maxima; the last of several NaNs; the first element of all that are -inf.
    #[test]
    fn ties_and_numbers_that_are_none() {
        let (nan, inf) = (f32::NAN, f32::INFINITY);
        let x = [1.0, 1.0, nan, 9.0, -inf, -inf, 1.0, 1.0, 9.0, nan, -inf, -inf];
        let window = square((2, 6), 2, 2, 0, 1);
        let (mut y, mut indices) = ([0.0; 3], [9; 3]);
        max_pool2d_forward(&x, &mut y, &mut indices, 1, &window);
        assert_eq!((y[0], y[1].is_nan(), y[2]), (1.0, true, -inf));
        assert_eq!(indices, [0, 3, 0]);
    }

    #[test]
    #[should_panic(expected = "does not fit a byte")]
    fn a_window_too_large_for_its_indices_panics() {
        max_pool2d_forward::<f32>(&[0.0; 289], &mut [0.0], &mut [0], 1, &square((17, 17), 17, 1, 0, 1));
    }
}
