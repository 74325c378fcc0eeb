//! Convolution of images in two dimensions, and its gradients.
//!
//! Nothing is ever multiplied that is not in the image: an image is copied once, with its border (see [`grid`]), and the
//! products read it there, shifted by each tap. All three of them, the output, the gradient of the input and that of the
//! weights, hold a tile of results in registers while they pass over their sums.
//!
//! The work is cut into parts of whole images, and the cut depends on the sizes alone. The gradients of the weights are
//! summed in each part and then over the parts in their order, so they are the same whatever the number of threads.

mod correlate;
mod data;
mod grid;
mod memory;
mod pack;
mod spread;
#[cfg(test)]
mod tests;
mod weigh;
mod window;

pub(super) use window::Slide;
pub use window::Window;

use super::gemm::Isa;
use super::is_product;
use super::pool::{self, Shared};
use super::simd::{Op, Simd, on};
use super::small::{LANES, activate_keeping, derive_kept, pairwise};
use crate::element::Float;
use crate::nn::Activation;
use core::marker::PhantomData;
use core::ops::Range;
use core::slice::from_raw_parts_mut;
pub(super) use correlate::share;
use correlate::{Correlation, by_outputs};
use data::{Data, Packed};
use pack::{Weights, pack_weights, packed_len};
use weigh::Weigh;

/// The sizes of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv {
    /// The channels of the input.
    pub in_channels: usize,
    /// The channels of the output.
    pub out_channels: usize,
    /// How the kernel moves.
    pub window: Window,
}

impl Conv {
    /// Refuses slices that are not of these sizes.
    fn check<E>(&self, batch: usize, x: &[E], w: &[E], y: &[E]) {
        let Conv { in_channels, out_channels, window } = *self;
        window.check();
        let (input, kernel, output) = (window.input, window.kernel, window.output());
        assert!(
            is_product(x.len(), [batch, in_channels, input.0, input.1])
                && is_product(y.len(), [batch, out_channels, output.0, output.1]),
            "images are not of their convolution's sizes"
        );
        assert!(
            is_product(w.len(), [out_channels, in_channels, kernel.0, kernel.1]),
            "parameters are not of their sizes"
        );
    }

    /// The elements of an input image, of an output image, and of the weights.
    fn sizes(&self) -> (usize, usize, usize) {
        let (input, output) = (self.window.input, self.window.output());
        (
            self.in_channels * input.0 * input.1,
            self.out_channels * output.0 * output.1,
            self.out_channels * self.in_channels * self.window.area(),
        )
    }

    /// The multiply-adds for an image.
    fn multiply_adds(&self) -> usize {
        self.sizes().1 * self.in_channels * self.window.area()
    }
}

/// The most parts that the images of a batch are cut into.
const PARTS: usize = 16;
/// The most elements of the partial sums of all parts, but two parts may always be.
const PARTIAL_SUMS: usize = 4 << 20;
/// The most elements of the cells of images that are added to the sums at once, but one always is.
const AT_ONCE: usize = 1 << 20;
/// The price of an element that goes into its cell or through the activation's derivative, in multiply-adds.
const ELEMENT: usize = 20;
/// What a thread does in a nanosecond, in multiply-adds: an estimate.
const SPEED: usize = 40;

/// `y = A(x ∗ w + b)`, as `torch.nn.functional.conv2d`: `x: [batch, in, height, width]`, `w: [out, in, kernel]`, `b: [out]`,
/// `y: [batch, out, output]`.
///
/// `slopes` keeps A′(x ∗ w + b) where that does not follow from the output (see [`Activation::FROM_OUTPUT`]); otherwise it
/// is empty, and so it is where no gradient will be asked for.
pub fn conv2d_forward<E: Float, A: Activation>(
    x: &[E],
    w: &[E],
    b: Option<&[E]>,
    y: &mut [E],
    slopes: &mut [E],
    batch: usize,
    conv: &Conv,
) {
    forward::<E, A>(Isa::best(), x, w, b, y, slopes, batch, conv);
}

/// The gradients of [`conv2d_forward`].
///
/// `v` is the output or, if the activation's derivative does not follow from it, the kept slopes. `dy` becomes the
/// gradient of `x ∗ w + b`; `dw`, `db` and, if there is one, `dx` are overwritten.
#[allow(clippy::too_many_arguments)]
pub fn conv2d_backward<E: Float, A: Activation>(
    x: &[E],
    w: &[E],
    v: &[E],
    dy: &mut [E],
    dx: Option<&mut [E]>,
    dw: &mut [E],
    db: Option<&mut [E]>,
    batch: usize,
    conv: &Conv,
) {
    backward::<E, A>(Isa::best(), x, w, v, dy, dx, dw, db, batch, conv);
}

