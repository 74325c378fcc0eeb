//! The functions themselves.

use super::{Activation, Formula, bits};
use crate::backend::cpu::math;
use crate::element::Float;

#[inline(always)]
fn number<E: Float>(bits: u64) -> E {
    E::of(f64::from_bits(bits))
}

/// max(0, x), as `torch.nn.ReLU`; the derivative at 0 is 0.
///
/// ```
/// use plywood::nn::{Activation, ReLU};
/// assert_eq!([-1.0, 0.0, 2.0].map(ReLU::forward), [0.0, 0.0, 2.0]);
/// ```
#[derive(Debug)]
pub struct ReLU;

impl Activation for ReLU {
    const KIND: &'static str = "ReLU";
    const CUDA: Option<Formula> = Some(Formula::new("x < 0 ? REAL(0) : x", "v <= 0 ? REAL(0) : REAL(1)"));

    #[inline(always)]
    fn forward<E: Float>(x: E) -> E {
        // Not `max`: a NaN must stay one.
        if x < E::zero() { E::zero() } else { x }
    }

    #[inline(always)]
    fn derivative<E: Float>(y: E) -> E {
        if y <= E::zero() { E::zero() } else { E::one() }
    }
}

/// x where x > 0, slope · x elsewhere, as `torch.nn.LeakyReLU`.
///
/// In [`sequential!`](../../plywood/macro.sequential.html): `LeakyReLU(negative_slope = 0.01)`.
///
/// ```
/// use plywood::nn::{Activation, LeakyReLU};
/// assert_eq!([-1.0, 2.0].map(<LeakyReLU>::forward), [-0.01, 2.0]);
/// ```
#[derive(Debug)]
pub struct LeakyReLU<const SLOPE: u64 = { bits(0.01) }>;

impl<const SLOPE: u64> Activation for LeakyReLU<SLOPE> {
    const KIND: &'static str = "LeakyReLU";
    // A negative slope mirrors: then the output no longer tells the sign of the input.
    const FROM_OUTPUT: bool = f64::from_bits(SLOPE) >= 0.0;
    const CUDA: Option<Formula> =
        Some(Formula::new("x > 0 ? x : a * x", "v > 0 ? REAL(1) : a").with(f64::from_bits(SLOPE), 0.0));

    #[inline(always)]
    fn forward<E: Float>(x: E) -> E {
        if x > E::zero() { x } else { number::<E>(SLOPE) * x }
    }

    #[inline(always)]
    fn derivative<E: Float>(v: E) -> E {
        if v > E::zero() { E::one() } else { number(SLOPE) }
    }
}

/// x where x > 0, α · (eˣ − 1) elsewhere, as `torch.nn.ELU` (Clevert et al., 2015).
///
/// In [`sequential!`](../../plywood/macro.sequential.html): `ELU(alpha = 1.0)`.
///
/// ```
/// use plywood::nn::{Activation, ELU};
/// assert_eq!([-1.0, 2.0].map(<ELU>::forward), [-0.6321205588285577, 2.0]);
/// ```
#[derive(Debug)]
pub struct ELU<const ALPHA: u64 = { bits(1.0) }>;

impl<const ALPHA: u64> Activation for ELU<ALPHA> {
    const KIND: &'static str = "ELU";
    const FROM_OUTPUT: bool = f64::from_bits(ALPHA) >= 0.0;
    const CUDA: Option<Formula> = Some({
        let from_input = "v > 0 ? REAL(1) : a * exp(v)";
        let derivative = if Self::FROM_OUTPUT { "v > 0 ? REAL(1) : v + a" } else { from_input };
        Formula::new("x > 0 ? x : a * expm1(x)", derivative).with(f64::from_bits(ALPHA), 0.0)
    });

    #[inline(always)]
    fn forward<E: Float>(x: E) -> E {
        let y = number::<E>(ALPHA) * math::exp_m1(x);
        if x > E::zero() { x } else { y }
    }

    #[inline(always)]
    fn derivative<E: Float>(v: E) -> E {
        if v > E::zero() {
            E::one()
        } else if Self::FROM_OUTPUT {
            v + number(ALPHA)
        } else {
            number::<E>(ALPHA) * math::exp(v)
        }
    }
}

