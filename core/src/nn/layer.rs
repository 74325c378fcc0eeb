//! What a layer is.

use super::Op;
use crate::backend::cpu::Params;
use crate::backend::cpu::simd::Simd;
use crate::element::Float;
use crate::generator::Generator;
use crate::shape::{Features, StaticShape};

/// One step of a network, described by a type alone.
///
/// A layer owns nothing: its parameters are a slice of the one block that the network owns, and its functions work on
/// whole batches, `[batch, features]` row-major. Implement it for a layer of your own and name it in
/// [`sequential!`](../../plywood/macro.sequential.html) beside the others: an argument that is a size becomes a size type
/// (`Scale(16)` is `Scale<D<16>>`, `Scale(_)` takes the last size that the layer before gives, `Scale(..)` its whole
/// shape).
///
/// ```
/// use core::marker::PhantomData;
/// use plywood::nn::{Backward, Forward, Layer, TensorInfo};
/// use plywood::prelude::*;
///
/// /// Multiplies each feature by a factor of its own: y = w · x, with `w`, `x` and `y` of shape [n].
/// pub struct Scale<N>(PhantomData<N>);
///
/// impl<N: StaticDim> Layer for Scale<N> {
///     type Input = (N,);
///     type Output = (N,);
///     type View<'a, E: Float> = TensorView<'a, (N,), E>;
///     const KIND: &'static str = "Scale";
///     const TENSORS: &'static [TensorInfo] = &[TensorInfo { name: "weight", shape: &[N::SIZE], offset: 0 }];
///     const MULTIPLY_ADDS: usize = N::SIZE;
///
///     fn reset_parameters<E: Float>(params: &mut [E], _rng: &mut Generator) {
///         params.fill(E::one());
///     }
///
///     fn view<E: Float>(params: &[E]) -> TensorView<'_, (N,), E> {
///         TensorView::borrow(params).expect("one factor a feature")
///     }
///
///     fn forward_pass<E: Float>(pass: Forward<'_, E>) {
///         for (y, x) in pass.y.chunks_exact_mut(N::SIZE).zip(pass.x.chunks_exact(N::SIZE)) {
///             for ((y, x), w) in y.iter_mut().zip(x).zip(pass.params) {
///                 *y = *w * *x;
///             }
///         }
///     }
///
///     fn backward_pass<E: Float>(pass: Backward<'_, E>) {
///         pass.dparams.fill(E::zero());
///         for (dy, x) in pass.dy.chunks_exact(N::SIZE).zip(pass.x.chunks_exact(N::SIZE)) {
///             for ((dw, dy), x) in pass.dparams.iter_mut().zip(dy).zip(x) {
///                 *dw += *dy * *x;
///             }
///         }
///         if let Some(dx) = pass.dx {
///             for (dx, dy) in dx.chunks_exact_mut(N::SIZE).zip(pass.dy.chunks_exact(N::SIZE)) {
///                 for ((dx, dy), w) in dx.iter_mut().zip(dy).zip(pass.params) {
///                     *dx = *dy * *w;
///                 }
///             }
///         }
///     }
/// }
///
/// sequential! {
///     /// Three numbers, scaled, to one.
///     pub struct Net {
///         scale: Scale(3),
///         Linear(_, 1),
///     }
/// }
///
/// let mut rng = Generator::manual_seed(0);
/// let model = Net::init(&mut rng);
/// assert_eq!(model.scale().to_vec(), [1.0; 3]);
/// assert_eq!(Net::PARAMS, 3 + 3 + 1);
///
/// let x: Tensor<Shape![2, 3]> = tensor![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
/// let y: Tensor<Shape![2, 1]> = Tensor::zeros();
/// let (_, grads) = model.gradients(&x, &y, &MSELoss)?;
/// assert_eq!(grads.scale().sizes(), [3]);
/// # Ok::<(), plywood::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a layer",
    label = "not a layer",
    note = "a layer of your own implements `plywood::nn::Layer`; an argument in `sequential!` is a size type: `Scale(16)` is `Scale<D<16>>`"
)]
pub trait Layer {
    /// The shape of one sample that goes in.
    type Input: Features;
    /// The shape of one sample that comes out.
    type Output: Features;
    /// The parameters, typed, as the network's accessors give them; `()` where there are none.
    type View<'a, E: Float>;

