//! A layer's passes as operations that are compiled for every instruction set.

use super::model::Wanted;
use super::workspace::Parts;
use super::{Backward, Forward, Layer, Model};
use crate::backend::cpu::simd::{Op, Simd, Unknown, dispatch};
use crate::element::Float;
use crate::error::Result;
use crate::loss::Loss;
use crate::shape::InputOf;
use crate::tensor::TensorView;
use core::marker::PhantomData;

/// [`Layer::forward_on`].
pub(super) struct OnForward<'a, L, E> {
    pass: Forward<'a, E>,
    layer: PhantomData<L>,
}

impl<'a, L, E> OnForward<'a, L, E> {
    pub(super) fn new(pass: Forward<'a, E>) -> Self {
        OnForward { pass, layer: PhantomData }
    }
}

impl<L: Layer, E: Float> Op for OnForward<'_, L, E> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        L::forward_on::<E, S>(self.pass);
    }
}

/// [`Layer::backward_on`].
pub(super) struct OnBackward<'a, L, E> {
    pass: Backward<'a, E>,
    layer: PhantomData<L>,
}

impl<'a, L, E> OnBackward<'a, L, E> {
    pub(super) fn new(pass: Backward<'a, E>) -> Self {
        OnBackward { pass, layer: PhantomData }
    }
}

impl<L: Layer, E: Float> Op for OnBackward<'_, L, E> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        L::backward_on::<E, S>(self.pass);
    }
}

/// A network's forward pass on a batch of shape `X`, from which the compiler may know its size.
pub(super) struct OnBatch<'a, M, X, E> {
    pub(super) pass: Forward<'a, E>,
    pub(super) shape: X,
    pub(super) model: PhantomData<M>,
}

impl<M: Model, X: InputOf<M, Wanted<M>>> Op for OnBatch<'_, M, X, M::Elem> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        M::forward_on::<M::Elem, S>(Forward { batch: self.shape.batch(), ..self.pass });
    }
}

/// All of a training step but the optimizer.
pub(super) struct OnStep<'a, M: Model, X, L, T> {
    pub(super) params: &'a [M::Elem],
    pub(super) x: &'a [M::Elem],
    pub(super) shape: X,
    pub(super) target: &'a T,
    pub(super) loss: &'a L,
    pub(super) parts: Parts<'a, M>,
}

impl<M, X, L, T> Op for OnStep<'_, M, X, L, T>
where
    M: Model,
    X: InputOf<M, Wanted<M>>,
    L: Loss<X::Of<M::Output>, T, M::Elem>,
{
    type Out = Result<M::Elem>;

    #[inline(always)]
    fn run<S: Simd>(self) -> Self::Out {
        let OnStep { params, x, shape, target, loss, parts } = self;
        let Parts { saved, y, dy, scratch, gradients } = parts;
        let batch = shape.batch();
        M::forward_on::<M::Elem, S>(Forward { params, x, y, saved, batch });
        let value = loss.value_and_gradient(TensorView::of_slice(shape.of::<M::Output>(), y), target, dy)?;
        let dparams = gradients.parameters_mut();
        M::backward_on::<M::Elem, S>(Backward { params, x, y, saved, dy, dx: None, dparams, scratch, batch });
        Ok(value)
    }
}

/// Does something with a network: as one piece of code, if it is small; otherwise each layer asks the processor.
#[inline(always)]
pub(super) fn run<L: Layer, O: Op>(op: O) -> O::Out {
    if const { is_small::<L>() } { dispatch::<Unknown, _>(op) } else { op.run::<Unknown>() }
}

/// Up to this many parameters and layers, a network's step is one piece of code for each instruction set.
const PARAMS: usize = 8192;
const LAYERS: usize = 16;

/// Whether a network's step is compiled as one.
const fn is_small<L: Layer>() -> bool {
    L::PARAMS <= PARAMS && L::LAYERS.len() <= LAYERS
}

/// The forward pass of a network, from its `forward_on`.
pub fn forward<L: Layer, E: Float>(pass: Forward<'_, E>) {
    run::<L, _>(OnForward::<L, E>::new(pass));
}

/// The backward pass of a network, from its `backward_on`.
pub fn backward<L: Layer, E: Float>(pass: Backward<'_, E>) {
    run::<L, _>(OnBackward::<L, E>::new(pass));
}
