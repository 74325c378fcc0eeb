//! Relative errors, and the sentence that says where one is too large.

use plywood::Float;

/// |got − expected| / max(|expected|, floor).
///
/// The floor is the size below which a number counts as close to zero: there the error is compared with the floor. A
/// number that is not finite has no error only where the same one is expected.
#[must_use]
pub fn relative_error(got: f64, expected: f64, floor: f64) -> f64 {
    if got == expected || (got.is_nan() && expected.is_nan()) {
        return 0.0;
    }
    let error = (got - expected).abs() / expected.abs().max(floor);
    if error.is_nan() { f64::INFINITY } else { error }
}

/// The floor for a tensor of which the numbers are sums that can cancel: a hundredth of its largest number.
#[must_use]
pub fn floor_of(expected: &[f64]) -> f64 {
    expected.iter().fold(f64::MIN_POSITIVE, |largest, x| largest.max(x.abs() / 100.0))
}

/// Panics where a relative error is above the tolerance; gives the largest one otherwise.
///
/// # Panics
/// Where a number is wrong, with its place and both values.
pub fn assert_close<E: Float>(what: &str, got: &[E], expected: &[f64], floor: f64, tolerance: f64) -> f64 {
    assert_eq!(got.len(), expected.len(), "{what}: the number of elements");
    let mut worst = 0.0f64;
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        let got = got.to_f64().unwrap_or(f64::NAN);
        let error = relative_error(got, *expected, floor);
        assert!(
            error <= tolerance,
            "{what}: element {i} is {got:e}, expected {expected:e}; the relative error is {error:.1e}, \
             allowed {tolerance:.0e} of at least {floor:.1e}"
        );
        worst = worst.max(error);
    }
    worst
}
