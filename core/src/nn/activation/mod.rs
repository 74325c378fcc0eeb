//! Elementwise activations: f and f′ of one number, and the layer made of them.
//!
//! A hyper-parameter is part of the type, so that a layer is a type and nothing else; stable Rust takes integers there,
//! so it is the bits of an `f64` ([`bits`]). In [`sequential!`](../../../plywood/macro.sequential.html) you write the number.
//!
//! ```
//! use plywood::nn::{Activation, Tanh};
//!
//! let y = <Tanh as Activation>::forward(0.5f64);
//! assert_eq!(<Tanh as Activation>::derivative(y), 1.0 - y * y);
//! ```

use super::{Backward, Forward, Layer, Op};
use crate::backend::cpu::simd::Simd;
use crate::backend::cpu::{self, Params, small};
use crate::element::Float;
use crate::shape::Features;
use core::marker::PhantomData;

mod functions;

pub use functions::{ELU, GELU, GELUTanh, Hardtanh, LeakyReLU, ReLU, SiLU, Sigmoid, Softplus, Tanh};

/// A function of one number and its derivative: all that a new activation takes.
///
/// ```
/// use plywood::nn::{Activate, Activation};
/// use plywood::prelude::*;
///
/// /// x², Square for short.
/// pub struct SquareFn;
///
/// impl Activation for SquareFn {
///     const KIND: &'static str = "Square";
///     const FROM_OUTPUT: bool = false;
///     fn forward<E: Float>(x: E) -> E {
///         x * x
///     }
///     fn derivative<E: Float>(x: E) -> E {
///         x + x
///     }
/// }
///
/// type Square<S> = Activate<SquareFn, S>;
///
/// let net = sequential![Linear(2, 2), Square(..)].init(&mut Generator::manual_seed(0));
/// let y = net.forward(&Tensor::<Shape![3, 2]>::ones());
/// assert!(y.iter().all(|y| *y >= 0.0));
/// ```
pub trait Activation {
    /// The layer's name, as in PyTorch.
    const KIND: &'static str;
    /// Whether [`derivative`](Activation::derivative) takes the output of the function; otherwise it takes the input.
    /// A network computes the derivative then together with the function, and keeps it.
    const FROM_OUTPUT: bool = true;
    /// Whether the function gives what it takes.
    #[doc(hidden)]
    const IDENTITY: bool = false;
    /// The same for GPUs; without it, a network with this activation is an error there. See [`Formula`].
    const CUDA: Option<Formula> = None;

    /// The function.
    fn forward<E: Float>(x: E) -> E;

    /// Its derivative, from the output or the input as [`FROM_OUTPUT`](Activation::FROM_OUTPUT) says.
    fn derivative<E: Float>(v: E) -> E;
}

/// An [`Activation`] in CUDA C++: two expressions, of the element type `REAL`, which is `float` or `double`.
///
/// Beside what CUDA has (`exp`, `tanh`, `erf`, `fmax`, …) they can use `sigmoid` and the two constants, `a` and `b`.
///
/// ```
/// use plywood::nn::{Activation, Formula};
/// use plywood::prelude::*;
///
/// /// x², Square for short.
/// pub struct SquareFn;
///
/// impl Activation for SquareFn {
///     const KIND: &'static str = "Square";
///     const FROM_OUTPUT: bool = false;
///     const CUDA: Option<Formula> = Some(Formula { forward: "x * x", derivative: "a * v", constants: [2.0, 0.0] });
///     fn forward<E: Float>(x: E) -> E {
///         x * x
///     }
///     fn derivative<E: Float>(x: E) -> E {
///         x + x
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Formula {
    /// The function of `x`.
    pub forward: &'static str,
    /// Its derivative, from `v`: the output or the input as [`Activation::FROM_OUTPUT`] says.
    pub derivative: &'static str,
    /// The constants `a` and `b`.
    pub constants: [f64; 2],
}

impl Formula {
    const fn new(forward: &'static str, derivative: &'static str) -> Self {
        Formula { forward, derivative, constants: [0.0; 2] }
    }

    const fn with(self, a: f64, b: f64) -> Self {
        Formula { constants: [a, b], ..self }
    }
}

/// An activation as a layer of its own, on samples of shape `S`: y = A(x). See [`Activation`].
#[derive(Debug)]
pub struct Activate<A, S>(PhantomData<(A, S)>);

impl<A: Activation, S: Features> Layer for Activate<A, S> {
    type Input = S;
    type Output = S;
    type View<'a, E: Float> = ();
    const KIND: &'static str = A::KIND;
    const OP: Op = Op::Activation { formula: A::CUDA, from_output: A::FROM_OUTPUT };

    fn view<E: Float>(_params: &[E]) {}

    fn forward_pass<E: Float>(pass: Forward<'_, E>) {
        let x = pass.x;
        cpu::over_pieces(pass.y, |start, y| {
            cpu::widest(
                #[inline(always)]
                || {
                    y.copy_from_slice(&x[start..][..y.len()]);
                    small::activate::<E, A>(y);
                },
            );
        });
    }

    fn backward_pass<E: Float>(pass: Backward<'_, E>) {
        let Some(dx) = pass.dx else { return };
        let v = if A::FROM_OUTPUT { pass.y } else { pass.x };
        let dy = &*pass.dy;
        cpu::over_pieces(dx, |start, dx| {
            cpu::widest(
                #[inline(always)]
                || {
                    dx.copy_from_slice(&dy[start..][..dx.len()]);
                    small::derive::<E, A>(dx, &v[start..]);
                },
            );
        });
    }

    #[inline(always)]
    fn forward_on<E: Float, T: Simd>(pass: Forward<'_, E>) {
        if !T::KNOWN {
            return Self::forward_pass(pass);
        }
        pass.y.copy_from_slice(pass.x);
        small::activate::<E, A>(pass.y);
    }

    #[inline(always)]
    fn backward_on<E: Float, T: Simd>(pass: Backward<'_, E, Params<'_, E>>) {
        if !T::KNOWN {
            return pass.then_update(Self::backward_pass);
        }
        let Some(dx) = pass.dx else { return };
        dx.copy_from_slice(pass.dy);
        small::derive::<E, A>(dx, if A::FROM_OUTPUT { pass.y } else { pass.x });
    }
}

/// The bits of a hyper-parameter, as an activation's type holds it.
///
/// ```
/// use plywood::nn::activation::bits;
/// use plywood::nn::{Activation, LeakyReLU};
///
/// assert_eq!(<LeakyReLU<{ bits(0.2) }> as Activation>::forward(-1.0), -0.2);
/// ```
#[must_use]
pub const fn bits(value: f64) -> u64 {
    value.to_bits()
}

/// No activation: what a layer computes when nothing follows that it could take in.
#[doc(hidden)]
#[derive(Debug)]
pub struct Pass;

impl Activation for Pass {
    const KIND: &'static str = "Identity";
    const IDENTITY: bool = true;

    #[inline(always)]
    fn forward<E: Float>(x: E) -> E {
        x
    }

    #[inline(always)]
    fn derivative<E: Float>(_y: E) -> E {
        E::one()
    }
}
