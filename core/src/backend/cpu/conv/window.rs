use super::grid::{Axis, Grid, div_ceil};
use crate::dim::window_size;

/// Geometry of a two-dimensional window sliding over planes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Height and width of a plane.
    pub input: (usize, usize),
    /// Height and width of the window.
    pub kernel: (usize, usize),
    /// How far the window moves.
    pub stride: (usize, usize),
    /// The border around the plane.
    pub padding: (usize, usize),
    /// The distance of neighbouring elements of the window.
    pub dilation: (usize, usize),
}

/// One direction of a [`Window`].
#[derive(Clone, Copy, Debug)]
pub(in crate::backend::cpu) struct Slide {
    pub input: usize,
    pub kernel: usize,
    pub stride: usize,
    pub padding: usize,
    pub dilation: usize,
}

impl Slide {
    const fn output(&self) -> usize {
        window_size(self.input, self.kernel, self.stride, self.padding, self.dilation)
    }

    /// The input as a convolution reads it, and where.
    fn forward(&self) -> Axis {
        let reach = self.dilation * (self.kernel - 1) / self.stride;
        Axis { step: self.stride, before: self.padding as isize, len: self.output() + reach, input: self.input }
    }

    /// The plane of [`forward`](Slide::forward) that holds a tap, and how many cells on.
    fn tap(&self, k: usize) -> (usize, usize) {
        (k * self.dilation % self.stride, k * self.dilation / self.stride)
    }

    /// The pixels u · stride + a of the input that a tap reaches, a < stride, and the output u + shift that it reaches them
    /// from.
    fn source(&self, k: usize) -> (usize, isize) {
        let t = self.padding as isize - (k * self.dilation) as isize;
        ((-t).rem_euclid(self.stride as isize) as usize, div_ceil(t, self.stride))
    }

    /// The smallest of the shifts of [`source`](Slide::source).
    fn least(&self) -> isize {
        self.source(self.kernel - 1).1
    }

    /// The output as the gradient of the input reads it.
    fn backward(&self) -> Axis {
        let reach = (self.source(0).1 - self.least()) as usize;
        Axis { step: 1, before: -self.least(), len: self.input.div_ceil(self.stride) + reach, input: self.output() }
    }
}

impl Window {
    /// Refuses what is no window. From here on, the product of any two of these numbers is one, too.
    pub(in crate::backend::cpu) fn check(&self) {
        let Window { input, kernel, stride, padding, dilation } = *self;
        let largest = [input, kernel, stride, padding, dilation].into_iter().fold(0, |most, (h, w)| most.max(h).max(w));
        let least = [kernel, stride, dilation].into_iter().fold(1, |least, (h, w)| least.min(h).min(w));
        assert!(least >= 1 && largest < 1 << (usize::BITS / 2 - 1), "not a window: {self:?}");
    }

    /// Height and width of the output: (input + 2 · padding − dilation · (kernel − 1) − 1) / stride + 1; 0 where the
    /// window does not fit.
    #[must_use]
    pub const fn output(&self) -> (usize, usize) {
        (self.down().output(), self.across().output())
    }

    /// The elements of the window.
    pub(in crate::backend::cpu) const fn area(&self) -> usize {
        self.kernel.0 * self.kernel.1
    }

    pub(in crate::backend::cpu) const fn down(&self) -> Slide {
        Slide {
            input: self.input.0,
            kernel: self.kernel.0,
            stride: self.stride.0,
            padding: self.padding.0,
            dilation: self.dilation.0,
        }
    }

    pub(in crate::backend::cpu) const fn across(&self) -> Slide {
        Slide {
            input: self.input.1,
            kernel: self.kernel.1,
            stride: self.stride.1,
            padding: self.padding.1,
            dilation: self.dilation.1,
        }
    }

    /// The grid of the input.
    pub(super) fn forward_grid(&self) -> Grid {
        Grid::new(self.down().forward(), self.across().forward(), self.output().1)
    }

    /// The distance of each tap from the pixel it serves, in the order of the weights.
    pub(super) fn forward_taps(&self, grid: Grid) -> impl Iterator<Item = usize> + Clone + use<> {
        let (down, across) = (self.down(), self.across());
        (0..down.kernel).flat_map(move |i| (0..across.kernel).map(move |j| grid.at(down.tap(i), across.tap(j))))
    }

    /// The grid of the output, for the gradient of the input.
    pub(super) fn backward_grid(&self) -> Grid {
        Grid::new(self.down().backward(), self.across().backward(), self.input.1.div_ceil(self.stride.1))
    }

    /// For the pixels u · stride + a down and v · stride + b across: the taps that reach them, and their distances.
    pub(super) fn backward_taps(
        &self,
        grid: Grid,
        (a, b): (usize, usize),
    ) -> impl Iterator<Item = (usize, usize)> + use<> {
        let reaching = |slide: Slide, plane: usize| {
            (0..slide.kernel).filter_map(move |k| {
                let (of, shift) = slide.source(k);
                (of == plane).then(|| (k, (0, (shift - slide.least()) as usize)))
            })
        };
        let (down, across) = (self.down(), self.across());
        reaching(down, a).flat_map(move |(i, at_i)| {
            reaching(across, b).map(move |(j, at_j)| (i * across.kernel + j, grid.at(at_i, at_j)))
        })
    }

    /// The pixels u · stride + a down and v · stride + b across: how many.
    pub(super) fn plane(&self, (a, b): (usize, usize)) -> (usize, usize) {
        let count = |slide: Slide, plane: usize| slide.input.saturating_sub(plane).div_ceil(slide.stride);
        (count(self.down(), a), count(self.across(), b))
    }
}