/// [`conv2d_forward`] with the kernels of an instruction set, which this machine must have.
#[allow(clippy::too_many_arguments)]
fn forward<E: Float, A: Activation>(
    isa: Isa,
    x: &[E],
    w: &[E],
    b: Option<&[E]>,
    y: &mut [E],
    slopes: &mut [E],
    batch: usize,
    conv: &Conv,
) {
    conv.check(batch, x, w, y);
    let (input, output, _) = conv.sizes();
    let size = conv.window.output();
    assert!(isa.is_available(), "{isa:?} on a machine without it");
    assert!(b.is_none_or(|b| b.len() == conv.out_channels), "parameters are not of their sizes");
    assert!(slopes.is_empty() || slopes.len() == y.len(), "no room for the derivative");
    let keeps = !A::FROM_OUTPUT && !slopes.is_empty();
    if y.is_empty() {
        return;
    }
    let kernels = E::for_convolutions(isa);
    let grid = conv.window.forward_grid();
    let taps = conv.window.area();
    let terms = conv.in_channels * taps;
    let by_outputs = by_outputs(kernels, size, grid.line, conv.out_channels, terms);
    memory::with_taps(conv.window.forward_taps(grid), |distances| {
        let outputs = conv.out_channels.next_multiple_of(kernels.lanes);
        let areas = [packed_len(kernels, conv.out_channels, terms), outputs];
        memory::with(&memory::CALL, areas, |[packed, bias]| {
            let weights = Weights {
                data: w,
                output: terms,
                channel: taps,
                area: taps,
                taps: None,
                outputs: conv.out_channels,
                channels: conv.in_channels,
            };
            // SAFETY: the machine has the instructions, as asserted above.
            unsafe { pack_weights(kernels, by_outputs, &weights, packed) }
            bias.fill(E::zero());
            if let Some(b) = b {
                bias[..b.len()].copy_from_slice(b);
            }
            let correlation = Correlation {
                kernels,
                line: grid.line,
                channel: grid.channel(),
                channels: conv.in_channels,
                taps: distances,
                weights: packed,
                outputs: conv.out_channels,
                bias,
                size,
                by_outputs,
            };
            let (y, slopes) = (Shared(y.as_mut_ptr()), Shared(slopes.as_mut_ptr()));
            let parts = batch.min(PARTS);
            run(parts, batch * conv.multiply_adds(), |part| {
                let areas = [conv.in_channels.saturating_mul(grid.channel()), correlation.strip_len()];
                memory::with(&memory::JOB, areas, |[cells, strip]| {
                    cells.fill(E::zero());
                    for n in share(batch, parts, part) {
                        // SAFETY: image n is one of `batch`, and in one part.
                        let y = unsafe { from_raw_parts_mut(y.get().add(n * output), output) };
                        let slopes = if keeps {
                            // SAFETY: as y; the length is asserted above.
                            unsafe { from_raw_parts_mut(slopes.get().add(n * output), output) }
                        } else {
                            &mut []
                        };
                        // SAFETY: the machine has the instructions, as asserted above. The image is of the grid's input,
                        // the cells are of the grid, and `memory` leaves room behind them.
                        unsafe {
                            spread::planes(kernels, &grid, &x[n * input..][..input], conv.in_channels, cells);
                            correlation.run(cells, strip, |strip| {
                                let lines = strip.start * size.1;
                                let to = (size.0 * size.1, size.1, 1);
                                spread::place(kernels, &strip, size.1, &mut y[lines..], to);
                                let lines = lines..lines + strip.lines * size.1;
                                let area = size.0 * size.1;
                                on(isa, Activate::<E, A> { y, slopes, area, lines, activation: PhantomData });
                            });
                        }
                    }
                });
            });
        });
    });
}

/// The activation of some lines of every channel of an output.
struct Activate<'a, E, A> {
    y: &'a mut [E],
    slopes: &'a mut [E],
    /// The elements of a channel, and those of the lines.
    area: usize,
    lines: Range<usize>,
    activation: PhantomData<A>,
}

