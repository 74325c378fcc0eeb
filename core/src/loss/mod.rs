//! Losses: the value and its gradient in one pass.
//!
//! Each is the mean over the batch unless asked otherwise: `MSELoss.sum()` adds up, `MSELoss.none()` keeps one number
//! per element (per sample for [`CrossEntropyLoss`]) and can be computed but not trained with.

mod bce;
mod cross_entropy;
#[cfg(feature = "cuda")]
mod device;
mod mse;
mod pointwise;

#[cfg(feature = "cuda")]
pub(crate) use bce::no_probability;
pub use bce::{BCELoss, BCEWithLogitsLoss};
pub(crate) use cross_entropy::check_labels;
pub use cross_entropy::{CrossEntropyLoss, LabelsFor};
#[cfg(feature = "cuda")]
#[doc(hidden)]
pub use device::{DeviceLoss, LossKind, Target};
pub use mse::MSELoss;
pub use pointwise::TargetFor;

use crate::element::{Element, Float};
use crate::error::{Error, Result};
use crate::shape::{Shape, Sizes};
use crate::tensor::{Storage, Tensor, TensorView};

/// A loss that a network can be trained with: predictions of shape `Y` against targets of type `T`.
///
/// A loss is the mean or the sum of its terms, one per element or one per sample. A loss of your own says what the
/// terms and their derivatives are:
///
/// ```
/// use plywood::loss::Loss;
/// use plywood::prelude::*;
///
/// /// Σ |y − t| / n, `torch.nn.L1Loss`.
/// struct L1Loss;
///
/// impl<Y: Shape, E: Float> Loss<Y, Tensor<Y, E>, E> for L1Loss {
///     type Terms = Y;
///
///     fn terms_shape(&self, y: Y) -> Y {
///         y
///     }
///
///     fn terms(
///         &self,
///         y: TensorView<'_, Y, E>,
///         target: &Tensor<Y, E>,
///         scale: E,
///         mut dy: Option<&mut [E]>,
///         mut term: impl FnMut(E),
///     ) -> plywood::Result<()> {
///         for (i, (y, t)) in y.iter().zip(target).enumerate() {
///             term((*y - *t).abs());
///             if let Some(dy) = dy.as_deref_mut() {
///                 dy[i] = scale * (*y - *t).signum();
///             }
///         }
///         Ok(())
///     }
/// }
///
/// let y: Tensor<Shape![2]> = tensor![1.0, 5.0];
/// assert_eq!(L1Loss.forward(&y, &tensor![2.0, 2.0])?, 2.0);
/// # Ok::<(), plywood::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not compare predictions of shape {Y} with targets of type `{T}`",
    label = "this loss does not take such predictions and targets"
)]
pub trait Loss<Y: Shape, T, E: Float> {
    /// The shape of the terms.
    type Terms: Shape;
    /// Whether the loss is the mean of its terms; otherwise it is their sum. See [`Loss::forward`].
    const MEAN: bool = true;

    /// The shape of the terms.
    fn terms_shape(&self, y: Y) -> Self::Terms;

    /// Calls `term` with each term in order; writes `scale` times the derivative of their sum into `dy` if there is one.
    ///
    /// # Errors
    /// If sizes known only at run time differ, or a target is none that the loss takes.
    fn terms(
        &self,
        y: TensorView<'_, Y, E>,
        target: &T,
        scale: E,
        dy: Option<&mut [E]>,
        term: impl FnMut(E),
    ) -> Result<()>;

    /// The sum of the terms, in f64, so that f32 does not lose the small terms of a large batch; `dy` as in
    /// [`terms`](Loss::terms).
    #[doc(hidden)]
    #[inline(always)]
    fn total(&self, y: TensorView<'_, Y, E>, target: &T, scale: E, dy: Option<&mut [E]>) -> Result<f64> {
        let mut sum = 0.0;
        self.terms(y, target, scale, dy, |term| sum += wide(term))?;
        Ok(sum)
    }

