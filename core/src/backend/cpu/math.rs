//! eˣ, ln x and their relatives without a branch or a table, so that the compiler turns a loop over them into vectors.
//!
//! They are what the activations, the losses and `Softmax` compute with. Plain multiplications and additions in a fixed
//! order: the same bits on every instruction set. The error is at most, in units in the last place:
//!
//! | | [`exp`] | [`exp_m1`] | [`ln`] | [`ln_1p`] | [`tanh`] | [`sigmoid`] | [`erf`] |
//! |---|---|---|---|---|---|---|---|
//! | `f32` | 1.02 | 1.69 | 0.84 | 0.84 | 2.71 | 2.49 | 1.65 |
//! | `f64` | 1.1 | 1.7 | 1.0 | 1.5 | 2.7 | 2.7 | 1.7 |
//!
//! Those of `f32` are the largest errors of all: every number has been tried. Those of `f64` bound what a million samples
//! have shown.
//!
//! With the feature `exact-math` they are the platform's own (`f32::exp` and so on; libm's `erf`), several times slower.
//!
//! ```
//! use plywood::math;
//!
//! assert!((math::exp(1.0f64) - core::f64::consts::E).abs() < 1e-15);
//! assert_eq!([f32::NEG_INFINITY, 0.0, 89.0].map(math::exp), [0.0, 1.0, f32::INFINITY]);
//! assert_eq!([0.0f32, 1.0].map(math::ln), [f32::NEG_INFINITY, 0.0]);
//! assert_eq!([-1e-30f32, 100.0].map(math::tanh), [-1e-30, 1.0]);
//! assert_eq!((math::exp_m1(1e-30f32), math::ln_1p(1e-30f32), math::sigmoid(0.0f32)), (1e-30, 1e-30, 0.5));
//! assert_eq!([f32::NEG_INFINITY, 0.0, 4.0].map(math::erf), [-1.0, 0.0, 1.0]);
//! ```

use crate::element::Float;

macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident $method:ident $exact:path;)*) => {
        $(
            $(#[$doc])*
            #[inline(always)]
            #[must_use]
            pub fn $name<E: Float>(x: E) -> E {
                #[cfg(feature = "exact-math")]
                return $exact(x);
                #[cfg(not(feature = "exact-math"))]
                E::$method(x)
            }
        )*

        /// The functions of an element type.
        #[doc(hidden)]
        pub trait Elementary {
            $(fn $method(self) -> Self;)*
            /// e^(x²) · (1 − erf |x|).
            fn vector_erfcx(self) -> Self;
        }
    };
}

functions! {
    /// eˣ.
    exp vector_exp num_traits::Float::exp;
    /// eˣ − 1, accurate near 0.
    exp_m1 vector_exp_m1 num_traits::Float::exp_m1;
    /// The natural logarithm.
    ln vector_ln num_traits::Float::ln;
    /// ln(1 + x), accurate near 0.
    ln_1p vector_ln_1p num_traits::Float::ln_1p;
    /// The hyperbolic tangent.
    tanh vector_tanh num_traits::Float::tanh;
    /// The error function, 2 / √π times the integral of e^(−t²) from 0 to x.
    erf vector_erf exact_erf;
}

#[cfg(feature = "exact-math")]
fn exact_erf<E: Float>(x: E) -> E {
    E::of(libm::erf(x.to_f64().expect("a float")))
}

/// 1 / (1 + e⁻ˣ); 0 where e⁻ˣ is more than a number, below −88.72 in `f32`.
#[inline(always)]
#[must_use]
pub fn sigmoid<E: Float>(x: E) -> E {
    E::one() / (E::one() + exp(-x))
}

/// The normal distribution's function Φ and density φ of x. Φ is accurate where it is nearly 0, too.
#[inline(always)]
pub(crate) fn normal<E: Float>(x: E) -> (E, E) {
    let bell = exp(x * x * E::of(-0.5));
    let scaled = x * E::FRAC_1_SQRT_2();
    let cdf = if cfg!(feature = "exact-math") {
        E::of(0.5) * (E::one() + erf(scaled))
    } else {
        let tail = E::of(0.5) * bell * scaled.vector_erfcx();
        if x > E::zero() { E::one() - tail } else { tail }
    };
    (cdf, bell * E::of(0.398_942_280_401_432_7))
}

