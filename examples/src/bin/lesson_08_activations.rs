//! Lesson 8: activations with their derivatives.
//!
//! Teaches what stands between layers: where an activation bends, and where its derivative dies out, so that nothing is
//! learned there. It checks every derivative against central differences, prints the largest error, and draws them all.

use plywood::nn::{Activation, ELU, GELU, Hardtanh, LeakyReLU, ReLU, SiLU, Sigmoid, Softplus, Tanh};
use plywood::plot::{Chart, Panels};
use plywood_examples::save;

/// The chart of an activation, and by how much its derivative differs from (f(x + h) − f(x − h)) / 2h.
fn chart<A: Activation>() -> (Chart, f64) {
    // No point is 0 or ±1, where some of them have a corner.
    let x: Vec<f64> = (0..400).map(|i| -4.0 + (f64::from(i) + 0.5) / 50.0).collect();
    let y: Vec<f64> = x.iter().map(|x| A::forward(*x)).collect();
    // An activation says whether its derivative takes what it gave or what it took.
    let derivative: Vec<f64> =
        x.iter().zip(&y).map(|(x, y)| A::derivative(if A::FROM_OUTPUT { *y } else { *x })).collect();

    let h = 1e-5;
    let error = |(x, d): (&f64, &f64)| ((A::forward(x + h) - A::forward(x - h)) / (2.0 * h) - d).abs();
    let worst = x.iter().zip(&derivative).map(error).fold(0.0, f64::max);
    println!(
        "{:<10} f(−1) = {:>7.4}, f(1) = {:>7.4}, error of f′ {worst:.0e}",
        A::KIND,
        A::forward(-1.0),
        A::forward(1.0)
    );
    (Chart::new(A::KIND, "x", "y").line("f", &x, &y).line("f′", &x, &derivative), worst)
}

fn main() -> plywood::Result<()> {
    let activations = [
        chart::<ReLU>(),
        chart::<LeakyReLU>(),
        chart::<ELU>(),
        chart::<GELU>(),
        chart::<SiLU>(),
        chart::<Softplus>(),
        chart::<Sigmoid>(),
        chart::<Tanh>(),
        chart::<Hardtanh>(),
    ];
    let mut figure = Panels::new("Activations and their derivatives", 3);
    let mut worst: f64 = 0.0;
    for (chart, error) in activations {
        figure = figure.panel(chart);
        worst = worst.max(error);
    }
    save(&figure, "lesson_08_activations")?;

    println!("largest error of a derivative: {worst:.0e}");
    assert!(worst < 1e-8, "derivatives are those of the functions");
    Ok(())
}
