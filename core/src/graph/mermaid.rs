//! A graph in Mermaid's language.

use super::{Graph, GroupKind, Item};
use core::fmt::Write;

impl Graph {
    /// The graph as a Mermaid flowchart: between ` ```mermaid ` and ` ``` ` a Markdown file shows it on GitHub.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let model = sequential![Linear(16, 32), ReLU].init(&mut Generator::manual_seed(0));
    /// let mermaid = model.graph().to_mermaid();
    /// assert!(mermaid.contains("flowchart TB\n"));
    /// assert!(mermaid.contains(r#"n0 -->|"[_, 16]"| n1"#));
    /// ```
    #[must_use]
    pub fn to_mermaid(&self) -> String {
        // In YAML a quoted text ends at a quote that is not doubled.
        let title = self.name.replace(char::is_control, " ").replace('\'', "''");
        let mut mermaid = format!("---\ntitle: '{title}'\n---\nflowchart TB\n");
        let (mut indent, mut styles) = (String::from("    "), String::new());
        for item in self.outline() {
            match item {
                Item::Open(group) => {
                    let _ = writeln!(mermaid, "{indent}subgraph g{group}[\"{}\"]", escape(&self.groups[group].label));
                    indent += "    ";
                    if self.groups[group].kind == GroupKind::Fused {
                        let _ = writeln!(styles, "    style g{group} stroke-dasharray: 4 3");
                    }
                }
                Item::Close => {
                    indent.truncate(indent.len() - 4);
                    let _ = writeln!(mermaid, "{indent}end");
                }
                Item::Node(i) => {
                    let node = &self.nodes[i];
                    let mut label = escape(&node.title());
                    if !node.detail.is_empty() {
                        let _ = write!(label, "<br/><small>{}</small>", escape(&node.detail));
                    }
                    let (open, close) = if self.is_end(i) { ("([", "])") } else { ("[", "]") };
                    let _ = writeln!(mermaid, "{indent}n{i}{open}\"{label}\"{close}");
                }
            }
        }
        for edge in &self.edges {
            let _ = writeln!(mermaid, "    n{} -->|\"{}\"| n{}", edge.from, escape(&edge.label()), edge.to);
        }
        mermaid + &styles
    }
}

/// Text inside quotes: Mermaid's own entities for what would end them or be read as HTML, Markdown or an entity.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '"' => escaped += "#quot;",
            '#' => escaped += "#35;",
            '&' => escaped += "#amp;",
            '<' => escaped += "#lt;",
            '>' => escaped += "#gt;",
            '`' => escaped += "#96;",
            '*' => escaped += "#42;",
            '\\' => escaped += "#92;",
            '\n' => escaped += "<br/>",
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}
