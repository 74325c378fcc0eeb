//! Gradients against central differences.

use crate::compare::{floor_of, relative_error};
use plywood::loss::Loss;
use plywood::nn::{Backward, Forward, Layer, LayerInfo, TensorInfo};
use plywood::tensor::Tensor;
use plywood::{Generator, Shape, StaticShape};

/// What [`layer`] and [`loss`] allow: the relative error of one number, where numbers below a hundredth of the largest
/// of their gradient count as that large.
pub const TOLERANCE: f64 = 1e-6;

/// Half the distance of the two points of a difference.
const STEP: f64 = 1e-5;

/// With more numbers than this, only so many of them, evenly spread, are checked.
const CHECKED: usize = 400;

/// Checks the gradients of a layer or network with respect to its parameters and its input at random ones.
///
/// The function is Σ c · y with random c. Gives the largest relative error.
///
/// # Panics
/// If a gradient is wrong, with its place and both numbers.
pub fn layer<L: Layer>(what: &str, batch: usize, seed: u64) -> f64 {
    let mut rng = Generator::manual_seed(seed);
    let params: Vec<f64> = (0..L::PARAMS).map(|_| 0.5 * rng.normal::<f64>()).collect();
    let x = crate::samples::<L::Input, f64>(batch, &mut rng);
    layer_at::<L>(what, &params, &x, batch)
}

/// [`layer`] with these parameters and this input.
///
/// # Panics
/// If a gradient is wrong.
pub fn layer_at<L: Layer>(what: &str, params: &[f64], x: &[f64], batch: usize) -> f64 {
    let what = format!("{what}, batch {batch}");
    let mut rng = Generator::manual_seed(1);
    let probe = crate::samples::<L::Output, f64>(batch, &mut rng);
    let (y, saved) = forward::<L>(params, x, batch);
    assert!(y.iter().all(|y| y.is_finite()), "{what}: forward left a part of the output as it was");

    let (dparams, dx) = backward::<L>(params, x, &y, &saved, &probe, batch, true);
    let (alone, _) = backward::<L>(params, x, &y, &saved, &probe, batch, false);
    assert_eq!(dparams, alone, "{what}: the parameters' gradient depends on whether the input's is asked for");

    let along = |params: &[f64], x: &[f64]| forward::<L>(params, x, batch).0;
    let difference = |plus: Vec<f64>, minus: Vec<f64>, step: f64| {
        let terms = plus.iter().zip(&minus).zip(&probe).map(|((plus, minus), c)| c * (plus - minus));
        terms.sum::<f64>() / (2.0 * step)
    };
    let mut moved = params.to_vec();
    let of_params = compare(
        &what,
        &dparams,
        |i| parameter::<L>(i),
        |i, step| {
            let mut at = |value| {
                moved[i] = value;
                let y = along(&moved, x);
                moved[i] = params[i];
                y
            };
            difference(at(params[i] + step), at(params[i] - step), step)
        },
    );
    let mut moved = x.to_vec();
    let of_x = compare(
        &what,
        &dx,
        |i| format!("input {i}"),
        |i, step| {
            let mut at = |value| {
                moved[i] = value;
                let y = along(params, &moved);
                moved[i] = x[i];
                y
            };
            difference(at(x[i] + step), at(x[i] - step), step)
        },
    );
    of_params.max(of_x)
}

/// Checks the gradient of a loss with respect to the predictions.
///
/// # Panics
/// If it is wrong, with its place and both numbers.
pub fn loss<Y: Shape, T, L: Loss<Y, T, f64>>(what: &str, loss: &L, y: &Tensor<Y, f64>, target: &T) -> f64 {
    let mut dy = vec![f64::NAN; y.numel()];
    let value = loss.value_and_gradient(y.view(), target, &mut dy).expect(what);
    assert_eq!(
        value,
        loss.forward(y, target).expect(what),
        "{what}: the value depends on whether a gradient is asked for"
    );
    let mut moved = y.view().to_owned();
    compare(
        what,
        &dy,
        |i| format!("prediction {i}"),
        |i, step| {
            let mut at = |value| {
                moved.as_mut_slice()[i] = value;
                let loss = loss.forward(&moved, target).expect(what);
                moved.as_mut_slice()[i] = y.as_slice()[i];
                loss
            };
            (at(y.as_slice()[i] + step) - at(y.as_slice()[i] - step)) / (2.0 * step)
        },
    )
}

