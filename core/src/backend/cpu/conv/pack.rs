//! Weights in the order in which the kernels read them.

use super::correlate::share;
use super::pool::Shared;
use super::run;
use super::spread::turn;
use crate::element::Float;
use core::slice::from_raw_parts_mut;
use plywood_kernels::conv::Kernels;

/// Weights as the user has them: that of output o, channel c and tap t at `o · output + c · channel + taps[t]`.
pub(super) struct Weights<'a, E> {
    pub data: &'a [E],
    pub output: usize,
    pub channel: usize,
    /// The weights of an output and a channel, which are together.
    pub area: usize,
    /// Without it, all of the area in its order.
    pub taps: Option<&'a [usize]>,
    pub outputs: usize,
    pub channels: usize,
}

/// The most weights that are transposed before they are put into the order of their taps.
const SCRATCH: usize = 1024;

/// Puts weights into the order in which the kernels read them: for each group of outputs, channel and tap those of the
/// outputs.
///
/// # Safety
///
/// The machine has the kernels' instructions.
pub(super) unsafe fn pack_weights<E: Float>(
    kernels: &Kernels<E>,
    by_outputs: bool,
    weights: &Weights<'_, E>,
    to: &mut [E],
) {
    let terms = weights.channels * weights.taps.map_or(weights.area, <[_]>::len);
    if terms == 0 {
        return;
    }
    let count = weights.outputs.div_ceil(if by_outputs { kernels.lanes } else { kernels.correlate.len() });
    let group = |i: usize| match by_outputs {
        true => i * kernels.lanes..(i + 1) * kernels.lanes,
        false => share(weights.outputs, count, i),
    };
    assert!(to.len() >= packed_len(kernels, weights.outputs, terms));
    let to = Shared(to.as_mut_ptr());
    run(count, weights.outputs * terms * PACKED, |i| {
        let rows = group(i);
        // SAFETY: the groups are apart, and there is memory for whole vectors of outputs.
        let to = unsafe { from_raw_parts_mut(to.get().add(rows.start * terms), rows.len() * terms) };
        // SAFETY: the caller's contract.
        unsafe { pack_group(kernels, weights, rows.start, rows.len(), to) }
    });
}

/// The price of packing a weight, in multiply-adds.
const PACKED: usize = 30;

/// [`pack_weights`] for the outputs from `start` on, `rows` of them; those behind the last are zeros.
///
/// # Safety
///
/// The machine has the kernels' instructions.
unsafe fn pack_group<E: Float>(
    kernels: &Kernels<E>,
    weights: &Weights<'_, E>,
    start: usize,
    rows: usize,
    to: &mut [E],
) {
    let Weights { data, output, channel, area, taps, outputs, channels } = *weights;
    let data = &data[start * output..];
    let whole = start + rows <= outputs;
    let taps = taps.filter(|taps| !taps.iter().copied().eq(0..area));
    match taps {
        None if whole => {
            let (channels, area) = if channel == area { (1, channels * area) } else { (channels, area) };
            for (c, to) in to.chunks_exact_mut(rows * area).enumerate().take(channels) {
                // SAFETY: the caller's contract.
                unsafe { turn(kernels, (&data[c * channel..], output), (to, rows), (rows, area)) }
            }
        }
        Some(taps) if whole && rows * area <= SCRATCH => {
            let mut scratch = [E::zero(); SCRATCH];
            for (c, to) in to.chunks_exact_mut(rows * taps.len()).enumerate() {
                // SAFETY: the caller's contract.
                unsafe { turn(kernels, (&data[c * channel..], output), (&mut scratch[..], rows), (rows, area)) }
                for (to, tap) in to.chunks_exact_mut(rows).zip(taps) {
                    to.copy_from_slice(&scratch[tap * rows..][..rows]);
                }
            }
        }
        _ => {
            let count = taps.map_or(area, <[_]>::len);
            for (i, to) in to.chunks_exact_mut(rows).enumerate() {
                let (c, t) = (i / count, i % count);
                let from = c * channel + taps.map_or(t, |taps| taps[t]);
                for (o, to) in to.iter_mut().enumerate() {
                    *to = if start + o < outputs { data[o * output + from] } else { E::zero() };
                }
            }
        }
    }
}

/// The memory for packed weights.
pub(super) fn packed_len<E>(kernels: &Kernels<E>, outputs: usize, terms: usize) -> usize {
    outputs.next_multiple_of(kernels.lanes).saturating_mul(terms)
}
