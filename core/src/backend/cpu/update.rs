use super::pool;
use super::simd::widest;
use crate::element::Float;
use crate::nn::LayerInfo;
use core::ops::Range;

/// One pass over parameters p, their gradients g and N moments of each: `(p, moments) = f(p, g, moments)`.
///
/// On as many threads as pay, with the widest vectors of the machine; every element is computed alone, so neither changes
/// a bit. A thread updates the same share of each of the `layers` that the parameters are of: of a large one, the rows of
/// weights that it multiplies with and whose gradient it has computed.
pub fn update<E: Float, const N: usize>(
    parameters: &mut [E],
    gradients: &[E],
    moments: [&mut [E]; N],
    layers: &[LayerInfo],
    f: impl Fn(E, E, [E; N]) -> (E, [E; N]) + Sync,
) {
    let len = parameters.len();
    assert!(gradients.len() == len && moments.iter().all(|m| m.len() == len), "blocks of different lengths");
    // Of one thread, where memory is the limit: two streams or more, at 32 bytes a nanosecond.
    let parts = pool::threads_for(len * (2 + N) * size_of::<E>() / 32);
    let parameters = pool::Shared(parameters.as_mut_ptr());
    let moments = moments.map(|m| pool::Shared(m.as_mut_ptr()));
    let of = |range: Range<usize>| {
        let (start, len) = (range.start, range.len());
        let g = &gradients[range];
        // SAFETY: elements that no other part has, of a block that holds all.
        let p = unsafe { core::slice::from_raw_parts_mut(parameters.get().add(start), len) };
        // SAFETY: as above.
        let m = moments.each_ref().map(|m| unsafe { core::slice::from_raw_parts_mut(m.get().add(start), len) });
        widest(
            #[inline(always)]
            || pass(p, g, m, &f),
        );
    };
    if parts == 1 {
        return of(0..len);
    }
    pool::run(parts, |part| {
        of_each_layer(layers, len, &mut |layer| {
            let range = pool::cut(layer.len(), parts, PIECE, part);
            of(layer.start + range.start..layer.start + range.end);
        });
    });
}

/// Calls `f` with the parameters of each of the layers, which together are `0..len`, whatever the layers say.
fn of_each_layer(layers: &[LayerInfo], len: usize, f: &mut dyn FnMut(Range<usize>)) {
    fn ends(layers: &[LayerInfo], base: usize, f: &mut dyn FnMut(usize)) {
        for layer in layers {
            let start = base + layer.offset;
            ends(layer.layers, start, f);
            f(start + layer.params);
        }
    }
    let mut start = 0;
    let mut until = |end: usize| {
        let end = end.clamp(start, len);
        if end > start {
            f(start..end);
        }
        start = end;
    };
    ends(layers, 0, &mut until);
    until(len);
}

/// [`update`] of one part.
#[inline(always)]
fn pass<E: Float, const N: usize>(p: &mut [E], g: &[E], mut m: [&mut [E]; N], f: impl Fn(E, E, [E; N]) -> (E, [E; N])) {
    let whole = p.len() / LANES * LANES;
    for start in (0..whole).step_by(LANES) {
        let piece = start..start + LANES;
        // Copies, so that the compiler sees what the slices do not say: no store changes a later load.
        let mut ps = [E::zero(); LANES];
        let mut gs = [E::zero(); LANES];
        let mut ms = [[E::zero(); LANES]; N];
        ps.copy_from_slice(&p[piece.clone()]);
        gs.copy_from_slice(&g[piece.clone()]);
        for (ms, m) in ms.iter_mut().zip(&m) {
            ms.copy_from_slice(&m[piece.clone()]);
        }
        for i in 0..LANES {
            let (p, m) = f(ps[i], gs[i], core::array::from_fn(|j| ms[j][i]));
            ps[i] = p;
            for j in 0..N {
                ms[j][i] = m[j];
            }
        }
        p[piece.clone()].copy_from_slice(&ps);
        for (ms, m) in ms.iter().zip(&mut m) {
            m[piece.clone()].copy_from_slice(ms);
        }
    }
    for i in whole..p.len() {
        let (new, moments) = f(p[i], g[i], core::array::from_fn(|j| m[j][i]));
        p[i] = new;
        for j in 0..N {
            m[j][i] = moments[j];
        }
    }
}

/// How many elements are in work at once.
const LANES: usize = 32;

/// Parts begin at multiples of this: no two write to one cache line.
const PIECE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    fn pieces(layers: &[LayerInfo], len: usize) -> Vec<(usize, usize)> {
        let mut pieces = Vec::new();
        of_each_layer(layers, len, &mut |piece| pieces.push((piece.start, piece.end)));
        pieces
    }

    #[test]
    fn layers_and_layers_inside_of_layers() {
        sequential! { struct Inner { Linear(3, 2), ReLU, Linear(_, 4) } }
        sequential! { struct Net { Linear(2, 3), Tanh, Inner, Linear(_, 1) } }
        assert_eq!(pieces(Net::LAYERS, Net::PARAMS), [(0, 9), (9, 17), (17, 29), (29, 34)]);
        assert_eq!(pieces(Inner::LAYERS, Inner::PARAMS), [(0, 8), (8, 20)]);
    }

    /// Each parameter once, in order, also where layers are said to be elsewhere.
    #[test]
    fn layers_of_other_parameters() {
        sequential! { struct Net { Linear(2, 3), Linear(_, 1) } }
        let [first, second] = Net::LAYERS else { panic!("two layers") };
        assert_eq!(pieces(&[], 5), [(0, 5)]);
        assert_eq!(pieces(&[], 0), []);
        assert_eq!(pieces(Net::LAYERS, 20), [(0, 9), (9, 13), (13, 20)]);
        assert_eq!(pieces(Net::LAYERS, 10), [(0, 9), (9, 10)]);
        assert_eq!(pieces(&[*second, *first], 13), [(0, 13)]);
    }
}
