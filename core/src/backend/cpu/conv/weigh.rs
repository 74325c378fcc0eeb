//! The gradient of the weights: sums over all pixels of all images.
//!
//! With enough input channels, a vector holds some of them, and the gradient of an output's pixel is the factor of all. The
//! grid of the input then lies in blocks of as many channels as a vector has lanes, a vector for each cell. With few
//! channels, a vector holds neighbouring pixels, and the sums of its lanes are added up at the end.

use super::correlate::groups;
use super::grid::Grid;
use super::isa::{Convolve, Kernels};
use super::kernel::Reduce;
use super::{Conv, spread};
use crate::element::Float;

/// How the gradient of the weights is computed.
#[derive(Clone, Copy)]
pub(super) struct Weigh<E: 'static> {
    kernels: &'static Kernels<E>,
    grid: Grid,
    /// Whether a vector holds input channels.
    by_channels: bool,
    inputs: usize,
    outputs: usize,
    taps: usize,
    /// Height and width of the output.
    size: (usize, usize),
}

/// The price of reading and writing a partial sum and of adding up its lanes, in multiply-adds of a vector.
const PARTIAL: usize = 4;

impl<E: Float + Convolve> Weigh<E> {
    pub(super) fn new(kernels: &'static Kernels<E>, grid: Grid, conv: &Conv) -> Self {
        let (inputs, lanes, size) = (conv.in_channels, kernels.lanes, conv.window.output());
        let by_channels =
            inputs.div_ceil(lanes) * size.0 * size.1 <= inputs * (size.0 * size.1.div_ceil(lanes) + PARTIAL);
        Weigh { kernels, grid, by_channels, inputs, outputs: conv.out_channels, taps: conv.window.area(), size }
    }

    /// The vectors of weights of an output channel.
    pub(super) fn vectors(&self) -> usize {
        self.taps * if self.by_channels { self.inputs.div_ceil(self.kernels.lanes) } else { self.inputs }
    }

    /// The memory of the input's cells.
    pub(super) fn cells(&self) -> usize {
        let channels = if self.by_channels { self.inputs.next_multiple_of(self.kernels.lanes) } else { self.inputs };
        channels.saturating_mul(self.grid.channel())
    }

    /// The memory of the partial sums.
    pub(super) fn sums(&self) -> usize {
        self.outputs * self.vectors() * self.kernels.lanes
    }

    /// The distances of the vectors from the first cell.
    pub(super) fn offsets(&self, taps: impl Iterator<Item = usize> + Clone) -> impl Iterator<Item = usize> {
        let unit = if self.by_channels { self.kernels.lanes } else { 1 };
        let block = self.grid.channel() * unit;
        (0..self.vectors() / self.taps).flat_map(move |c| taps.clone().map(move |tap| c * block + tap * unit))
    }

    /// Adds the products of an image and the gradient of its output to the partial sums.
    ///
    /// # Safety
    ///
    /// The machine has the kernels' instructions; `x` and `dy` are an image of the convolution that `self` is made for, and
    /// `cells` and `sums` as long as `self` says; but for the pixels, `cells` are zero.
    pub(super) unsafe fn add(&self, x: &[E], dy: &[E], cells: &mut [E], offsets: &[usize], sums: &mut [E]) {
        let Kernels { lanes, over_pixels, in_pixels, .. } = *self.kernels;
        let (tiles, unit) = if self.by_channels { (over_pixels, lanes) } else { (in_pixels, 1) };
        // SAFETY: the caller's contract.
        unsafe {
            if self.by_channels {
                spread::blocked(self.kernels, &self.grid, x, self.inputs, cells);
            } else {
                spread::planes(self.kernels, &self.grid, x, self.inputs, cells);
            }
        }
        let row = self.vectors() * lanes;
        let pixels = self.size.0 * self.size.1;
        for (v, vectors) in groups(self.vectors(), tiles[0].len()) {
            for (i, rows) in groups(self.outputs, tiles.len()) {
                let job = Reduce {
                    size: self.size,
                    a: dy[i * pixels..].as_ptr(),
                    a_row: pixels,
                    b: cells.as_ptr(),
                    offsets: offsets[v..].as_ptr(),
                    b_line: self.grid.line * unit,
                    y: sums[i * row + v * lanes..].as_mut_ptr(),
                    y_row: row,
                };
                // SAFETY: the caller's contract; rows and vectors are those of the sums.
                unsafe { tiles[rows - 1][vectors - 1](&job) }
            }
        }
    }

    /// The gradient of the weights from the sums over all images.
    ///
    /// # Safety
    ///
    /// The machine has the kernels' instructions.
    pub(super) unsafe fn finish(&self, sums: &[E], dw: &mut [E]) {
        let lanes = self.kernels.lanes;
        assert!(sums.len() == self.sums() && dw.len() == self.outputs * self.inputs * self.taps);
        if !self.by_channels {
            // SAFETY: the caller's contract; there are as many vectors as weights, in the same order.
            unsafe { (self.kernels.sum_lanes)(sums.as_ptr(), dw.as_mut_ptr(), dw.len()) }
            return;
        }
        let rows = sums.chunks_exact(self.vectors() * lanes);
        for (dw, sums) in dw.chunks_exact_mut(self.inputs * self.taps).zip(rows) {
            let blocks = dw.chunks_mut(lanes * self.taps).zip(sums.chunks_exact(lanes * self.taps));
            for (dw, sums) in blocks {
                for (c, dw) in dw.chunks_exact_mut(self.taps).enumerate() {
                    dw.iter_mut().zip(sums[c..].iter().step_by(lanes)).for_each(|(dw, sum)| *dw = *sum);
                }
            }
        }
    }
}
