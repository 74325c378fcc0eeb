//! What the operations on two broadcast operands share: gradients spread over the result and summed back.

use super::Variable;
use super::node::Record;
use crate::element::{Element, Float};
use crate::shape::Shape;
use crate::tensor::Tensor;
use crate::tensor::{around, sum, zip::zip};
#[cfg(feature = "cuda")]
use crate::tensor::{on_gpu, sure};
use std::rc::Rc;

/// f(dz, a, b) for every element of the result, with both operands repeated to its shape; `code` is f in CUDA C++, in x, y
/// and z.
#[cfg_attr(not(feature = "cuda"), expect(unused_variables))]
pub(super) fn spread<O: Shape, S: Shape, T: Shape, E: Float, A: Element, B: Element>(
    dz: &Tensor<O, E>,
    a: &Tensor<S, A>,
    b: &Tensor<T, B>,
    code: &str,
    f: impl Fn(E, A, B) -> E,
) -> Tensor<O, E> {
    #[cfg(feature = "cuda")]
    if let (Some(x), Some(y), Some(z)) = (dz.array(), a.array(), b.array()) {
        let sizes = x.sizes().to_vec();
        let operands = [x, y.broadcast_to(&sizes), z.broadcast_to(&sizes)];
        return sure(on_gpu::mapped(dz.shape(), &operands, code, &[] as &[E]));
    }
    let mut d = dz.clone();
    let (sizes, left, right) = (dz.sizes(), a.sizes(), b.sizes());
    let (a, b) = ((a.as_slice(), left.as_ref()), (b.as_slice(), right.as_ref()));
    zip(d.as_mut_slice(), sizes.as_ref(), a, b, |d, a, b| *d = f(*d, a, b));
    d
}

/// The sums over what was repeated when a tensor of this shape was broadcast.
pub(super) fn sum_to<O: Shape, S: Shape, E: Float>(d: Tensor<O, E>, shape: S) -> Tensor<S, E> {
    let (from, to) = (d.sizes(), shape.sizes());
    let (mut sizes, to) = (from.as_ref().to_vec(), to.as_ref());
    if sizes == to {
        return d.into_shape(shape);
    }
    let new = sizes.len() - to.len();
    #[cfg(feature = "cuda")]
    if let Some(d) = d.array() {
        return sure(on_gpu::summed_to(shape, &d));
    }
    let mut sums = d.to_vec();
    for axis in 0..sizes.len() {
        if sizes[axis] != axis.checked_sub(new).map_or(1, |axis| to[axis]) {
            sums = sum_along(&sums, around(&sizes, axis));
            sizes[axis] = 1;
        }
    }
    Tensor::from_slice_of(shape, &sums).expect("one sum for each element")
}

fn sum_along<E: Float>(x: &[E], (before, size, after): (usize, usize, usize)) -> Vec<E> {
    if after == 1 {
        return (0..before).map(|i| sum(&x[i * size..][..size])).collect();
    }
    let mut sums = vec![E::zero(); before * after];
    for (sums, x) in sums.chunks_exact_mut(after.max(1)).zip(x.chunks_exact((size * after).max(1))) {
        for x in x.chunks_exact(after) {
            sums.iter_mut().zip(x).for_each(|(sum, x)| *sum += *x);
        }
    }
    sums
}

/// z = f(x, y) with the derivatives ∂z/∂x and ∂z/∂y as functions of both elements. `codes` are both in CUDA C++, times the
/// gradient x, from the elements y and z.
pub(super) fn binary<S: Shape, T: Shape, O: Shape, E: Float>(
    name: &'static str,
    (x, y): (&Variable<S, E>, &Variable<T, E>),
    z: Tensor<O, E>,
    codes: [&'static str; 2],
    dx: impl Fn(E, E) -> E + 'static,
    dy: impl Fn(E, E) -> E + 'static,
) -> Variable<O, E> {
    let (left, right) = (x.shape(), y.shape());
    let saved = (Rc::clone(&x.value), Rc::clone(&y.value));
    let again = saved.clone();
    Record::new(name, z)
        .of(x, move |dz| sum_to(spread(dz, &saved.0, &saved.1, codes[0], |dz, x, y| dz * dx(x, y)), left))
        .of(y, move |dz| sum_to(spread(dz, &again.0, &again.1, codes[1], |dz, x, y| dz * dy(x, y)), right))
        .done()
}
