//! Data sets made from a seed, with scikit-learn's names and parameters.

mod blobs;
mod regression;
mod rings;

pub use blobs::{MakeBlobs, make_blobs};
pub use regression::{MakeRegression, make_regression};
pub use rings::{MakeCircles, MakeMoons, make_circles, make_moons};

use super::TensorDataset;
use crate::dim::{Dyn, StaticDim};
use crate::element::Float;
use crate::error::{Error, Result};
use crate::generator::Generator;
use crate::tensor::Tensor;

/// Rows of `N` coordinates and their labels as a data set, in random order if asked.
fn labelled<N: StaticDim, E: Float>(
    x: &[f64],
    labels: &[i64],
    shuffle: bool,
    rng: &mut Generator,
) -> Result<TensorDataset<(N,), (), E>> {
    let order = order(labels.len(), shuffle, rng);
    let mut inputs = Tensor::zeros_of((Dyn(labels.len()), N::default()));
    let mut targets = Tensor::zeros_of((Dyn(labels.len()),));
    for (to, from) in order.into_iter().enumerate() {
        let row = &mut inputs.as_mut_slice()[to * N::SIZE..][..N::SIZE];
        row.iter_mut().zip(&x[from * N::SIZE..]).for_each(|(to, x)| *to = E::of(*x));
        targets.as_mut_slice()[to] = labels[from];
    }
    TensorDataset::new(inputs, targets)
}

fn order(rows: usize, shuffle: bool, rng: &mut Generator) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rows).collect();
    if shuffle {
        rng.shuffle(&mut order);
    }
    order
}

fn not_negative(what: &'static str, value: f64) -> Result<()> {
    if value >= 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(Error::Setting { what, given: value.to_string(), expected: "a finite number, at least 0" })
}
