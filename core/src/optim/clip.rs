//! Gradients that are too large are made smaller.

use super::Result;
use crate::backend::cpu;
#[cfg(feature = "cuda")]
use crate::backend::cuda::Clipping;
#[cfg(feature = "cuda")]
use crate::element::Element;
use crate::element::Float;
use crate::error::Error;
use crate::nn::{Gradients, Model};

/// How a training clips its gradients.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(unreachable_pub)] // in a hidden function of a public trait
pub enum Clip {
    /// To this norm.
    Norm(f64),
    /// Each to this absolute value.
    Value(f64),
}

impl Clip {
    /// Whether the setting makes sense. Infinity is a limit, too: that of no gradient.
    pub(crate) fn check(self) -> Result<()> {
        let (what, limit) = match self {
            Clip::Norm(limit) => ("the largest norm of the gradients", limit),
            Clip::Value(limit) => ("the largest value of a gradient", limit),
        };
        if limit >= 0.0 {
            return Ok(());
        }
        Err(Error::Setting { what, given: limit.to_string(), expected: "at least 0" })
    }

    #[cfg(feature = "cuda")]
    fn on_gpu<M: Model>(self) -> Clipping {
        Clipping { clip: self, real: <M::Elem as Element>::DTYPE, n: M::PARAMS }
    }

    pub(crate) fn apply<M: Model>(self, gradients: &mut Gradients<M>) -> Result<()> {
        match self {
            Clip::Norm(limit) => gradients.clip_grad_norm(limit).map(|_| ()),
            Clip::Value(limit) => gradients.clip_grad_value(limit),
        }
    }
}

/// Gradient clipping, between the gradients and the optimizer's step:
///
/// ```
/// use plywood::prelude::*;
///
/// let mut model = sequential![Linear(2, 3), Tanh, Linear(3, 1)].init(&mut Generator::manual_seed(0));
/// let (x, y) = (Tensor::<Shape![4, 2]>::ones(), Tensor::<Shape![4, 1]>::full(100.0));
/// let mut sgd = SGD::new(0.1);
/// let mut workspace = Workspace::new();
/// for _ in 0..10 {
///     let (loss, grads) = model.gradients_with(&mut workspace, &x, &y, &MSELoss)?;
///     let norm = grads.clip_grad_norm(1.0)?;
///     sgd.step(&mut model, grads)?;
///     println!("loss {loss}, gradients of norm {norm}");
/// }
/// # Ok::<(), plywood::Error>(())
/// ```
///
/// A [`Trainer`](crate::train::Trainer::clip_grad_norm) does it in every step.
impl<M: Model> Gradients<M> {
    /// Scales all gradients by one factor, such that their norm is at most `max_norm`, and gives the norm before:
    /// `torch.nn.utils.clip_grad_norm_` with `error_if_nonfinite=True`.
    ///
    /// The norm ‖g‖ is √(Σ g²) over all parameters, added up in f64; the factor is max_norm / (‖g‖ + 10⁻⁶), or 1 if that is
    /// less. A `max_norm` of infinity changes nothing and gives the norm.
    ///
    /// # Errors
    /// If the norm is no finite number, as no factor makes such gradients good, or `max_norm` is negative or NaN. The gradients
    /// are then as they were. On a GPU, if that fails.
    ///
    /// ```
    /// use plywood::nn::Gradients;
    /// use plywood::prelude::*;
    ///
    /// sequential! { struct Net { Linear(1, 1) } }
    ///
    /// let mut grads = Gradients::<Net>::zeros();
    /// grads.parameters_mut().copy_from_slice(&[3.0, -4.0]);
    /// assert_eq!(grads.clip_grad_norm(10.0)?, 5.0);
    /// assert_eq!(grads.parameters(), [3.0, -4.0]);
    /// assert_eq!(grads.clip_grad_norm(1.0)?, 5.0);
    /// assert!((grads.parameters()[0] - 0.6).abs() < 1e-6 && (grads.parameters()[1] + 0.8).abs() < 1e-6);
    ///
    /// grads.parameters_mut()[0] = f32::NAN;
    /// let wrong = grads.clip_grad_norm(1.0).unwrap_err();
    /// assert!(wrong.to_string().starts_with("the norm of the gradients is NaN"));
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn clip_grad_norm(&mut self, max_norm: f64) -> Result<M::Elem> {
        Clip::Norm(max_norm).check()?;
        #[cfg(feature = "cuda")]
        if let Some(memory) = self.buffer().memory() {
            return Clip::Norm(max_norm).on_gpu::<M>().run(memory).map(M::Elem::of);
        }
        let norm = cpu::sum_of_squares(self.parameters()).sqrt();
        if !norm.is_finite() {
            return Err(Error::GradientNorm { norm });
        }
        let factor = max_norm / (norm + 1e-6);
        if factor < 1.0 {
            cpu::scale(self.parameters_mut(), M::Elem::of(factor));
        }
        Ok(M::Elem::of(norm))
    }

    /// Brings every gradient into [−clip_value, clip_value]: `torch.nn.utils.clip_grad_value_`. NaN stays NaN.
    ///
    /// # Errors
    /// If `clip_value` is negative or NaN; the gradients are then as they were. On a GPU, if that fails.
    ///
    /// ```
    /// use plywood::nn::Gradients;
    /// use plywood::prelude::*;
    ///
    /// sequential! { struct Net { Linear(2, 1) } }
    ///
    /// let mut grads = Gradients::<Net>::zeros();
    /// grads.parameters_mut().copy_from_slice(&[3.0, -4.0, 0.25]);
    /// grads.clip_grad_value(0.5)?;
    /// assert_eq!(grads.parameters(), [0.5, -0.5, 0.25]);
    ///
    /// let wrong = grads.clip_grad_value(-0.5).unwrap_err();
    /// assert_eq!(wrong.to_string(), "the largest value of a gradient is -0.5, but must be at least 0");
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn clip_grad_value(&mut self, clip_value: f64) -> Result<()> {
        Clip::Value(clip_value).check()?;
        #[cfg(feature = "cuda")]
        if let Some(memory) = self.buffer().memory() {
            return Clip::Value(clip_value).on_gpu::<M>().run(memory).map(|_| ());
        }
        cpu::limit(self.parameters_mut(), M::Elem::of(clip_value));
        Ok(())
    }
}
