//! What the tests of Plywood share: networks of many kinds, comparison with expected numbers, the check of gradients
//! against central differences, the GPU, and PyTorch's numbers.

pub mod compare;
pub mod fixture;
pub mod gpu;
pub mod gradcheck;
pub mod networks;

use plywood::{Float, Generator, Numeric, StaticShape};

/// Samples of shape `S` from the normal distribution, row-major.
#[must_use]
pub fn samples<S: StaticShape, E: Float>(batch: usize, rng: &mut Generator) -> Vec<E> {
    (0..batch * S::NUMEL).map(|_| rng.normal()).collect()
}

/// The bits of floats: equal exactly where nothing at all differs.
#[must_use]
pub fn bits<E: Numeric>(numbers: &[E]) -> Vec<u64> {
    numbers.iter().map(|x| x.to_f64().map_or(0, f64::to_bits)).collect()
}

/// The programs in the README.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
