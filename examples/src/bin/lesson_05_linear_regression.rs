//! Lesson 5: a line through 500 points, by gradient descent and by least squares.
//!
//! Teaches the loop that every training is: a batch, its loss with the gradients, a step. It prints the loss of some
//! epochs, then slope and intercept beside those of the normal equations, and draws the line and the losses.

use plywood::plot::{Chart, Panels};
use plywood::prelude::*;
use plywood_examples::{data, least_squares, save};

sequential! {
    /// y = slope · x + intercept.
    struct Line {
        line: Linear(1, 1),
    }
}

fn main() -> plywood::Result<()> {
    let table = Table::read_csv(data("regression_1.csv"))?;
    let x: Tensor<Shape![_, 1]> = table.columns(["x0"])?;
    let y: Tensor<Shape![_, 1]> = table.columns(["y"])?;
    let points: TensorDataset<Shape![1], Shape![1], f32, f32> = TensorDataset::new(x.clone(), y.clone())?;

    let mut model = Line::init(&mut Generator::manual_seed(0));
    let mut optimizer = SGD::new(0.02);
    let loader = DataLoader::new(&points).batch_size(50)?.shuffle(0);
    let mut losses = Vec::new();
    for epoch in 0..30 {
        let mut sum = 0.0;
        for (x, y) in loader.batches(epoch) {
            let (loss, gradients) = model.gradients(&x, &y, &MSELoss)?;
            optimizer.step(&mut model, &gradients)?;
            sum += loss;
        }
        losses.push(sum / loader.len() as f32);
        if epoch % 5 == 4 {
            println!("epoch {:>2}: loss {:.3}", epoch + 1, losses[losses.len() - 1]);
        }
    }

    let slope = model.line().weight().as_slice()[0];
    let intercept = model.line().bias().as_slice()[0];
    let exact = least_squares(&x, &y);

    let ends: Tensor<Shape![2, 1]> = tensor![[-3.1], [3.1]];
    let fit = Chart::new("A line by gradient descent", "x", "y").points("500 points", &x, &y).line(
        "the trained line",
        &ends,
        &model.forward(&ends),
    );
    let epochs: Vec<u8> = (1..=30).collect();
    let descent = Chart::new("Its way there", "epoch", "mean squared error").line("", &epochs, &losses);
    save(&Panels::new("", 2).panel(fit).panel(descent), "lesson_05_linear_regression")?;

    println!("least squares:    slope {:.2}, intercept {:.2}", exact[1], exact[0]);
    println!("gradient descent: slope {slope:.2}, intercept {intercept:.2}");
    assert!((exact[1] - 45.5).abs() < 0.05 && (exact[0] + 0.77).abs() < 0.05, "least squares give 45.5 and −0.77");
    assert!((f64::from(slope) - exact[1]).abs() < 0.1, "the slope is that of least squares");
    assert!((f64::from(intercept) - exact[0]).abs() < 0.1, "the intercept is that of least squares");
    Ok(())
}
