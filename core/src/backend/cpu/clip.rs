//! Passes over a block of gradients that keep them from being too large.

use super::{over_pieces, pool, widest};
use crate::element::Float;

/// The sum of the squares, in f64, so that f32 neither overflows nor loses the small ones.
///
/// The order in which they are added up depends on their number alone: pieces, and within a piece lanes.
pub fn sum_of_squares<E: Float>(x: &[E]) -> f64 {
    let piece = x.len().div_ceil(PIECES).max(LEAST);
    let pieces = x.len().div_ceil(piece);
    // As `update` of one stream.
    pool::sum_of_parts(pieces, size_of_val(x) / 32, |i| {
        let of = &x[i * piece..][..piece.min(x.len() - i * piece)];
        widest(
            #[inline(always)]
            || squares(of),
        )
    })
}

#[inline(always)]
fn squares<E: Float>(x: &[E]) -> f64 {
    let mut lanes = [0.0f64; LANES];
    let chunks = x.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            let x = x.to_f64().unwrap_or(f64::NAN);
            *lane += x * x;
        }
    }
    for (lane, x) in lanes.iter_mut().zip(rest) {
        let x = x.to_f64().unwrap_or(f64::NAN);
        *lane += x * x;
    }
    lanes.iter().sum()
}

/// Each times `factor`.
pub fn scale<E: Float>(x: &mut [E], factor: E) {
    each(x, |x| x * factor);
}

/// Each as close to itself as it can be within ±`limit`; NaN stays.
pub fn limit<E: Float>(x: &mut [E], limit: E) {
    each(x, |x| {
        if x > limit {
            limit
        } else if x < -limit {
            -limit
        } else {
            x
        }
    });
}

#[inline(always)]
fn each<E: Float>(x: &mut [E], f: impl Fn(E) -> E + Sync) {
    over_pieces(x, |_, piece| {
        widest(
            #[inline(always)]
            || piece.iter_mut().for_each(|x| *x = f(*x)),
        );
    });
}

const LANES: usize = 32;
/// The most pieces, and as many elements as one has at least.
const PIECES: usize = pool::MOST_PARTS;
const LEAST: usize = 1 << 14;

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever the length: pieces and lanes that are not full are counted, and nothing twice.
    #[test]
    fn squares_of_every_length() {
        for len in [0, 1, 31, 32, 33, LEAST - 1, LEAST, LEAST + 1, 3 * LEAST + 17, PIECES * LEAST + 5] {
            let x: Vec<f32> = (0..len).map(|i| (i % 7) as f32 - 3.0).collect();
            let expected: f64 = x.iter().map(|x| f64::from(*x).powi(2)).sum();
            assert_eq!(sum_of_squares(&x), expected, "{len} numbers");
        }
    }

    #[test]
    fn large_and_small_numbers_are_squared_in_f64() {
        assert_eq!(sum_of_squares(&[1e30f32, 0.0]).sqrt(), f64::from(1e30f32));
        assert_eq!(sum_of_squares(&[1e-30f32, 0.0]).sqrt(), f64::from(1e-30f32));
        assert!(sum_of_squares(&[1.0, f32::NAN]).is_nan());
    }

    #[test]
    fn what_is_limited() {
        let mut x = [-2.0, -0.5, -0.0, 0.25, f64::INFINITY, f64::NAN];
        limit(&mut x, 0.5);
        assert_eq!(x[..5], [-0.5, -0.5, -0.0, 0.25, 0.5]);
        assert!(x[5].is_nan());
    }
}
