//! Functions of every element.

use super::{Broadcast, Storage, Tensor};
use crate::backend::cpu::math;
use crate::element::{Float, Numeric};
use crate::nn::{Activation, ReLU, Sigmoid};
use crate::shape::Shape;

macro_rules! functions {
    ($($name:ident $formula:literal $function:expr, $code:literal, $given:literal => $result:literal;)*) => {
        impl<S: Shape, E: Float, B: Storage<E>> Tensor<S, E, B> {$(
            #[doc = concat!($formula, ", of every element x.")]
            ///
            /// ```
            /// use plywood::prelude::*;
            ///
            #[doc = concat!("let x: Tensor<Shape![2], f64> = tensor!", $given, ";")]
            #[doc = concat!("let expected: [f64; 2] = ", $result, ";")]
            #[doc = concat!("for (y, expected) in x.", stringify!($name), "().iter().zip(expected) {")]
            ///     assert!((y - expected).abs() < 1e-6, "{y}");
            /// }
            /// ```
            #[must_use]
            pub fn $name(&self) -> Tensor<S, E> {
                self.map_by($code, &[] as &[E], |x| $function(*x))
            }
        )*}
    };
}

functions! {
    exp "eˣ" E::exp, "exp(x)", "[0.0, 1.0]" => "[1.0, 2.718282]";
    exp2 "2ˣ" E::exp2, "exp2(x)", "[0.0, 3.0]" => "[1.0, 8.0]";
    expm1 "eˣ − 1, exact for small x, too" E::exp_m1, "expm1(x)", "[0.0, 1.0]" => "[0.0, 1.718282]";
    ln "The natural logarithm of x" E::ln, "log(x)", "[1.0, 2.0]" => "[0.0, 0.693147]";
    log2 "The logarithm of x to base 2" E::log2, "log2(x)", "[1.0, 8.0]" => "[0.0, 3.0]";
    log10 "The logarithm of x to base 10" E::log10, "log10(x)", "[1.0, 1000.0]" => "[0.0, 3.0]";
    log1p "The natural logarithm of 1 + x, exact for small x, too" E::ln_1p, "log1p(x)", "[0.0, 1.0]" => "[0.0, 0.693147]";
    sqrt "√x" E::sqrt, "sqrt(x)", "[4.0, 2.0]" => "[2.0, 1.414214]";
    rsqrt "1 / √x" |x: E| x.sqrt().recip(), "1 / sqrt(x)", "[4.0, 2.0]" => "[0.5, 0.707107]";
    recip "1 / x" E::recip, "1 / x", "[4.0, -2.0]" => "[0.25, -0.5]";
    square "x²" |x| x * x, "x * x", "[3.0, -2.0]" => "[9.0, 4.0]";
    abs "|x|" E::abs, "fabs(x)", "[3.0, -2.0]" => "[3.0, 2.0]";
    sign "−1, 0 or 1, as the sign of x" sign, "x > 0 ? (X)1 : x < 0 ? (X)-1 : x", "[3.0, -2.0]" => "[1.0, -1.0]";
    floor "The largest integer not above x" E::floor, "floor(x)", "[1.5, -1.5]" => "[1.0, -2.0]";
    ceil "The smallest integer not below x" E::ceil, "ceil(x)", "[1.5, -1.5]" => "[2.0, -1.0]";
    round "The integer closest to x, and of two the even one, as PyTorch rounds" round, "rint(x)", "[2.5, -1.6]" => "[2.0, -2.0]";
    trunc "The integer part of x" E::trunc, "trunc(x)", "[1.5, -1.5]" => "[1.0, -1.0]";
    frac "x without its integer part" E::fract, "x - trunc(x)", "[1.5, -1.5]" => "[0.5, -0.5]";
    sin "The sine of x in radians" E::sin, "sin(x)", "[0.0, 1.0]" => "[0.0, 0.841471]";
    cos "The cosine of x in radians" E::cos, "cos(x)", "[0.0, 1.0]" => "[1.0, 0.540302]";
    tan "The tangent of x in radians" E::tan, "tan(x)", "[0.0, 1.0]" => "[0.0, 1.557408]";
    asin "The angle in radians whose sine is x" E::asin, "asin(x)", "[0.0, 1.0]" => "[0.0, 1.570796]";
    acos "The angle in radians whose cosine is x" E::acos, "acos(x)", "[0.0, 1.0]" => "[1.570796, 0.0]";
    atan "The angle in radians whose tangent is x" E::atan, "atan(x)", "[0.0, 1.0]" => "[0.0, 0.785398]";
    sinh "The hyperbolic sine of x" E::sinh, "sinh(x)", "[0.0, 1.0]" => "[0.0, 1.175201]";
    cosh "The hyperbolic cosine of x" E::cosh, "cosh(x)", "[0.0, 1.0]" => "[1.0, 1.543081]";
    tanh "The hyperbolic tangent of x" E::tanh, "tanh(x)", "[0.0, 1.0]" => "[0.0, 0.761594]";
    asinh "The number whose hyperbolic sine is x" E::asinh, "asinh(x)", "[0.0, 1.0]" => "[0.0, 0.881374]";
    acosh "The number whose hyperbolic cosine is x" E::acosh, "acosh(x)", "[1.0, 2.0]" => "[0.0, 1.316958]";
    atanh "The number whose hyperbolic tangent is x" E::atanh, "atanh(x)", "[0.0, 0.5]" => "[0.0, 0.549306]";
    erf "The error function of x" math::erf, "erf(x)", "[0.0, 1.0]" => "[0.0, 0.842701]";
    sigmoid "1 / (1 + e⁻ˣ)" Sigmoid::forward, "1 / (1 + exp(-x))", "[0.0, 1.0]" => "[0.5, 0.731059]";
    relu "max(x, 0)" ReLU::forward, "x < 0 ? (X)0 : x", "[1.5, -1.0]" => "[1.5, 0.0]";
    softplus "ln(1 + eˣ)" softplus, "number::maximum(x, (X)0) + log1p(exp(-fabs(x)))", "[0.0, 100.0]" => "[0.693147, 100.0]";
}

