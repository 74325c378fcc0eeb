//! Where the pixels of an image are put so that every tap of a kernel lies a constant distance from the pixel it serves.
//!
//! An image is copied once into planes with a border of zeros. A stride of s makes s × s planes of a channel, one for each
//! remainder of the place of a pixel: within a plane, neighbouring outputs read neighbouring cells whatever the stride and
//! the dilation. So every convolution runs as one of stride 1, over whole planes as if they were one long row; what the
//! cells between the rows yield is dropped.

use core::ops::Range;

/// One direction of a [`Grid`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    /// The planes, and the distance of pixels that are neighbours in one of them.
    pub step: usize,
    /// Cell u of plane a holds pixel `step · u + a - before`.
    pub before: isize,
    /// The cells that are read.
    pub len: usize,
    /// The pixels there are.
    pub input: usize,
}

impl Axis {
    /// The cells of a plane that hold pixels.
    pub(super) fn inside(&self, plane: usize) -> Range<usize> {
        let cell = |pixel: usize| {
            let cell = div_ceil(pixel as isize + self.before - plane as isize, self.step);
            cell.clamp(0, self.len as isize) as usize
        };
        cell(0)..cell(self.input)
    }

    /// The pixel in a cell that holds one.
    pub(super) fn pixel(&self, plane: usize, cell: usize) -> usize {
        (self.step * cell + plane).wrapping_add_signed(-self.before)
    }
}

/// The quotient, rounded up.
pub(super) fn div_ceil(x: isize, by: usize) -> isize {
    -(-x).div_euclid(by as isize)
}

/// The planes of a channel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    pub y: Axis,
    pub x: Axis,
    /// The distance of two lines of a plane.
    pub line: usize,
    /// The distance of two planes.
    pub plane: usize,
}

/// Planes begin on lines of the cache; an odd number of them apart, or they would compete for a few of its places.
const UNIT: usize = 16;

impl Grid {
    /// A grid for lines of `outputs`.
    pub(super) fn new(y: Axis, x: Axis, outputs: usize) -> Self {
        // The zeros behind a line are those before the next.
        let borders = |a| (x.inside(a).start).min(x.len - x.inside(a).end);
        let shared = (0..x.step).map(borders).min().unwrap_or(0).min(x.len - outputs);
        let line = x.len - shared;
        let cells = (y.len - 1).checked_mul(line).and_then(|cells| cells.checked_add(x.len));
        let plane = cells.and_then(|cells| (cells.div_ceil(UNIT) | 1).checked_mul(UNIT));
        let channel = plane.and_then(|plane| (y.step * x.step).checked_mul(plane)).expect("capacity overflow");
        let plane = channel / (y.step * x.step);
        Grid { y, x, line, plane }
    }

    /// The distance of two channels.
    pub(super) fn channel(&self) -> usize {
        self.y.step * self.x.step * self.plane
    }

    /// Where a cell is: (plane, cell) down and across.
    pub(super) fn at(&self, (a, u): (usize, usize), (b, v): (usize, usize)) -> usize {
        (a * self.x.step + b) * self.plane + u * self.line + v
    }

    /// Calls `f` for each line of pixels of an image with its first pixel, its first cell and their number.
    pub(super) fn lines(&self, mut f: impl FnMut(usize, usize, usize)) {
        for a in 0..self.y.step {
            for b in 0..self.x.step {
                let across = self.x.inside(b);
                if across.is_empty() {
                    continue;
                }
                for u in self.y.inside(a) {
                    let pixel = self.y.pixel(a, u) * self.x.input + self.x.pixel(b, across.start);
                    f(pixel, self.at((a, u), (b, across.start)), across.len());
                }
            }
        }
    }
}