    /// The layer's name, as in PyTorch.
    const KIND: &'static str;
    /// The parameter tensors, in the order in which they lie in the layer's slice.
    const TENSORS: &'static [TensorInfo] = &[];
    /// The layers inside, for a network used as a layer. See [`LayerInfo`].
    const LAYERS: &'static [LayerInfo] = &[];
    /// The number of parameters.
    const PARAMS: usize = total(Self::TENSORS);
    /// What it computes, for devices that have kernels of their own.
    #[doc(hidden)]
    const OP: Op = Op::Own;
    /// Multiplications with an addition, per sample, forward.
    const MULTIPLY_ADDS: usize = 0;
    /// Numbers per sample that forward keeps for backward, beside the input and the output: [`Forward`] has an example.
    const SAVED: usize = 0;
    /// Numbers per sample that backward needs to work with: it finds them in [`Backward::scratch`], as what is kept in
    /// the example of [`Forward`].
    const SCRATCH: usize = 0;

    /// These facts in one, without a name and as if the layer came first. See [`LayerInfo`].
    const INFO: LayerInfo = LayerInfo {
        name: "",
        kind: Self::KIND,
        input: <Self::Input as StaticShape>::SIZES,
        output: <Self::Output as StaticShape>::SIZES,
        offset: 0,
        params: Self::PARAMS,
        multiply_adds: Self::MULTIPLY_ADDS,
        tensors: Self::TENSORS,
        layers: Self::LAYERS,
        fused: false,
        op: Self::OP,
    };

    /// Fills the parameters with their initial values. Does nothing unless the layer says otherwise.
    fn reset_parameters<E: Float>(params: &mut [E], rng: &mut Generator) {
        let _ = (params, rng);
    }

    /// The parameters, typed.
    fn view<E: Float>(params: &[E]) -> Self::View<'_, E>;

