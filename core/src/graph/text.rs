//! A graph as text, from top to bottom.

use super::{Graph, Item};
use core::fmt::{self, Display};

impl Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        let outline = self.outline();
        let (mut depth, mut above, mut arrived) = (0, None, None);
        for (i, item) in outline.iter().enumerate() {
            let bars = "│ ".repeat(depth);
            // What goes into a group's first node goes through the frame, so its line stands before the frame.
            let next =
                outline[i..].iter().find_map(|item| if let Item::Node(node) = item { Some(*node) } else { None });
            if let (Item::Open(_) | Item::Node(_), Some(node)) = (item, next)
                && arrived != Some(node)
            {
                arrived = Some(node);
                if let Some(line) = self.arrow(node, above) {
                    write!(f, "\n  {bars}  {line}")?;
                }
            }
            match item {
                Item::Open(group) => {
                    write!(f, "\n  {bars}┌─ {}", self.groups[*group].label)?;
                    depth += 1;
                }
                Item::Close => {
                    depth -= 1;
                    write!(f, "\n  {}└─", "│ ".repeat(depth))?;
                }
                Item::Node(node) => {
                    above = Some(*node);
                    let node = &self.nodes[*node];
                    write!(f, "\n  {bars}{}", node.title())?;
                    if !node.detail.is_empty() {
                        write!(f, " ({})", node.detail)?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl Graph {
    /// What goes into a node: `↓ [_, 16]` from the node above it, `↓ x [5, 6], w [6, 1]` from others.
    fn arrow(&self, node: usize, above: Option<usize>) -> Option<String> {
        let inputs: Vec<_> = self.edges.iter().filter(|edge| edge.to == node).collect();
        let line = match inputs[..] {
            [] => return None,
            [only] if Some(only.from) == above => only.label(),
            _ => {
                let inputs = inputs.iter().map(|edge| {
                    let from = &self.nodes[edge.from];
                    let name = if from.name.is_empty() { &from.kind } else { &from.name };
                    format!("{name} {}", edge.label())
                });
                inputs.collect::<Vec<_>>().join(", ")
            }
        };
        Some(format!("↓ {line}"))
    }
}
