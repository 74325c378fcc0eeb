//! Networks and losses inside an expression.

use super::node::{Accumulate, Gradient, Node, Record};
use super::{Operand, Variable};
use crate::backend::Buffer;
use crate::element::Float;
use crate::error::Result;
use crate::loss::Loss;
use crate::nn::{Backward, Forward, Gradients, Layer, Model, Wanted};
use crate::shape::{InputOf, Shape};
use crate::tensor::Tensor;
use core::fmt::{self, Debug};
use std::rc::Rc;

/// A network as a function in expressions, whose parameters gather a gradient: what
/// [`model.requires_grad()`](Model::requires_grad) gives.
///
/// It has the parameters that the network had then. Forward and backward are the network's own, one node each time it is
/// used.
///
/// ```
/// use plywood::prelude::*;
///
/// let mut model = sequential![Linear(2, 4), Tanh, Linear(4, 1)].init(&mut Generator::manual_seed(0));
/// let mut optimizer = SGD::new(0.1);
/// let x: Tensor<Shape![3, 2]> = tensor![[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]];
/// for _ in 0..10 {
///     let f = model.requires_grad();
///     // A function that is even, whatever the network: used twice, both uses count.
///     let y = f.forward(&x) + f.forward(&-&x);
///     let loss = (y - 1.0).square().mean();
///     loss.backward()?;
///     optimizer.step(&mut model, &f.grad().unwrap())?;
/// }
/// # Ok::<(), plywood::Error>(())
/// ```
pub struct ModelVariable<M: Model> {
    pub(super) model: Rc<M>,
    pub(super) gradient: Rc<Gradient<Gradients<M>>>,
    pub(super) node: Rc<Node>,
}

impl<M: Model> Clone for ModelVariable<M> {
    fn clone(&self) -> Self {
        let ModelVariable { model, gradient, node } = self;
        ModelVariable { model: Rc::clone(model), gradient: Rc::clone(gradient), node: Rc::clone(node) }
    }
}

impl<M: Model> Accumulate for Gradients<M> {
    fn accumulate(&mut self, other: Self) {
        #[cfg(feature = "cuda")]
        if let (Some(sum), Some(more)) = (self.buffer().memory(), other.buffer().memory()) {
            return super::on_gpu::add_to::<M::Elem>(sum, more, M::PARAMS);
        }
        self.parameters_mut().iter_mut().zip(other.parameters()).for_each(|(sum, x)| *sum += *x);
    }
}

impl<M: Model> ModelVariable<M> {
    pub(crate) fn new(model: &M) -> Self {
        let gradient = Gradient::new(true);
        let place = Rc::clone(&gradient);
        let node = Node::new("parameters", &[M::PARAMS], Vec::new(), Some(Box::new(move || place.settle(|_| ()))));
        ModelVariable { model: Rc::new(M::from_buffer(model.buffer().clone())), gradient, node }
    }

    /// [`Model::forward`] of a variable or a tensor: x [batch, input…] gives y [batch, output…].
    ///
    /// # Panics
    /// If the input is on another device than the network. On a GPU also if a layer has no kernel there, or the memory
    /// does not suffice.
    ///
    /// ```
    /// use plywood::autograd::Variable;
    /// use plywood::prelude::*;
    ///
    /// let model = sequential![Linear(2, 3), ReLU].init(&mut Generator::manual_seed(0));
    /// let x = Tensor::<Shape![5, 2]>::ones().requires_grad();
    /// let y: Variable<Shape![5, 3]> = model.requires_grad().forward(&x);
    /// y.sum().backward()?;
    /// assert!(x.grad().is_some());
    /// # Ok::<(), plywood::Error>(())
    /// ```
    #[must_use]
    #[allow(clippy::type_complexity)]
    pub fn forward<X>(&self, x: &X) -> Variable<<X::Shape as InputOf<M, Wanted<M>>>::Of<M::Output>, M::Elem>
    where
        X: Operand<Elem = M::Elem>,
        X::Shape: InputOf<M, Wanted<M>>,
    {
        let x = x.variable();
        #[cfg(feature = "cuda")]
        if self.model.buffer().memory().is_some() || x.value().memory().is_some() {
            return self.forward_on_gpu(&x);
        }
        let (input, batch) = (x.shape(), x.shape().batch());
        let mut y = Tensor::zeros_of(input.of::<M::Output>());
        let mut saved = Buffer::zeros(batch * <M as Layer>::SAVED);
        let params = self.model.parameters();
        M::forward_pass(Forward {
            params,
            x: x.value().as_slice(),
            y: y.as_mut_slice(),
            saved: saved.as_mut_slice(),
            batch,
        });
        let record = Record::new(M::KIND, y);
        let (model, gradient, value, y) =
            (Rc::clone(&self.model), Rc::clone(&self.gradient), Rc::clone(&x.value), record.value());
        let place = x.gradient.clone();
        let rule = move |dy: &Tensor<_, M::Elem>| {
            let mut dx = place.is_some().then(|| Tensor::zeros_of(input));
            let mut gradients = Gradients::<M>::zeros();
            let (mut dy, mut scratch) = (dy.clone(), Buffer::zeros(batch * <M as Layer>::SCRATCH));
            M::backward_pass(Backward {
                params: model.parameters(),
                x: value.as_slice(),
                y: y.as_slice(),
                saved: saved.as_slice(),
                dy: dy.as_mut_slice(),
                dx: dx.as_mut().map(Tensor::as_mut_slice),
                dparams: gradients.parameters_mut(),
                scratch: scratch.as_mut_slice(),
                batch,
            });
            gradient.add(gradients);
            if let (Some(place), Some(dx)) = (&place, dx) {
                place.add(dx);
            }
        };
        record.of_all(vec![Rc::clone(&x.node), Rc::clone(&self.node)], rule).done()
    }

