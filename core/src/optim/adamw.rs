use super::{Adam, Optimizer, Result};
use crate::backend::cpu::Descent;
#[cfg(feature = "cuda")]
use crate::backend::cuda::{Gpu, Update};
use crate::element::Float;

/// Adam with a weight decay that is no part of the gradient (Loshchilov and Hutter, 2019), as `torch.optim.AdamW`.
///
/// With the gradient g, weight decay λ, and learning rate γ, at step t:
/// m ← β₁ · m + (1 − β₁) · g; v ← β₂ · v + (1 − β₂) · g²;
/// p ← (1 − γ · λ) · p − γ · m / (1 − β₁ᵗ) / (√(v / (1 − β₂ᵗ)) + ε).
///
/// ```
/// use plywood::prelude::*;
///
/// let mut adamw = AdamW::new(0.1).weight_decay(0.5);
/// let mut p = [1.0f64];
/// adamw.update(&mut p, &[0.0])?; // the decay alone
/// assert_eq!(p, [0.95]);
/// adamw.update(&mut p, &[5.0])?;
/// assert!(p[0] < 0.9);
/// # Ok::<(), plywood::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct AdamW<E: Float = f32>(Adam<E>);

impl<E: Float> AdamW<E> {
    /// AdamW with this learning rate, betas (0.9, 0.999), eps 1e-8 and weight decay 1e-2.
    #[must_use]
    pub fn new(lr: f64) -> Self {
        AdamW(Adam::new(lr).decoupled(1e-2))
    }

    /// How much of the mean and of the mean square is kept each step, in [0, 1).
    #[must_use]
    pub fn betas(self, first: f64, second: f64) -> Self {
        AdamW(self.0.betas(first, second))
    }

    /// What is added to the root of the mean square, at least 0.
    #[must_use]
    pub fn eps(self, eps: f64) -> Self {
        AdamW(self.0.eps(eps))
    }

    /// How much each step takes away of the parameters, in learning rates, at least 0.
    #[must_use]
    pub fn weight_decay(self, weight_decay: f64) -> Self {
        AdamW(self.0.weight_decay(weight_decay))
    }
}

impl<E: Float> Optimizer<E> for AdamW<E> {
    fn update(&mut self, parameters: &mut [E], gradients: &[E]) -> Result<()> {
        self.0.update(parameters, gradients)
    }

    fn descend<T>(&mut self, parameters: usize, f: impl FnOnce(Descent<'_, E>) -> Result<T>) -> Result<Option<T>> {
        self.0.descend(parameters, f)
    }

    #[cfg(feature = "cuda")]
    fn on_gpu(&mut self, gpu: &Gpu, parameters: usize) -> Result<Update<'_>> {
        self.0.on_gpu(gpu, parameters)
    }

    #[cfg(feature = "cuda")]
    fn stepped(&mut self, steps: i64) {
        self.0.stepped(steps);
    }

    fn learning_rate(&self) -> f64 {
        self.0.learning_rate()
    }

    fn set_learning_rate(&mut self, lr: f64) {
        self.0.set_learning_rate(lr);
    }
}
