//! What a graph is made of: a node for each value, and how gradients pass from node to node.
//!
//! A node holds no tensor. Its rule holds those that the derivative needs, and the places of the gradients; no rule
//! holds a node, so that rules are dropped one by one and a graph of any depth needs no deep stack.

use super::Variable;
use super::no_grad::is_grad_enabled;
use crate::element::Float;
use crate::error::{Error, Result};
use crate::shape::{Shape, Sizes};
use crate::tensor::Tensor;
#[cfg(feature = "cuda")]
use crate::tensor::{on_gpu, sure};
use core::cell::{Cell, RefCell};
use core::cmp::Reverse;
use std::collections::HashSet;
use std::rc::Rc;

/// Carries the gradient of a node to its parents.
type Rule = Box<dyn Fn()>;

/// A value in a graph.
pub(super) struct Node {
    /// Larger than those of the parents.
    pub(super) id: u64,
    pub(super) name: &'static str,
    /// What the user calls it.
    pub(super) label: RefCell<String>,
    pub(super) sizes: Box<[usize]>,
    pub(super) parents: Vec<Rc<Node>>,
    pub(super) requires_grad: bool,
    /// None of a constant, and of a node that backward has used up.
    rule: RefCell<Option<Rule>>,
}

impl Node {
    pub(super) fn new(name: &'static str, sizes: &[usize], parents: Vec<Rc<Node>>, rule: Option<Rule>) -> Rc<Self> {
        thread_local!(static NEXT: Cell<u64> = const { Cell::new(0) });
        let id = NEXT.with(|next| next.replace(next.get() + 1));
        let requires_grad = rule.is_some();
        let (label, rule) = (RefCell::default(), RefCell::new(rule));
        Rc::new(Node { id, name, label, sizes: sizes.into(), parents, requires_grad, rule })
    }

    pub(super) fn is_leaf(&self) -> bool {
        self.parents.is_empty()
    }

    fn is_spent(&self) -> bool {
        self.rule.borrow().is_none()
    }
}

/// One by one: left to itself, the drop of a long chain would recurse once for each node.
impl Drop for Node {
    fn drop(&mut self) {
        let mut rest = core::mem::take(&mut self.parents);
        while let Some(node) = rest.pop() {
            if let Some(mut node) = Rc::into_inner(node) {
                rest.append(&mut node.parents);
            }
        }
    }
}

/// Where the gradient of a value gathers.
pub(super) struct Gradient<G> {
    /// What has come in during this backward.
    incoming: RefCell<Option<G>>,
    /// What `grad` gives: of a leaf, and of what was asked to keep it.
    pub(super) kept: RefCell<Option<G>>,
    pub(super) keeps: Cell<bool>,
}

/// What gradients are made of: numbers that add up.
pub(super) trait Accumulate {
    fn accumulate(&mut self, other: Self);
}

impl<S: Shape, E: Float> Accumulate for Tensor<S, E> {
    fn accumulate(&mut self, other: Self) {
        #[cfg(feature = "cuda")]
        if let Some((x, y)) = sure(on_gpu::pair(self, &other)) {
            return sure(on_gpu::assigned(&x, Some(y), "ADD(x, y)", &[] as &[E]));
        }
        self.as_mut_slice().iter_mut().zip(&other).for_each(|(sum, x)| *sum += *x);
    }
}

impl<G: Accumulate> Gradient<G> {
    pub(super) fn new(keeps: bool) -> Rc<Self> {
        Rc::new(Gradient { incoming: RefCell::new(None), kept: RefCell::new(None), keeps: Cell::new(keeps) })
    }

    pub(super) fn add(&self, gradient: G) {
        add(&mut self.incoming.borrow_mut(), gradient);
    }

    /// What has come in, once; `pass` hands it on.
    pub(super) fn settle(&self, pass: impl FnOnce(&G)) {
        if let Some(gradient) = self.incoming.take() {
            pass(&gradient);
            if self.keeps.get() {
                add(&mut self.kept.borrow_mut(), gradient);
            }
        }
    }
}

fn add<G: Accumulate>(sum: &mut Option<G>, gradient: G) {
    match sum {
        Some(sum) => sum.accumulate(gradient),
        None => *sum = Some(gradient),
    }
}

/// The result of an operation on its way into the graph.
pub(super) struct Record<S, E> {
    name: &'static str,
    value: Rc<Tensor<S, E>>,
    parents: Vec<Rc<Node>>,
    #[allow(clippy::type_complexity)]
    rules: Vec<Box<dyn Fn(&Tensor<S, E>)>>,
}

