//! Lesson 11: a perceptron and a feed-forward network of 2-10-1 on the same points.
//!
//! Teaches to measure on points that were not learned from, before and after: `evaluate` computes the loss and learns
//! nothing, so there is no mode to switch; only `fit`, `step` and `gradients` are for training. It prints the test losses
//! and draws what both say over the plane. The perceptron can only draw a line; the hidden layer bends it.

use plywood::plot::{DecisionSurface, Panels};
use plywood::prelude::*;
use plywood_examples::{data, save};

sequential! {
    /// One neuron: the logit of class 1.
    struct Perceptron {
        Linear(2, 1),
    }
}

sequential! {
    /// Ten neurons and one that hears them.
    struct FeedForward {
        Linear(2, 10),
        ReLU,
        Linear(10, 1),
    }
}

type Points = TensorDataset<Shape![2], Shape![1], f32, f32>;

fn main() -> plywood::Result<()> {
    let table = Table::read_csv(data("blobs_binary.csv"))?;
    let x: Tensor<Shape![_, 2]> = table.columns(["x0", "x1"])?;
    let scaled = StandardScaler::fit(&x)?.transform(&x);
    let points = Points::new(scaled, table.columns::<f32, 1>(["label"])?)?;
    let rows: Vec<usize> = (0..points.len()).collect();
    let (train, test) = (points.subset(&rows[..40])?, points.subset(&rows[40..])?);

    let mut rng = Generator::manual_seed(0);
    let fit = Fit::epochs(100).batch(40).quiet();

    let mut perceptron = Trainer::new(Perceptron::init(&mut rng), BCEWithLogitsLoss, SGD::new(0.5));
    let untrained = perceptron.evaluate(&test)?;
    perceptron.fit(&train, fit)?;
    let line = perceptron.evaluate(&test)?;
    println!("perceptron, test points before training: {untrained}, after: {line}");

    let mut network = Trainer::new(FeedForward::init(&mut rng), BCEWithLogitsLoss, SGD::new(0.5));
    let before = network.evaluate(&test)?;
    network.fit(&train, fit)?;
    let after = network.evaluate(&test)?;
    println!("2-10-1,     test points before training: {before}, after: {after}");

    let sigmoid = |logit: &f32| 1.0 / (1.0 + (-logit).exp());
    let (x, y) = (points.inputs(), points.targets());
    let one = DecisionSurface::new("A perceptron", x, y, |grid| perceptron.model().forward(grid).map(sigmoid));
    let many = DecisionSurface::new("A network of 2-10-1", x, y, |grid| network.model().forward(grid).map(sigmoid));
    save(&Panels::new("", 2).panel(one).panel(many), "lesson_11_perceptron")?;

    println!("test loss {:.3} by a line, {:.3} by the network", line.loss, after.loss);
    assert!(line.loss < untrained.loss && after.loss < before.loss, "both learn what holds for other points, too");
    assert!(after.loss < line.loss, "the hidden layer helps");
    Ok(())
}
