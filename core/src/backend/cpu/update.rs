use super::pool;
use super::simd::widest;
use crate::element::Float;

/// One pass over parameters p, their gradients g and N moments of each: `(p, moments) = f(p, g, moments)`.
///
/// On as many threads as pay, with the widest vectors of the machine; every element is computed alone, so neither changes
/// a bit.
pub fn update<E: Float, const N: usize>(
    parameters: &mut [E],
    gradients: &[E],
    moments: [&mut [E]; N],
    f: impl Fn(E, E, [E; N]) -> (E, [E; N]) + Sync,
) {
    let len = parameters.len();
    assert!(gradients.len() == len && moments.iter().all(|m| m.len() == len), "blocks of different lengths");
    // Of one thread, where memory is the limit: two streams or more, at 32 bytes a nanosecond.
    let parts = pool::threads_for(len * (2 + N) * size_of::<E>() / 32);
    let parameters = pool::Shared(parameters.as_mut_ptr());
    let moments = moments.map(|m| pool::Shared(m.as_mut_ptr()));
    pool::run(parts, |part| {
        let range = pool::cut(len, parts, PIECE, part);
        let (start, len) = (range.start, range.len());
        let g = &gradients[range];
        // SAFETY: the part's elements, which no other part has, of a block that holds all.
        let p = unsafe { core::slice::from_raw_parts_mut(parameters.get().add(start), len) };
        // SAFETY: as above.
        let m = moments.each_ref().map(|m| unsafe { core::slice::from_raw_parts_mut(m.get().add(start), len) });
        widest(
            #[inline(always)]
            || pass(p, g, m, &f),
        );
    });
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