impl<S: Shape, E: Float> Record<S, E> {
    pub(super) fn new(name: &'static str, value: Tensor<S, E>) -> Self {
        Record { name, value: Rc::new(value), parents: Vec::new(), rules: Vec::new() }
    }

    /// The result, for a rule that is written in terms of it.
    pub(super) fn value(&self) -> Rc<Tensor<S, E>> {
        Rc::clone(&self.value)
    }

    /// An operand, and its gradient from the result's.
    pub(super) fn of<T: Shape, F: Float>(
        mut self,
        operand: &Variable<T, F>,
        rule: impl Fn(&Tensor<S, E>) -> Tensor<T, F> + 'static,
    ) -> Self {
        self.parents.push(Rc::clone(&operand.node));
        if let Some(gradient) = operand.gradient.clone() {
            self.rules.push(Box::new(move |dy| gradient.add(rule(dy))));
        }
        self
    }

    /// Operands whose gradients come out of one pass, which puts them in their places.
    pub(super) fn of_all(mut self, operands: Vec<Rc<Node>>, rule: impl Fn(&Tensor<S, E>) + 'static) -> Self {
        if operands.iter().any(|node| node.requires_grad) {
            self.rules.push(Box::new(rule));
        }
        self.parents.extend(operands);
        self
    }

    /// The variable: a constant if no operand requires a gradient, or under `no_grad`.
    pub(super) fn done(self) -> Variable<S, E> {
        let Record { name, value, parents, rules } = self;
        if rules.is_empty() || !is_grad_enabled() {
            return Variable::of_value(value);
        }
        let gradient = Gradient::new(false);
        let place = Rc::clone(&gradient);
        let rule: Rule = Box::new(move || place.settle(|dy| rules.iter().for_each(|rule| rule(dy))));
        let node = Node::new(name, value.sizes().as_ref(), parents, Some(rule));
        Variable { value, gradient: Some(gradient), node }
    }
}

/// Carries the gradient that `start` puts at `root` to everything that `root` depends on, from the latest value to the
/// earliest. Without `retain`, frees what was saved for it.
///
/// An error changes nothing.
pub(super) fn backward(root: &Rc<Node>, retain: bool, start: impl FnOnce()) -> Result<()> {
    if !root.requires_grad {
        return Err(Error::NoGradient);
    }
    let (mut nodes, mut seen) = (vec![Rc::clone(root)], HashSet::new());
    let mut i = 0;
    while i < nodes.len() {
        let node = Rc::clone(&nodes[i]);
        if node.is_spent() {
            return Err(Error::SpentGraph { operation: node.name, shape: Sizes(&*node.sizes).to_string() });
        }
        nodes.extend(node.parents.iter().filter(|node| node.requires_grad && seen.insert(node.id)).cloned());
        i += 1;
    }
    nodes.sort_unstable_by_key(|node| Reverse(node.id));
    // Taken out before the first one runs, so that a panic in a layer leaves a spent graph and not a half used one.
    let rules: Vec<_> = nodes.iter().map(|node| if node.is_leaf() { None } else { node.rule.take() }).collect();
    start();
    for (node, rule) in nodes.iter().zip(rules) {
        match rule {
            Some(rule) => {
                rule();
                if retain {
                    node.rule.replace(Some(rule));
                }
            }
            None => node.rule.borrow().iter().for_each(|rule| rule()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An operation that has saved `token`.
    fn saves(x: &Variable<(), f64>, token: &Rc<()>) -> Variable<(), f64> {
        let token = Rc::clone(token);
        let rule = move |dy: &Tensor<(), f64>| {
            let _saved = &token;
            dy.clone()
        };
        Record::new("saves", x.value().clone()).of(x, rule).done()
    }

    /// Memory that no second backward can use would stay as long as the loss lives.
    #[test]
    fn backward_frees_what_was_saved_unless_it_is_to_be_kept() {
        let token = Rc::new(());
        let x = Tensor::<(), f64>::full(1.0).requires_grad();
        let y = saves(&saves(&x, &token), &token);
        assert_eq!(Rc::strong_count(&token), 3);
        y.backward_retain_graph().unwrap();
        assert_eq!(Rc::strong_count(&token), 3);
        y.backward().unwrap();
        assert_eq!(Rc::strong_count(&token), 1);
        assert_eq!(x.grad().unwrap().item(), 2.0);
    }

    #[test]
    fn nothing_is_saved_for_constants_and_without_grad() {
        let token = Rc::new(());
        let x = Tensor::<(), f64>::full(1.0).requires_grad();
        let y = saves(&x.detach(), &token);
        let z = crate::autograd::no_grad(|| saves(&x, &token));
        assert_eq!(Rc::strong_count(&token), 1);
        assert!(y.node.parents.is_empty() && z.node.parents.is_empty());
    }
}