    /// Writes `y` (and `saved`).
    fn forward_pass<E: Float>(pass: Forward<'_, E>);

    /// Writes `dparams` and, where it is asked for, `dx`.
    fn backward_pass<E: Float>(pass: Backward<'_, E>);

    /// [`forward_pass`](Layer::forward_pass) inside of code that is compiled for the instruction set `S`, and inlined
    /// into it.
    #[doc(hidden)]
    #[inline(always)]
    fn forward_on<E: Float, S: Simd>(pass: Forward<'_, E>) {
        Self::forward_pass(pass);
    }

    /// [`backward_pass`](Layer::backward_pass), likewise, and the update of the parameters.
    #[doc(hidden)]
    #[inline(always)]
    fn backward_on<E: Float, S: Simd>(pass: Backward<'_, E, Params<'_, E>>) {
        pass.then_update(Self::backward_pass);
    }
}

/// What [`Layer::forward_pass`] works on. Every slice holds the whole batch, sample after sample. [`Layer`] has an
/// example.
///
/// ```
/// use plywood::prelude::*;
///
/// use core::marker::PhantomData;
/// use plywood::nn::{Backward, Forward, Layer};
/// use plywood::prelude::*;
///
/// /// A sample of length 1: y = x / |x|. Forward keeps |x|.
/// pub struct Normalize<N>(PhantomData<N>);
///
/// impl<N: StaticDim> Layer for Normalize<N> {
///     type Input = (N,);
///     type Output = (N,);
///     type View<'a, E: Float> = ();
///     const KIND: &'static str = "Normalize";
///     const SAVED: usize = 1;
///
///     fn view<E: Float>(_params: &[E]) {}
///
///     fn forward_pass<E: Float>(pass: Forward<'_, E>) {
///         let samples = pass.x.chunks_exact(N::SIZE).zip(pass.y.chunks_exact_mut(N::SIZE));
///         for ((x, y), length) in samples.zip(pass.saved) {
///             *length = x.iter().map(|x| *x * *x).sum::<E>().sqrt();
///             y.iter_mut().zip(x).for_each(|(y, x)| *y = *x / *length);
///         }
///     }
///
///     fn backward_pass<E: Float>(pass: Backward<'_, E>) {
///         let Some(dx) = pass.dx else { return };
///         for (i, dx) in dx.chunks_exact_mut(N::SIZE).enumerate() {
///             let (y, dy) = (&pass.y[i * N::SIZE..], &pass.dy[i * N::SIZE..]);
///             let along: E = dx.iter().zip(y).zip(dy).map(|((_, y), dy)| *y * *dy).sum();
///             for ((dx, y), dy) in dx.iter_mut().zip(y).zip(dy) {
///                 *dx = (*dy - *y * along) / pass.saved[i];
///             }
///         }
///     }
/// }
///
/// sequential! { struct Net { Normalize(2), Linear(2, 1) } }
///
/// let model = Net::init(&mut Generator::manual_seed(0));
/// let (near, far) = (tensor![[3.0, 4.0]], tensor![[6.0, 8.0]]);
/// assert_eq!(model.forward(&near), model.forward(&far));
///
/// // A change of length changes nothing.
/// let x = far.requires_grad();
/// model.requires_grad().forward(&x).sum().backward()?;
/// let dx = x.grad().expect("a gradient");
/// assert!((dx * x.value()).sum().abs() < 1e-6);
/// # Ok::<(), plywood::Error>(())
/// ```
#[derive(Debug)]
pub struct Forward<'a, E> {
    /// The layer's parameters.
    pub params: &'a [E],
    /// The input.
    pub x: &'a [E],
    /// The output, to be overwritten.
    pub y: &'a mut [E],
    /// [`Layer::SAVED`] numbers a sample, for backward.
    pub saved: &'a mut [E],
    /// The number of samples.
    pub batch: usize,
}

/// What [`Layer::backward_pass`] works on. Every slice but the parameters' holds the whole batch, sample after sample.
/// [`Layer`] has an example. `P` is how the parameters are held: a layer of one's own gets a slice.
#[derive(Debug)]
pub struct Backward<'a, E, P = &'a [E]> {
    /// The layer's parameters.
    pub params: P,
    /// The input of forward.
    pub x: &'a [E],
    /// The output of forward.
    pub y: &'a [E],
    /// What forward kept.
    pub saved: &'a [E],
    /// The gradient of the output; may be used up.
    pub dy: &'a mut [E],
    /// The gradient of the input, to be overwritten; `None` where nobody needs it.
    pub dx: Option<&'a mut [E]>,
    /// The gradient of the parameters, to be overwritten.
    pub dparams: &'a mut [E],
    /// [`Layer::SCRATCH`] numbers a sample to work with.
    pub scratch: &'a mut [E],
    /// The number of samples.
    pub batch: usize,
}

impl<'a, E: Float> Backward<'a, E> {
    /// The same, with parameters that stay as they are.
    #[inline(always)]
    pub(crate) fn reading(self) -> Backward<'a, E, Params<'a, E>> {
        let Backward { params, x, y, saved, dy, dx, dparams, scratch, batch } = self;
        Backward { params: Params::read(params), x, y, saved, dy, dx, dparams, scratch, batch }
    }
}

impl<E: Float> Backward<'_, E, Params<'_, E>> {
    /// Does it as `f` does, then updates the parameters.
    #[inline(always)]
    pub(crate) fn then_update(self, f: impl FnOnce(Backward<'_, E>)) {
        let Backward { params, x, y, saved, dy, dx, dparams, scratch, batch } = self;
        f(Backward { params: params.get(), x, y, saved, dy, dx, dparams: &mut *dparams, scratch, batch });
        params.update(dparams);
    }
}

/// A parameter tensor of a layer. See [`LayerInfo`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its name in the layer, as in PyTorch: `weight`, `bias`.
    pub name: &'static str,
    /// Its sizes.
    pub shape: &'static [usize],
    /// Where it begins in the layer's parameters.
    pub offset: usize,
}

impl TensorInfo {
    /// The number of elements. See [`LayerInfo`].
    #[must_use]
    pub const fn numel(&self) -> usize {
        let (mut numel, mut i) = (1, 0);
        while i < self.shape.len() {
            numel *= self.shape[i];
            i += 1;
        }
        numel
    }
}

/// A layer of a network, as the compiler knows it.
///
/// ```
/// use plywood::prelude::*;
///
/// sequential! { struct Net { hidden: Linear(4, 3), ReLU, Linear(_, 2) } }
///
/// let [hidden, relu, out] = Net::LAYERS else { panic!("three layers") };
/// assert_eq!((hidden.name, hidden.kind, hidden.params), ("hidden", "Linear", 4 * 3 + 3));
/// assert_eq!((relu.fused, relu.input), (true, &[3usize][..]));
/// let weight = out.tensors[0];
/// assert_eq!((out.name, weight.name, weight.shape, weight.numel()), ("2", "weight", &[2usize, 3][..], 6));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerInfo {
    /// Its name in the list, or its position.
    pub name: &'static str,
    /// What it is: `Linear`.
    pub kind: &'static str,
    /// The sizes of a sample that goes in.
    pub input: &'static [usize],
    /// The sizes of a sample that comes out.
    pub output: &'static [usize],
    /// Where its parameters begin in the network's.
    pub offset: usize,
    /// How many parameters it has.
    pub params: usize,
    /// Multiplications with an addition, per sample, forward.
    pub multiply_adds: usize,
    /// Its parameter tensors.
    pub tensors: &'static [TensorInfo],
    /// The layers inside, for a network used as a layer.
    pub layers: &'static [LayerInfo],
    /// Whether it is computed in one call with the layer before.
    pub fused: bool,
    #[doc(hidden)]
    pub op: Op,
}

