//! `Linear`: y = x · Wᵀ + b.

use super::activation::{Activation, Pass};
use super::{Backward, Forward, Fuse, Layer, Op, TensorInfo, init};
use crate::backend::cpu::simd::{Simd, Unknown};
use crate::backend::cpu::{self, Params, small};
use crate::dim::StaticDim;
use crate::element::Float;
use crate::generator::Generator;
use crate::shape::Features;
use crate::tensor::TensorView;
use core::marker::PhantomData;

/// An affine map of the last dimension: y = x · Wᵀ + b, as `torch.nn.Linear`.
///
/// In [`sequential!`](../../plywood/macro.sequential.html): `Linear(in_features, out_features, bias = true)`.
///
/// Shapes: `x: [batch, …, in]`, `weight: [out, in]`, `bias: [out]`, `y: [batch, …, out]`, where … is `Lead`.
/// `weight` and `bias` begin evenly distributed in ±1/√in.
///
/// ```
/// use plywood::prelude::*;
///
/// sequential! { struct Net { out: Linear(3, 2) } }
///
/// let mut model = Net::init(&mut Generator::manual_seed(0));
/// model.parameters_mut().copy_from_slice(&[1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.5, -0.5]);
/// assert_eq!(model.out().weight(), tensor![[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]);
///
/// let x: Tensor<Shape![1, 3]> = tensor![[1.0, 2.0, 3.0]];
/// assert_eq!(model.forward(&x), tensor![[1.5, 4.5]]);
/// ```
#[derive(Debug)]
pub struct Linear<I, O, const BIAS: bool = true, Lead = ()>(PhantomData<(I, O, Lead)>);

/// The parameters of a [`Linear`].
#[derive(Clone, Copy, Debug)]
pub struct LinearView<'a, I, O, const BIAS: bool, E> {
    params: &'a [E],
    sizes: PhantomData<(I, O)>,
}

impl<'a, I: StaticDim, O: StaticDim, const BIAS: bool, E: Float> LinearView<'a, I, O, BIAS, E> {
    /// The weight, `[out, in]`. See [`Linear`].
    #[must_use]
    pub fn weight(&self) -> TensorView<'a, (O, I), E> {
        TensorView::of_slice(Default::default(), &self.params[..O::SIZE * I::SIZE])
    }
}

impl<'a, I: StaticDim, O: StaticDim, E: Float> LinearView<'a, I, O, true, E> {
    /// The bias, `[out]`. See [`Linear`].
    #[must_use]
    pub fn bias(&self) -> TensorView<'a, (O,), E> {
        TensorView::of_slice(Default::default(), &self.params[O::SIZE * I::SIZE..])
    }
}

impl<I: StaticDim, O: StaticDim, const BIAS: bool, Lead: Features> Layer for Linear<I, O, BIAS, Lead>
where
    Lead::Push<I>: Features,
    Lead::Push<O>: Features,
{
    type Input = Lead::Push<I>;
    type Output = Lead::Push<O>;
    type View<'a, E: Float> = LinearView<'a, I, O, BIAS, E>;
    const KIND: &'static str = "Linear";
    const OP: Op = Op::Linear { inputs: I::SIZE, outputs: O::SIZE, bias: BIAS };
    const TENSORS: &'static [TensorInfo] = {
        let weight = TensorInfo { name: "weight", shape: &[O::SIZE, I::SIZE], offset: 0 };
        let bias = TensorInfo { name: "bias", shape: &[O::SIZE], offset: O::SIZE * I::SIZE };
        if BIAS { &[weight, bias] } else { &[weight] }
    };
    const MULTIPLY_ADDS: usize = Lead::NUMEL * O::SIZE * I::SIZE;

    fn reset_parameters<E: Float>(params: &mut [E], rng: &mut Generator) {
        init::uniform(params, 1.0 / (I::SIZE.max(1) as f64).sqrt(), rng);
    }

    fn view<E: Float>(params: &[E]) -> Self::View<'_, E> {
        LinearView { params, sizes: PhantomData }
    }

    #[inline]
    fn forward_pass<E: Float>(pass: Forward<'_, E>) {
        Self::forward_then::<E, Pass>(pass);
    }

    #[inline]
    fn backward_pass<E: Float>(pass: Backward<'_, E>) {
        Self::backward_then::<E, Pass>(pass);
    }

    #[inline(always)]
    fn forward_on<E: Float, S: Simd>(pass: Forward<'_, E>) {
        Self::forward_then_on::<E, Pass, S>(pass);
    }

    #[inline(always)]
    fn backward_on<E: Float, S: Simd>(pass: Backward<'_, E, Params<'_, E>>) {
        Self::backward_then_on::<E, Pass, S>(pass);
    }
}

impl<I: StaticDim, O: StaticDim, const BIAS: bool, Lead: Features> Linear<I, O, BIAS, Lead> {
    /// Whether, in a small network, the code is made for these sizes instead of taking them at run time. In others it would
    /// cost more time to compile than it saves.
    const SMALL: bool = I::SIZE * O::SIZE <= small::LARGEST;

    fn sizes(batch: usize) -> (usize, usize, usize) {
        (batch * Lead::NUMEL, I::SIZE, O::SIZE)
    }
}

impl<I: StaticDim, O: StaticDim, const BIAS: bool, Lead: Features> Fuse for Linear<I, O, BIAS, Lead>
where
    Lead::Push<I>: Features,
    Lead::Push<O>: Features,
{
    fn forward_then<E: Float, A: Activation>(pass: Forward<'_, E>) {
        let (w, b) = pass.params.split_at(O::SIZE * I::SIZE);
        cpu::linear_forward::<E, A>(pass.x, w, BIAS.then_some(b), pass.y, pass.saved, Self::sizes(pass.batch));
    }

    fn backward_then<E: Float, A: Activation>(pass: Backward<'_, E>) {
        Self::backward_then_on::<E, A, Unknown>(pass.reading());
    }

    #[inline(always)]
    fn forward_then_on<E: Float, A: Activation, S: Simd>(pass: Forward<'_, E>) {
        if Self::SMALL && S::KNOWN {
            let (w, b) = pass.params.split_at(O::SIZE * I::SIZE);
            small::forward::<E, S, A>(pass.x, w, BIAS.then_some(b), pass.y, pass.saved, Self::sizes(pass.batch));
        } else {
            Self::forward_then::<E, A>(pass);
        }
    }

    #[inline(always)]
    fn backward_then_on<E: Float, A: Activation, S: Simd>(pass: Backward<'_, E, Params<'_, E>>) {
        let (w, b) = pass.params.split_at(O::SIZE * I::SIZE);
        let (dw, db) = pass.dparams.split_at_mut(O::SIZE * I::SIZE);
        let v = if A::FROM_OUTPUT { pass.y } else { pass.saved };
        let sizes = Self::sizes(pass.batch);
        if Self::SMALL && S::KNOWN {
            let db = BIAS.then_some(&mut *db);
            small::backward::<E, S, A>(pass.x, w.get(), v, pass.dy, pass.dx, dw, db, sizes);
            w.update(dw);
        } else {
            cpu::linear_backward::<E, A>(pass.x, w, v, pass.dy, pass.dx, dw, BIAS.then_some(&mut *db), sizes);
        }
        b.update(db);
    }
}
