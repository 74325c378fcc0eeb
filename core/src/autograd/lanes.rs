//! Gradients lane by lane: what reductions and running operations along an axis share.

use crate::element::Float;
use crate::shape::Shape;
use crate::tensor::Tensor;

/// What a rule works on, for one lane of the operand.
pub(super) struct Lane<'a, E, Y> {
    /// The operand, where it was saved.
    pub(super) x: &'a [E],
    /// The result, or where its elements came from, where it was saved.
    pub(super) y: &'a [Y],
    /// The gradient of the result.
    pub(super) dy: &'a [E],
}

/// The gradient of an operand of this shape, from the gradient of a result with a lane for each of its lanes. What was
/// not saved is empty.
pub(super) fn by_lane<S: Shape, E: Float, Y: Copy>(
    shape: S,
    (before, size, after): (usize, usize, usize),
    all: &Lane<'_, E, Y>,
    mut rule: impl FnMut(Lane<'_, E, Y>, &mut [E]),
) -> Tensor<S, E> {
    let mut dx = Tensor::zeros_of(shape);
    let places = before * after;
    if places == 0 || size == 0 {
        return dx;
    }
    if after == 1 {
        let [x, y, dy] = [all.x.len(), all.y.len(), all.dy.len()].map(|len| len / places);
        for (i, dx) in dx.as_mut_slice().chunks_exact_mut(size).enumerate() {
            let (x, y, dy) = (&all.x[i * x..][..x], &all.y[i * y..][..y], &all.dy[i * dy..][..dy]);
            rule(Lane { x, y, dy }, dx);
        }
        return dx;
    }
    let (mut x, mut y, mut dy, mut new) = (Vec::new(), Vec::new(), Vec::new(), vec![E::zero(); size]);
    for i in 0..before {
        for j in 0..after {
            lane(&mut x, all.x, (i, j), (places, after));
            lane(&mut y, all.y, (i, j), (places, after));
            lane(&mut dy, all.dy, (i, j), (places, after));
            new.fill(E::zero());
            rule(Lane { x: &x, y: &y, dy: &dy }, &mut new);
            for (k, new) in new.iter().enumerate() {
                dx.as_mut_slice()[(i * size + k) * after + j] = *new;
            }
        }
    }
    dx
}

/// Copies the lane at (i, j) out of `all`, which has as many lanes as there are places.
fn lane<T: Copy>(lane: &mut Vec<T>, all: &[T], (i, j): (usize, usize), (places, after): (usize, usize)) {
    let size = all.len() / places;
    lane.clear();
    lane.extend((0..size).map(|k| all[(i * size + k) * after + j]));
}