/// What [`elementary!`] needs to know of a type: its layout and its coefficients.
macro_rules! elementary {
    (
        $E:ident as $Bits:ident, mantissa $mantissa:literal, exponents up to $bias:literal;
        exp from $low:literal to $high:literal, ln 2 as $exp_hi:literal + $exp_lo:literal, $exp:expr;
        ln 2 as $ln_hi:literal + $ln_lo:literal, $ln:expr;
        erf $erf:expr; erfcx up to $far:literal around $middle:literal, $erfcx:expr
    ) => {
        const _: () = {
            /// Added to a small number, it leaves the nearest integer in the last bits.
            const SHIFT: $E = 1.5 * (1u64 << $mantissa) as $E;
            const ROOT_HALF: $Bits = core::$E::consts::FRAC_1_SQRT_2.to_bits();

            /// 2ⁿ.
            #[inline(always)]
            fn power(n: $Bits) -> $E {
                $E::from_bits(n.wrapping_add($bias) << $mantissa)
            }

            #[inline(always)]
            fn halve(n: $Bits) -> $Bits {
                (n.cast_signed() >> 1).cast_unsigned()
            }

            /// The polynomial, as two that can be computed at the same time.
            #[inline(always)]
            fn polynomial<const N: usize>(x: $E, coefficients: [$E; N]) -> $E {
                let square = x * x;
                let sum = |last: usize| {
                    let mut sum = coefficients[last];
                    for i in (0..last / 2).rev() {
                        sum = sum * square + coefficients[2 * i + last % 2];
                    }
                    sum
                };
                let (last, other) = (sum(N - 1), sum(N - 2));
                if N % 2 == 0 { other + x * last } else { last + x * other }
            }

            /// n and eʳ − 1 with x = n · ln 2 + r.
            #[inline(always)]
            fn reduce(x: $E) -> ($Bits, $E) {
                let x = if x > $high { $high } else { x };
                let x = if x < $low { $low } else { x };
                let shifted = x * core::$E::consts::LOG2_E + SHIFT;
                let n = shifted - SHIFT;
                let r = (x - n * $exp_hi) - n * $exp_lo;
                (shifted.to_bits().wrapping_sub(SHIFT.to_bits()), r + r * r * polynomial(r, $exp))
            }

            /// n and m with x = 2ⁿ · m, m from √½ to √2.
            #[inline(always)]
            fn split(x: $E) -> ($E, $E) {
                let bits = x.to_bits().wrapping_add((1.0 as $E).to_bits() - ROOT_HALF);
                let n = (bits >> $mantissa).wrapping_sub($bias);
                let m = (bits & ((1 << $mantissa) - 1)) + ROOT_HALF;
                ($E::from_bits(SHIFT.to_bits().wrapping_add(n)) - SHIFT, $E::from_bits(m))
            }

            /// n · ln 2 + ln(1 + f) + small, with 1 + f from √½ to √2. As FreeBSD's msun, which has the coefficients.
            #[inline(always)]
            fn assemble(n: $E, f: $E, small: $E) -> $E {
                let s = f / (2.0 + f);
                let (z, half) = (s * s, 0.5 * f * f);
                s * (half + z * polynomial(z, $ln)) + (n * $ln_lo + small) - half + f + n * $ln_hi
            }

            impl Elementary for $E {
                #[inline(always)]
                fn vector_exp(self) -> $E {
                    let (n, p) = reduce(self);
                    // In two steps, as 2ⁿ alone may be no number where the product is one.
                    (1.0 + p) * power(halve(n)) * power(n.wrapping_sub(halve(n)))
                }

                #[inline(always)]
                fn vector_exp_m1(self) -> $E {
                    let (n, p) = reduce(self);
                    let (first, second) = (halve(n), n.wrapping_sub(halve(n)));
                    let y = (p * power(first) + (power(first) - power(second.wrapping_neg()))) * power(second);
                    y.copysign(self)
                }

                #[inline(always)]
                fn vector_ln(self) -> $E {
                    let subnormal = self < $E::MIN_POSITIVE;
                    let (n, m) = split(if subnormal { self * power($mantissa) } else { self });
                    let n = if subnormal { n - $mantissa as $E } else { n };
                    special(self, self, assemble(n, m - 1.0, 0.0))
                }

                #[inline(always)]
                fn vector_ln_1p(self) -> $E {
                    let u = 1.0 + self;
                    let (n, m) = split(u);
                    // What the sum lost. Near 1, x itself has lost nothing.
                    let lost = if self >= 1.0 { 1.0 - (u - self) } else { self - (u - 1.0) } / u;
                    let (f, lost) = if n == 0.0 { (self, 0.0) } else { (m - 1.0, lost) };
                    special(u, self, assemble(n, f, lost).copysign(self))
                }

                #[inline(always)]
                fn vector_tanh(self) -> $E {
                    let t = (2.0 * self.abs()).vector_exp_m1();
                    // t / (t + 2); from ½ on as 1 − 2 / (t + 2), which is off by less and less.
                    let large = t > 2.0;
                    let y = if large { -2.0 } else { t } / (t + 2.0);
                    (if large { 1.0 + y } else { y }).copysign(self)
                }

                #[inline(always)]
                fn vector_erf(self) -> $E {
                    let square = self * self;
                    let near = self + self * polynomial(square, $erf);
                    // At most 0.22 is taken from 1 where this counts, which makes little of its error.
                    let far = 1.0 - (-square).vector_exp() * self.vector_erfcx();
                    if self.abs() < 0.875 { near } else { far.copysign(self) }
                }

                #[inline(always)]
                fn vector_erfcx(self) -> $E {
                    // Farther, e^(−x²) is 0.
                    let x = if self.abs() > $far { $far } else { self.abs() };
                    let t = 1.0 / (x + $middle);
                    t * polynomial((x - $middle) * t, $erfcx)
                }
            }

            /// A logarithm y of u outside of the positive numbers.
            #[inline(always)]
            fn special(u: $E, infinite: $E, y: $E) -> $E {
                let negative = if u == 0.0 { $E::NEG_INFINITY } else { $E::NAN };
                let y = if u < $E::INFINITY { y } else { infinite };
                if u > 0.0 { y } else { negative }
            }
        };
    };
}

