//! Optimizers: one pass over the one block of parameters a step. In the step of a [`Trainer`](crate::train::Trainer), the
//! weights of a large layer are updated piece by piece as their gradient comes, with the same bits.
//!
//! ```
//! use plywood::prelude::*;
//!
//! let mut sgd = SGD::new(0.1);
//! let mut numbers = [1.0f32, 2.0];
//! sgd.update(&mut numbers, &[0.0, 5.0])?; // any block of numbers with its gradients
//! assert_eq!(numbers, [1.0, 1.5]);
//!
//! sgd.set_learning_rate(sgd.learning_rate() / 10.0);
//! sgd.update(&mut numbers, &[0.0, 5.0])?;
//! assert_eq!(numbers, [1.0, 1.45]);
//! # Ok::<(), plywood::Error>(())
//! ```

mod adam;
mod adamw;
mod clip;
mod sgd;

pub use adam::Adam;
pub use adamw::AdamW;
pub(crate) use clip::Clip;
pub use sgd::SGD;

use crate::backend::cpu::{self, Descent};
#[cfg(feature = "cuda")]
use crate::backend::cuda::{Gpu, Memory, Update};
use crate::backend::{Buffer, Device};
use crate::element::Float;
use crate::error::{Error, Result};
use crate::nn::{Gradients, Model};

/// Something that improves parameters by their gradients.
///
/// ```
/// use plywood::prelude::*;
///
/// let mut model = sequential![Linear(1, 1)].init(&mut Generator::manual_seed(0));
/// let (x, y) = (Tensor::<Shape![1, 1]>::ones(), Tensor::<Shape![1, 1]>::full(3.0));
/// let mut optimizer = Adam::new(0.1);
/// for _ in 0..200 {
///     let (_, grads) = model.gradients(&x, &y, &MSELoss)?;
///     optimizer.step(&mut model, &grads)?;
/// }
/// assert!((model.forward(&x).as_slice()[0] - 3.0).abs() < 0.01);
/// # Ok::<(), plywood::Error>(())
/// ```
pub trait Optimizer<E: Float> {
    /// One step on a block of parameters and the block of their gradients. See [the module](self).
    ///
    /// # Errors
    /// If a setting makes no sense, there is not one gradient per parameter, or moments are kept of another number of
    /// parameters.
    fn update(&mut self, parameters: &mut [E], gradients: &[E]) -> Result<()>;

    /// One step on a network.
    ///
    /// # Errors
    /// As [`update`](Optimizer::update).
    fn step<M: Model<Elem = E>>(&mut self, model: &mut M, gradients: &Gradients<M>) -> Result<()> {
        #[cfg(feature = "cuda")]
        if model.buffer().memory().is_some() || gradients.buffer().memory().is_some() {
            return self.step_on_gpu(model, gradients);
        }
        let (parameters, gradients) = (model.parameters_mut(), gradients.parameters());
        let done = self.descend(M::PARAMS, |descent| {
            cpu::update(parameters, gradients, M::LAYERS, descent);
            Ok(())
        })?;
        match done {
            Some(()) => Ok(()),
            None => self.update(model.parameters_mut(), gradients),
        }
    }

    /// Gives `f` the rule of the next step on so many parameters, if it is one for each alone; without an error, the step is
    /// made.
    #[doc(hidden)]
    fn descend<T>(&mut self, parameters: usize, f: impl FnOnce(Descent<'_, E>) -> Result<T>) -> Result<Option<T>> {
        let _ = (parameters, f);
        Ok(None)
    }

    /// [`step`](Optimizer::step) on a GPU.
    #[cfg(feature = "cuda")]
    #[doc(hidden)]
    fn step_on_gpu<M: Model<Elem = E>>(&mut self, model: &mut M, gradients: &Gradients<M>) -> Result<()> {
        match (model.buffer().memory(), gradients.buffer().memory()) {
            (Some(parameters), Some(block)) if parameters.gpu() == block.gpu() => {
                let gpu = parameters.gpu();
                self.on_gpu(gpu, M::PARAMS)?.run(gpu, parameters, block)?;
                self.stepped(1);
                Ok(())
            }
            _ => Err(Error::Devices {
                what: "the network",
                left: model.device().to_string(),
                other: "its gradients",
                right: gradients.device().to_string(),
            }),
        }
    }

    /// The rule of the next step with its moments, which are on the GPU then.
    #[cfg(feature = "cuda")]
    #[doc(hidden)]
    fn on_gpu(&mut self, gpu: &Gpu, parameters: usize) -> Result<Update<'_>> {
        let _ = parameters;
        let what = format!("the optimizer `{}`", core::any::type_name::<Self>());
        Err(Error::NoKernel { what, device: gpu.to_string(), hint: "; train with it on the CPU" })
    }

