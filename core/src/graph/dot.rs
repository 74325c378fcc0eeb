//! A graph in Graphviz's language.

use super::{Graph, GroupKind, Item};
use core::fmt::Write;

impl Graph {
    /// The graph in DOT, the language of Graphviz, for a file of its own: `std::fs::write("net.dot", graph.to_dot())`, then
    /// `dot -Tsvg net.dot -o net.svg`.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let model = sequential![Linear(16, 32), ReLU, Linear(_, 7)].init(&mut Generator::manual_seed(0));
    /// let dot = model.graph().to_dot();
    /// assert!(dot.starts_with("digraph"));
    /// assert!(dot.contains("n0 -> n1 [label=< [_, 16]>]"));
    /// ```
    #[must_use]
    pub fn to_dot(&self) -> String {
        let mut dot = String::from("digraph {\n");
        let _ = writeln!(dot, "  graph [fontname=\"Helvetica\", label=<<b>{}</b>>, labelloc=t]", escape(&self.name));
        dot += "  node [fontname=\"Helvetica\", fontsize=12, shape=box, style=\"filled,rounded\", color=\"#5f6b7a\", fillcolor=white]\n";
        dot +=
            "  edge [fontname=\"Helvetica\", fontsize=10, color=\"#5f6b7a\", fontcolor=\"#38414d\", arrowsize=0.7]\n";
        let mut indent = String::from("  ");
        for item in self.outline() {
            match item {
                Item::Open(group) => {
                    let _ = writeln!(dot, "{indent}subgraph cluster_{group} {{");
                    indent += "  ";
                    let group = &self.groups[group];
                    let style = match group.kind {
                        GroupKind::Fused => "style=\"dashed,rounded\", color=\"#0072b2\", fontcolor=\"#0072b2\"",
                        GroupKind::Network => "style=\"filled,rounded\", color=\"#c3cad3\", fillcolor=\"#f4f6f8\"",
                    };
                    let label = escape(&group.label);
                    let _ = writeln!(dot, "{indent}graph [label=<{label}>, labeljust=l, fontsize=11, {style}]");
                }
                Item::Close => {
                    indent.truncate(indent.len() - 2);
                    let _ = writeln!(dot, "{indent}}}");
                }
                Item::Node(i) => {
                    let node = &self.nodes[i];
                    let mut label = escape(&node.title());
                    let mut look = "";
                    if !node.detail.is_empty() {
                        let _ = write!(label, "<br/><font point-size=\"10\">{}</font>", escape(&node.detail));
                        look = ", fillcolor=\"#d6e8f5\"";
                    }
                    if self.is_end(i) {
                        look = ", shape=ellipse, style=filled, fillcolor=\"#eceff2\"";
                    }
                    let _ = writeln!(dot, "{indent}n{i} [label=<{label}>{look}]");
                }
            }
        }
        for edge in &self.edges {
            let _ =
                writeln!(dot, "  n{} -> n{} [label=<{}>]", edge.from, edge.to, escape(&format!(" {}", edge.label())));
        }
        dot + "}\n"
    }
}

/// Text inside an HTML-like label, which is XML; Graphviz reads a backslash as the start of an escape even where it is an
/// entity.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\\' => escaped += "&#92;&#92;",
            '\n' => escaped += "<br/>",
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}
