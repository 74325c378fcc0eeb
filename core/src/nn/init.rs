//! Initial values of parameters.

use crate::element::Float;
use crate::generator::Generator;

/// Evenly distributed in ±`bound`.
///
/// ```
/// use plywood::nn::init;
/// use plywood::prelude::*;
///
/// let mut weight = [0.0f32; 100];
/// init::uniform(&mut weight, 0.1, &mut Generator::manual_seed(0));
/// assert!(weight.iter().all(|w| w.abs() <= 0.1) && weight[0] != weight[1]);
/// ```
pub fn uniform<E: Float>(params: &mut [E], bound: f64, rng: &mut Generator) {
    for p in params {
        *p = E::of((2.0 * rng.uniform::<f64>() - 1.0) * bound);
    }
}
