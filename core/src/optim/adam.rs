#[cfg(feature = "cuda")]
use super::moments_on;
use super::{Optimizer, Result, descend, moments, normal, setting};
use crate::backend::Buffer;
use crate::backend::cpu::Descent;
#[cfg(feature = "cuda")]
use crate::backend::cuda::{Gpu, Rule, Update};
use crate::element::Float;

/// What the settings are called in errors.
macro_rules! settings_of {
    ($optimizer:literal) => {
        [
            concat!("the learning rate of ", $optimizer),
            concat!("the first beta of ", $optimizer),
            concat!("the second beta of ", $optimizer),
            concat!("the eps of ", $optimizer),
            concat!("the weight decay of ", $optimizer),
        ]
    };
}

/// Adam (Kingma and Ba, 2014), as `torch.optim.Adam`.
///
/// With the gradient g, weight decay λ, and learning rate γ, at step t:
/// g ← g + λ · p; m ← β₁ · m + (1 − β₁) · g; v ← β₂ · v + (1 − β₂) · g²;
/// p ← p − γ · m / (1 − β₁ᵗ) / (√(v / (1 − β₂ᵗ)) + ε).
///
/// ```
/// use plywood::prelude::*;
///
/// let mut adam = Adam::new(0.1);
/// let mut p = [1.0f64];
/// adam.update(&mut p, &[5.0])?;
/// assert!((p[0] - 0.9).abs() < 1e-8); // the first step is as long as the learning rate, whatever the gradient
/// # Ok::<(), plywood::Error>(())
/// ```
///
/// ```
/// use plywood::prelude::*;
///
/// let mut adam = Adam::new(1e-3).betas(0.8, 0.99).eps(1e-6).weight_decay(1e-2);
/// let mut p = [1.0f32];
/// adam.update(&mut p, &[0.0])?; // the decay alone
/// assert!((p[0] - 0.999).abs() < 1e-6);
/// # Ok::<(), plywood::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Adam<E: Float = f32> {
    lr: f64,
    betas: (f64, f64),
    eps: f64,
    weight_decay: f64,
    decoupled: bool,
    steps: i32,
    mean: Option<Buffer<E>>,
    square: Option<Buffer<E>>,
}

impl<E: Float> Adam<E> {
    /// Adam with this learning rate, betas (0.9, 0.999), eps 1e-8 and no weight decay.
    #[must_use]
    pub fn new(lr: f64) -> Self {
        let (betas, eps, weight_decay, decoupled) = ((0.9, 0.999), 1e-8, 0.0, false);
        Adam { lr, betas, eps, weight_decay, decoupled, steps: 0, mean: None, square: None }
    }

    /// How much of the mean and of the mean square is kept each step, in [0, 1).
    #[must_use]
    pub fn betas(self, first: f64, second: f64) -> Self {
        Adam { betas: (first, second), ..self }
    }

    /// What is added to the root of the mean square, at least 0.
    #[must_use]
    pub fn eps(self, eps: f64) -> Self {
        Adam { eps, ..self }
    }

    /// The factor of the parameters that is added to their gradients, at least 0.
    #[must_use]
    pub fn weight_decay(self, weight_decay: f64) -> Self {
        Adam { weight_decay, ..self }
    }
}

impl<E: Float> Adam<E> {
    /// With this weight decay, which is [`AdamW`](super::AdamW)'s.
    pub(super) fn decoupled(self, weight_decay: f64) -> Self {
        Adam { weight_decay, decoupled: true, ..self }
    }

    fn name(&self) -> &'static str {
        if self.decoupled { "AdamW" } else { "Adam" }
    }

    /// Whether the settings make sense.
    fn check(&self) -> Result<()> {
        let [lr, first, second, eps, decay] = if self.decoupled { settings_of!("AdamW") } else { settings_of!("Adam") };
        let (b1, b2) = self.betas;
        setting(lr, self.lr, self.lr >= 0.0, "at least 0")?;
        setting(first, b1, (0.0..1.0).contains(&b1), "at least 0 and below 1")?;
        setting(second, b2, (0.0..1.0).contains(&b2), "at least 0 and below 1")?;
        setting(eps, self.eps, self.eps >= 0.0, "at least 0")?;
        setting(decay, self.weight_decay, self.weight_decay >= 0.0, "at least 0")
    }
}

impl<E: Float> Optimizer<E> for Adam<E> {
    fn update(&mut self, parameters: &mut [E], gradients: &[E]) -> Result<()> {
        descend(self, parameters, gradients)
    }

    fn descend<T>(&mut self, parameters: usize, f: impl FnOnce(Descent<'_, E>) -> Result<T>) -> Result<Option<T>> {
        self.check()?;
        let (b1, b2) = self.betas;
        let name = self.name();
        let mean = moments(name, &mut self.mean, parameters)?;
        let square = moments(name, &mut self.square, parameters)?;
        let step = self.steps + 1;
        let length = E::of(self.lr / (1.0 - b1.powi(step)));
        let root = E::of(1.0 / (1.0 - b2.powi(step)).sqrt());
        let (decay, kept) =
            if self.decoupled { (0.0, 1.0 - self.lr * self.weight_decay) } else { (self.weight_decay, 1.0) };
        let [eps, decay, kept, b1, b2, c1, c2] = [self.eps, decay, kept, b1, b2, 1.0 - b1, 1.0 - b2].map(E::of);
        let rule = |p, g, [m, v]: [E; 2]| {
            let g = g + decay * p;
            let m = normal(b1 * m + c1 * g);
            let v = normal(b2 * v + c2 * g * g);
            (kept * p - length * m / (v.sqrt() * root + eps), [m, v])
        };
        let done = Descent::with([mean, square], rule, f)?;
        self.steps = step;
        Ok(Some(done))
    }

    #[cfg(feature = "cuda")]
    fn on_gpu(&mut self, gpu: &Gpu, parameters: usize) -> Result<Update<'_>> {
        self.check()?;
        let Adam { lr, betas, eps, weight_decay, decoupled, steps, .. } = *self;
        let steps = u64::try_from(steps).unwrap_or(0);
        let name = self.name();
        let mean = moments_on(gpu, name, &mut self.mean, parameters)?;
        let square = moments_on(gpu, name, &mut self.square, parameters)?;
        let rule = Rule::Adam { lr, betas, eps, weight_decay, decoupled, steps };
        Ok(Update { rule, clip: None, moments: [Some(mean), Some(square)], real: E::DTYPE, parameters })
    }

    #[cfg(feature = "cuda")]
    fn stepped(&mut self, steps: i64) {
        self.steps = self.steps.saturating_add(i32::try_from(steps).unwrap_or(0)).max(0);
    }

    fn learning_rate(&self) -> f64 {
        self.lr
    }

    fn set_learning_rate(&mut self, lr: f64) {
        self.lr = lr;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A step would be slow for ever, some hundred steps after a unit has died.
    #[test]
    fn moments_of_a_gradient_that_stays_zero_become_zero() {
        let mut adam = Adam::<f32>::new(0.1).betas(0.9, 0.95);
        let mut p = [1.0];
        for step in 0..2000 {
            adam.update(&mut p, &[if step == 0 { 1.0 } else { 0.0 }]).unwrap();
        }
        assert_eq!((adam.mean, adam.square), (Some(Buffer::zeros(1)), Some(Buffer::zeros(1))));
    }
}