/// x · Φ(x) with the normal distribution function Φ, as `torch.nn.GELU` (Hendrycks and Gimpel, 2016).
///
/// In [`sequential!`](../../plywood/macro.sequential.html): `GELU`, or `GELU(approximate = "tanh")` for [`GELUTanh`].
///
/// ```
/// use plywood::nn::{Activation, GELU};
/// assert!((GELU::forward(1.0f64) - 0.8413447460685429).abs() < 1e-15);
/// ```
#[derive(Debug)]
pub struct GELU;

impl Activation for GELU {
    const KIND: &'static str = "GELU";
    const FROM_OUTPUT: bool = false;
    const CUDA: Option<Formula> = Some(
        Formula::new(
            "x * (REAL(0.5) * (1 + erf(x * a)))",
            "REAL(0.5) * (1 + erf(v * a)) + v * (exp(v * v * REAL(-0.5)) * b)",
        )
        .with(core::f64::consts::FRAC_1_SQRT_2, 0.398_942_280_401_432_7),
    );

    #[inline(always)]
    fn forward<E: Float>(x: E) -> E {
        x * math::normal(x).0
    }

    #[inline(always)]
    fn derivative<E: Float>(x: E) -> E {
        let (cdf, density) = math::normal(x);
        cdf + x * density
    }
}

/// ½ x · (1 + tanh(√(2/π) · (x + 0.044715 x³))), as `torch.nn.GELU(approximate="tanh")`.
///
/// ```
/// use plywood::nn::{Activation, GELUTanh};
/// assert!((GELUTanh::forward(1.0f64) - 0.8411919906082768).abs() < 1e-15);
/// ```
#[derive(Debug)]
pub struct GELUTanh;

impl GELUTanh {
    const CUBIC: f64 = 0.044_715;
    const SCALE: f64 = 0.797_884_560_802_865_4;

    /// ½ · (1 + tanh u) as σ(2u), which loses no digits where tanh u is near −1.
    #[inline(always)]
    fn half_of_one_plus_tanh<E: Float>(x: E) -> E {
        math::sigmoid(E::of(2.0 * Self::SCALE) * (x + E::of(Self::CUBIC) * x * x * x))
    }
}

impl Activation for GELUTanh {
    const KIND: &'static str = "GELU";
    const FROM_OUTPUT: bool = false;
    const CUDA: Option<Formula> = Some(
        Formula::new(
            "x * sigmoid(a * (x + b * x * x * x))",
            "sigmoid(a * (v + b * v * v * v)) * (1 + v * (1 - sigmoid(a * (v + b * v * v * v))) * a * (1 + 3 * b * v * v))",
        )
        .with(2.0 * Self::SCALE, Self::CUBIC)
    );

    #[inline(always)]
    fn forward<E: Float>(x: E) -> E {
        x * Self::half_of_one_plus_tanh(x)
    }

    #[inline(always)]
    fn derivative<E: Float>(x: E) -> E {
        let s = Self::half_of_one_plus_tanh(x);
        let slope = E::of(2.0 * Self::SCALE) * (E::one() + E::of(3.0 * Self::CUBIC) * x * x);
        s * (E::one() + x * (E::one() - s) * slope)
    }
}

/// x · σ(x), as `torch.nn.SiLU`, also known as swish.
///
/// ```
/// use plywood::nn::{Activation, SiLU};
/// assert!((SiLU::forward(1.0f64) - 0.7310585786300049).abs() < 1e-15);
/// ```
#[derive(Debug)]
pub struct SiLU;

impl Activation for SiLU {
    const KIND: &'static str = "SiLU";
    const FROM_OUTPUT: bool = false;
    const CUDA: Option<Formula> = Some(Formula::new("x * sigmoid(x)", "sigmoid(v) * (1 + v * (1 - sigmoid(v)))"));

    #[inline(always)]
    fn forward<E: Float>(x: E) -> E {
        x * Sigmoid::forward(x)
    }

    #[inline(always)]
    fn derivative<E: Float>(x: E) -> E {
        let s = Sigmoid::forward(x);
        s * (E::one() + x * (E::one() - s))
    }
}

/// σ(x) = 1 / (1 + e⁻ˣ), as `torch.nn.Sigmoid`.
///
/// ```
/// use plywood::nn::{Activation, Sigmoid};
/// assert_eq!([-1000.0, 0.0, 1000.0].map(Sigmoid::forward), [0.0, 0.5, 1.0]);
/// ```
#[derive(Debug)]
pub struct Sigmoid;

