//! Lesson 6: a plane through 500 points of three features.
//!
//! Teaches that a layer of three inputs is three slopes and an intercept, and that a `Trainer` is the loop of lesson 5.
//! It prints the four numbers beside those of the normal equations, and draws predictions against targets.

use plywood::plot::{Chart, Panels};
use plywood::prelude::*;
use plywood_examples::{data, least_squares, save};

sequential! {
    /// y = x · w + b.
    struct Plane {
        plane: Linear(3, 1),
    }
}

fn main() -> plywood::Result<()> {
    let table = Table::read_csv(data("regression_3.csv"))?;
    let x: Tensor<Shape![_, 3]> = table.columns(["x0", "x1", "x2"])?;
    let y: Tensor<Shape![_, 1]> = table.columns(["y"])?;
    let points: TensorDataset<Shape![3], Shape![1], f32, f32> = TensorDataset::new(x.clone(), y.clone())?;

    let model = Plane::init(&mut Generator::manual_seed(0));
    let mut trainer = Trainer::new(model, MSELoss, SGD::new(0.02));
    let history = trainer.fit(&points, Fit::epochs(30).batch(50).shuffle(0).quiet())?;
    let model = trainer.into_model();

    let predicted = model.forward(&x);
    let same: Vec<f32> = vec![-200.0, 200.0];
    let fit = Chart::new("Predictions of 500 targets", "target", "prediction").points("a point", &y, &predicted).line(
        "prediction = target",
        &same,
        &same,
    );
    let descent = Chart::losses("The way there", &history);
    save(&Panels::new("", 2).panel(fit).panel(descent), "lesson_06_multiple_regression")?;

    let exact = least_squares(&x, &y);
    let mut trained = model.plane().bias().to_vec();
    trained.extend(model.plane().weight().iter());
    println!("                  bias    w0    w1    w2");
    println!("least squares:    {}", exact.iter().map(|p| format!("{p:5.2}")).collect::<Vec<_>>().join(" "));
    println!("gradient descent: {}", trained.iter().map(|p| format!("{p:5.2}")).collect::<Vec<_>>().join(" "));
    for (trained, exact) in trained.iter().zip(&exact) {
        assert!((f64::from(*trained) - exact).abs() < 0.3, "gradient descent finds what least squares give");
    }
    for (exact, known) in exact.iter().zip([0.43, 0.62, 55.99, 11.14]) {
        assert!((exact - known).abs() < 0.01, "least squares give what is known of these points");
    }
    Ok(())
}