    /// The same for devices that have kernels of their own, for predictions of shape `y`. Checks what can be checked here.
    #[cfg(feature = "cuda")]
    #[doc(hidden)]
    fn on_device<'t>(&self, y: Y, target: &'t T) -> Result<DeviceLoss<'t>> {
        let _ = (y, target);
        let what = format!("the loss `{}`", core::any::type_name::<Self>());
        Err(Error::NoKernel { what, device: "a GPU".to_owned(), hint: "; train with it on the CPU" })
    }

    /// How many predictions name the right class, and out of how many; `None` for a loss that is not about classes.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let y: Tensor<Shape![2, 3]> = tensor![[0.1, 0.7, 0.2], [0.5, 0.3, 0.2]];
    /// assert_eq!(CrossEntropyLoss.correct(y.view(), &tensor![1, 2]), Some((1, 2)));
    /// ```
    fn correct(&self, y: TensorView<'_, Y, E>, target: &T) -> Option<(usize, usize)> {
        let _ = (y, target);
        None
    }

    /// The loss; its gradient with respect to the predictions is written into `dy`.
    ///
    /// The mean over no terms is NaN, as in PyTorch.
    ///
    /// # Errors
    /// If sizes known only at run time differ, or a target is none that the loss takes.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let (y, target): (Tensor<Shape![2]>, Tensor<Shape![2]>) = (tensor![1.0, 5.0], tensor![2.0, 2.0]);
    /// let mut dy = [0.0; 2];
    /// assert_eq!(MSELoss.value_and_gradient(y.view(), &target, &mut dy)?, 5.0);
    /// assert_eq!(dy, [-1.0, 3.0]);
    /// # Ok::<(), plywood::Error>(())
    /// ```
    #[inline(always)]
    fn value_and_gradient(&self, y: TensorView<'_, Y, E>, target: &T, dy: &mut [E]) -> Result<E> {
        reduce(self, y, target, Some(dy))
    }

    /// The loss alone.
    ///
    /// # Errors
    /// As [`value_and_gradient`](Loss::value_and_gradient).
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let y: Tensor<Shape![3]> = tensor![1.0, 2.0, 3.0];
    /// let target: Tensor<Shape![3]> = tensor![2.0, 4.0, 6.0];
    /// assert_eq!(MSELoss.forward(&y, &target)?, 14.0 / 3.0);
    /// assert_eq!(MSELoss.sum().forward(&y, &target)?, 14.0);
    /// assert_eq!(MSELoss.none().forward(&y, &target)?.to_vec(), [1.0, 4.0, 9.0]);
    /// # Ok::<(), plywood::Error>(())
    /// ```
    fn forward<B: Storage<E>>(&self, y: &Tensor<Y, E, B>, target: &T) -> Result<E> {
        #[cfg(feature = "cuda")]
        if y.memory().is_some() {
            return Ok(on_gpu(self, y, target, false)?.0);
        }
        reduce(self, y.view(), target, None)
    }
}

/// The loss of predictions on a GPU, with its gradient if that is wanted.
#[cfg(feature = "cuda")]
pub(crate) fn on_gpu<Y: Shape, T, E: Float, B: Storage<E>, L: Loss<Y, T, E> + ?Sized>(
    loss: &L,
    y: &Tensor<Y, E, B>,
    target: &T,
    gradient: bool,
) -> Result<(E, Option<Tensor<Y, E>>)> {
    let loss = loss.on_device(y.shape(), target)?;
    let mut dy = if gradient { Some(device::room(y, y.shape())?) } else { None };
    let value = device::computed(&loss, y, dy.as_mut(), None::<&mut Tensor<Y, E>>)?;
    Ok((E::of(value), dy))
}

impl<Y: Shape, T, E: Float, L: Loss<Y, T, E>> Loss<Y, T, E> for &L {
    type Terms = L::Terms;
    const MEAN: bool = L::MEAN;

    fn terms_shape(&self, y: Y) -> Self::Terms {
        (*self).terms_shape(y)
    }

    fn terms(
        &self,
        y: TensorView<'_, Y, E>,
        target: &T,
        scale: E,
        dy: Option<&mut [E]>,
        term: impl FnMut(E),
    ) -> Result<()> {
        (*self).terms(y, target, scale, dy, term)
    }

    #[inline(always)]
    fn total(&self, y: TensorView<'_, Y, E>, target: &T, scale: E, dy: Option<&mut [E]>) -> Result<f64> {
        (*self).total(y, target, scale, dy)
    }

    #[cfg(feature = "cuda")]
    fn on_device<'t>(&self, y: Y, target: &'t T) -> Result<DeviceLoss<'t>> {
        (*self).on_device(y, target)
    }

    fn correct(&self, y: TensorView<'_, Y, E>, target: &T) -> Option<(usize, usize)> {
        (*self).correct(y, target)
    }
}

#[inline(always)]
fn wide<E: Float>(x: E) -> f64 {
    x.to_f64().unwrap_or(f64::NAN)
}

