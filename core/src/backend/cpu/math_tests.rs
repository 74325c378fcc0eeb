//! The errors that the table of [`super`] states, measured. A release build takes every 101st `f32`, and all of them if it
//! is asked to: `cargo test --release -p plywood --lib every_f32 -- --ignored --nocapture`, a minute for each function on
//! two cores.

use super::*;
use core::ops::RangeInclusive;
use core::sync::atomic::{AtomicU32, Ordering};

type Pair = (fn(f32) -> f32, fn(f64) -> f64);

/// Name, function, and the errors it may have in each type.
type Row = (&'static str, Pair, fn(f64) -> f64, f64, f64);

/// The function in `f64` by the standard library, or libm, by which the others are measured.
const FUNCTIONS: [Row; 7] = [
    ("exp", (exp, exp), f64::exp, 1.02, 1.1),
    ("exp_m1", (exp_m1, exp_m1), f64::exp_m1, 1.69, 1.7),
    ("ln", (ln, ln), f64::ln, 0.84, 1.0),
    ("ln_1p", (ln_1p, ln_1p), f64::ln_1p, 0.84, 1.5),
    ("tanh", (tanh, tanh), f64::tanh, 2.71, 2.7),
    ("sigmoid", (sigmoid, sigmoid), |x| 1.0 / (1.0 + (-x).exp()), 2.49, 2.7),
    ("erf", (erf, erf), libm::erf, 1.65, 1.7),
];

/// The distance from the exact number, in units of the last place that f32 has there.
fn ulps(got: f32, exact: f64) -> f64 {
    let nearest = exact as f32;
    if got == nearest || got.is_nan() && exact.is_nan() {
        return 0.0;
    }
    if !got.is_finite() || !nearest.is_finite() {
        // The largest number stands for infinity's neighbour.
        return if got.is_infinite() && exact.abs() > f64::from(f32::MAX) { 0.0 } else { f64::INFINITY };
    }
    let last = f64::from(nearest.abs().next_up()) - f64::from(nearest.abs());
    (f64::from(got) - exact).abs() / last
}

/// The largest error of a function, and where it is, among the `f32` whose bits are in a range, in steps.
fn worst_f32((name, (f, _), exact, ..): Row, bits: RangeInclusive<u32>, step: usize) -> (f64, f32) {
    let (mut worst, mut at) = (0.0, 0.0);
    for bits in bits.step_by(step) {
        let x = f32::from_bits(bits);
        // Where e⁻ˣ is more than a number, the smallest of all sigmoids are 0.
        if name == "sigmoid" && x < -88.72 {
            continue;
        }
        let error = ulps(f(x), exact(f64::from(x)));
        if error > worst {
            (worst, at) = (error, x);
        }
    }
    (worst, at)
}

fn check_f32(row: Row, (worst, at): (f64, f32)) {
    let (name, _, _, limit, _) = row;
    // What the platform's own may be off by is not stated.
    let limit = if cfg!(feature = "exact-math") { limit.max(1.5) } else { limit };
    println!("{name}: {worst} at {at:e}");
    assert!(worst <= limit, "{name}({at:e}) is {worst} ulp off");
}

#[test]
fn f32_errors_are_as_stated() {
    let step = if cfg!(debug_assertions) { 10_007 } else { 101 };
    FUNCTIONS.into_iter().for_each(|row| check_f32(row, worst_f32(row, 0..=u32::MAX, step)));
}

macro_rules! every_f32 {
    ($($name:ident)*) => {
        mod every_f32 {
            $(
                #[test]
                #[ignore = "minutes"]
                fn $name() {
                    super::check_every_f32(stringify!($name));
                }
            )*
        }
    };
}

every_f32!(exp exp_m1 ln ln_1p tanh sigmoid erf);

fn check_every_f32(name: &str) {
    let row = FUNCTIONS.into_iter().find(|row| row.0 == name).unwrap();
    let next = AtomicU32::new(0);
    let worst = std::thread::scope(|scope| {
        // Pieces, because not all numbers take the same time.
        let work = || {
            let piece = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|piece| *piece < 1 << 8);
            let worst = |piece: u32| worst_f32(row, piece << 24..=(piece << 24 | 0xff_ffff_u32), 1);
            std::iter::from_fn(piece).map(worst).max_by(|a, b| a.0.total_cmp(&b.0))
        };
        let threads: Vec<_> = (0..crate::num_threads()).map(|_| scope.spawn(work)).collect();
        threads.into_iter().filter_map(|thread| thread.join().unwrap()).max_by(|a, b| a.0.total_cmp(&b.0))
    });
    check_f32(row, worst.unwrap());
}

