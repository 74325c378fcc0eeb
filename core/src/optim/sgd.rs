#[cfg(feature = "cuda")]
use super::moments_on;
use super::{Optimizer, Result, descend, moments, normal, setting};
use crate::backend::Buffer;
use crate::backend::cpu::Descent;
#[cfg(feature = "cuda")]
use crate::backend::cuda::{Gpu, Rule, Update};
use crate::element::Float;

/// Stochastic gradient descent, as `torch.optim.SGD`.
///
/// With the gradient g, weight decay λ, momentum μ, dampening τ and learning rate γ:
/// g ← g + λ · p; v ← μ · v + (1 − τ) · g (the first v is g); p ← p − γ · v, or p − γ · (g + μ · v) with Nesterov.
///
/// ```
/// use plywood::prelude::*;
///
/// let mut sgd = SGD::new(0.1).momentum(0.9);
/// let mut p = [1.0f64];
/// sgd.update(&mut p, &[1.0])?;
/// sgd.update(&mut p, &[1.0])?;
/// assert!((p[0] - (1.0 - 0.1 - 0.1 * 1.9)).abs() < 1e-15);
/// # Ok::<(), plywood::Error>(())
/// ```
///
/// ```
/// use plywood::prelude::*;
///
/// let mut sgd = SGD::new(0.1).momentum(0.5).nesterov(true).weight_decay(0.0);
/// let mut p = [1.0f64];
/// sgd.update(&mut p, &[1.0])?;
/// assert!((p[0] - (1.0 - 0.1 * 1.5)).abs() < 1e-15);
///
/// let mut sgd = SGD::new(0.1).momentum(0.5).dampening(1.0); // later gradients do not enter the velocity
/// let mut p = [1.0f64];
/// sgd.update(&mut p, &[1.0])?;
/// sgd.update(&mut p, &[7.0])?;
/// assert!((p[0] - (1.0 - 0.1 - 0.1 * 0.5)).abs() < 1e-15);
/// # Ok::<(), plywood::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SGD<E: Float = f32> {
    lr: f64,
    momentum: f64,
    dampening: f64,
    weight_decay: f64,
    nesterov: bool,
    velocity: Option<Buffer<E>>,
}

impl<E: Float> SGD<E> {
    /// Plain gradient descent with this learning rate.
    #[must_use]
    pub fn new(lr: f64) -> Self {
        SGD { lr, momentum: 0.0, dampening: 0.0, weight_decay: 0.0, nesterov: false, velocity: None }
    }

    /// The share of the velocity that is kept each step, at least 0.
    #[must_use]
    pub fn momentum(self, momentum: f64) -> Self {
        SGD { momentum, ..self }
    }

    /// The share of the gradient that does not enter the velocity.
    #[must_use]
    pub fn dampening(self, dampening: f64) -> Self {
        SGD { dampening, ..self }
    }

    /// The factor of the parameters that is added to their gradients, at least 0.
    #[must_use]
    pub fn weight_decay(self, weight_decay: f64) -> Self {
        SGD { weight_decay, ..self }
    }

    /// Whether to look ahead by the velocity; needs a momentum and no dampening.
    #[must_use]
    pub fn nesterov(self, nesterov: bool) -> Self {
        SGD { nesterov, ..self }
    }
}

impl<E: Float> SGD<E> {
    /// Whether the settings make sense.
    fn check(&self) -> Result<()> {
        setting("the learning rate of SGD", self.lr, self.lr >= 0.0, "at least 0")?;
        setting("the momentum of SGD", self.momentum, self.momentum >= 0.0, "at least 0")?;
        setting("the weight decay of SGD", self.weight_decay, self.weight_decay >= 0.0, "at least 0")?;
        setting("the dampening of SGD", self.dampening, true, "a finite number")?;
        if self.nesterov {
            setting("the momentum of SGD with Nesterov", self.momentum, self.momentum > 0.0, "above 0")?;
            setting("the dampening of SGD with Nesterov", self.dampening, self.dampening == 0.0, "0")?;
        }
        Ok(())
    }
}

impl<E: Float> Optimizer<E> for SGD<E> {
    fn update(&mut self, parameters: &mut [E], gradients: &[E]) -> Result<()> {
        descend(self, parameters, gradients)
    }

    fn descend<T>(&mut self, parameters: usize, f: impl FnOnce(Descent<'_, E>) -> Result<T>) -> Result<Option<T>> {
        self.check()?;
        let [lr, momentum, decay] = [self.lr, self.momentum, self.weight_decay].map(E::of);
        if self.momentum == 0.0 {
            return Descent::with([], |p, g, []| (p - lr * (g + decay * p), []), f).map(Some);
        }
        let is_first = self.velocity.is_none();
        let fresh = E::of(if is_first { 1.0 } else { 1.0 - self.dampening });
        let nesterov = self.nesterov;
        let velocity = moments("SGD", &mut self.velocity, parameters)?;
        let rule = |p, g, [v]: [E; 1]| {
            let g = g + decay * p;
            let v = normal(momentum * v + fresh * g);
            (p - lr * if nesterov { g + momentum * v } else { v }, [v])
        };
        let done = Descent::with([velocity], rule, f);
        if done.is_err() && is_first {
            self.velocity = None;
        }
        done.map(Some)
    }

    #[cfg(feature = "cuda")]
    fn on_gpu(&mut self, gpu: &Gpu, parameters: usize) -> Result<Update<'_>> {
        self.check()?;
        let SGD { lr, momentum, dampening, weight_decay, nesterov, .. } = *self;
        let started = self.velocity.is_some();
        let rule = Rule::Sgd { lr, momentum, dampening, weight_decay, nesterov, started };
        let moments = match momentum {
            0.0 => [None, None],
            _ => [Some(moments_on(gpu, "SGD", &mut self.velocity, parameters)?), None],
        };
        Ok(Update { rule, clip: None, moments, real: E::DTYPE, parameters })
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
    fn the_velocity_of_a_gradient_that_stays_zero_becomes_zero() {
        let mut sgd = SGD::<f32>::new(0.1).momentum(0.9);
        let mut p = [1.0];
        for step in 0..2000 {
            sgd.update(&mut p, &[if step == 0 { 1.0 } else { 0.0 }]).unwrap();
        }
        assert_eq!(sgd.velocity, Some(Buffer::zeros(1)));
    }
}