/// Checks the gradients of a loss with respect to a network's parameters; `value` gives the loss for parameters.
///
/// # Panics
/// If one is wrong, with its place and both numbers.
pub fn network<L: Layer>(what: &str, params: &[f64], gradients: &[f64], mut value: impl FnMut(&[f64]) -> f64) -> f64 {
    let mut moved = params.to_vec();
    compare(
        what,
        gradients,
        |i| parameter::<L>(i),
        |i, step| {
            let mut at = |x| {
                moved[i] = x;
                let value = value(&moved);
                moved[i] = params[i];
                value
            };
            (at(params[i] + step) - at(params[i] - step)) / (2.0 * step)
        },
    )
}

fn compare(
    what: &str,
    gradient: &[f64],
    place: impl Fn(usize) -> String,
    mut difference: impl FnMut(usize, f64) -> f64,
) -> f64 {
    let (floor, mut worst) = (floor_of(gradient), 0.0f64);
    for i in (0..gradient.len()).step_by(gradient.len().div_ceil(CHECKED).max(1)) {
        let numeric = difference(i, STEP);
        let error = relative_error(gradient[i], numeric, floor);
        assert!(
            error <= TOLERANCE,
            "{what}: the gradient of {} is {:e}, but the central difference is {numeric:e} (relative error {error:.1e}); \
             with half the step it is {:e}: if that differs, the function has a kink here, and the test needs another point",
            place(i),
            gradient[i],
            difference(i, STEP / 2.0),
        );
        worst = worst.max(error);
    }
    worst
}

/// Everything that is to be overwritten begins as NaN, so that nothing is left as it was.
fn forward<L: Layer>(params: &[f64], x: &[f64], batch: usize) -> (Vec<f64>, Vec<f64>) {
    let mut y = vec![f64::NAN; batch * L::Output::NUMEL];
    let mut saved = vec![f64::NAN; batch * L::SAVED];
    L::forward_pass(Forward { params, x, y: &mut y, saved: &mut saved, batch });
    (y, saved)
}

fn backward<L: Layer>(
    params: &[f64],
    x: &[f64],
    y: &[f64],
    saved: &[f64],
    dy: &[f64],
    batch: usize,
    with_dx: bool,
) -> (Vec<f64>, Vec<f64>) {
    let mut dx = vec![f64::NAN; x.len()];
    let mut dparams = vec![f64::NAN; L::PARAMS];
    let mut scratch = vec![f64::NAN; batch * L::SCRATCH];
    L::backward_pass(Backward {
        params,
        x,
        y,
        saved,
        dy: &mut dy.to_vec(),
        dx: with_dx.then_some(&mut dx[..]),
        dparams: &mut dparams,
        scratch: &mut scratch,
        batch,
    });
    (dparams, dx)
}

/// The name of a parameter: `0.weight[3]`.
fn parameter<L: Layer>(index: usize) -> String {
    fn find(tensors: &[TensorInfo], layers: &[LayerInfo], prefix: &str, index: usize) -> Option<String> {
        let inside = |offset: usize, len: usize| (offset..offset + len).contains(&index);
        if let Some(tensor) = tensors.iter().find(|tensor| inside(tensor.offset, tensor.numel())) {
            return Some(format!("{prefix}{}[{}]", tensor.name, index - tensor.offset));
        }
        let layer = layers.iter().find(|layer| inside(layer.offset, layer.params))?;
        find(layer.tensors, layer.layers, &format!("{prefix}{}.", layer.name), index - layer.offset)
    }
    find(L::TENSORS, L::LAYERS, "", index).unwrap_or_else(|| format!("parameter {index}"))
}
