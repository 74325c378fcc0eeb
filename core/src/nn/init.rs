//! Initial values of parameters.

use crate::element::Float;
use crate::generator::Generator;

/// Evenly distributed in ±`bound`.
pub fn uniform<E: Float>(params: &mut [E], bound: f64, rng: &mut Generator) {
    for p in params {
        *p = E::of((2.0 * rng.uniform::<f64>() - 1.0) * bound);
    }
}
