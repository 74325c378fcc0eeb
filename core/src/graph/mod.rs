//! Graphs of networks and of computations, to be looked at: as text, as DOT and as Mermaid.
//!
//! [`Model::graph`] gives the graph of a network. It prints from top to bottom, with the shapes between the layers and with
//! frames around what is computed in one call and around networks inside the network:
//!
//! ```
//! use plywood::prelude::*;
//!
//! sequential! { struct Encoder { Linear(16, 8), Tanh } }
//! sequential! { struct Net { encoder: Encoder, out: Linear(_, 7) } }
//!
//! let graph = Net::init(&mut Generator::manual_seed(0)).graph();
//! let text = "\
//! Net
//!   input
//!     ↓ [_, 16]
//!   ┌─ encoder: Encoder
//!   │ ┌─ one call
//!   │ │ encoder.0: Linear (136 parameters)
//!   │ │   ↓ [_, 8]
//!   │ │ encoder.1: Tanh
//!   │ └─
//!   └─
//!     ↓ [_, 8]
//!   out: Linear (63 parameters)
//!     ↓ [_, 7]
//!   output";
//! assert_eq!(graph.to_string(), text);
//! ```
//!
//! [`Graph::to_dot`] is for Graphviz (`dot -Tsvg net.dot -o net.svg`), [`Graph::to_mermaid`] for what renders Mermaid, such
//! as a Markdown file on GitHub.

mod dot;
mod mermaid;
mod text;

use crate::nn::{LayerInfo, Model};
use crate::shape::{Sizes, StaticShape};

/// Nodes and the tensors that go from one to another; see [the module](self).
///
/// ```
/// use plywood::prelude::*;
///
/// let graph = sequential![Linear(6, 4), ReLU].init(&mut Generator::manual_seed(0)).graph();
/// let kinds: Vec<&str> = graph.nodes().iter().map(|node| node.kind.as_str()).collect();
/// assert_eq!(kinds, ["input", "Linear", "ReLU", "output"]);
/// let shapes: Vec<_> = graph.edges().iter().map(|edge| edge.shape.clone()).collect();
/// assert_eq!(shapes, [[None, Some(6)], [None, Some(4)], [None, Some(4)]]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graph {
    name: String,
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    groups: Vec<Group>,
}

/// Something that takes tensors, or gives them, or both: a layer, an operation, an input. See [`Graph`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is called, as in a `state_dict`: `out`, `encoder.0`; empty where the kind says it all.
    pub name: String,
    /// What it is: `Linear`.
    pub kind: String,
    /// What else there is to say: `544 parameters`; may be empty.
    pub detail: String,
    /// The innermost group that it is in: a position in [`Graph::groups`].
    pub group: Option<usize>,
}

/// A tensor on its way. See [`Graph`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The node that gives it: a position in [`Graph::nodes`].
    pub from: usize,
    /// The node that takes it: a position in [`Graph::nodes`].
    pub to: usize,
    /// Its sizes; `None` is one known at run time, as the batch of a network.
    pub shape: Vec<Option<usize>>,
}

/// Nodes that belong together.
///
/// ```
/// use plywood::graph::GroupKind;
/// use plywood::prelude::*;
///
/// sequential! { struct Encoder { Linear(16, 8), Tanh } }
/// sequential! { struct Net { encoder: Encoder, out: Linear(_, 7) } }
///
/// let graph = Net::init(&mut Generator::manual_seed(0)).graph();
/// assert_eq!(graph.name(), "Net");
/// let [encoder, call] = graph.groups() else { panic!("two groups") };
/// assert_eq!((encoder.kind, encoder.label.as_str()), (GroupKind::Network, "encoder: Encoder"));
/// assert_eq!((call.kind, call.parent), (GroupKind::Fused, Some(0)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Why they do.
    pub kind: GroupKind,
    /// What is written on the frame: `encoder: Encoder`.
    pub label: String,
    /// The group around this one: a position in [`Graph::groups`].
    pub parent: Option<usize>,
}

/// Why nodes belong together. See [`Group`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupKind {
    /// They are computed in one call, as a `Linear` and the activation after it.
    Fused,
    /// They are a network inside the network.
    Network,
}

impl Graph {
    /// A graph without nodes. It is named at the top of every picture of it.
    pub(crate) fn new(name: &str) -> Self {
        Graph { name: name.to_owned(), nodes: Vec::new(), edges: Vec::new(), groups: Vec::new() }
    }

