//! What the lessons share: where their data are, where their figures go, and least squares to compare with.

#[cfg(feature = "lessons")]
pub mod digits;

#[cfg(feature = "lessons")]
use plywood::plot::Plot;
use plywood::prelude::*;
use std::path::{Path, PathBuf};

/// A file of `examples/data`.
#[must_use]
pub fn data(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join(file)
}

/// Writes a figure as SVG and PNG into the folder that is the program's first argument, or into `target/figures`.
///
/// # Errors
/// If the figure cannot be drawn or written.
#[cfg(feature = "lessons")]
pub fn save(figure: &impl Plot, name: &str) -> plywood::Result<()> {
    let folder = match std::env::args_os().nth(1) {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("target").join("figures"),
    };
    for extension in ["svg", "png"] {
        figure.save(folder.join(format!("{name}.{extension}")))?;
    }
    println!("figure: {}", folder.join(name).with_extension("png").display());
    Ok(())
}

/// What minimises Σ (b + x · w − y)²: the bias b, then the weights w, from the normal equations AᵀA p = Aᵀy with the
/// rows (1, x) of A. They are solved by elimination with pivots.
#[must_use]
pub fn least_squares<N: StaticDim>(x: &Tensor<(Dyn, N)>, y: &Tensor<Shape![_, 1]>) -> Vec<f64> {
    let size = N::SIZE + 1;
    let mut equations = vec![vec![0.0; size + 1]; size];
    for (x, y) in x.rows().zip(y) {
        let row: Vec<f64> = [1.0].into_iter().chain(x.iter().map(|x| f64::from(*x))).chain([f64::from(*y)]).collect();
        for (equation, a) in equations.iter_mut().zip(&row) {
            equation.iter_mut().zip(&row).for_each(|(sum, b)| *sum += a * b);
        }
    }
    for step in 0..size {
        let pivot = (step..size).max_by(|i, j| equations[*i][step].abs().total_cmp(&equations[*j][step].abs()));
        equations.swap(step, pivot.unwrap_or(step));
        let pivot: Vec<f64> = equations[step].iter().map(|a| a / equations[step][step]).collect();
        for (row, equation) in equations.iter_mut().enumerate() {
            let factor = if row == step { 0.0 } else { equation[step] };
            equation.iter_mut().zip(&pivot).for_each(|(a, p)| *a -= factor * p);
        }
        equations[step] = pivot;
    }
    equations.iter().map(|equation| equation[size]).collect()
}
