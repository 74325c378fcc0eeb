//! Sums over all taps and channels of a grid: the output of a convolution, or the gradient of its input.

use crate::element::Float;
use core::ops::Range;
use plywood_kernels::conv::Kernels;
use plywood_kernels::conv::kernel::{Correlate, Reduce};

/// Weights of so many bytes stay in the second cache while pixels pass by; of larger ones a few rows do, while all pixels
/// pass.
pub(super) const RESIDENT: usize = 256 << 10;
/// The most elements of a strip of the result, unless it is a single line: it stays in the second cache until it is put
/// where it belongs.
const STRIP: usize = 48 << 10;

/// A sum over all taps and channels: `y[o, i, j] = bias[o] + Σ weights[o, c, t] · cells[c, i · line + j + taps[t]]`.
pub(super) struct Correlation<'a, E: 'static> {
    pub kernels: &'static Kernels<E>,
    /// Of the grid: the distance of two lines, and of two channels.
    pub line: usize,
    pub channel: usize,
    pub channels: usize,
    pub taps: &'a [usize],
    /// In the order of [`pack_weights`](super::pack::pack_weights).
    pub weights: &'a [E],
    pub outputs: usize,
    /// One for each output channel, and as many more as fill a vector.
    pub bias: &'a [E],
    /// Height and width of the result.
    pub size: (usize, usize),
    /// What [`by_outputs`] says.
    pub by_outputs: bool,
}

/// Some lines of the result of a [`Correlation`].
pub(super) struct Strip<'a, E> {
    pub start: usize,
    pub lines: usize,
    pub data: &'a [E],
    pub channels: usize,
    pub layout: Layout,
}

/// Where the pixels of a strip are.
#[derive(Clone, Copy)]
pub(super) enum Layout {
    /// Line i of channel c begins at `c · row + i · line`.
    Planes { row: usize, line: usize },
    /// All channels of a pixel, so far from those of the next; the lines are dense.
    Pixels { pixel: usize },
}

/// Whether a vector shall hold output channels rather than neighbouring pixels: what takes less time, in multiply-adds of
/// vectors. `terms` are those of a sum, `line` is that of the grid.
pub(super) fn by_outputs<E>(
    kernels: &Kernels<E>,
    size: (usize, usize),
    line: usize,
    outputs: usize,
    terms: usize,
) -> bool {
    if size.0 * size.1 == 0 {
        return false;
    }
    let (rows, vectors) = (kernels.correlate.len(), kernels.correlate[0].len());
    // A tile's step has its products and its loads, of which those of neighbouring pixels cross cache lines; and it cannot
    // be shorter than the latency of a product allows.
    let steps = |down: usize, across: usize, load: usize| -> usize {
        let step = |r: usize, c: usize| (r * c).max(r + load * c).max(LATENCY);
        groups(down, rows).map(|(_, r)| groups(across, vectors).map(|(_, c)| step(r, c)).sum::<usize>()).sum()
    };
    let pixels = ((size.0 - 1) * line + size.1).div_ceil(kernels.lanes);
    let by_pixels = steps(outputs, pixels, 2).saturating_mul(terms);
    let by_outputs = size.0 * steps(size.1, outputs.div_ceil(kernels.lanes), 1);
    let transpose = size.0 * size.1 * outputs * TRANSPOSE;
    by_outputs.saturating_mul(terms).saturating_add(transpose) < by_pixels
}

/// The multiply-adds that a processor begins until it ends the first.
const LATENCY: usize = 8;
/// The price of putting an element into its channel, in multiply-adds of a vector.
const TRANSPOSE: usize = 2;

