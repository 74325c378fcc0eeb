//! Lesson 10: four classes of points in the plane.
//!
//! Teaches classification into many classes: one logit a class, cross-entropy, softmax, argmax. It prints how the
//! training went and the probabilities of some points, and draws the likeliest class over the plane.
//!
//! Two of the clouds overlap, so no network can be sure of every point. How low a loss can be is known here: the clouds
//! are round, with a deviation of 0.15, and that gives the probabilities without any learning. The lesson compares.

use plywood::plot::{Confusion, DecisionSurface};
use plywood::prelude::*;
use plywood_examples::{data, save};

sequential! {
    /// The logits of four classes.
    struct Blobs {
        Linear(2, 5),
        ReLU,
        Linear(5, 4),
    }
}

sequential! {
    /// The same as probabilities.
    struct Probabilities {
        blobs: Blobs,
        Softmax,
    }
}

/// Logits from the clouds themselves: −|x − c|² / 2σ² for a cloud of centre c and deviation σ.
fn known(x: &Tensor<Shape![_, 2]>, labels: &Tensor<Shape![_], i64>) -> Tensor<Shape![_, 4]> {
    let mut sums = [[0.0; 3]; 4];
    for (point, label) in x.rows().zip(labels) {
        let sum = &mut sums[*label as usize];
        [point.as_slice()[0], point.as_slice()[1], 1.0].iter().zip(sum).for_each(|(x, sum)| *sum += x);
    }
    let mut logits = Tensor::zeros_of((x.shape().0, D));
    for (point, row) in x.rows().zip(logits.as_mut_slice().chunks_exact_mut(4)) {
        for (logit, [x, y, points]) in row.iter_mut().zip(sums) {
            let (dx, dy) = (point.as_slice()[0] - x / points, point.as_slice()[1] - y / points);
            *logit = -(dx * dx + dy * dy) / (2.0 * 0.15 * 0.15);
        }
    }
    logits
}

fn main() -> plywood::Result<()> {
    let table = Table::read_csv(data("blobs_4.csv"))?;
    let x: Tensor<Shape![_, 2]> = table.columns(["x0", "x1"])?;
    let labels: Tensor<Shape![_], i64> = table.column("label")?;
    let blobs = TensorDataset::new(x.clone(), labels.clone())?;

    let model = Blobs::init(&mut Generator::manual_seed(1));
    let mut trainer = Trainer::new(model, CrossEntropyLoss, Adam::new(0.2));
    trainer.fit(&blobs, Fit::epochs(10).batch(20).shuffle(1))?;
    let trained = trainer.evaluate(&blobs)?;

    let model = Probabilities::from_parameters(trainer.model().parameters())?;
    let probabilities = model.forward(&x);
    for (row, label) in probabilities.rows().zip(&labels).take(4) {
        let likeliest = (0..4).max_by(|a, b| row.as_slice()[*a].total_cmp(&row.as_slice()[*b]));
        println!("{row:.3}: class {}, and it is {label}", likeliest.unwrap_or(0));
    }

    let surface = DecisionSurface::new("Four classes", &x, &labels, |points| model.forward(points));
    save(&surface, "lesson_10_many_classes")?;
    let matrix = ConfusionMatrix::new(&probabilities, &labels)?;
    save(&Confusion::new("Four classes, told apart", &matrix), "lesson_10_confusion")?;

    let best = CrossEntropyLoss.forward(&known(&x, &labels), &labels)?;
    println!("by the clouds themselves: loss {best:.4}");
    println!("after 10 epochs: {trained}");
    assert!(trained.loss < f64::from(best) + 0.05, "the loss is within 0.05 of what can be known");
    for row in probabilities.rows() {
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5, "probabilities sum to one");
    }
    assert_eq!(matrix.accuracy(), accuracy(&probabilities, &labels)?, "the diagonal is what argmax gets right");
    Ok(())
}
