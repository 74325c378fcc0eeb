//! A layer's passes as operations that are compiled for every instruction set.

use super::model::Wanted;
use super::workspace::Parts;
use super::{Backward, Forward, Layer, Model, Workspace};
use crate::backend::cpu::simd::{Inference, Op, Simd, Unknown, dispatch};
use crate::backend::cpu::{Descent, Params};
use crate::element::Float;
use crate::error::Result;
use crate::loss::Loss;
use crate::shape::{InputOf, Shape, StaticShape};
use crate::tensor::{Storage, Tensor, TensorView};
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

/// [`Layer::backward_on`] with parameters that stay as they are.
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
        L::backward_on::<E, S>(self.pass.reading());
    }
}

/// A network's forward pass, for its output alone, on a batch of shape `X`, from which the compiler may know its size.
pub(super) struct OnBatch<'a, M, X, E> {
    pub(super) pass: Forward<'a, E>,
    pub(super) shape: X,
    pub(super) model: PhantomData<M>,
}

impl<M: Model, X: InputOf<M, Wanted<M>>> Op for OnBatch<'_, M, X, M::Elem> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self) {
        let Forward { params, x, y, saved, .. } = self.pass;
        let batch = self.shape.batch();
        let (x, y) = (&x[..batch * M::Input::NUMEL], &mut y[..batch * M::Output::NUMEL]);
        let (params, saved) = (&params[..M::PARAMS], &mut saved[..batch * M::SAVED]);
        M::forward_on::<M::Elem, Inference<S>>(Forward { params, x, y, saved, batch });
    }
}

/// [`OnBatch`] in a workspace, of which it gives the output. The slices are made behind the choice of the instruction set:
/// for one row of a tiny network, it takes as long to hand them over as to use them.
pub(super) struct OnInput<'a, 'w, M: Model, X: Shape, B> {
    pub(super) model: &'a M,
    pub(super) x: &'a Tensor<X, M::Elem, B>,
    pub(super) workspace: &'w mut Workspace<M>,
}

impl<'w, M: Model, X: InputOf<M, Wanted<M>>, B: Storage<M::Elem>> Op for OnInput<'_, 'w, M, X, B> {
    type Out = &'w [M::Elem];

    #[inline(always)]
    fn run<S: Simd>(self) -> &'w [M::Elem] {
        let OnInput { model, x, workspace } = self;
        let batch = x.shape().batch();
        let Parts { saved, y, .. } = workspace.parts(batch);
        let pass = Forward { params: model.parameters(), x: x.as_slice(), y: &mut *y, saved, batch };
        OnBatch { pass, shape: x.shape(), model: PhantomData::<M> }.run::<S>();
        y
    }
}

/// All of a training step but the optimizer.
pub(super) struct OnStep<'a, M: Model, X: Shape, B, L, T> {
    pub(super) model: &'a M,
    pub(super) x: &'a Tensor<X, M::Elem, B>,
    pub(super) target: &'a T,
    pub(super) loss: &'a L,
    pub(super) workspace: &'a mut Workspace<M>,
}

impl<M, X, B, L, T> Op for OnStep<'_, M, X, B, L, T>
where
    M: Model,
    X: InputOf<M, Wanted<M>>,
    B: Storage<M::Elem>,
    L: Loss<X::Of<M::Output>, T, M::Elem>,
{
    type Out = Result<M::Elem>;

    #[inline(always)]
    fn run<S: Simd>(self) -> Self::Out {
        let OnStep { model, x, target, loss, workspace } = self;
        let params = Params::read(&model.parameters()[..M::PARAMS]);
        pass::<M, S, X>(params, x, workspace, |y, dy| loss.value_and_gradient(y, target, dy))
    }
}

