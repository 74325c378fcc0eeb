//! `Conv2d`: y = w ⋆ x + b, over images.

use super::activation::{Activation, Pass};
use super::{Backward, Forward, Fuse, Layer, Op, TensorInfo, init, window};
use crate::backend::cpu;
use crate::dim::{D, StaticDim};
use crate::element::Float;
use crate::generator::Generator;
use crate::shape::StaticShape;
use crate::tensor::TensorView;
use core::marker::PhantomData;

/// A convolution of images, as `torch.nn.Conv2d`: y\[o\] = b\[o\] + Σᵢ w\[o, i\] ⋆ x\[i\], where ⋆ is the cross-correlation.
///
/// In [`sequential!`](../../plywood/macro.sequential.html): `Conv2d(in_channels, out_channels, kernel_size, stride = 1,
/// padding = 0, dilation = 1, bias = true)`. What has a height and a width is one number for both or `(height, width)`;
/// `padding = "same"` keeps both sizes; `kernel` is short for `kernel_size`.
///
/// Shapes: `x: [batch, in, H, W]`, `weight: [out, in, kh, kw]`, `bias: [out]`, `y: [batch, out, OH, OW]` with
/// OH = (H + 2·padding − dilation·(kh − 1) − 1)/stride + 1, rounded down, and OW likewise. `weight` and `bias` begin
/// evenly distributed in ±1/√(in·kh·kw).
///
/// As a type it names the shape that goes in, the one that comes out, and four pairs: kernel, stride, padding, dilation.
///
/// ```
/// use plywood::prelude::*;
///
/// sequential! {
///     struct Edges: (1, 3, 3) => (1, 3, 2) {
///         edges: Conv2d(1, 1, kernel = (1, 2)),
///     }
/// }
///
/// let mut model = Edges::init(&mut Generator::manual_seed(0));
/// assert_eq!(model.edges().weight().sizes(), [1, 1, 1, 2]);
/// model.parameters_mut().copy_from_slice(&[-1.0, 1.0, 0.5]);
///
/// let x: Tensor<Shape![1, 1, 3, 3]> = tensor![[[[0.0, 0.0, 1.0], [0.0, 1.0, 1.0], [0.0, 0.0, 0.0]]]];
/// assert_eq!(model.forward(&x), tensor![[[[0.5, 1.5], [1.5, 0.5], [0.5, 0.5]]]]);
/// ```
#[derive(Debug)]
#[allow(clippy::type_complexity)]
pub struct Conv2d<I, O, K, S = (D<1>, D<1>), P = (D<0>, D<0>), L = (D<1>, D<1>), const BIAS: bool = true>(
    PhantomData<(I, O, K, S, P, L)>,
);

/// The parameters of a [`Conv2d`].
#[derive(Clone, Copy, Debug)]
pub struct Conv2dView<'a, Weight, const BIAS: bool, E> {
    params: &'a [E],
    weight: PhantomData<Weight>,
}

impl<'a, O, I, KH, KW, const BIAS: bool, E> Conv2dView<'a, (O, I, KH, KW), BIAS, E>
where
    O: StaticDim,
    I: StaticDim,
    KH: StaticDim,
    KW: StaticDim,
    E: Float,
{
    /// The weight, `[out, in, kh, kw]`. See [`Conv2d`].
    #[must_use]
    pub fn weight(&self) -> TensorView<'a, (O, I, KH, KW), E> {
        TensorView::of_slice(Default::default(), &self.params[..<(O, I, KH, KW)>::NUMEL])
    }
}

impl<'a, O, I, KH, KW, E> Conv2dView<'a, (O, I, KH, KW), true, E>
where
    O: StaticDim,
    I: StaticDim,
    KH: StaticDim,
    KW: StaticDim,
    E: Float,
{
    /// The bias, `[out]`. See [`Conv2d`].
    #[must_use]
    pub fn bias(&self) -> TensorView<'a, (O,), E> {
        TensorView::of_slice(Default::default(), &self.params[<(O, I, KH, KW)>::NUMEL..])
    }
}

