use super::*;
use crate::prelude::*;

sequential! { struct Inner { Linear(3, 4), GELU, hidden: Linear(4, 1, bias = false) } }
sequential! { struct Images: (2, 1, 3) => 1 { Flatten, Linear(_, 1) } }
sequential! { struct Net { Linear(2, 3), inner: Inner, Sigmoid, Identity } }

fn net() -> Graph {
    Net::init(&mut Generator::manual_seed(0)).graph()
}

/// As a residual step: `x` is taken twice, and the sum takes three.
fn fan() -> Graph {
    let mut graph = Graph::new("a \"name\" <&> with \\N, `#` and\nlines");
    let [x, w] = ["x", "w"].map(|name| graph.node(None, "leaf", name, String::new()));
    let product = graph.node(None, "matmul", "%2", String::new());
    let sum = graph.node(None, "add", "%3", "<b> & \"c\" \\G #35; `d`".to_owned());
    graph.edge(x, product, vec![None, Some(6)]);
    graph.edge(w, product, vec![Some(6), Some(6)]);
    graph.edge(x, sum, vec![None, Some(6)]);
    graph.edge(product, sum, vec![None, Some(6)]);
    graph.edge(product, sum, vec![None, Some(6)]);
    graph
}

#[test]
fn a_network_inside_and_what_is_fused_have_frames() {
    let text = "\
Net
  input
    ↓ [_, 2]
  0: Linear (9 parameters)
    ↓ [_, 3]
  ┌─ inner: Inner
  │ ┌─ one call
  │ │ inner.0: Linear (16 parameters)
  │ │   ↓ [_, 4]
  │ │ inner.1: GELU
  │ └─
  │   ↓ [_, 4]
  │ inner.hidden: Linear (4 parameters)
  └─
    ↓ [_, 1]
  2: Sigmoid
    ↓ [_, 1]
  3: Identity
    ↓ [_, 1]
  output";
    assert_eq!(net().to_string(), text);
    let names: Vec<_> = net().nodes().iter().map(|node| node.name.clone()).collect();
    assert_eq!(names, ["", "0", "inner.0", "inner.1", "inner.hidden", "2", "3", ""]);
    let kinds: Vec<_> = net().groups().iter().map(|group| (group.kind, group.parent)).collect();
    assert_eq!(kinds, [(GroupKind::Network, None), (GroupKind::Fused, Some(0))]);
}

#[test]
fn shapes_of_several_dimensions_and_of_single_numbers() {
    let graph = Images::init(&mut Generator::manual_seed(0)).graph();
    let shapes: Vec<_> = graph.edges().iter().map(Edge::label).collect();
    assert_eq!(shapes, ["[_, 2, 1, 3]", "[_, 6]", "[_, 1]"]);
}

#[test]
fn what_does_not_come_from_the_line_above_is_named() {
    let text = "
  x: leaf
  w: leaf
    ↓ x [_, 6], w [6, 6]
  %2: matmul
    ↓ x [_, 6], %2 [_, 6], %2 [_, 6]
  %3: add (<b> & \"c\" \\G #35; `d`)";
    assert!(fan().to_string().ends_with(text), "{}", fan());
}

#[test]
fn nodes_of_a_group_stand_together() {
    let mut graph = Graph::new("");
    let group = graph.group(None, GroupKind::Fused, "one call".to_owned());
    let a = graph.node(Some(group), "a", "", String::new());
    let b = graph.node(None, "b", "", String::new());
    let c = graph.node(Some(group), "c", "", String::new());
    graph.edge(a, b, vec![]);
    graph.edge(b, c, vec![]);
    assert_eq!(graph.to_string(), "\n  ┌─ one call\n  │ a\n  │   ↓ b []\n  │ c\n  └─\n    ↓ a []\n  b");
    assert_eq!(graph.to_dot().matches("subgraph").count(), 1);
    assert_eq!(graph.to_mermaid().matches("subgraph").count(), 1);
}

#[test]
fn dot() {
    let dot = net().to_dot();
    assert_eq!(dot.matches('{').count(), dot.matches('}').count());
    assert!(dot.contains("label=<inner: Inner>"), "{dot}");
    assert!(dot.contains("  subgraph cluster_0 {\n") && dot.contains("    subgraph cluster_1 {\n"), "{dot}");
    assert!(dot.contains("n2 [label=<inner.0: Linear<br/><font point-size=\"10\">16 parameters</font>>"), "{dot}");
    let fan = fan().to_dot();
    assert!(fan.contains("a &quot;name&quot; &lt;&amp;&gt; with &#92;&#92;N, `#` and<br/>lines"), "{fan}");
    assert!(fan.contains("&lt;b&gt; &amp; &quot;c&quot; &#92;&#92;G #35; `d`"), "{fan}");
    assert_eq!(fan.matches("n2 -> n3").count(), 2);
}

#[test]
fn mermaid() {
    let text = "\
---
title: 'Net'
---
flowchart TB
    n0([\"input\"])
    n1[\"0: Linear<br/><small>9 parameters</small>\"]
    subgraph g0[\"inner: Inner\"]
        subgraph g1[\"one call\"]
            n2[\"inner.0: Linear<br/><small>16 parameters</small>\"]
            n3[\"inner.1: GELU\"]
        end
        n4[\"inner.hidden: Linear<br/><small>4 parameters</small>\"]
    end
";
    assert!(net().to_mermaid().starts_with(text), "{}", net().to_mermaid());
    assert!(net().to_mermaid().ends_with("    style g1 stroke-dasharray: 4 3\n"));
    let fan = fan().to_mermaid();
    assert!(fan.starts_with("---\ntitle: 'a \"name\" <&> with \\N, `#` and lines'\n---\n"), "{fan}");
    assert!(fan.contains("#lt;b#gt; #amp; #quot;c#quot; #92;G #35;35; #96;d#96;"), "{fan}");
}
