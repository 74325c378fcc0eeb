use super::Variable;
use crate::element::Float;
use crate::shape::Shape;
use crate::tensor::{Storage, Tensor};

/// What stands beside a variable in an operation: another variable, or a plain tensor as a constant.
///
/// ```
/// use plywood::prelude::*;
///
/// let w = Tensor::<Shape![3]>::ones().requires_grad();
/// let t: Tensor<Shape![3]> = tensor![1.0, 5.0, 0.0];
/// assert_eq!(w.maximum(&t).value().to_vec(), [1.0, 5.0, 1.0]);
/// assert_eq!(w.maximum(&(&w * 2.0)).value().to_vec(), [2.0, 2.0, 2.0]);
/// ```
///
/// ```
/// use plywood::autograd::{Operand, Variable};
/// use plywood::prelude::*;
///
/// /// The mean of what is above 0, of variables and of tensors.
/// fn mean_above<X: Operand>(x: &X) -> Variable<(), X::Elem> {
///     x.variable().relu().mean()
/// }
///
/// assert_eq!(mean_above(&tensor![-2.0f64, 4.0]).item(), 2.0);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a variable nor a tensor of floats",
    label = "a variable or a tensor is needed here"
)]
pub trait Operand {
    /// Its shape. See [`Operand`].
    type Shape: Shape;
    /// Its element type.
    type Elem: Float;

    /// The variable itself, or a constant with the tensor's numbers.
    fn variable(&self) -> Variable<Self::Shape, Self::Elem>;
}

impl<S: Shape, E: Float> Operand for Variable<S, E> {
    type Shape = S;
    type Elem = E;

    fn variable(&self) -> Variable<S, E> {
        self.clone()
    }
}

impl<S: Shape, E: Float, B: Storage<E>> Operand for Tensor<S, E, B> {
    type Shape = S;
    type Elem = E;

    fn variable(&self) -> Variable<S, E> {
        Variable::constant(self.to_owned())
    }
}
