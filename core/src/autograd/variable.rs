use super::node::{Gradient, Node, backward};
use crate::dim::D;
use crate::element::{Element, Float};
use crate::error::{Error, Result};
use crate::shape::{Shape, Sizes};
use crate::tensor::{Storage, Tensor};
use core::fmt::{self, Debug, Display};
use std::rc::Rc;

/// A tensor that knows how it was computed.
///
/// A clone is the same variable, and costs no copy of the tensor. See the [module](super) for how to use it.
///
/// ```
/// use plywood::autograd::Variable;
/// use plywood::prelude::*;
///
/// let x: Variable<Shape![2], f64> = Tensor::from_slice(&[3.0, -1.0])?.requires_grad();
/// let y = (&x * &x).sum();
/// y.backward()?;
/// assert_eq!(x.grad(), Some(tensor![6.0, -2.0]));
/// # Ok::<(), plywood::Error>(())
/// ```
pub struct Variable<S, E = f32> {
    pub(super) value: Rc<Tensor<S, E>>,
    /// None of a constant.
    pub(super) gradient: Option<Rc<Gradient<Tensor<S, E>>>>,
    pub(super) node: Rc<Node>,
}

impl<S, E> Clone for Variable<S, E> {
    fn clone(&self) -> Self {
        Variable { value: Rc::clone(&self.value), gradient: self.gradient.clone(), node: Rc::clone(&self.node) }
    }
}

impl<S: Shape, E: Element> Tensor<S, E> {
    /// A variable of these numbers that gathers a gradient: a leaf of a graph, see [`autograd`](crate::autograd).
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![2]> = tensor![1.0, 2.0];
    /// let x = x.requires_grad();
    /// x.square().sum().backward()?;
    /// assert_eq!(x.grad(), Some(tensor![2.0, 4.0]));
    /// # Ok::<(), plywood::Error>(())
    /// ```
    #[must_use]
    pub fn requires_grad(self) -> Variable<S, E>
    where
        E: Float,
    {
        let gradient = Gradient::new(true);
        let place = Rc::clone(&gradient);
        let node = Node::new("leaf", self.sizes().as_ref(), Vec::new(), Some(Box::new(move || place.settle(|_| ()))));
        Variable { value: Rc::new(self), gradient: Some(gradient), node }
    }
}

impl<S: Shape, E: Float> Variable<S, E> {
    /// A variable of these numbers that gathers no gradient.
    ///
    /// Operators and methods take plain tensors beside variables, so it is needed only where a tensor stands first:
    ///
    /// ```
    /// use plywood::autograd::Variable;
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![2, 3]> = Tensor::ones();
    /// let w = Tensor::<Shape![3]>::ones().requires_grad();
    /// let y: Variable<Shape![2]> = Variable::constant(x).matmul(&w);
    /// assert!(y.requires_grad());
    /// ```
    #[must_use]
    pub fn constant(tensor: Tensor<S, E>) -> Self {
        Self::of_value(Rc::new(tensor))
    }

    pub(super) fn of_value(value: Rc<Tensor<S, E>>) -> Self {
        let node = Node::new("constant", value.sizes().as_ref(), Vec::new(), None);
        Variable { value, gradient: None, node }
    }

    /// The numbers.
    ///
    /// What has no derivative is asked of them: `x.value().argmax()`.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x = Tensor::<Shape![2]>::ones().requires_grad();
    /// let y = &x + 1.0;
    /// assert_eq!(*y.value(), tensor![2.0, 2.0]);
    /// assert_eq!(y.value().argmax(), 0);
    /// ```
    #[must_use]
    pub fn value(&self) -> &Tensor<S, E> {
        &self.value
    }

    /// The shape, as a value of its type.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x = Tensor::<Shape![2, 3]>::ones().requires_grad();
    /// assert_eq!((x.shape(), x.sizes()), ((D::<2>, D::<3>), [2, 3]));
    /// ```
    #[must_use]
    pub fn shape(&self) -> S {
        self.value.shape()
    }

    /// The sizes, first dimension first.
    #[must_use]
    pub fn sizes(&self) -> S::Sizes {
        self.value.sizes()
    }

    /// Whether a gradient can flow here: the variable is a leaf, or computed from one.
    ///
    /// ```
    /// use plywood::autograd::Variable;
    /// use plywood::prelude::*;
    ///
    /// let x = Tensor::<Shape![2]>::ones().requires_grad();
    /// let c = Variable::constant(Tensor::<Shape![2]>::ones());
    /// assert!(x.requires_grad() && (&x + &c).requires_grad());
    /// assert!(!c.requires_grad() && !x.detach().requires_grad());
    /// ```
    #[must_use]
    pub fn requires_grad(&self) -> bool {
        self.node.requires_grad
    }

    /// Whether it was given and not computed from what requires a gradient.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x = Tensor::<Shape![2]>::ones().requires_grad();
    /// assert!(x.is_leaf() && !(&x + 1.0).is_leaf());
    /// ```
    #[must_use]
    pub fn is_leaf(&self) -> bool {
        self.node.is_leaf()
    }

    /// The same numbers as a constant: no gradient goes through it.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x = Tensor::<Shape![]>::full(3.0).requires_grad();
    /// (&x * x.detach()).backward()?;
    /// assert_eq!(x.grad().unwrap().item(), 3.0); // not 6
    /// # Ok::<(), plywood::Error>(())
    /// ```
    #[must_use]
    pub fn detach(&self) -> Self {
        Self::of_value(Rc::clone(&self.value))
    }

