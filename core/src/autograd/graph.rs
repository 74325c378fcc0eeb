//! The graph of an expression, to be looked at.

use super::Variable;
use crate::element::Float;
use crate::graph::Graph;
use crate::shape::Shape;
use std::collections::HashMap;
use std::rc::Rc;

impl<S: Shape, E: Float> Variable<S, E> {
    /// The same variable under a name, for [`graph`](Variable::graph).
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        name.clone_into(&mut self.node.label.borrow_mut());
        self
    }

    /// How this value was computed: operations as nodes, tensors with their sizes between them. A network is one node,
    /// beside its parameters.
    ///
    /// Constants that nothing was recorded for are inputs, too, and what backward has freed is still there to be seen.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// sequential! { struct Net { Linear(3, 4), Tanh, Linear(4, 1) } }
    ///
    /// let net = Net::init(&mut Generator::manual_seed(0)).requires_grad();
    /// let x = Tensor::<Shape![5, 3]>::ones().requires_grad().named("x");
    /// let loss = (net.forward(&x) - 1.0).square().mean();
    /// let text = "\
    /// mean
    ///   parameters
    ///   x: leaf
    ///     ↓ x [5, 3], parameters [21]
    ///   Net
    ///     ↓ [5, 1]
    ///   sub
    ///     ↓ [5, 1]
    ///   square
    ///     ↓ [5, 1]
    ///   mean
    ///     ↓ []
    ///   output";
    /// assert_eq!(loss.graph().to_string(), text);
    /// ```
    #[must_use]
    pub fn graph(&self) -> Graph {
        let (mut nodes, mut places) = (vec![Rc::clone(&self.node)], HashMap::new());
        let mut i = 0;
        while i < nodes.len() {
            let parents = nodes[i].parents.clone();
            nodes.extend(parents.into_iter().filter(|node| places.insert(node.id, 0).is_none()));
            i += 1;
        }
        nodes.sort_unstable_by_key(|node| node.id);

        let mut graph = Graph::new(self.node.name);
        let sizes = |sizes: &[usize]| sizes.iter().copied().map(Some).collect();
        for node in &nodes {
            let place = graph.node(None, node.name, &node.label.borrow(), String::new());
            places.insert(node.id, place);
            node.parents.iter().for_each(|parent| graph.edge(places[&parent.id], place, sizes(&parent.sizes)));
        }
        let output = graph.node(None, "output", "", String::new());
        graph.edge(places[&self.node.id], output, sizes(&self.node.sizes));
        graph
    }
}