impl<E: Float, A: Activation> Op for Activate<'_, E, A> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        if A::IDENTITY {
            return;
        }
        for (c, y) in self.y.chunks_exact_mut(self.area).enumerate() {
            let y = &mut y[self.lines.clone()];
            let slopes = match &mut *self.slopes {
                [] => &mut [],
                slopes => &mut slopes[c * self.area..][self.lines.clone()],
            };
            activate_keeping::<E, A>(y, slopes);
        }
    }
}

/// [`conv2d_backward`] with the kernels of an instruction set, which this machine must have.
#[allow(clippy::too_many_arguments)]
fn backward<E: Float, A: Activation>(
    isa: Isa,
    x: &[E],
    w: &[E],
    v: &[E],
    dy: &mut [E],
    dx: Option<&mut [E]>,
    dw: &mut [E],
    db: Option<&mut [E]>,
    batch: usize,
    conv: &Conv,
) {
    conv.check(batch, x, w, dy);
    let (input, output, weights) = conv.sizes();
    assert!(isa.is_available(), "{isa:?} on a machine without it");
    assert!(A::IDENTITY || v.len() == dy.len(), "the activation's values are not of the output's size");
    assert!(dx.as_ref().is_none_or(|dx| dx.len() == x.len()), "the gradient of the input is not of its size");
    assert!(dw.len() == weights, "parameters are not of their sizes");
    assert!(db.as_ref().is_none_or(|db| db.len() == conv.out_channels), "parameters are not of their sizes");
    if dy.is_empty() || x.is_empty() {
        dw.fill(E::zero());
        db.into_iter().for_each(|db| db.fill(E::zero()));
        dx.into_iter().for_each(|dx| dx.fill(E::zero()));
        return;
    }
    let kernels = E::for_convolutions(isa);
    let grid = conv.window.forward_grid();
    let weigh = Weigh::new(kernels, grid, conv);
    let data = dx.is_some().then(|| Data::new(kernels, conv));
    let products = conv.multiply_adds() * if data.is_some() { 2 } else { 1 };
    // Either each part sums over its images, or all images of a round are added up at once, in parts of the sums.
    let round = if weigh.at_once() { (AT_ONCE / weigh.cells()).clamp(1, batch) } else { batch };
    let (own, common, common_cells) =
        if weigh.at_once() { (0, weigh.sums(), round * weigh.cells()) } else { (weigh.sums(), 0, 0) };
    // The sums of a part: of the weights, then of the biases.
    let sums = own + conv.out_channels;
    let parts = (PARTIAL_SUMS / sums).clamp(2, PARTS).min(batch);
    let distances = weigh.offsets(conv.window.forward_taps(grid));
    let distances = distances.chain(data.iter().flat_map(|data| data.distances().chain(data.taps())));
    memory::with_taps(distances, |distances| {
        let (offsets, distances) = distances.split_at(weigh.offset_count());
        let (distances, taps) = distances.split_at(distances.len() / 2);
        let packed = data.as_ref().map_or(0, Data::packed);
        let areas = [parts * sums, common, common_cells, packed, conv.in_channels.next_multiple_of(kernels.lanes)];
        memory::with(&memory::CALL, areas, |[partial, common, common_cells, packed, zeros]| {
            partial.chunks_exact_mut(sums).for_each(|sums| sums[own..].fill(E::zero()));
            zeros.fill(E::zero());
            if let Some(data) = &data {
                // SAFETY: the machine has the instructions, as asserted above.
                unsafe { data.pack(w, taps, packed) }
            }
            let packed = Packed { distances, weights: packed, zeros };
            let areas = [
                if weigh.at_once() { 0 } else { weigh.cells() },
                data.as_ref().map_or(0, Data::cells),
                data.as_ref().map_or(0, |data| data.strip(packed)),
            ];
            let dx = dx.map(|dx| Shared(dx.as_mut_ptr()));
            let dy = Shared(dy.as_mut_ptr());
            let shared = Shared(partial.as_mut_ptr());
            let shared_sums = Shared(common.as_mut_ptr());
            let shared_cells = Shared(common_cells.as_mut_ptr());
            let images = |part: usize, round: &Range<usize>| {
                // SAFETY: there are so many sums for each part.
                let sums = unsafe { from_raw_parts_mut(shared.get().add(part * sums), sums) };
                let (sums, db) = sums.split_at_mut(own);
                memory::with(&memory::JOB, areas, |[x_cells, dy_cells, strip]| {
                    x_cells.fill(E::zero());
                    dy_cells.fill(E::zero());
                    let share = share(round.len(), parts, part);
                    for i in share.clone() {
                        let n = round.start + i;
                        let v = if A::IDENTITY { &[] } else { &v[n * output..][..output] };
                        // SAFETY: image n is one of `batch`, and in one part.
                        let dy = unsafe { from_raw_parts_mut(dy.get().add(n * output), output) };
                        on(isa, ThroughActivation::<E, A> { v, dy, db, activation: PhantomData });
                        // SAFETY: the machine has the instructions, as asserted above; everything has the sizes of the
                        // convolution, and image n of `dx` is one of `batch`, and in one part.
                        unsafe {
                            let x = &x[n * input..][..input];
                            if weigh.at_once() {
                                let cells = weigh.cells();
                                let cells = from_raw_parts_mut(shared_cells.get().add(i * cells), cells);
                                cells.fill(E::zero());
                                weigh.spread(x, cells);
                            } else {
                                weigh.spread(x, x_cells);
                                weigh.add(
                                    1,
                                    dy.as_ptr(),
                                    x_cells.as_ptr(),
                                    offsets,
                                    0..weigh.tiles(),
                                    i == share.start,
                                    sums.as_mut_ptr(),
                                );
                            }
                            if let (Some(data), Some(dx)) = (&data, &dx) {
                                let dx = from_raw_parts_mut(dx.get().add(n * input), input);
                                data.run(packed, dy, dx, dy_cells, strip);
                            }
                        }
                    }
                });
            };
            let share_of_sums = |part: usize, parts: usize, round: &Range<usize>| {
                let tiles = share(weigh.tiles(), parts, part);
                // SAFETY: the machine has the instructions, as asserted above; the gradients of the images of a round are
                // ready, and their cells; a tile is in one part.
                unsafe {
                    let dy = dy.get().add(round.start * output);
                    let first = round.start == 0;
                    weigh.add(round.len(), dy, shared_cells.get(), offsets, tiles, first, shared_sums.get());
                }
            };
            for start in (0..batch).step_by(round) {
                let round = start..(start + round).min(batch);
                if weigh.at_once() {
                    let products = products - conv.multiply_adds() + ELEMENT * (input + output);
                    run(parts, round.len() * products, |part| images(part, &round));
                    let parts = weigh.tiles().min(PARTS);
                    run(parts, round.len() * conv.multiply_adds(), |part| share_of_sums(part, parts, &round));
                } else {
                    run(parts, round.len() * products, |part| images(part, &round));
                }
            }
            let (total, rest) = partial.split_at_mut(sums);
            for sums in rest.chunks_exact(sums) {
                total.iter_mut().zip(sums).for_each(|(total, sum)| *total += *sum);
            }
            let (total, total_db) = total.split_at(own);
            // SAFETY: the machine has the instructions.
            unsafe { weigh.finish(if weigh.at_once() { common } else { total }, dw) }
            db.into_iter().for_each(|db| db.copy_from_slice(total_db));
        });
    });
}

