use super::pointwise::{self, Pointwise, TargetFor};
#[cfg(feature = "cuda")]
use super::{DeviceLoss, LossKind};
use super::{Loss, Result};
use crate::element::Float;
use crate::shape::Shape;
use crate::tensor::{Storage, Tensor, TensorView};

/// Mean squared error: the mean of (y − t)², as `torch.nn.MSELoss`. Targets have the predictions' shape.
///
/// ```
/// use plywood::prelude::*;
///
/// let y: Tensor<Shape![2]> = tensor![1.0, 5.0];
/// assert_eq!(MSELoss.forward(&y, &tensor![2.0, 2.0])?, 5.0);
/// # Ok::<(), plywood::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MSELoss;

impl<Y: Shape, S: TargetFor<Y>, E: Float, B: Storage<E>> Loss<Y, Tensor<S, E, B>, E> for MSELoss {
    type Terms = Y;

    fn terms_shape(&self, y: Y) -> Y {
        y
    }

    fn terms(
        &self,
        y: TensorView<'_, Y, E>,
        target: &Tensor<S, E, B>,
        scale: E,
        dy: Option<&mut [E]>,
        term: impl FnMut(E),
    ) -> Result<()> {
        pointwise::terms::<Self, _, _, _, _>(y, target, scale, dy, term)
    }

    #[inline(always)]
    fn total(&self, y: TensorView<'_, Y, E>, target: &Tensor<S, E, B>, scale: E, dy: Option<&mut [E]>) -> Result<f64> {
        pointwise::total::<Self, _, _, _, _>(y, target, scale, dy)
    }

    #[cfg(feature = "cuda")]
    fn on_device<'t>(&self, y: Y, target: &'t Tensor<S, E, B>) -> Result<DeviceLoss<'t>> {
        pointwise::on_device(LossKind::Mse, y, target)
    }
}

impl Pointwise for MSELoss {
    #[inline(always)]
    fn term<E: Float>(y: E, t: E) -> E {
        (y - t) * (y - t)
    }

    #[inline(always)]
    fn derivative<E: Float>(y: E, t: E) -> E {
        E::of(2.0) * (y - t)
    }
}