#[test]
fn f64_errors_are_as_stated() {
    for (name, (_, f), exact, _, limit) in FUNCTIONS {
        let (mut worst, mut at) = (0.0, 0.0);
        for i in 0..400_000u64 {
            let x = f64::from_bits(i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            // Every magnitude, and more of those where the functions bend.
            for x in [x, (i as f64 - 2e5) * 1.234_567e-4, (i as f64 - 2e5) * 3.7e-3] {
                let (got, exact) = (f(x), exact(x));
                let error = if got == exact || got.is_nan() && exact.is_nan() {
                    0.0
                } else {
                    (got - exact).abs() / (exact.abs().next_up() - exact.abs())
                };
                // The standard library's own last bit may be wrong, too.
                if error - 0.5 > worst {
                    (worst, at) = (error - 0.5, x);
                }
            }
        }
        println!("{name}: {worst} at {at:e}");
        assert!(worst <= limit, "{name}({at:e}) is {worst} ulp off");
    }
}

#[test]
fn limits() {
    macro_rules! check {
        ($E:ident, $largest:literal, $smallest:literal) => {{
            let (inf, nan) = ($E::INFINITY, $E::NAN);
            let bits = |x: $E| x.to_bits();
            for f in [exp, exp_m1, ln, ln_1p, tanh, sigmoid, erf] {
                assert!(f(nan).is_nan());
            }
            assert_eq!([-inf, 0.0, -0.0, inf].map(exp::<$E>), [0.0, 1.0, 1.0, inf]);
            assert_eq!([-inf, inf].map(exp_m1::<$E>), [-1.0, inf]);
            assert_eq!([0.0, -0.0, 1.0, inf].map(ln::<$E>), [-inf, -inf, 0.0, inf]);
            assert_eq!([-1.0, inf].map(ln_1p::<$E>), [-inf, inf]);
            assert!(ln::<$E>(-1.0).is_nan() && ln::<$E>(-inf).is_nan() && ln_1p::<$E>(-1.5).is_nan());
            assert_eq!([-inf, inf].map(tanh::<$E>), [-1.0, 1.0]);
            assert_eq!([-inf, inf].map(erf::<$E>), [-1.0, 1.0]);
            assert_eq!([0.0, -0.0].map(erf::<$E>).map(bits), [0.0, -0.0].map(bits));
            for x in [$E::MIN_POSITIVE, $E::MIN_POSITIVE / 8.0, $E::from_bits(9), $E::from_bits(8)] {
                let near = bits(x * core::$E::consts::FRAC_2_SQRT_PI);
                assert!(bits(erf(x)).abs_diff(near) <= 1 && bits(erf(-x)) == bits(-erf(x)), "{x:e}");
            }
            assert_eq!([-inf, 0.0, inf].map(|x| normal::<$E>(x).0), [0.0, 0.5, 1.0]);
            assert_eq!([-inf, inf].map(|x| normal::<$E>(x).1), [0.0, 0.0]);
            assert!(normal::<$E>(nan).0.is_nan() && normal::<$E>(nan).1.is_nan());
            assert_eq!([-inf, 0.0, inf].map(sigmoid::<$E>), [0.0, 0.5, 1.0]);
            for f in [exp_m1, ln_1p, tanh] {
                for x in [0.0, -0.0, $E::MIN_POSITIVE / 8.0, -$E::MIN_POSITIVE / 8.0] {
                    assert_eq!(bits(f(x)), bits(x), "{x:e}");
                }
            }
            assert!(exp::<$E>($largest).is_finite() && exp::<$E>(($largest as $E) + 0.01) == inf);
            assert!(exp::<$E>($smallest) > 0.0 && exp::<$E>($smallest) < $E::MIN_POSITIVE);
        }};
    }
    check!(f32, 88.72, -103.2);
    check!(f64, 709.78, -744.4);
}

/// Φ against libm's erfc and φ: off by a few units of the last place, and by x² of them in the tails, where x² is rounded.
#[test]
#[cfg(not(feature = "exact-math"))]
fn normal_distribution() {
    for i in -20_000..=20_000 {
        let x = f64::from(i) / 1024.0;
        let exact = |x: f64| {
            (0.5 * libm::erfc(-x * core::f64::consts::FRAC_1_SQRT_2), (x * x * -0.5).exp() * 0.398_942_280_401_432_7)
        };
        let ((cdf, density), (cdf_32, density_32)) = (normal(x), normal(x as f32));
        // Below the smallest normal f32, its places are farther apart.
        let tiny = f64::from(f32::MIN_POSITIVE);
        let limit = |epsilon: f64| epsilon * (4.0 + if x < 0.0 { x * x } else { 0.0 });
        for (got, exact, limit, floor) in [
            (cdf, exact(x).0, limit(f64::EPSILON), 0.0),
            (density, exact(x).1, f64::EPSILON * (2.0 + x * x), 0.0),
            (cdf_32.into(), exact(x).0, limit(f32::EPSILON.into()), tiny),
            (density_32.into(), exact(x).1, f64::from(f32::EPSILON) * (2.0 + x * x), tiny),
        ] {
            assert!((got - exact).abs() <= limit * exact.max(floor), "{x}: {got:e}, not {exact:e}");
        }
    }
}