impl LayerInfo {
    /// The same under a name.
    #[doc(hidden)]
    #[must_use]
    pub const fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// The same, computed in one call with the layer before.
    #[doc(hidden)]
    #[must_use]
    pub const fn fused(mut self) -> Self {
        self.fused = true;
        self
    }

    /// The layers one after another, each at its place in the network's parameters.
    #[doc(hidden)]
    #[must_use]
    pub const fn placed<const N: usize>(mut layers: [LayerInfo; N]) -> [LayerInfo; N] {
        let (mut offset, mut i) = (0, 0);
        while i < N {
            layers[i].offset = offset;
            offset += layers[i].params;
            i += 1;
        }
        layers
    }
}

const fn total(tensors: &[TensorInfo]) -> usize {
    let (mut sum, mut i) = (0, 0);
    while i < tensors.len() {
        sum += tensors[i].numel();
        i += 1;
    }
    sum
}

/// A layer that takes the activation after it into its own call.
#[doc(hidden)]
pub trait Fuse: Layer {
    /// [`Layer::forward_pass`] followed by `A`. `saved` keeps the derivative of `A` where it does not follow from `A`'s
    /// output; it is empty where nobody will ask for gradients.
    fn forward_then<E: Float, A: super::Activation>(pass: Forward<'_, E>);

    /// The gradients of [`forward_then`](Fuse::forward_then); `y` is the output of `A`.
    fn backward_then<E: Float, A: super::Activation>(pass: Backward<'_, E>);

    /// [`forward_then`](Fuse::forward_then) inside of code that is compiled for the instruction set `S`.
    #[doc(hidden)]
    #[inline(always)]
    fn forward_then_on<E: Float, A: super::Activation, S: Simd>(pass: Forward<'_, E>) {
        Self::forward_then::<E, A>(pass);
    }

    /// [`backward_then`](Fuse::backward_then), likewise, and the update of the parameters.
    #[doc(hidden)]
    #[inline(always)]
    fn backward_then_on<E: Float, A: super::Activation, S: Simd>(pass: Backward<'_, E, Params<'_, E>>) {
        pass.then_update(Self::backward_then::<E, A>);
    }
}

/// `L` and the activation `A` after it, in one call.
#[doc(hidden)]
#[derive(Debug)]
pub struct Then<L, A>(core::marker::PhantomData<(L, A)>);

impl<L: Fuse, A: super::Activation> Layer for Then<L, A> {
    type Input = L::Input;
    type Output = L::Output;
    type View<'a, E: Float> = L::View<'a, E>;
    const KIND: &'static str = L::KIND;
    const TENSORS: &'static [TensorInfo] = L::TENSORS;
    const MULTIPLY_ADDS: usize = L::MULTIPLY_ADDS;
    const SAVED: usize = if A::FROM_OUTPUT { 0 } else { L::Output::NUMEL };

    fn reset_parameters<E: Float>(params: &mut [E], rng: &mut Generator) {
        L::reset_parameters(params, rng);
    }

    fn view<E: Float>(params: &[E]) -> Self::View<'_, E> {
        L::view(params)
    }

    #[inline]
    fn forward_pass<E: Float>(pass: Forward<'_, E>) {
        L::forward_then::<E, A>(pass);
    }

    #[inline]
    fn backward_pass<E: Float>(pass: Backward<'_, E>) {
        L::backward_then::<E, A>(pass);
    }

    #[inline(always)]
    fn forward_on<E: Float, S: Simd>(pass: Forward<'_, E>) {
        let saved = if S::KEEPS { pass.saved } else { &mut [] };
        L::forward_then_on::<E, A, S>(Forward { saved, ..pass });
    }

    #[inline(always)]
    fn backward_on<E: Float, S: Simd>(pass: Backward<'_, E, Params<'_, E>>) {
        L::backward_then_on::<E, A, S>(pass);
    }
}