fn sign<E: Float>(x: E) -> E {
    if x == E::zero() || x.is_nan() { x } else { x.signum() }
}

/// Rust rounds halves away from zero, NumPy and PyTorch to even.
fn round<E: Float>(x: E) -> E {
    let near = x.round();
    if (x - x.trunc()).abs() == E::of(0.5) { E::of(2.0) * (x / E::of(2.0)).round() } else { near }
}

/// The form that neither overflows for large x nor loses e⁻ˣ; exact everywhere, without the layer's threshold.
fn softplus<E: Float>(x: E) -> E {
    if x.is_nan() { x } else { x.max(E::zero()) + (-x.abs()).exp().ln_1p() }
}

impl<S: Shape, E: Float, B: Storage<E>> Tensor<S, E, B> {
    /// xⁿ, of every element x, for a whole n.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![2]> = tensor![3.0, -2.0];
    /// assert_eq!(x.powi(3).to_vec(), [27.0, -8.0]);
    /// ```
    #[must_use]
    pub fn powi(&self, n: i32) -> Tensor<S, E> {
        self.map_by("number::powi(x, p)", &[n], |x| x.powi(n))
    }

    /// xᵖ, of every element x: NaN where x is negative and p is not whole.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![2]> = tensor![4.0, 9.0];
    /// assert_eq!(x.powf(0.5).to_vec(), [2.0, 3.0]);
    /// ```
    #[must_use]
    pub fn powf(&self, p: E) -> Tensor<S, E> {
        self.map_by("pow(x, p)", &[p], |x| x.powf(p))
    }

    /// xʸ, of each two elements, broadcast: NaN where x is negative and y is not whole.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![2, 1]> = tensor![[2.0], [9.0]];
    /// let y: Tensor<Shape![2]> = tensor![1.0, 0.5];
    /// assert_eq!(x.square().pow(&y), tensor![[4.0, 2.0], [81.0, 9.0]]);
    /// ```
    #[must_use]
    pub fn pow<T: Shape, A: Storage<E>>(&self, other: &Tensor<T, E, A>) -> Tensor<S::Output, E>
    where
        S: Broadcast<T>,
    {
        self.zip_by(other, "pow(x, y)", E::powf)
    }