    /// The gradient that every backward since the last [`zero_grad`](Variable::zero_grad) has added up.
    ///
    /// It is kept for leaves, and for what [`retain_grad`](Variable::retain_grad) asks for; `None` before it is reached.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x = Tensor::<Shape![]>::full(3.0).requires_grad();
    /// assert!(x.grad().is_none());
    /// x.square().backward()?;
    /// x.square().backward()?;
    /// assert_eq!(x.grad().unwrap().item(), 12.0);
    /// x.zero_grad();
    /// assert!(x.grad().is_none());
    /// # Ok::<(), plywood::Error>(())
    /// ```
    #[must_use]
    pub fn grad(&self) -> Option<Tensor<S, E>> {
        self.gradient.as_ref()?.kept.borrow().clone()
    }

    /// Forgets the gradient; see [`grad`](Variable::grad).
    pub fn zero_grad(&self) {
        if let Some(gradient) = &self.gradient {
            gradient.kept.take();
        }
    }

    /// Keeps the gradient of what was computed, too, for [`grad`](Variable::grad).
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x = Tensor::<Shape![]>::full(3.0).requires_grad();
    /// let y = &x * 2.0;
    /// y.retain_grad();
    /// y.square().backward()?;
    /// assert_eq!((y.grad().unwrap().item(), x.grad().unwrap().item()), (12.0, 24.0));
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn retain_grad(&self) {
        if let Some(gradient) = &self.gradient {
            gradient.keeps.set(true);
        }
    }

    /// Adds the derivative of this number with respect to every leaf it depends on to that leaf's
    /// [`grad`](Variable::grad), and frees what the operations have saved for it.
    ///
    /// # Errors
    /// If it depends on no leaf, or if a part of its graph was used up by an earlier backward:
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x = Tensor::<Shape![]>::full(3.0).requires_grad();
    /// let y = x.square();
    /// y.backward()?;
    /// let twice = y.backward().unwrap_err();
    /// assert_eq!(
    ///     twice.to_string(),
    ///     "an earlier backward has used up the graph, here the `square` that gave [], and freed what it had saved; \
    ///      compute the value anew, or let the earlier one be `backward_retain_graph`"
    /// );
    /// let constant = x.detach().backward().unwrap_err();
    /// assert_eq!(
    ///     constant.to_string(),
    ///     "backward was called on a value that depends on no leaf; `tensor.requires_grad()` makes one, and nothing is \
    ///      recorded within `no_grad`"
    /// );
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn backward(&self) -> Result<()>
    where
        S: OneElement,
    {
        self.run(Tensor::full_beside(self.shape(), E::one(), self.value()), false)
    }

    /// [`backward`](Variable::backward) that frees nothing, so that there can be another one: `retain_graph=True`.
    ///
    /// # Errors
    /// As [`backward`](Variable::backward).
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x = Tensor::<Shape![]>::full(3.0).requires_grad();
    /// let y = x.square();
    /// y.backward_retain_graph()?;
    /// y.backward()?;
    /// assert_eq!(x.grad().unwrap().item(), 12.0);
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn backward_retain_graph(&self) -> Result<()>
    where
        S: OneElement,
    {
        self.run(Tensor::full_beside(self.shape(), E::one(), self.value()), true)
    }

    /// [`backward`](Variable::backward) of Σ g · y, for this tensor y and a gradient g of its shape.
    ///
    /// # Errors
    /// As [`backward`](Variable::backward), and if sizes known only at run time differ.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x = Tensor::<Shape![2]>::ones().requires_grad();
    /// (&x * 3.0).backward_with(&tensor![1.0, 10.0])?;
    /// assert_eq!(x.grad(), Some(tensor![3.0, 30.0]));
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn backward_with<B: Storage<E>>(&self, gradient: &Tensor<S, E, B>) -> Result<()> {
        let (given, expected) = (gradient.sizes(), self.sizes());
        if given != expected {
            return Err(Error::Shape {
                what: "a gradient has the shape of its variable",
                left: Sizes(given.as_ref()).to_string(),
                right: Sizes(expected.as_ref()).to_string(),
            });
        }
        self.run(gradient.to_owned(), false)
    }

    fn run(&self, gradient: Tensor<S, E>, retain: bool) -> Result<()> {
        backward(&self.node, retain, || {
            if let Some(place) = &self.gradient {
                place.add(gradient);
            }
        })
    }
}

impl<E: Float> Variable<(), E> {
    /// The number of a variable of rank 0.
    #[must_use]
    pub fn item(&self) -> E {
        self.value.item()
    }
}

impl<S: Shape, E: Float> Debug for Variable<S, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let requires_grad = self.requires_grad();
        f.debug_struct("Variable").field("value", &self.value).field("requires_grad", &requires_grad).finish()
    }
}

impl<S: Shape, E: Float> Display for Variable<S, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(&*self.value, f)
    }
}

/// Shapes of one element, from which [`Variable::backward`] starts.
#[diagnostic::on_unimplemented(
    message = "backward starts from one number, but this variable has the shape {Self}",
    label = "{Self} is not one number",
    note = "make it one, as with `sum()` or `mean()`, or give the gradient of each element: `backward_with(&gradient)`"
)]
pub trait OneElement: Shape {}

macro_rules! one_element {
    ($($shape:ty)*) => {$(
        #[diagnostic::do_not_recommend]
        impl OneElement for $shape {}
    )*};
}

one_element! {
    () (D<1>,) (D<1>, D<1>) (D<1>, D<1>, D<1>) (D<1>, D<1>, D<1>, D<1>) (D<1>, D<1>, D<1>, D<1>, D<1>)
    (D<1>, D<1>, D<1>, D<1>, D<1>, D<1>)
}