/// Forward, what `loss` gives of the output and its gradient, and backward.
#[inline(always)]
fn pass<M: Model, S: Simd, X: InputOf<M, Wanted<M>>>(
    params: Params<'_, M::Elem>,
    x: &Tensor<X, M::Elem, impl Storage<M::Elem>>,
    workspace: &mut Workspace<M>,
    loss: impl FnOnce(TensorView<'_, X::Of<M::Output>, M::Elem>, &mut [M::Elem]) -> Result<M::Elem>,
) -> Result<M::Elem> {
    let shape = x.shape();
    let batch = shape.batch();
    let Parts { saved, y, dy, scratch, gradients } = workspace.parts(batch);
    // Lengths that the compiler knows where it knows the batch.
    let dparams = &mut gradients.parameters_mut()[..M::PARAMS];
    let (x, saved) = (&x.as_slice()[..batch * M::Input::NUMEL], &mut saved[..batch * M::SAVED]);
    let output = batch * M::Output::NUMEL;
    let (y, dy) = (&mut y[..output], &mut dy[..output]);
    let scratch = &mut scratch[..batch * M::SCRATCH];
    M::forward_on::<M::Elem, S>(Forward { params: params.get(), x, y, saved, batch });
    let value = loss(TensorView::of_slice(shape.of::<M::Output>(), y), dy)?;
    M::backward_on::<M::Elem, S>(Backward { params, x, y, saved, dy, dx: None, dparams, scratch, batch });
    Ok(value)
}

/// A training step of a large network on the CPU: the loss, if it passes the `check`; then the parameters of a layer are
/// updated as soon as their gradient is there.
pub(crate) fn step<M, X, T, L>(
    model: &mut M,
    workspace: &mut Workspace<M>,
    x: &Tensor<X, M::Elem, impl Storage<M::Elem>>,
    target: &T,
    loss: &L,
    descent: Descent<'_, M::Elem>,
    check: impl Fn(M::Elem) -> Result<()>,
) -> Result<M::Elem>
where
    M: Model,
    X: InputOf<M, Wanted<M>>,
    L: Loss<X::Of<M::Output>, T, M::Elem>,
{
    let params = Params::updated(&mut model.parameters_mut()[..M::PARAMS], descent);
    pass::<M, Unknown, X>(params, x, workspace, |y, dy| {
        let value = loss.value_and_gradient(y, target, dy)?;
        check(value)?;
        Ok(value)
    })
}

/// Does something with a network: as one piece of code, if it is small; otherwise each layer asks the processor.
#[inline(always)]
pub(super) fn run<L: Layer, O: Op>(op: O) -> O::Out {
    if const { is_small::<L>() } { dispatch::<Unknown, _>(op) } else { op.run::<Unknown>() }
}

/// Up to this many parameters and layers, a network's step is one piece of code for each instruction set.
const PARAMS: usize = 8192;
const LAYERS: usize = 8;

/// Whether a network's step is compiled as one.
pub(crate) const fn is_small<L: Layer>() -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::simd::on_each;
    use crate::dim::Dyn;
    use crate::loss::MSELoss;
    use crate::nn::activation::{ELU, GELU, GELUTanh, Hardtanh, LeakyReLU, ReLU, SiLU, Sigmoid, Softplus, Tanh, bits};
    use crate::nn::{Linear, Then, Workspace};
    use crate::prelude::*;

    /// A step with everything that it needs, on a workspace of its own.
    struct Whole<'a, M: Model, X: crate::shape::Shape, Y: crate::shape::Shape> {
        model: &'a M,
        x: &'a Tensor<X, M::Elem>,
        target: &'a Tensor<Y, M::Elem>,
    }

    impl<M, X, Y> Op for Whole<'_, M, X, Y>
    where
        M: Model,
        Y: crate::shape::Shape,
        X: InputOf<M, Wanted<M>, Of<M::Output> = Y>,
        MSELoss: Loss<Y, Tensor<Y, M::Elem>, M::Elem>,
    {
        type Out = Vec<M::Elem>;

        #[inline(always)]
        fn run<S: Simd>(self) -> Vec<M::Elem> {
            let Whole { model, x, target } = self;
            let mut workspace = Workspace::<M>::new();
            let value = OnStep { model, x, target, loss: &MSELoss, workspace: &mut workspace }.run::<S>().unwrap();
            let mut all = vec![value];
            all.extend_from_slice(workspace.gradients.parameters());
            all
        }
    }

    sequential! { struct Tiny { Linear(1, 1), Tanh, Linear(1, 1) } }
    sequential! { struct Narrow { Linear(6, 4), Sigmoid, Linear(4, 1) } }
    sequential! { struct Odd { Linear(3, 17), SiLU, Linear(17, 33, bias = false), ELU, Linear(33, 5), Softmax } }
    sequential! { struct Wide { Linear(4, 64), ReLU, Linear(64, 64), GELU, Linear(64, 10), LogSoftmax } }

    /// Every instruction set that this machine has computes the same step, up to rounding.
    #[test]
    fn every_instruction_set_agrees() {
        macro_rules! check {
            ($Net:ident, $E:ident, $input:literal, $output:literal, $tolerance:literal) => {{
                let mut rng = Generator::manual_seed(0);
                let model = <<$Net as Model>::As<$E> as Model>::init(&mut rng);
                for batch in [0, 1, 2, 3, 5, 16, 33] {
                    let shape = (Dyn(batch), <D<$input>>::default());
                    let x: Tensor<Shape![_, $input], $E> = Tensor::randn_of(shape, &mut rng);
                    let target: Tensor<Shape![_, $output], $E> = model.forward(&x).map(|y| y.sin());
                    let results = on_each(|| Whole { model: &model, x: &x, target: &target });
                    for result in &results[1..] {
                        for (i, (got, expected)) in result.iter().zip(&results[0]).enumerate() {
                            let error = (got - expected).abs() / expected.abs().max(1.0);
                            let same = error < $tolerance || got.is_nan() && expected.is_nan();
                            assert!(same, "{} of {batch}: number {i} is {got}, not {expected}", stringify!($Net));
                        }
                    }
                }
            }};
        }
        check!(Tiny, f32, 1, 1, 1e-5);
        check!(Tiny, f64, 1, 1, 1e-13);
        check!(Narrow, f32, 6, 1, 1e-5);
        check!(Narrow, f64, 6, 1, 1e-13);
        check!(Odd, f32, 3, 5, 1e-5);
        check!(Odd, f64, 3, 5, 1e-13);
        check!(Wide, f32, 4, 10, 1e-5);
        check!(Wide, f64, 4, 10, 1e-13);
    }

    /// A forward pass for gradients and one for the output alone: the outputs, and what was kept, in memory of NaN.
    struct Both<'a, L, E> {
        params: &'a [E],
        x: &'a [E],
        batch: usize,
        layer: PhantomData<L>,
    }

    impl<L: Layer, E: Float> Op for Both<'_, L, E> {
        type Out = [[Vec<E>; 2]; 2];

        #[inline(always)]
        fn run<S: Simd>(self) -> Self::Out {
            let Both { params, x, batch, .. } = self;
            let pass = |forward: fn(Forward<'_, E>)| {
                let [mut y, mut saved] = [L::Output::NUMEL, L::SAVED].map(|n| vec![E::nan(); batch * n]);
                forward(Forward { params, x, y: &mut y, saved: &mut saved, batch });
                [y, saved]
            };
            [pass(L::forward_on::<E, S>), pass(L::forward_on::<E, Inference<S>>)]
        }
    }

    fn check_inference<L: Layer, E: Float>() {
        let mut rng = Generator::manual_seed(0);
        let mut params = vec![E::zero(); L::PARAMS];
        L::reset_parameters(&mut params, &mut rng);
        for batch in [1, 2, 5, 33] {
            let scale = |i| E::of(if i % 7 == 0 { 60.0 } else { 3.0 });
            let x: Vec<E> = (0..batch * L::Input::NUMEL).map(|i| scale(i) * rng.normal()).collect();
            let both = || Both { params: &params, x: &x, batch, layer: PhantomData::<L> };
            let bits = |y: &[E]| y.iter().map(|y| y.to_f64().unwrap().to_bits()).collect::<Vec<_>>();
            // The last as in a large network.
            for [[y, kept], [alone, unkept]] in on_each(both).into_iter().chain([both().run::<Unknown>()]) {
                let what = core::any::type_name::<L>();
                assert!(y.iter().all(|y| !y.is_nan()), "{what}: {y:?}");
                assert_eq!(bits(&y), bits(&alone), "{what}: inference gives other numbers");
                assert!(kept.iter().all(|slope| !slope.is_nan()), "{what}: a slope is missing: {kept:?}");
                assert!(unkept.iter().all(|slope| slope.is_nan()), "{what}: slopes that nobody needs");
            }
        }
    }

    sequential! { struct Convolution: (2, 5, 6) => (3, 3, 3) { Conv2d(2, 3, kernel = (3, 4)), SiLU } }

    /// A forward pass without gradients gives the same bits as one with them, and keeps no slopes.
    #[test]
    fn inference_keeps_nothing_and_gives_the_same_bits() {
        macro_rules! check {
            ($($A:ty),*; $inputs:literal to $outputs:literal) => {$(
                check_inference::<Then<Linear<D<$inputs>, D<$outputs>>, $A>, f32>();
                check_inference::<Then<Linear<D<$inputs>, D<$outputs>>, $A>, f64>();
            )*};
        }
        check!(ReLU, LeakyReLU, LeakyReLU<{ bits(-0.2) }>, ELU, ELU<{ bits(-0.5) }>, GELU, GELUTanh; 3 to 17);
        check!(SiLU, Sigmoid, Tanh, Softplus, Softplus<{ bits(2.0) }, { bits(5.0) }>, Hardtanh; 3 to 17);
        check!(GELU, Softplus; 9 to 4);
        check!(GELU, Softplus; 4 to 1);
        check_inference::<Convolution, f32>();
        check_inference::<Convolution, f64>();
    }
}
