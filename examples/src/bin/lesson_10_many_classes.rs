//! Lesson 10: four classes of points in the plane.
//!
//! Teaches classification into many classes: one logit a class, cross-entropy, softmax, argmax. It trains the same network
//! on four clouds that stand apart and on four of which two overlap, prints the probabilities of some points, and draws
//! the likeliest class over the plane.
//!
//! Where the clouds stand apart, the class follows from the place, so a network can be as sure as it likes and its loss
//! goes to zero. Where two overlap, a point between them may be of either, and the loss cannot fall below the doubt that
//! is left to someone who knows the clouds themselves: the lesson computes that, too.

use plywood::data::make_blobs;
use plywood::plot::{Confusion, DecisionSurface, Panels};
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

/// Four round clouds, of deviation 0.15, at a distance from each other that no point crosses.
fn apart() -> plywood::Result<TensorDataset<Shape![2]>> {
    let centers: Tensor<Shape![4, 2]> = tensor![[0.0, -1.0], [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]];
    make_blobs(200).cluster_std(0.15).generate_around(&centers, &mut Generator::manual_seed(0))
}

/// Four round clouds of the same deviation, two of which overlap.
fn overlapping() -> plywood::Result<TensorDataset<Shape![2]>> {
    let table = Table::read_csv(data("blobs_4.csv"))?;
    TensorDataset::new(table.columns(["x0", "x1"])?, table.column("label")?)
}

/// Ten epochs of Adam: the network with its softmax, and how it does.
fn train(blobs: &TensorDataset<Shape![2]>) -> plywood::Result<(Probabilities, f64)> {
    let model = Blobs::init(&mut Generator::manual_seed(1));
    let mut trainer = Trainer::new(model, CrossEntropyLoss, Adam::new(0.2));
    trainer.fit(blobs, Fit::epochs(10).batch(20).shuffle(1))?;
    let trained = trainer.evaluate(blobs)?;
    println!("after 10 epochs: {trained}");
    Ok((Probabilities::from_parameters(trainer.model().parameters())?, trained.loss))
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
    println!("Four clouds apart");
    let clear = apart()?;
    let (sure, of_clear) = train(&clear)?;
    assert!(of_clear < 0.05, "the loss falls under 0.05");

    println!("Four clouds, of which two overlap");
    let blurred = overlapping()?;
    let (unsure, of_blurred) = train(&blurred)?;
    let best = CrossEntropyLoss.forward(&known(blurred.inputs(), blurred.targets()), blurred.targets())?;
    assert!(best > 0.05 && of_blurred < f64::from(best) + 0.05, "the loss is within 0.05 of what can be known");

    for (blobs, model) in [(&clear, &sure), (&blurred, &unsure)] {
        let probabilities = model.forward(blobs.inputs());
        assert!((probabilities.sum_axis::<1>() - 1.0).abs().max() < 1e-5, "probabilities sum to one");
        let likeliest = probabilities.argmax_axis::<1>();
        let right = likeliest.iter().zip(blobs.targets()).filter(|(class, label)| class == label).count();
        let share = right as f64 / blobs.len() as f64;
        assert_eq!(share, accuracy(&probabilities, blobs.targets())?, "accuracy is what argmax gets right");
        for ((row, class), label) in probabilities.rows().zip(&likeliest).zip(blobs.targets()).take(3) {
            let row: Vec<String> = row.iter().map(|p| format!("{p:.3}")).collect();
            println!("probabilities {}: class {class}, and it is {label}", row.join(", "));
        }
    }

    let surface = |title, blobs: &TensorDataset<Shape![2]>, model: &Probabilities| {
        DecisionSurface::new(title, blobs.inputs(), blobs.targets(), |points| model.forward(points))
    };
    let both = Panels::new("Four classes", 2).panel(surface("clouds apart", &clear, &sure)).panel(surface(
        "two clouds overlap",
        &blurred,
        &unsure,
    ));
    save(&both, "lesson_10_many_classes")?;
    let matrix = ConfusionMatrix::new(&unsure.forward(blurred.inputs()), blurred.targets())?;
    save(&Confusion::new("Two clouds overlap", &matrix), "lesson_10_confusion")?;
    println!("loss: apart {of_clear:.4}, overlapping {of_blurred:.4} (by the clouds themselves {best:.4})");
    Ok(())
}