// The polynomial of eʳ: the best for r² · P(r) against eʳ − 1 − r in [−ln √2, ln √2], relative to eʳ. In both types those
// of erf and erfcx are the best, by Remez, for x + x · P(x²) against erf x up to 0.875, and for P((x − m) / (x + m)) /
// (x + m) against e^(x²) · erfc x, relative to these.
elementary! {
    f32 as u32, mantissa 23, exponents up to 127;
    exp from -104.0 to 89.0, ln 2 as 0.693_145_75 + 1.428_606_8e-6,
        [0.499_999_94, 0.166_665_2, 0.041_668_393, 0.008_368_776, 0.001_381_447_5];
    ln 2 as 0.693_138_1 + 9.058_001e-6,
        [0.666_666_6, 0.400_009_72, 0.284_987_87, 0.242_790_79];
    erf [
            0.128_379_15, -0.376_125_5, 0.112_824_55, -0.026_791_444, 0.005_032_149_6, -6.203_07e-4,
        ];
    erfcx up to 10.25 around 3.0, [
            1.074_006_9, -0.883_394_5, 0.590_228_3, -0.310_466, 0.119_529_12, -0.026_839_944,
            -0.001_226_737_3, 0.003_080_454_7, -4.825_852_2e-4, -3.250_264_9e-4,
        ]
}

// The polynomial of eʳ is Taylor's.
elementary! {
    f64 as u64, mantissa 52, exponents up to 1023;
    exp from -746.0 to 710.0, ln 2 as 0.693_147_180_369_123_8 + 1.908_214_929_270_587_7e-10,
        [
            1.0 / 2.0, 1.0 / 6.0, 1.0 / 24.0, 1.0 / 120.0, 1.0 / 720.0, 1.0 / 5_040.0, 1.0 / 40_320.0, 1.0 / 362_880.0,
            1.0 / 3_628_800.0, 1.0 / 39_916_800.0, 1.0 / 479_001_600.0, 1.0 / 6_227_020_800.0,
        ];
    ln 2 as 0.693_147_180_369_123_8 + 1.908_214_929_270_587_7e-10,
        [
            0.666_666_666_666_673_5, 0.399_999_999_994_094_2, 0.285_714_287_436_623_9, 0.222_221_984_321_497_84,
            0.181_835_721_616_180_5, 0.153_138_376_992_093_73, 0.147_981_986_051_165_86,
        ];
    erf [
            0.128_379_167_095_512_6, -0.376_126_389_031_837_37, 0.112_837_916_709_543_03,
            -0.026_866_170_644_932_436, 0.005_223_977_622_954_184, -8.548_326_839_319_489e-4,
            1.205_532_432_107_973_9e-4, -1.492_538_136_031_767_8e-5, 1.645_651_644_358_293_4e-6,
            -1.628_835_886_202_874e-7, 1.411_793_343_642_710_3e-8, -8.654_805_396_855_051e-10,
        ];
    erfcx up to 27.5 around 4.0, [
            1.095_995_661_000_491, -0.976_548_729_080_882_1, 0.773_208_702_265_236_7,
            -0.540_853_831_313_225, 0.330_851_587_878_025, -0.174_010_937_240_291_24,
            0.076_381_514_909_113_71, -0.026_370_053_334_607_735, 0.006_112_055_657_172_405,
            -2.809_589_158_483_975_4e-4, -4.550_526_914_524_604_5e-4, 1.768_130_856_911_342_3e-4,
            -3.635_139_370_371_208_4e-6, -1.886_177_759_597_807e-5, 4.694_306_942_540_523e-6,
            1.426_068_176_963_779_9e-6, -8.459_756_344_397_238e-7, -7.793_165_408_759_11e-8,
            1.239_205_021_056_651_5e-7, 2.564_668_551_158_06e-9, -1.539_520_226_520_586_5e-8,
            -3.647_845_452_409_324e-10, 1.023_823_577_595_459_5e-9,
        ]
}

#[cfg(test)]
#[path = "math_tests.rs"]
mod tests;
