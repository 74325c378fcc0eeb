use super::pool;
use super::simd::widest;
use crate::element::Float;
use crate::nn::LayerInfo;
use core::fmt;
use core::marker::PhantomData;
use core::ops::Range;

type Apply<'a, E> = &'a (dyn Fn(usize, &mut [E], &[E]) + Sync);

/// How parameters change by their gradients: a rule for each alone, with the moments that an optimizer keeps of it.
#[derive(Clone, Copy)]
pub struct Descent<'a, E> {
    /// Takes the place of some parameters in the block of all, these, and their gradients.
    ///
    /// # Safety
    ///
    /// No other thread does so with any of them.
    apply: Apply<'a, E>,
    /// The moments of a parameter.
    moments: usize,
}

impl<'a, E: Float> Descent<'a, E> {
    /// Gives `then` the rule `(p, moments) = f(p, g, moments)` for parameters p, their gradients g and N moments of each.
    #[inline]
    pub fn with<const N: usize, T>(
        moments: [&mut [E]; N],
        f: impl Fn(E, E, [E; N]) -> (E, [E; N]) + Sync,
        then: impl FnOnce(Descent<'_, E>) -> T,
    ) -> T {
        let lengths = moments.each_ref().map(|m| m.len());
        let moments = moments.map(|m| pool::Shared(m.as_mut_ptr()));
        let apply = |start: usize, p: &mut [E], g: &[E]| {
            let len = p.len();
            let inside = lengths.iter().all(|all| start <= *all && len <= all - start);
            assert!(g.len() == len && inside, "blocks of different lengths");
            // SAFETY: inside of the moments, which are borrowed; no other thread has these, as who calls it promises.
            let m = moments.each_ref().map(|m| unsafe { core::slice::from_raw_parts_mut(m.get().add(start), len) });
            widest(
                #[inline(always)]
                || pass(p, g, m, &f),
            );
        };
        then(Descent { apply: &apply, moments: N })
    }
}

impl<E> fmt::Debug for Descent<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Descent").field("moments", &self.moments).finish_non_exhaustive()
    }
}

/// The parameters of a layer in a backward pass, which are updated once their gradient is there, if that is known how.
#[derive(Debug)]
pub struct Params<'a, E> {
    /// They are written only by a method that takes `self`, if there is a descent.
    start: *mut E,
    len: usize,
    /// Their place in the block of all parameters.
    place: usize,
    descent: Option<Descent<'a, E>>,
    borrowed: PhantomData<&'a mut [E]>,
}

impl<'a, E: Float> Params<'a, E> {
    /// Parameters that stay as they are.
    #[inline(always)]
    pub fn read(params: &'a [E]) -> Self {
        let start = params.as_ptr().cast_mut();
        Params { start, len: params.len(), place: 0, descent: None, borrowed: PhantomData }
    }

    /// All parameters of a network, to be updated.
    #[inline(always)]
    pub fn updated(params: &'a mut [E], descent: Descent<'a, E>) -> Self {
        Params {
            start: params.as_mut_ptr(),
            len: params.len(),
            place: 0,
            descent: Some(descent),
            borrowed: PhantomData,
        }
    }

    /// The first `len`, and the others.
    ///
    /// # Panics
    /// If there are fewer.
    #[inline(always)]
    #[must_use]
    pub fn split_at(self, len: usize) -> (Self, Self) {
        assert!(len <= self.len, "fewer parameters than that");
        let others = Params {
            start: self.start.wrapping_add(len),
            len: self.len - len,
            place: self.place + len,
            descent: self.descent,
            borrowed: PhantomData,
        };
        (Params { len, ..self }, others)
    }

    /// The parameters as they are.
    #[inline(always)]
    pub fn get(&self) -> &[E] {
        // SAFETY: a part of what is borrowed, which is not written while `self` is.
        unsafe { core::slice::from_raw_parts(self.start, self.len) }
    }

    /// Updates them, if that is known how, by their gradients.
    #[inline(always)]
    pub fn update(self, gradients: &[E]) {
        if let Some(descent) = self.descent {
            // SAFETY: a part of what is borrowed mutably, as there is a descent.
            let params = unsafe { core::slice::from_raw_parts_mut(self.start, self.len) };
            update_at(self.place, params, gradients, &[], descent);
        }
    }

    /// The same, some at a time.
    #[inline(always)]
    pub fn in_pieces(self) -> Option<Pieces<'a, E>> {
        self.descent.map(|descent| Pieces {
            start: pool::Shared(self.start),
            len: self.len,
            place: self.place,
            descent,
        })
    }
}

/// Parameters that are updated some at a time.
pub struct Pieces<'a, E> {
    start: pool::Shared<E>,
    len: usize,
    place: usize,
    descent: Descent<'a, E>,
}

impl<E: Float> Pieces<'_, E> {
    /// Where they are.
    pub(super) fn as_ptr(&self) -> *const E {
        self.start.get()
    }

    /// Updates those from the `i`-th on by their gradients.
    ///
    /// # Safety
    ///
    /// No other thread does so with any of them.
    pub(super) unsafe fn update(&self, i: usize, gradients: &[E]) {
        assert!(i <= self.len && gradients.len() <= self.len - i, "more gradients than parameters");
        // SAFETY: inside of what is borrowed mutably, as there is a descent; the caller's contract.
        let params = unsafe { core::slice::from_raw_parts_mut(self.start.get().add(i), gradients.len()) };
        (self.descent.apply)(self.place + i, params, gradients);
    }
}

/// One pass over all parameters, of these layers, and their gradients.
///
/// On as many threads as pay, with the widest vectors of the machine; every element is computed alone, so neither changes
/// a bit. A thread updates the same share of each of the layers: of a large one, the rows of weights that it multiplies
/// with and whose gradient it has computed.
#[inline]
pub fn update<E: Float>(parameters: &mut [E], gradients: &[E], layers: &[LayerInfo], descent: Descent<'_, E>) {
    update_at(0, parameters, gradients, layers, descent);
}

/// [`update`] of parameters that begin somewhere in the block of all.
#[inline]
fn update_at<E: Float>(
    place: usize,
    parameters: &mut [E],
    gradients: &[E],
    layers: &[LayerInfo],
    Descent { apply, moments }: Descent<'_, E>,
) {
    let len = parameters.len();
    assert!(gradients.len() == len, "blocks of different lengths");
    // Of one thread, where memory is the limit: two streams or more, at 32 bytes a nanosecond.
    let parts = pool::threads_for(len * (2 + moments) * size_of::<E>() / 32);
    if parts == 1 {
        return apply(place, parameters, gradients);
    }
    let parameters = pool::Shared(parameters.as_mut_ptr());
    pool::run(parts, |part| {
        of_each_layer(layers, len, &mut |layer| {
            let range = pool::cut(layer.len(), parts, PIECE, part);
            let (start, len) = (layer.start + range.start, range.len());
            // SAFETY: elements that no other part has, of a block that holds all.
            let p = unsafe { core::slice::from_raw_parts_mut(parameters.get().add(start), len) };
            apply(place + start, p, &gradients[start..start + len]);
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

/// A [`Descent`] of some parameters.
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