#[inline(always)]
fn reduce<Y: Shape, T, E: Float, L: Loss<Y, T, E> + ?Sized>(
    loss: &L,
    y: TensorView<'_, Y, E>,
    target: &T,
    dy: Option<&mut [E]>,
) -> Result<E> {
    let count = if L::MEAN { loss.terms_shape(y.shape()).numel() as f64 } else { 1.0 };
    Ok(E::of(loss.total(y, target, E::of(1.0 / count), dy)? / count))
}

/// The sum of a loss's terms instead of their mean: `reduction="sum"`. See [`Loss::forward`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum<L>(L);

impl<Y: Shape, T, E: Float, L: Loss<Y, T, E>> Loss<Y, T, E> for Sum<L> {
    type Terms = L::Terms;
    const MEAN: bool = false;

    fn terms_shape(&self, y: Y) -> Self::Terms {
        self.0.terms_shape(y)
    }

    fn terms(
        &self,
        y: TensorView<'_, Y, E>,
        target: &T,
        scale: E,
        dy: Option<&mut [E]>,
        term: impl FnMut(E),
    ) -> Result<()> {
        self.0.terms(y, target, scale, dy, term)
    }

    #[inline(always)]
    fn total(&self, y: TensorView<'_, Y, E>, target: &T, scale: E, dy: Option<&mut [E]>) -> Result<f64> {
        self.0.total(y, target, scale, dy)
    }

    #[cfg(feature = "cuda")]
    fn on_device<'t>(&self, y: Y, target: &'t T) -> Result<DeviceLoss<'t>> {
        Ok(DeviceLoss { divisor: 1.0, ..self.0.on_device(y, target)? })
    }

    fn correct(&self, y: TensorView<'_, Y, E>, target: &T) -> Option<(usize, usize)> {
        self.0.correct(y, target)
    }
}

/// A loss's terms, each by itself: `reduction="none"`. See [`Loss::forward`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unreduced<L>(L);

impl<L> Unreduced<L> {
    /// The terms: one per element, or per sample for [`CrossEntropyLoss`].
    ///
    /// # Errors
    /// If sizes known only at run time differ, or a target is none that the loss takes.
    pub fn forward<Y, T, E, B>(&self, y: &Tensor<Y, E, B>, target: &T) -> Result<Tensor<L::Terms, E>>
    where
        Y: Shape,
        E: Float,
        B: Storage<E>,
        L: Loss<Y, T, E>,
    {
        #[cfg(feature = "cuda")]
        if y.memory().is_some() {
            let loss = self.0.on_device(y.shape(), target)?;
            let mut terms = device::room(y, self.0.terms_shape(y.shape()))?;
            device::computed(&loss, y, None::<&mut Tensor<Y, E>>, Some(&mut terms))?;
            return Ok(terms);
        }
        let mut terms = Tensor::zeros_of(self.0.terms_shape(y.shape()));
        let mut places = terms.as_mut_slice().iter_mut();
        self.0.terms(y.view(), target, E::one(), None, |term| {
            if let Some(place) = places.next() {
                *place = term;
            }
        })?;
        Ok(terms)
    }
}

macro_rules! reductions {
    ($($loss:ident),*) => {$(
        impl $loss {
            /// The sum instead of the mean: `reduction="sum"`. See [`Loss::forward`].
            #[must_use]
            pub fn sum(self) -> Sum<Self> {
                Sum(self)
            }

            /// Each term by itself: `reduction="none"`. See [`Loss::forward`].
            #[must_use]
            pub fn none(self) -> Unreduced<Self> {
                Unreduced(self)
            }
        }
    )*};
}

reductions!(MSELoss, CrossEntropyLoss, BCELoss, BCEWithLogitsLoss);

/// Targets for predictions on the CPU have to be there, too.
#[inline(always)]
fn here<S: Shape, E: Element, B: Storage<E>>(target: &Tensor<S, E, B>) -> Result<()> {
    #[cfg(feature = "cuda")]
    if let Some(memory) = target.memory() {
        return Err(Error::Devices {
            what: "the prediction",
            left: crate::Device::Cpu.to_string(),
            other: "its target",
            right: memory.gpu().to_string(),
        });
    }
    let _ = target;
    Ok(())
}

fn check_sizes(what: &'static str, left: &[usize], right: &[usize]) -> Result<()> {
    if left == right {
        return Ok(());
    }
    Err(Error::Shape { what, left: Sizes(left).to_string(), right: Sizes(right).to_string() })
}
