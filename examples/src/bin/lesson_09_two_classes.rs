//! Lesson 9: two classes that no line parts, a circle within a circle.
//!
//! Teaches binary classification: one output, its logit in the loss, its sigmoid as a probability. It prints how the
//! training went and what the network says of two points, and draws the probability over the plane.

use plywood::plot::{Chart, DecisionSurface};
use plywood::prelude::*;
use plywood_examples::{data, save};

sequential! {
    /// The logit of being on the inner circle.
    struct Inner {
        Linear(2, 5),
        ReLU,
        Linear(5, 1),
    }
}

sequential! {
    /// The same as a probability.
    struct Probability {
        inner: Inner,
        Sigmoid,
    }
}

fn main() -> plywood::Result<()> {
    let table = Table::read_csv(data("circles.csv"))?;
    let x: Tensor<Shape![_, 2]> = table.columns(["x0", "x1"])?;
    let y: Tensor<Shape![_, 1]> = table.columns(["label"])?;
    let circles: TensorDataset<Shape![2], Shape![1], f32, f32> = TensorDataset::new(x.clone(), y.clone())?;

    let model = Inner::init(&mut Generator::manual_seed(4));
    let mut trainer = Trainer::new(model, BCEWithLogitsLoss, Adam::new(0.1));
    let history = trainer.fit(&circles, Fit::epochs(20).batch(50).shuffle(2))?;
    let trained = trainer.evaluate(&circles)?;

    let model = Probability::from_parameters(trainer.model().parameters())?;
    let surface = DecisionSurface::new("A circle within a circle", &x, &y, |points| model.forward(points));
    save(&surface.names(&["outer circle", "inner circle"]), "lesson_09_two_classes")?;
    save(&Chart::losses("Training on two circles", &history), "lesson_09_losses")?;

    let points: Tensor<Shape![2, 2]> = tensor![[0.0, 0.0], [-1.0, -1.0]];
    let probabilities = model.forward(&points);
    for (point, p) in points.rows().zip(&probabilities) {
        println!("({}, {}) is inner with probability {p:.3}", point.as_slice()[0], point.as_slice()[1]);
    }
    println!("after 20 epochs: {trained}");
    assert!(trained.loss < 0.06, "the loss falls under 0.06");
    assert!(probabilities.as_slice()[0] > 0.5 && probabilities.as_slice()[1] < 0.5, "both points fall as they should");
    Ok(())
}