    /// So many more steps were made on a GPU; below 0, fewer than was said.
    #[cfg(feature = "cuda")]
    #[doc(hidden)]
    fn stepped(&mut self, steps: i64) {
        let _ = steps;
    }

    /// The learning rate. See [the module](self).
    fn learning_rate(&self) -> f64;

    /// Changes the learning rate from the next step on. See [the module](self).
    fn set_learning_rate(&mut self, lr: f64);
}

/// A setting in its range.
fn setting(what: &'static str, value: f64, good: bool, expected: &'static str) -> Result<()> {
    if good && value.is_finite() {
        return Ok(());
    }
    Err(Error::Setting { what, given: value.to_string(), expected })
}

/// [`Optimizer::update`] by the rule that the optimizer has.
fn descend<E: Float>(optimizer: &mut impl Optimizer<E>, parameters: &mut [E], gradients: &[E]) -> Result<()> {
    let (given, expected) = (gradients.len(), parameters.len());
    if given != expected {
        return Err(Error::Length { given, expected, shape: "the gradients of the parameters".to_owned() });
    }
    optimizer.descend(expected, |descent| {
        cpu::update(parameters, gradients, &[], descent);
        Ok(())
    })?;
    Ok(())
}

/// A moment of every parameter: zeros at the first step, and of the same length ever after.
fn moments<'a, E: Float>(
    optimizer: &'static str,
    moments: &'a mut Option<Buffer<E>>,
    parameters: usize,
) -> Result<&'a mut [E]> {
    let moments = moments.get_or_insert_with(|| Buffer::zeros(parameters));
    if moments.len() != parameters {
        return Err(Error::Optimizer { optimizer, given: parameters, expected: moments.len() });
    }
    if moments.device() != Device::Cpu {
        *moments = moments.copied_to(&Device::Cpu)?;
    }
    Ok(moments.as_mut_slice())
}

/// [`moments`] on a GPU.
#[cfg(feature = "cuda")]
fn moments_on<'a, E: Float>(
    gpu: &Gpu,
    optimizer: &'static str,
    moments: &'a mut Option<Buffer<E>>,
    parameters: usize,
) -> Result<&'a Memory> {
    let there = match moments.take() {
        None => Buffer::on_gpu(Memory::zeros(gpu, parameters * size_of::<E>())?, parameters),
        Some(kept) if kept.len() != parameters => {
            let expected = kept.len();
            *moments = Some(kept);
            return Err(Error::Optimizer { optimizer, given: parameters, expected });
        }
        Some(kept) if kept.gpu() == Some(gpu) => kept,
        Some(kept) => match kept.copied_to(&Device::Cuda(gpu.clone())) {
            Ok(copied) => copied,
            Err(error) => {
                *moments = Some(kept);
                return Err(error);
            }
        },
    };
    Ok(moments.insert(there).memory().expect("on the GPU"))
}

/// A moment, but zero where it is below the smallest normal number.
///
/// The moments of a gradient that stays zero shrink into the subnormal numbers and, by rounding, never leave them: some
/// processors take a hundred times as long for each of those.
#[inline(always)]
fn normal<E: Float>(moment: E) -> E {
    if moment.abs() < E::min_positive_value() { E::zero() } else { moment }
}