    /// Whether each element is NaN.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![2]> = tensor![4.0, -1.0];
    /// assert_eq!(x.sqrt().is_nan().to_vec(), [false, true]);
    /// ```
    #[must_use]
    pub fn is_nan(&self) -> Tensor<S, bool> {
        self.map_by("is_nan(x)", &[] as &[E], |x| x.is_nan())
    }

    /// Whether each element is a number: neither NaN nor infinite.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![2]> = tensor![4.0, 0.0];
    /// assert_eq!(x.recip().is_finite().to_vec(), [true, false]);
    /// ```
    #[must_use]
    pub fn is_finite(&self) -> Tensor<S, bool> {
        self.map_by("number::is_finite(x)", &[] as &[E], |x| x.is_finite())
    }
}

/// The larger of two, and NaN if one of them is.
pub(super) fn maximum<E: Numeric>(x: E, y: E) -> E {
    if x > y || is_nan(x) { x } else { y }
}

/// The smaller of two, and NaN if one of them is.
pub(super) fn minimum<E: Numeric>(x: E, y: E) -> E {
    if x < y || is_nan(x) { x } else { y }
}

/// Only NaN differs from itself.
#[allow(clippy::eq_op)]
pub(super) fn is_nan<E: Numeric>(x: E) -> bool {
    x != x
}

impl<S: Shape, E: Numeric, B: Storage<E>> Tensor<S, E, B> {
    /// Every element moved into [low, high]; NaN stays.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![3]> = tensor![-2.0, 0.25, 7.0];
    /// assert_eq!(x.clamp(0.0, 1.0).to_vec(), [0.0, 0.25, 1.0]);
    /// ```
    #[must_use]
    pub fn clamp(&self, low: E, high: E) -> Tensor<S, E> {
        self.map_by("number::minimum(number::maximum(x, p), q)", &[low, high], |x| minimum(maximum(*x, low), high))
    }

    /// The larger of each two elements, broadcast; NaN where one of them is.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![2, 2]> = tensor![[1.0, 5.0], [3.0, 2.0]];
    /// assert_eq!(x.maximum(&tensor![2.0, 3.0]).to_vec(), [2.0, 5.0, 3.0, 3.0]);
    /// ```
    #[must_use]
    pub fn maximum<T: Shape, A: Storage<E>>(&self, other: &Tensor<T, E, A>) -> Tensor<S::Output, E>
    where
        S: Broadcast<T>,
    {
        self.zip_by(other, "number::maximum(x, y)", maximum)
    }

    /// The smaller of each two elements, broadcast; NaN where one of them is.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![2, 2]> = tensor![[1.0, 5.0], [3.0, 2.0]];
    /// assert_eq!(x.minimum(&tensor![2.0, 3.0]).to_vec(), [1.0, 3.0, 2.0, 2.0]);
    /// ```
    #[must_use]
    pub fn minimum<T: Shape, A: Storage<E>>(&self, other: &Tensor<T, E, A>) -> Tensor<S::Output, E>
    where
        S: Broadcast<T>,
    {
        self.zip_by(other, "number::minimum(x, y)", minimum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_round_to_even() {
        for (x, expected) in [(0.5, 0.0), (1.5, 2.0), (2.5, 2.0), (-0.5, 0.0), (-1.5, -2.0), (-2.5, -2.0), (2.4, 2.0)] {
            assert_eq!(round(x), expected, "{x}");
        }
        assert!(round(f64::NAN).is_nan());
        assert_eq!(round(f64::INFINITY), f64::INFINITY);
    }

    #[test]
    fn nan_is_neither_hidden_by_extremes_nor_by_softplus() {
        for (x, y) in [(f32::NAN, 1.0), (1.0, f32::NAN)] {
            assert!(maximum(x, y).is_nan() && minimum(x, y).is_nan());
        }
        assert!(softplus(f32::NAN).is_nan() && sign(f32::NAN).is_nan());
    }
}
