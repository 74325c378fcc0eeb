//! Copies images into grids and out of them.

use super::correlate::{Layout, Strip};
use super::grid::Grid;
use crate::element::Float;
use plywood_kernels::conv::Kernels;

/// The elements of a block of pixels, of as many channels as a vector of any instruction set has.
const SCRATCH: usize = 8 * 16;

/// Copies the pixels of an image into the planes of its channels.
///
/// # Safety
///
/// The machine has the kernels' instructions; the image has the grid's input, and `to` is for all channels.
pub(super) unsafe fn planes<E: Float>(kernels: &Kernels<E>, grid: &Grid, image: &[E], channels: usize, to: &mut [E]) {
    let area = grid.y.input * grid.x.input;
    for c in 0..channels {
        let image = &image[c * area..][..area];
        let to = &mut to[c * grid.channel()..][..grid.channel()];
        if grid.y.step == 1 && grid.x.step == 1 {
            let (down, across) = (grid.y.inside(0), grid.x.inside(0));
            if down.is_empty() || across.is_empty() {
                continue;
            }
            let from = &image[grid.y.pixel(0, down.start) * grid.x.input + grid.x.pixel(0, across.start)..];
            let to = &mut to[down.start * grid.line + across.start..];
            let size = (down.len(), across.len());
            // SAFETY: the caller's contract; cells inside the grid and the pixels in them.
            unsafe { (kernels.copy)((from.as_ptr(), grid.x.input), (to.as_mut_ptr(), grid.line), size) }
        } else {
            grid.lines(|pixel, cell, count| {
                let pixels = image[pixel..].iter().step_by(grid.x.step);
                to[cell..][..count].iter_mut().zip(pixels).for_each(|(to, pixel)| *to = *pixel);
            });
        }
    }
}

/// Copies the pixels of an image into blocks of channels: cell i of channel c of a block is at `i · lanes + c`.
///
/// # Safety
///
/// As [`planes`], with `to` for whole blocks.
pub(super) unsafe fn blocked<E: Float>(kernels: &Kernels<E>, grid: &Grid, image: &[E], channels: usize, to: &mut [E]) {
    let Kernels { lanes, block, .. } = *kernels;
    let mut scratch = [E::zero(); SCRATCH];
    let scratch = &mut scratch[..block * lanes];
    let area = grid.y.input * grid.x.input;
    let images = image[..channels * area].chunks(lanes * area);
    for (image, to) in images.zip(to.chunks_exact_mut(lanes * grid.channel())) {
        let channels = image.len() / area;
        grid.lines(|pixel, cell, count| {
            let (whole, image, to) = (image, &image[pixel..], &mut to[cell * lanes..]);
            if grid.x.step == 1 && count >= block && channels >= block {
                // SAFETY: the caller's contract.
                unsafe { turn(kernels, (image, area), (to, lanes), (channels, count)) }
            } else if grid.x.step == 1 && area >= block && channels >= block {
                // A whole block around a short line.
                let start = pixel.min(area - block);
                // SAFETY: the caller's contract.
                unsafe { turn(kernels, (&whole[start..], area), (&mut *scratch, lanes), (channels, block)) }
                let line = scratch[(pixel - start) * lanes..].chunks_exact(lanes);
                for (to, from) in to.chunks_exact_mut(lanes).zip(line).take(count) {
                    to[..channels].copy_from_slice(&from[..channels]);
                }
            } else {
                for (i, to) in to.chunks_exact_mut(lanes).enumerate().take(count) {
                    let pixels = image[i * grid.x.step..].iter().step_by(area);
                    to.iter_mut().zip(pixels).take(channels).for_each(|(to, pixel)| *to = *pixel);
                }
            }
        });
    }
}

/// Copies a strip to where it belongs: line i, column j of channel c to `c · channel + i · line + j · column`.
///
/// # Safety
///
/// The machine has the kernels' instructions.
pub(super) unsafe fn place<E: Float>(
    kernels: &Kernels<E>,
    strip: &Strip<'_, E>,
    columns: usize,
    to: &mut [E],
    (channel, line, column): (usize, usize, usize),
) {
    let (row, strip_line) = match strip.layout {
        Layout::Planes { row, line } => (row, line),
        // SAFETY: the caller's contract.
        Layout::Pixels { pixel } => {
            return unsafe { place_pixels(kernels, strip, pixel, columns, to, (channel, line, column)) };
        }
    };
    for c in 0..strip.channels {
        let (from, to) = (&strip.data[c * row..][..row], &mut to[c * channel..]);
        if column == 1 {
            assert!(to.len() >= (strip.lines - 1) * line + columns);
            // SAFETY: the caller's contract; the strip holds its lines, and the room for them is asserted above.
            unsafe {
                (kernels.copy)((from.as_ptr(), strip_line), (to.as_mut_ptr(), line), (strip.lines, columns));
            }
        } else {
            for i in 0..strip.lines {
                let from = &from[i * strip_line..][..columns];
                to[i * line..].iter_mut().step_by(column).zip(from).for_each(|(to, from)| *to = *from);
            }
        }
    }
}

/// [`place`] for a strip of pixels with all their channels.
///
/// # Safety
///
/// The machine has the kernels' instructions.
unsafe fn place_pixels<E: Float>(
    kernels: &Kernels<E>,
    strip: &Strip<'_, E>,
    pixel: usize,
    columns: usize,
    to: &mut [E],
    (channel, line, column): (usize, usize, usize),
) {
    // Lines without anything between them are one.
    let dense = column == 1 && line == columns;
    let (lines, columns) = if dense { (1, strip.lines * columns) } else { (strip.lines, columns) };
    let channels = strip.channels;
    for (i, from) in strip.data.chunks_exact(pixel * columns).enumerate().take(lines) {
        let to = &mut to[i * line..];
        if column == 1 {
            // SAFETY: the caller's contract.
            unsafe { turn(kernels, (from, pixel), (to, channel), (columns, channels)) }
        } else {
            for c in 0..channels {
                let to = to[c * channel..].iter_mut().step_by(column);
                to.zip(from[c..].iter().step_by(pixel)).for_each(|(to, from)| *to = *from);
            }
        }
    }
}

/// The transpose of a matrix: (from, distance of its rows), (to, distance of its rows), (rows and columns of `from`).
///
/// # Safety
///
/// The machine has the kernels' instructions.
pub(super) unsafe fn turn<E: Copy>(
    kernels: &Kernels<E>,
    (from, from_row): (&[E], usize),
    (to, to_row): (&mut [E], usize),
    (rows, columns): (usize, usize),
) {
    let Kernels { block, transpose, .. } = *kernels;
    if rows >= block && columns >= block {
        assert!(from.len() >= (rows - 1) * from_row + columns && to.len() >= (columns - 1) * to_row + rows);
        // The last block moves back until it fits, and writes some elements a second time.
        for j in (0..columns).step_by(block).map(|j| j.min(columns - block)) {
            for i in (0..rows).step_by(block).map(|i| i.min(rows - block)) {
                // SAFETY: a block inside of `rows` and `columns`; the lengths are asserted above.
                unsafe {
                    let (from, to) = (from.as_ptr().add(i * from_row + j), to.as_mut_ptr().add(j * to_row + i));
                    transpose(from, from_row, to, to_row);
                }
            }
        }
    } else {
        for i in 0..rows {
            for j in 0..columns {
                to[j * to_row + i] = from[i * from_row + j];
            }
        }
    }
}