impl<E: Float> Correlation<'_, E> {
    /// The elements from the first to the last of so many lines, in whole vectors.
    fn row(&self, lines: usize) -> usize {
        ((lines - 1) * self.line + self.size.1).next_multiple_of(self.kernels.lanes)
    }

    /// The elements of a pixel with all outputs: an odd number of vectors, or those of one vector would compete for a few
    /// places of the cache.
    fn pixel(&self) -> usize {
        (self.outputs.div_ceil(self.kernels.lanes) | 1) * self.kernels.lanes
    }

    fn strip(&self) -> usize {
        (STRIP / (self.outputs * self.line)).clamp(1, self.size.0)
    }

    /// The elements of so many lines.
    fn lines_len(&self, lines: usize) -> usize {
        if self.by_outputs { lines * self.size.1 * self.pixel() } else { self.outputs * self.row(lines) }
    }

    /// The memory for a strip.
    pub(super) fn strip_len(&self) -> usize {
        if self.size.0 * self.size.1 == 0 { 0 } else { self.lines_len(self.strip()) }
    }

    /// Calls `done` with each strip of the result.
    ///
    /// # Safety
    ///
    /// The machine has the kernels' instructions; `cells` are of the grid that the taps are made for, and a vector can be
    /// read behind them.
    pub(super) unsafe fn run(&self, cells: &[E], strip: &mut [E], mut done: impl FnMut(Strip<'_, E>)) {
        let count = self.size.0.div_ceil(self.strip());
        for (start, lines) in shares(self.size.0, count) {
            let strip = &mut strip[..self.lines_len(lines)];
            let cells = cells[start * self.line..].as_ptr();
            // SAFETY: the caller's contract; the lines are some of the result's.
            let layout = unsafe {
                if self.by_outputs {
                    let pixel = self.pixel();
                    self.tiles_of_outputs(cells, strip, pixel);
                    Layout::Pixels { pixel }
                } else {
                    let row = self.row(lines);
                    self.tiles_of_pixels(cells, strip.as_mut_ptr(), row);
                    Layout::Planes { row, line: self.line }
                }
            };
            done(Strip { start, lines, data: strip, channels: self.outputs, layout });
        }
    }

    /// Vectors of output channels of each pixel of a strip, which is `pixel` elements from the next.
    ///
    /// # Safety
    ///
    /// As [`run`](Correlation::run), with cells from the first of a strip on.
    unsafe fn tiles_of_outputs(&self, cells: *const E, strip: &mut [E], pixel: usize) {
        let Kernels { lanes, products, .. } = *self.kernels;
        let (terms, columns) = (self.channels * self.taps.len(), self.size.1);
        let offsets: [usize; 4] = core::array::from_fn(|v| v * terms * lanes);
        let lines = strip.len() / (pixel * columns);
        // The weights of a few vectors stay in the second cache while all pixels pass.
        for (v, vectors) in groups(self.outputs.div_ceil(lanes), products[0].len()) {
            for (line, (j, pixels)) in
                (0..lines).flat_map(|line| groups(columns, products.len()).map(move |j| (line, j)))
            {
                let job = Reduce {
                    images: 1,
                    size: (self.channels, self.taps.len()),
                    a: cells.wrapping_add(line * self.line + j),
                    a_row: 1,
                    steps: self.taps.as_ptr(),
                    a_line: self.channel,
                    a_image: 0,
                    b: self.weights[v * lanes * terms..].as_ptr(),
                    offsets: offsets.as_ptr(),
                    b_line: self.taps.len() * lanes,
                    b_image: 0,
                    start: self.bias[v * lanes..].as_ptr(),
                    start_row: 0,
                    y: strip[(line * columns + j) * pixel + v * lanes..].as_mut_ptr(),
                    y_row: pixel,
                };
                // SAFETY: the caller's contract; pixels and vectors are inside the strip.
                unsafe { products[pixels - 1][vectors - 1](&job) }
            }
        }
    }

    /// # Safety
    ///
    /// As [`run`](Correlation::run), with cells from the first of a strip on, and a strip of such rows.
    unsafe fn tiles_of_pixels(&self, cells: *const E, strip: *mut E, row: usize) {
        let Kernels { lanes, correlate, .. } = *self.kernels;
        let terms = self.channels * self.taps.len();
        let pixels = || groups(row / lanes, correlate[0].len());
        let rows = || groups(self.outputs, correlate.len());
        let tile = |(i, rows): (usize, usize), (j, vectors): (usize, usize)| {
            let job = Correlate {
                channels: self.channels,
                taps: self.taps.as_ptr(),
                tap_count: self.taps.len(),
                a: self.weights[i * terms..].as_ptr(),
                b: cells.wrapping_add(j * lanes),
                plane: self.channel,
                bias: self.bias[i..].as_ptr(),
                y: strip.wrapping_add(i * row + j * lanes),
                y_row: row,
            };
            // SAFETY: the caller's contract; rows and vectors are inside the strip.
            unsafe { correlate[rows - 1][vectors - 1](&job) }
        };
        if size_of_val(self.weights) <= RESIDENT {
            pixels().for_each(|pixels| rows().for_each(|rows| tile(rows, pixels)));
        } else {
            rows().for_each(|rows| pixels().for_each(|pixels| tile(rows, pixels)));
        }
    }
}

/// Cuts `0..len` into as few groups of at most `most` as there can be, of about equal size: (start, size).
pub(super) fn groups(len: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
    shares(len, len.div_ceil(most))
}

/// Cuts `0..len` into `count` shares of about equal size: (start, size).
fn shares(len: usize, count: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..count).map(move |i| share(len, count, i)).map(|share| (share.start, share.len()))
}

/// One of `count` shares of `0..len`.
pub(in crate::backend::cpu) fn share(len: usize, count: usize, i: usize) -> Range<usize> {
    i * len / count..(i + 1) * len / count
}