impl Activation for Sigmoid {
    const KIND: &'static str = "Sigmoid";
    const CUDA: Option<Formula> = Some(Formula::new("sigmoid(x)", "v * (1 - v)"));

    #[inline(always)]
    fn forward<E: Float>(x: E) -> E {
        math::sigmoid(x)
    }

    #[inline(always)]
    fn derivative<E: Float>(y: E) -> E {
        y * (E::one() - y)
    }
}

/// tanh(x), as `torch.nn.Tanh`.
///
/// ```
/// use plywood::nn::{Activation, Tanh};
/// assert_eq!(Tanh::forward(1.0), 1.0f64.tanh());
/// ```
#[derive(Debug)]
pub struct Tanh;

impl Activation for Tanh {
    const KIND: &'static str = "Tanh";
    const CUDA: Option<Formula> = Some(Formula::new("tanh(x)", "1 - v * v"));

    #[inline(always)]
    fn forward<E: Float>(x: E) -> E {
        math::tanh(x)
    }

    #[inline(always)]
    fn derivative<E: Float>(y: E) -> E {
        E::one() - y * y
    }
}

/// ln(1 + e^(βx)) / β, and x itself where βx exceeds the threshold, as `torch.nn.Softplus`.
///
/// In [`sequential!`](../../plywood/macro.sequential.html): `Softplus(beta = 1.0, threshold = 20.0)`.
///
/// ```
/// use plywood::nn::{Activation, Softplus};
/// assert_eq!([0.0, 100.0].map(<Softplus>::forward), [core::f64::consts::LN_2, 100.0]);
/// ```
#[derive(Debug)]
pub struct Softplus<const BETA: u64 = { bits(1.0) }, const THRESHOLD: u64 = { bits(20.0) }>;

impl<const BETA: u64, const THRESHOLD: u64> Activation for Softplus<BETA, THRESHOLD> {
    const KIND: &'static str = "Softplus";
    const FROM_OUTPUT: bool = false;
    const CUDA: Option<Formula> = Some(
        Formula::new("x * a > b ? x : log1p(exp(x * a)) / a", "v * a > b ? REAL(1) : sigmoid(v * a)")
            .with(f64::from_bits(BETA), f64::from_bits(THRESHOLD)),
    );

    #[inline(always)]
    fn forward<E: Float>(x: E) -> E {
        let scaled = x * number::<E>(BETA);
        // In any case, so that there is no branch in a vector's way; so in `ELU`.
        let y = math::ln_1p(math::exp(scaled)) / number(BETA);
        if scaled > number(THRESHOLD) { x } else { y }
    }

    #[inline(always)]
    fn derivative<E: Float>(x: E) -> E {
        let scaled = x * number::<E>(BETA);
        let slope = Sigmoid::forward(scaled);
        if scaled > number(THRESHOLD) { E::one() } else { slope }
    }
}

/// x, but never below the minimum or above the maximum, as `torch.nn.Hardtanh`; the derivative on the bounds is 0.
///
/// In [`sequential!`](../../plywood/macro.sequential.html): `Hardtanh(min_val = -1.0, max_val = 1.0)`.
///
/// ```
/// use plywood::nn::{Activation, Hardtanh};
/// assert_eq!([-3.0, 0.5, 3.0].map(<Hardtanh>::forward), [-1.0, 0.5, 1.0]);
/// ```
#[derive(Debug)]
pub struct Hardtanh<const MIN: u64 = { bits(-1.0) }, const MAX: u64 = { bits(1.0) }>;

impl<const MIN: u64, const MAX: u64> Activation for Hardtanh<MIN, MAX> {
    const KIND: &'static str = "Hardtanh";
    const CUDA: Option<Formula> = Some(
        Formula::new("x < a ? a : x > b ? b : x", "v <= a || v >= b ? REAL(0) : REAL(1)")
            .with(f64::from_bits(MIN), f64::from_bits(MAX)),
    );

    #[inline(always)]
    fn forward<E: Float>(x: E) -> E {
        const { assert!(f64::from_bits(MIN) < f64::from_bits(MAX), "Hardtanh: min_val must be below max_val") }
        if x < number(MIN) {
            number(MIN)
        } else if x > number(MAX) {
            number(MAX)
        } else {
            x
        }
    }

    #[inline(always)]
    fn derivative<E: Float>(y: E) -> E {
        if y <= number(MIN) || y >= number(MAX) { E::zero() } else { E::one() }
    }
}