    /// The network with its parameters.
    #[must_use]
    pub fn model(&self) -> &M {
        &self.model
    }

    /// The gradient of every parameter that every backward since the last [`zero_grad`](ModelVariable::zero_grad) has
    /// added up, as [`Optimizer::step`](crate::optim::Optimizer::step) takes it; `None` before the first.
    #[must_use]
    pub fn grad(&self) -> Option<Gradients<M>> {
        let gradients = self.gradient.kept.borrow();
        gradients.as_ref().map(|gradients| Gradients::of_buffer(gradients.buffer().clone()))
    }

    /// Forgets the gradient. See [`Variable::grad`].
    pub fn zero_grad(&self) {
        self.gradient.kept.take();
    }
}

impl<M: Model> Debug for ModelVariable<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelVariable").field("kind", &M::KIND).field("parameters", &self.model.parameters()).finish()
    }
}

impl<Y: Shape, E: Float> Variable<Y, E> {
    /// A [`Loss`] of these predictions against the targets.
    ///
    /// # Errors
    /// As [`Loss::forward`]: sizes known only at run time that differ, a label that is no class.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let logits = tensor![[2.0, -1.0], [0.5, 0.5]].requires_grad();
    /// let loss = logits.loss(&tensor![0, 1], &CrossEntropyLoss)?;
    /// loss.backward()?;
    /// assert_eq!(logits.grad().unwrap().get([1, 0]), Some(0.25));
    ///
    /// let wrong = logits.loss(&tensor![0, 2], &CrossEntropyLoss).unwrap_err();
    /// assert_eq!(wrong.to_string(), "the label of sample 1 is 2, but the network has 2 classes (0 to 1)");
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn loss<T, L: Loss<Y, T, E>>(&self, target: &T, loss: &L) -> Result<Variable<(), E>> {
        #[cfg(feature = "cuda")]
        if self.value().memory().is_some() {
            let (value, slope) = crate::loss::on_gpu(loss, self.value(), target, true)?;
            let slope = slope.expect("asked for");
            let shape = self.shape();
            let rule = move |dy: &Tensor<(), E>| {
                let scaled = dy.array().zip(slope.array()).map(|(dy, slope)| {
                    let dy = dy.broadcast_to(slope.sizes());
                    crate::tensor::sure(crate::tensor::on_gpu::mapped(shape, &[dy, slope], "x * y", &[] as &[E]))
                });
                scaled.expect("on one GPU")
            };
            let value = Tensor::full_beside((), value, self.value());
            return Ok(Record::new("loss", value).of(self, rule).done());
        }
        let mut slope = Tensor::zeros_of(self.shape());
        let value = loss.value_and_gradient(self.value().view(), target, slope.as_mut_slice())?;
        let rule = move |dy: &Tensor<(), E>| slope.map(|slope| dy.item() * *slope);
        Ok(Record::new("loss", Tensor::full(value)).of(self, rule).done())
    }
}