    /// One node more; its position. Nodes are listed in the order in which they come.
    pub(crate) fn node(&mut self, group: Option<usize>, kind: &str, name: &str, detail: String) -> usize {
        self.nodes.push(Node { name: name.to_owned(), kind: kind.to_owned(), detail, group });
        self.nodes.len() - 1
    }

    /// One edge more, between two nodes that are there.
    pub(crate) fn edge(&mut self, from: usize, to: usize, shape: Vec<Option<usize>>) {
        debug_assert!(from < self.nodes.len() && to < self.nodes.len(), "an edge is between nodes");
        self.edges.push(Edge { from, to, shape });
    }

    /// One group more; its position.
    pub(crate) fn group(&mut self, parent: Option<usize>, kind: GroupKind, label: String) -> usize {
        self.groups.push(Group { kind, label, parent });
        self.groups.len() - 1
    }

    /// The graph of a network: its layers one after another between `input` and `output`.
    pub(crate) fn of<M: Model>() -> Self {
        let mut graph = Graph::new(M::KIND);
        let input = graph.node(None, "input", "", String::new());
        let last = graph.chain(M::LAYERS, None, "", (input, <M::Input as StaticShape>::SIZES));
        let output = graph.node(None, "output", "", String::new());
        graph.edge(last, output, batched(<M::Output as StaticShape>::SIZES));
        graph
    }

    /// Adds layers after the node `last`, which gives samples of these sizes; the last node of them.
    fn chain(
        &mut self,
        layers: &[LayerInfo],
        group: Option<usize>,
        prefix: &str,
        (mut last, mut sizes): (usize, &'static [usize]),
    ) -> usize {
        let mut call = None;
        for (i, layer) in layers.iter().enumerate() {
            if !layer.fused {
                let fuses = layers.get(i + 1).is_some_and(|next| next.fused);
                call = fuses.then(|| self.group(group, GroupKind::Fused, "one call".to_owned()));
            }
            let group = call.or(group);
            let name = format!("{prefix}{}", layer.name);
            if layer.layers.is_empty() {
                let node = self.node(group, layer.kind, &name, parameters(layer.params));
                self.edge(last, node, batched(sizes));
                last = node;
            } else {
                let inside = self.group(group, GroupKind::Network, format!("{name}: {}", layer.kind));
                last = self.chain(layer.layers, Some(inside), &format!("{name}."), (last, sizes));
            }
            sizes = layer.output;
        }
        last
    }

    /// What the graph is of: the network's name. See [`Group`].
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The nodes; edges name them by their positions.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The edges.
    #[must_use]
    pub fn edges(&self) -> &[Edge] {
        &self.edges
    }

    /// The groups; nodes and other groups name them by their positions. See [`Group`].
    #[must_use]
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The nodes within their groups, in the order in which all three forms write them.
    fn outline(&self) -> Vec<Item> {
        let mut items = Vec::new();
        self.outline_of(None, &mut vec![false; self.groups.len()], &mut items);
        items
    }

    fn outline_of(&self, inside: Option<usize>, seen: &mut [bool], items: &mut Vec<Item>) {
        for (i, node) in self.nodes.iter().enumerate() {
            let mut group = node.group;
            if group == inside {
                items.push(Item::Node(i));
                continue;
            }
            while let Some(child) = group {
                let parent = self.groups[child].parent;
                if parent == inside && !core::mem::replace(&mut seen[child], true) {
                    items.push(Item::Open(child));
                    self.outline_of(Some(child), seen, items);
                    items.push(Item::Close);
                }
                group = parent;
            }
        }
    }

    /// Whether a node only gives or only takes: an input, a leaf, an output.
    fn is_end(&self, node: usize) -> bool {
        !(self.edges.iter().any(|edge| edge.from == node) && self.edges.iter().any(|edge| edge.to == node))
    }
}

enum Item {
    Open(usize),
    Node(usize),
    Close,
}

impl Node {
    /// `out: Linear`.
    fn title(&self) -> String {
        if self.name.is_empty() { self.kind.clone() } else { format!("{}: {}", self.name, self.kind) }
    }
}

impl Edge {
    /// `[_, 16]`.
    fn label(&self) -> String {
        Sizes(self.shape.clone()).to_string()
    }
}

fn batched(sample: &[usize]) -> Vec<Option<usize>> {
    core::iter::once(None).chain(sample.iter().copied().map(Some)).collect()
}

fn parameters(count: usize) -> String {
    match count {
        0 => String::new(),
        1 => "1 parameter".to_owned(),
        _ => format!("{} parameters", crate::nn::Grouped(count)),
    }
}

#[cfg(test)]
mod tests;