impl<C, H, W, O, OH, OW, KH, KW, S, P, L, const BIAS: bool> Conv2d<(C, H, W), (O, OH, OW), (KH, KW), S, P, L, BIAS>
where
    C: StaticDim,
    H: StaticDim,
    W: StaticDim,
    O: StaticDim,
    OH: StaticDim,
    OW: StaticDim,
    KH: StaticDim,
    KW: StaticDim,
    S: StaticShape,
    P: StaticShape,
    L: StaticShape,
{
    const CONV: cpu::Conv = cpu::Conv {
        in_channels: C::SIZE,
        out_channels: O::SIZE,
        window: window::window::<(C, H, W), (O, OH, OW), (KH, KW), S, P, L>(),
    };
    const WEIGHTS: usize = <(O, C, KH, KW)>::NUMEL;
}

impl<C, H, W, O, OH, OW, KH, KW, S, P, L, const BIAS: bool> Layer
    for Conv2d<(C, H, W), (O, OH, OW), (KH, KW), S, P, L, BIAS>
where
    C: StaticDim,
    H: StaticDim,
    W: StaticDim,
    O: StaticDim,
    OH: StaticDim,
    OW: StaticDim,
    KH: StaticDim,
    KW: StaticDim,
    S: StaticShape,
    P: StaticShape,
    L: StaticShape,
{
    type Input = (C, H, W);
    type Output = (O, OH, OW);
    type View<'a, E: Float> = Conv2dView<'a, (O, C, KH, KW), BIAS, E>;
    const KIND: &'static str = "Conv2d";
    const OP: Op = Op::Conv2d { conv: Self::CONV, bias: BIAS };
    const TENSORS: &'static [TensorInfo] = {
        let weight = TensorInfo { name: "weight", shape: <(O, C, KH, KW)>::SIZES, offset: 0 };
        let bias = TensorInfo { name: "bias", shape: &[O::SIZE], offset: Self::WEIGHTS };
        if BIAS { &[weight, bias] } else { &[weight] }
    };
    const MULTIPLY_ADDS: usize = Self::WEIGHTS * OH::SIZE * OW::SIZE;

    fn reset_parameters<E: Float>(params: &mut [E], rng: &mut Generator) {
        init::uniform(params, 1.0 / (<(C, KH, KW)>::NUMEL as f64).sqrt(), rng);
    }

    fn view<E: Float>(params: &[E]) -> Self::View<'_, E> {
        Conv2dView { params, weight: PhantomData }
    }

    fn forward_pass<E: Float>(pass: Forward<'_, E>) {
        Self::forward_then::<E, Pass>(pass);
    }

    fn backward_pass<E: Float>(pass: Backward<'_, E>) {
        Self::backward_then::<E, Pass>(pass);
    }
}

impl<C, H, W, O, OH, OW, KH, KW, S, P, L, const BIAS: bool> Fuse
    for Conv2d<(C, H, W), (O, OH, OW), (KH, KW), S, P, L, BIAS>
where
    C: StaticDim,
    H: StaticDim,
    W: StaticDim,
    O: StaticDim,
    OH: StaticDim,
    OW: StaticDim,
    KH: StaticDim,
    KW: StaticDim,
    S: StaticShape,
    P: StaticShape,
    L: StaticShape,
{
    fn forward_then<E: Float, A: Activation>(pass: Forward<'_, E>) {
        let (w, b) = pass.params.split_at(Self::WEIGHTS);
        let b = BIAS.then_some(b);
        cpu::conv2d_forward::<E, A>(pass.x, w, b, pass.y, pass.saved, pass.batch, &Self::CONV);
    }

    fn backward_then<E: Float, A: Activation>(pass: Backward<'_, E>) {
        let w = &pass.params[..Self::WEIGHTS];
        let (dw, db) = pass.dparams.split_at_mut(Self::WEIGHTS);
        let v = if A::FROM_OUTPUT { pass.y } else { pass.saved };
        let db = BIAS.then_some(db);
        cpu::conv2d_backward::<E, A>(pass.x, w, v, pass.dy, pass.dx, dw, db, pass.batch, &Self::CONV);
    }
}
