//! What a layer computes, in words that a device with kernels of its own understands.

use super::Formula;
#[cfg(feature = "conv")]
use crate::backend::cpu::{Conv, Window};

/// What a layer computes.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Op {
    /// What only its own code says.
    Own,
    /// The same numbers under another shape.
    Same,
    /// y = x · Wᵀ + b, over the last `inputs` numbers of a sample.
    Linear { inputs: usize, outputs: usize, bias: bool },
    /// y = w ⋆ x + b.
    #[cfg(feature = "conv")]
    Conv2d { conv: Conv, bias: bool },
    /// The largest number in each window of each plane.
    #[cfg(feature = "conv")]
    MaxPool2d { planes: usize, window: Window },
    /// A function of each number; without a formula, only its own code says which.
    Activation { formula: Option<Formula>, from_output: bool },
    /// eˣ / Σ eˣ over the last `size` numbers.
    Softmax { size: usize },
    /// x − ln Σ eˣ, likewise.
    LogSoftmax { size: usize },
}