/// `dy *= A'` for an image, and the sums of its channels added to `db`.
struct ThroughActivation<'a, E, A> {
    v: &'a [E],
    dy: &'a mut [E],
    db: &'a mut [E],
    activation: PhantomData<A>,
}

impl<E: Float, A: Activation> Op for ThroughActivation<'_, E, A> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        derive_kept::<E, A>(self.dy, self.v);
        let area = self.dy.len() / self.db.len();
        for (db, dy) in self.db.iter_mut().zip(self.dy.chunks_exact(area)) {
            // Many sums at once: the order of one would not let the compiler use vectors.
            let mut sums = [[E::zero(); LANES]; 2];
            let (whole, rest) = dy.as_chunks::<{ 2 * LANES }>();
            for dy in whole {
                sums.as_flattened_mut().iter_mut().zip(dy).for_each(|(sum, dy)| *sum += *dy);
            }
            sums.as_flattened_mut().iter_mut().zip(rest).for_each(|(sum, dy)| *sum += *dy);
            *db += pairwise(sums[0]) + pairwise(sums[1]);
        }
    }
}

/// Runs parts of some work, on several threads if it is worth that.
fn run(parts: usize, multiply_adds: usize, part: impl Fn(usize) + Sync) {
    if pool::threads_for(multiply_adds / SPEED) > 1 {
        pool::run(parts, part);
    } else {
        (0..parts).for_each(part);
    }
}
