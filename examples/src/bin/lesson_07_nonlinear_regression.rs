//! Lesson 7: a curve through points, as a sum of bent lines.
//!
//! Teaches what hidden nodes do: each gives a bend, and the output adds them up. Three networks, 1-3-1, 1-5-3-1 and
//! 1-20-20-1, learn y = x² + 15 sin³ x. It prints the loss of each and draws its curve and what each node of the last
//! hidden layer adds to it.

use plywood::plot::{Chart, Panels};
use plywood::prelude::*;
use plywood_examples::{data, save};

// A network is its hidden layers, which are a network of their own, and a layer `out` that adds up what they give.
sequential! { struct SmallHidden { Linear(1, 3), ReLU } }
sequential! { struct Small { SmallHidden, out: Linear(3, 1) } }

sequential! { struct DeepHidden { Linear(1, 5), ReLU, Linear(5, 3), ReLU } }
sequential! { struct Deep { DeepHidden, out: Linear(3, 1) } }

sequential! { struct WideHidden { Linear(1, 20), ReLU, Linear(20, 20), ReLU } }
sequential! { struct Wide { WideHidden, out: Linear(20, 1) } }

/// Trains a network; gives its loss and the figures of its curve and of its nodes.
macro_rules! lesson {
    ($Net:ident, $Hidden:ident, $name:literal, $points:expr) => {{
        let points: &Points = $points;
        let mut trainer = Trainer::new($Net::init(&mut Generator::manual_seed(2)), MSELoss, Adam::new(0.01));
        trainer.fit(points, Fit::epochs(200).batch(50).shuffle(3).quiet())?;
        let loss = trainer.evaluate(points)?.loss;
        let model = trainer.into_model();

        let (x, y) = (points.inputs(), model.forward(points.inputs()));
        let hidden = $Hidden::from_parameters(&model.parameters()[..$Hidden::<f32>::PARAMS])?.forward(x);
        let nodes = contributions(&hidden, model.out().weight().as_slice());
        let bias = model.out().bias().as_slice()[0];
        for (row, y) in y.iter().enumerate() {
            let sum = bias + nodes.iter().map(|node| node[row]).sum::<f32>();
            assert!((sum - y).abs() < 1e-3, "the output is the sum of what the nodes add, and the bias");
        }
        println!("{}: mean squared error {loss:.3}", $name);
        let curve = Chart::new(&format!("{}, loss {loss:.2}", $name), "x", "y")
            .points("500 points", x, points.targets())
            .line("the network", x, &y);
        (loss, curve, drawn($name, x, nodes))
    }};
}

type Points = TensorDataset<Shape![1], Shape![1], f32, f32>;

/// For each hidden node, what it adds to the output of each sample: its value times its weight.
fn contributions<N: StaticDim>(hidden: &Tensor<(Dyn, N)>, weights: &[f32]) -> Vec<Vec<f32>> {
    let node = |node: usize| hidden.rows().map(|row| row.as_slice()[node] * weights[node]).collect();
    (0..weights.len()).map(node).collect()
}

/// A line for each node: those that add most have a name, the others are grey.
fn drawn(name: &str, x: &Tensor<Shape![_, 1]>, mut nodes: Vec<Vec<f32>>) -> Chart {
    let spread =
        |node: &[f32]| node.iter().fold(0.0f32, |max, y| max.max(*y)) - node.iter().fold(0.0f32, |min, y| min.min(*y));
    nodes.sort_by(|a, b| spread(b).total_cmp(&spread(a)));
    let mut chart = Chart::new(&format!("{name}: what each node adds"), "x", "contribution");
    for (number, node) in nodes.iter().enumerate() {
        let name = if number < 5 { format!("node {}", number + 1) } else { String::new() };
        chart = chart.line(&name, x, node);
    }
    chart
}

fn main() -> plywood::Result<()> {
    let table = Table::read_csv(data("nonlinear.csv"))?;
    let x: Tensor<Shape![_, 1]> = table.columns(["x"])?;
    let y: Tensor<Shape![_, 1]> = table.columns(["y"])?;
    let points = Points::new(x, y)?;

    let (small, curve, nodes) = lesson!(Small, SmallHidden, "1-3-1", &points);
    let figure = Panels::new("Three networks learn a curve", 2).panel(curve).panel(nodes);
    let (deep, curve, nodes) = lesson!(Deep, DeepHidden, "1-5-3-1", &points);
    let figure = figure.panel(curve).panel(nodes);
    let (wide, curve, nodes) = lesson!(Wide, WideHidden, "1-20-20-1", &points);
    let figure = figure.panel(curve).panel(nodes);
    save(&figure, "lesson_07_nonlinear_regression")?;

    println!("the largest network errs {:.0} times less than the smallest", small / wide);
    assert!(deep < small && wide < deep, "each network is better than the one before");
    assert!(wide < 1.0, "the largest network follows the curve");
    Ok(())
}
