//! Sums over all taps and channels of a grid: the output of a convolution, or the gradient of its input.

use super::isa::{Convolve, Kernels};
use super::kernel::Correlate;
use crate::element::Float;
use core::ops::Range;

/// Weights of so many bytes stay in the second cache while pixels pass by; of larger ones a few rows do, while all pixels
/// pass.
const RESIDENT: usize = 256 << 10;
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
    /// In the order of [`pack_weights`].
    pub weights: &'a [E],
    /// One for each output channel.
    pub bias: &'a [E],
    /// Height and width of the result.
    pub size: (usize, usize),
}

/// Some lines of the result of a [`Correlation`].
pub(super) struct Strip<'a, E> {
    pub start: usize,
    pub lines: usize,
    /// Line i of channel c begins at `c · row + i · line`.
    pub data: &'a [E],
    pub row: usize,
    pub line: usize,
}

impl<E: Float + Convolve> Correlation<'_, E> {
    fn outputs(&self) -> usize {
        self.bias.len()
    }

    /// The elements from the first to the last of so many lines, in whole vectors.
    fn row(&self, lines: usize) -> usize {
        ((lines - 1) * self.line + self.size.1).next_multiple_of(self.kernels.lanes)
    }

    fn strip(&self) -> usize {
        (STRIP / (self.outputs() * self.line)).clamp(1, self.size.0)
    }

    /// The memory for a strip.
    pub(super) fn strip_len(&self) -> usize {
        self.outputs() * self.row(self.strip())
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
            let row = self.row(lines);
            let strip = &mut strip[..self.outputs() * row];
            let cells = &cells[start * self.line..];
            // SAFETY: the caller's contract; the lines are some of the result's.
            unsafe { self.tiles(cells.as_ptr(), strip.as_mut_ptr(), row) }
            done(Strip { start, lines, data: strip, row, line: self.line });
        }
    }

    /// # Safety
    ///
    /// As [`run`](Correlation::run), with cells from the first of a strip on, and a strip of such rows.
    unsafe fn tiles(&self, cells: *const E, strip: *mut E, row: usize) {
        let Kernels { lanes, correlate, .. } = *self.kernels;
        let terms = self.channels * self.taps.len();
        let pixels = || groups(row / lanes, correlate[0].len());
        let rows = || groups(self.outputs(), correlate.len());
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

/// Puts the weights of a tap into the order in which the kernels read them; `weight` gives that of an output and a
/// channel.
pub(super) fn pack_weights<E: Copy>(
    kernels: &Kernels<E>,
    (outputs, channels, taps): (usize, usize, usize),
    tap: usize,
    to: &mut [E],
    weight: impl Fn(usize, usize) -> E,
) {
    for (start, rows) in groups(outputs, kernels.correlate.len()) {
        let to = &mut to[start * channels * taps..][..rows * channels * taps];
        for (c, to) in to.chunks_exact_mut(rows * taps).enumerate() {
            for (i, to) in to[tap * rows..][..rows].iter_mut().enumerate() {
                *to = weight(start + i, c);
            }
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
