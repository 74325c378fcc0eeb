use super::pointwise::{TargetFor, pointwise};
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
        let two = E::of(2.0);
        pointwise(y, target, scale, dy, term, |y, t| (y - t) * (y - t), |y, t| two * (y - t))
    }
}
