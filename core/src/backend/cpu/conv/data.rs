//! The gradient of the input: for each of its pixels, the sum over the outputs that it went into.
//!
//! With a stride of s, the pixels that leave the same remainders are reached by the same taps. So each of s × s planes of
//! the input is a convolution of stride 1 of the output's gradient, with its own taps.

use super::correlate::{Correlation, by_outputs};
use super::grid::Grid;
use super::pack::{Weights, pack_weights, packed_len};
use super::{Conv, spread};
use crate::element::Float;
use core::ops::Range;
use plywood_kernels::conv::Kernels;

/// How the gradient of the input is computed.
pub(super) struct Data<E: 'static> {
    kernels: &'static Kernels<E>,
    grid: Grid,
    conv: Conv,
}

/// What the parts of a call share: the distances of the taps of all planes, their weights, and a vector's zeros for each
/// channel.
#[derive(Clone, Copy)]
pub(super) struct Packed<'a, E> {
    pub distances: &'a [usize],
    pub weights: &'a [E],
    pub zeros: &'a [E],
}

impl<E: Float> Data<E> {
    pub(super) fn new(kernels: &'static Kernels<E>, conv: &Conv) -> Self {
        Data { kernels, grid: conv.window.backward_grid(), conv: *conv }
    }

    /// The planes of the input, and where their taps are among those of all.
    fn planes(&self) -> impl Iterator<Item = ((usize, usize), Range<usize>)> {
        let (down, across) = self.conv.window.stride;
        let mut end = 0;
        (0..down * across).map(move |i| {
            let plane = (i / across, i % across);
            let start = end;
            end += self.conv.window.backward_taps(self.grid, plane).count();
            (plane, start..end)
        })
    }

    /// The distances of the taps of all planes.
    pub(super) fn distances(&self) -> impl Iterator<Item = usize> {
        self.planes().flat_map(|(plane, _)| self.conv.window.backward_taps(self.grid, plane).map(|(_, at)| at))
    }

    /// The places of the taps of all planes in the window.
    pub(super) fn taps(&self) -> impl Iterator<Item = usize> {
        self.planes().flat_map(|(plane, _)| self.conv.window.backward_taps(self.grid, plane).map(|(tap, _)| tap))
    }

    /// Puts the weights of all planes into the order in which the kernels read them. `taps` are as [`taps`](Data::taps).
    ///
    /// # Safety
    ///
    /// The machine has the kernels' instructions.
    pub(super) unsafe fn pack(&self, w: &[E], taps: &[usize], to: &mut [E]) {
        let Conv { in_channels, out_channels, window } = self.conv;
        let pair = packed_len(self.kernels, in_channels, out_channels);
        for (plane, range) in self.planes() {
            let by_outputs = self.by_outputs(plane, range.len());
            let weights = Weights {
                data: w,
                output: window.area(),
                channel: in_channels * window.area(),
                area: window.area(),
                taps: Some(&taps[range.clone()]),
                outputs: in_channels,
                channels: out_channels,
            };
            let to = &mut to[range.start * pair..range.end * pair];
            // SAFETY: the caller's contract.
            unsafe { pack_weights(self.kernels, by_outputs, &weights, to) }
        }
    }

    /// The memory of the weights of all planes.
    pub(super) fn packed(&self) -> usize {
        packed_len(self.kernels, self.conv.in_channels, self.conv.out_channels * self.conv.window.area())
    }

    fn by_outputs(&self, plane: (usize, usize), taps: usize) -> bool {
        let Conv { in_channels, out_channels, window } = self.conv;
        by_outputs(self.kernels, window.plane(plane), self.grid.line, in_channels, out_channels * taps)
    }

    fn correlation<'a>(&self, packed: Packed<'a, E>, plane: (usize, usize), taps: Range<usize>) -> Correlation<'a, E> {
        let pair = packed_len(self.kernels, self.conv.in_channels, self.conv.out_channels);
        Correlation {
            kernels: self.kernels,
            line: self.grid.line,
            channel: self.grid.channel(),
            channels: self.conv.out_channels,
            taps: &packed.distances[taps.clone()],
            weights: &packed.weights[taps.start * pair..taps.end * pair],
            outputs: self.conv.in_channels,
            bias: packed.zeros,
            size: self.conv.window.plane(plane),
            by_outputs: self.by_outputs(plane, taps.len()),
        }
    }

    /// The memory of the cells of the output's gradient.
    pub(super) fn cells(&self) -> usize {
        self.conv.out_channels.saturating_mul(self.grid.channel())
    }

    /// The memory of a strip.
    pub(super) fn strip(&self, packed: Packed<'_, E>) -> usize {
        self.planes().map(|(plane, taps)| self.correlation(packed, plane, taps).strip_len()).max().unwrap_or(0)
    }

    /// The gradient of an image from that of its output.
    ///
    /// # Safety
    ///
    /// The machine has the kernels' instructions; `dy` and `dx` are an image of the convolution, `cells` and `strip` as long
    /// as `self` says, and a vector can be read behind them; but for the pixels, `cells` are zero.
    pub(super) unsafe fn run(&self, packed: Packed<'_, E>, dy: &[E], dx: &mut [E], cells: &mut [E], strip: &mut [E]) {
        let (input, stride) = (self.conv.window.input, self.conv.window.stride);
        // SAFETY: the caller's contract.
        unsafe { spread::planes(self.kernels, &self.grid, dy, self.conv.out_channels, cells) }
        for (plane, taps) in self.planes() {
            let correlation = self.correlation(packed, plane, taps);
            let columns = correlation.size.1;
            if correlation.size.0 * columns == 0 {
                continue;
            }
            let to = (input.0 * input.1, stride.0 * input.1, stride.1);
            // SAFETY: the caller's contract; the taps are of this grid.
            unsafe {
                correlation.run(cells, strip, |strip| {
                    let start = (strip.start * stride.0 + plane.0) * input.1 + plane.1;
                    spread::place(self.kernels, &strip, columns, &mut dx[start..], to);
                });
            }
        }
    }
}
