//! The gradient of the weights: sums over all pixels of all images.
//!
//! With enough input channels, a vector holds some of them, and the gradient of an output's pixel is the factor of all. The
//! grid of the input then lies in blocks of as many channels as a vector has lanes, a vector for each cell. With few
//! channels, a vector holds neighbouring pixels, and the sums of its lanes are added up at the end.

use super::correlate::{RESIDENT, share};
use super::grid::Grid;
use super::pool::Shared;
use super::{Conv, PARTS, run, spread};
use crate::element::Float;
use core::ops::Range;
use core::slice::from_raw_parts_mut;
use plywood_kernels::conv::kernel::Reduce;
use plywood_kernels::conv::{Kernels, Tiles};

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
/// The price of putting a finished sum into its place, in multiply-adds.
const FINISHED: usize = 30;

/// The elements of a row of a tile of any instruction set.
const ZEROS: usize = 3 * 16;

impl<E: Float> Weigh<E> {
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

    /// Whether many images are added at once: where the sums do not stay in the second cache, and are more than the cells
    /// of an image.
    pub(super) fn at_once(&self) -> bool {
        self.by_channels && self.sums() * size_of::<E>() > RESIDENT && self.cells() <= self.sums()
    }

    /// The kernels for the sums.
    fn kernels(&self) -> Tiles<Reduce<E>> {
        if self.by_channels { self.kernels.products } else { self.kernels.in_pixels }
    }

    /// The tiles of the sums down and across.
    fn grid_of_tiles(&self) -> (usize, usize) {
        let kernels = self.kernels();
        (self.outputs.div_ceil(kernels.len()), self.vectors().div_ceil(kernels[0].len()))
    }

    /// The tiles of the sums.
    pub(super) fn tiles(&self) -> usize {
        let (down, across) = self.grid_of_tiles();
        down * across
    }

    /// The distances of the vectors from the first cell, then those of the pixels of a line.
    pub(super) fn offsets(&self, taps: impl Iterator<Item = usize> + Clone) -> impl Iterator<Item = usize> {
        let unit = if self.by_channels { self.kernels.lanes } else { 1 };
        let block = self.grid.channel() * unit;
        let vectors =
            (0..self.vectors() / self.taps).flat_map(move |c| taps.clone().map(move |tap| c * block + tap * unit));
        vectors.chain(0..self.size.1)
    }

    /// The number of [`offsets`](Weigh::offsets).
    pub(super) fn offset_count(&self) -> usize {
        self.vectors() + self.size.1
    }

    /// Copies an image into its cells.
    ///
    /// # Safety
    ///
    /// The machine has the kernels' instructions; `x` is an image of the convolution that `self` is made for, and `cells`
    /// as long as `self` says.
    pub(super) unsafe fn spread(&self, x: &[E], cells: &mut [E]) {
        // SAFETY: the caller's contract.
        unsafe {
            if self.by_channels {
                spread::blocked(self.kernels, &self.grid, x, self.inputs, cells);
            } else {
                spread::planes(self.kernels, &self.grid, x, self.inputs, cells);
            }
        }
    }

    /// Adds the products of images and the gradients of their outputs to some tiles of the sums; `first` puts them there.
    ///
    /// # Safety
    ///
    /// The machine has the kernels' instructions; `dy` and `cells` are of so many images, `cells` with nothing but their
    /// pixels and zeros; `sums` are as many as `self` says, and nobody else uses those of the tiles.
    #[allow(clippy::too_many_arguments)]
    pub(super) unsafe fn add(
        &self,
        images: usize,
        dy: *const E,
        cells: *const E,
        offsets: &[usize],
        tiles: Range<usize>,
        first: bool,
        sums: *mut E,
    ) {
        assert!(images == 1 || self.by_channels, "the kernels for neighbouring pixels take one image");
        let lanes = self.kernels.lanes;
        let (kernels, unit) = (self.kernels(), if self.by_channels { lanes } else { 1 });
        let row = self.vectors() * lanes;
        let pixels = self.size.0 * self.size.1;
        let (offsets, steps) = offsets.split_at(self.vectors());
        let (down, across) = self.grid_of_tiles();
        let zeros = [E::zero(); ZEROS];
        assert!(kernels[0].len() * lanes <= ZEROS);
        for tile in tiles {
            let vectors = share(self.vectors(), across, tile / down);
            let rows = share(self.outputs, down, tile % down);
            // SAFETY: the caller's contract; rows and vectors are those of the sums.
            unsafe {
                let y = sums.add(rows.start * row + vectors.start * lanes);
                let job = Reduce {
                    images,
                    size: self.size,
                    a: dy.add(rows.start * pixels),
                    a_row: pixels,
                    steps: steps.as_ptr(),
                    a_line: self.size.1,
                    a_image: self.outputs * pixels,
                    b: cells,
                    offsets: offsets[vectors.start..].as_ptr(),
                    b_line: self.grid.line * unit,
                    b_image: self.cells(),
                    start: if first { zeros.as_ptr() } else { y },
                    start_row: if first { 0 } else { row },
                    y,
                    y_row: row,
                };
                kernels[rows.len() - 1][vectors.len() - 1](&job);
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
        let (row, vectors) = (self.inputs * self.taps, self.vectors() * lanes);
        let parts = self.outputs.min(PARTS);
        let shared = Shared(dw.as_mut_ptr());
        run(parts, dw.len() * FINISHED, |part| {
            for o in share(self.outputs, parts, part) {
                // SAFETY: output o is one of all, and in one part.
                let dw = unsafe { from_raw_parts_mut(shared.get().add(o * row), row) };
                let sums = &sums[o * vectors..][..vectors];
                for (dw, sums) in dw.chunks_mut(lanes * self.taps).zip(sums.chunks_exact(lanes * self.taps)) {
                    let channels = dw.len() / self.taps;
                    // SAFETY: the caller's contract.
                    unsafe { spread::turn(self.kernels, (sums, lanes), (dw, self.taps), (self.taps, channels)) }
                }
            }
        });
    }
}
