//! Batches of none and of one, sizes of 1, single samples, and what must agree with itself.

use plywood::nn::{Backward, Forward, LayerInfo, StateTensor};
use plywood::prelude::*;
use plywood_tests::networks::{Chance, Single, Zoo};
use plywood_tests::{bits, each_network, samples};

/// No samples in, no samples out; the loss is a mean of nothing, and its gradient adds nothing up.
#[test]
fn batch_of_none() {
    macro_rules! check {
        ($name:ident, $Net:ty, [$($input:tt),*] => [$($output:tt),*]) => {{
            let name = stringify!($name);
            let model = <$Net as Model>::init(&mut Generator::manual_seed(0));
            let x: Tensor<Shape![_, $($input),*]> = Tensor::from_slice(&[]).unwrap();
            let y: Tensor<Shape![_, $($output),*]> = model.forward(&x);
            assert_eq!(y.sizes(), [0, $($output),*], "{name}");
            let none: Tensor<Shape![0, $($input),*]> = Tensor::zeros();
            let y: Tensor<Shape![0, $($output),*]> = model.forward(&none);
            assert_eq!(y.numel(), 0, "{name}");

            let (mean, gradients) = model.gradients(&none, &y, &MSELoss).unwrap();
            assert!(mean.is_nan(), "{name}: the mean of no terms is {mean}");
            assert!(gradients.parameters().iter().all(|g| *g == 0.0), "{name}: no samples give a gradient");
            let (sum, gradients) = model.gradients(&none, &y, &MSELoss.sum()).unwrap();
            assert_eq!(sum, 0.0, "{name}: the sum of no terms");
            assert!(gradients.parameters().iter().all(|g| *g == 0.0), "{name}: no samples give a gradient");
        }};
    }
    each_network!(check);
}

#[test]
fn losses_of_none() {
    let (y, labels) = (Tensor::<Shape![_, 7]>::zeros_of((Dyn(0), D)), Tensor::<Shape![_], i64>::zeros_of((Dyn(0),)));
    let means = [
        MSELoss.forward(&y, &y),
        BCELoss.forward(&y, &y),
        BCEWithLogitsLoss.forward(&y, &y),
        CrossEntropyLoss.forward(&y, &y),
        CrossEntropyLoss.forward(&y, &labels),
    ];
    assert!(means.into_iter().all(|mean| mean.unwrap().is_nan()), "a mean of nothing is no number");
    let sums = [
        MSELoss.sum().forward(&y, &y),
        BCELoss.sum().forward(&y, &y),
        BCEWithLogitsLoss.sum().forward(&y, &y),
        CrossEntropyLoss.sum().forward(&y, &y),
        CrossEntropyLoss.sum().forward(&y, &labels),
    ];
    assert!(sums.into_iter().all(|sum| sum.unwrap() == 0.0), "a sum of nothing is 0");
}

/// The type of the batch's size changes nothing about the numbers.
#[test]
fn known_and_unknown_batch_give_the_same_bits() {
    macro_rules! check {
        ($name:ident, $Net:ty, [$($input:tt),*] => [$($output:tt),*]) => {
            check!(@ $name, $Net, 1, [$($input),*] => [$($output),*]);
            check!(@ $name, $Net, 5, [$($input),*] => [$($output),*]);
        };
        (@ $name:ident, $Net:ty, $batch:literal, [$($input:tt),*] => [$($output:tt),*]) => {{
            let mut rng = Generator::manual_seed(2);
            let model = <$Net as Model>::init(&mut rng);
            let known: Tensor<Shape![$batch, $($input),*]> = Tensor::randn(&mut rng);
            let unknown: Tensor<Shape![_, $($input),*]> = known.try_shape().unwrap();
            let y: Tensor<Shape![$batch, $($output),*]> = model.forward(&known);
            let z: Tensor<Shape![_, $($output),*]> = model.forward(&unknown);
            assert_eq!(bits(y.as_slice()), bits(z.as_slice()), stringify!($name));
            assert_eq!(z.sizes(), y.sizes());
            let mut workspace = Workspace::new();
            let again = bits(model.forward_with(&mut workspace, &unknown).as_slice());
            assert_eq!(again, bits(y.as_slice()), "{}: in a workspace", stringify!($name));
            let target = y.map(|y| y.sin());
            let (loss, gradients) = model.gradients(&known, &target, &MSELoss).unwrap();
            let (other_loss, other) = model.gradients_with(&mut workspace, &unknown, &target, &MSELoss).unwrap();
            assert_eq!(loss.to_bits(), other_loss.to_bits(), stringify!($name));
            assert_eq!(bits(gradients.parameters()), bits(other.parameters()), stringify!($name));
        }};
    }
    each_network!(check);
}

/// A sample's output does not depend on the batch it is in, nor on whether it is in one.
#[test]
fn rows_of_a_batch_are_single_samples() {
    macro_rules! check {
        ($name:ident, $Net:ty, [$($input:tt),*] => [$($output:tt),*]) => {{
            let name = stringify!($name);
            let mut rng = Generator::manual_seed(3);
            let model = <$Net as Model>::init(&mut rng);
            let x: Tensor<Shape![33, $($input),*]> = Tensor::randn(&mut rng);
            let batch = model.forward(&x);
            let one: Tensor<Shape![1, $($output),*]> = model.forward(&Tensor::from_slice(x.row(0).unwrap().as_slice()).unwrap()
                as &Tensor<Shape![1, $($input),*]>);
            assert_eq!(bits(one.as_slice()), bits(model.forward(&x.row(0).unwrap()).as_slice()), "{name}: [1, …] and […]");
            for (i, (x, expected)) in x.rows().zip(batch.rows()).enumerate() {
                let y: Tensor<Shape![$($output),*]> = model.forward(&x);
                for (y, expected) in y.iter().zip(&expected) {
                    let error = (y - expected).abs() / expected.abs().max(1.0);
                    assert!(error < 1e-5, "{name}: sample {i} alone gives {y}, in a batch {expected}");
                }
            }
        }};
    }
    each_network!(check);
}

/// The gradient of a sum over a batch is the sum of its samples' gradients.
#[test]
fn gradients_of_a_batch_are_sums_of_samples() {
    macro_rules! check {
        ($name:ident, $Net:ty, [$($input:tt),*] => [$($output:tt),*]) => {{
            let mut rng = Generator::manual_seed(4);
            let model = <<$Net as Model>::As<f64> as Model>::init(&mut rng);
            let x: Tensor<Shape![7, $($input),*], f64> = Tensor::randn(&mut rng);
            let target = model.forward(&x).map(|y| y.cos());
            let (loss, gradients) = model.gradients(&x, &target, &MSELoss.sum()).unwrap();
            let (mut sum_of_losses, mut sum) = (0.0, vec![0.0; gradients.parameters().len()]);
            let mut workspace = Workspace::new();
            for (x, target) in x.rows().zip(target.rows()) {
                let (loss, gradients) = model.gradients_with(&mut workspace, &x, &target, &MSELoss.sum()).unwrap();
                sum_of_losses += loss;
                sum.iter_mut().zip(gradients.parameters()).for_each(|(sum, g)| *sum += g);
            }
            assert!((loss - sum_of_losses).abs() < 1e-12 * loss.max(1.0), stringify!($name));
            for (i, (got, expected)) in gradients.parameters().iter().zip(&sum).enumerate() {
                let error = (got - expected).abs() / expected.abs().max(1.0);
                assert!(error < 1e-12, "{}: parameter {i}: {got}, of samples {expected}", stringify!($name));
            }
        }};
    }
    each_network!(check);
}

/// A workspace that has seen a larger batch, full of its numbers, gives the same as a new one.
#[test]
fn a_used_workspace_gives_the_same_bits() {
    macro_rules! check {
        ($name:ident, $Net:ty, [$($input:tt),*] => [$($output:tt),*]) => {{
            let mut rng = Generator::manual_seed(5);
            let model = <$Net as Model>::init(&mut rng);
            let mut used = Workspace::new();
            for batch in [7, 2, 5, 0, 1, 3] {
                let shape = (Dyn(batch), $(<D<$input>>::default()),*);
                let x: Tensor<Shape![_, $($input),*]> = Tensor::randn_of(shape, &mut rng);
                let target = model.forward(&x).map(|y| y.cos());
                let (loss, gradients) = model.gradients(&x, &target, &MSELoss.sum()).unwrap();
                let (loss_of_used, of_used) = model.gradients_with(&mut used, &x, &target, &MSELoss.sum()).unwrap();
                assert_eq!(loss.to_bits(), loss_of_used.to_bits(), "{}, batch {batch}", stringify!($name));
                assert_eq!(bits(gradients.parameters()), bits(of_used.parameters()), "{}, batch {batch}", stringify!($name));
            }
        }};
    }
    each_network!(check);
}

/// One seed gives one network, in either element type the same one; another seed gives another.
#[test]
fn the_seed_decides() {
    macro_rules! check {
        ($name:ident, $Net:ty, [$($input:tt),*] => [$($output:tt),*]) => {{
            let name = stringify!($name);
            let init = |seed| <$Net as Model>::init(&mut Generator::manual_seed(seed));
            let (a, b, other) = (init(6), init(6), init(7));
            assert_eq!(bits(a.parameters()), bits(b.parameters()), "{name}: the same seed");
            assert_ne!(bits(a.parameters()), bits(other.parameters()), "{name}: another seed");
            let wide = <<$Net as Model>::As<f64> as Model>::init(&mut Generator::manual_seed(6));
            let narrowed: Vec<f32> = wide.parameters().iter().map(|p| *p as f32).collect();
            assert_eq!(bits(a.parameters()), bits(&narrowed), "{name}: the same seed in f64");
        }};
    }
    each_network!(check);
}

/// Training is a function of the seed, bit by bit.
#[test]
fn training_repeats() {
    let train = || {
        let mut rng = Generator::manual_seed(8);
        let (mut model, mut adam) = (Zoo::init(&mut rng), Adam::new(0.01));
        let x: Tensor<Shape![_, 16]> = Tensor::randn_of((Dyn(33), D), &mut rng);
        let labels: Vec<i64> = (0..33).map(|_| rng.below(7) as i64).collect();
        let labels: Tensor<Shape![_], i64> = Tensor::from_vec(labels).unwrap();
        let mut workspace = Workspace::new();
        let losses: Vec<f32> = (0..20)
            .map(|_| {
                let (loss, gradients) = model.gradients_with(&mut workspace, &x, &labels, &CrossEntropyLoss).unwrap();
                adam.step(&mut model, gradients).unwrap();
                loss
            })
            .collect();
        assert!(losses[19] < losses[0], "training makes the loss smaller: {losses:?}");
        (bits(&losses), bits(model.parameters()))
    };
    assert_eq!(train(), train());
}

/// One feature in, one out: written down by hand, y = w₁ · tanh(w₀ · x + b₀) + b₁.
#[test]
fn one_feature() {
    let mut model = <Single<f64> as Model>::init(&mut Generator::manual_seed(0));
    model.parameters_mut().copy_from_slice(&[0.5, -1.0, 3.0, 0.25]);
    for x in [-2.0, 0.0, 1.5] {
        let sample: Tensor<Shape![1], f64> = tensor![x];
        let h = (0.5 * x - 1.0f64).tanh();
        let y = model.forward(&sample).as_slice()[0];
        assert!((y - (3.0 * h + 0.25)).abs() < 1e-15);
        let (loss, gradients) = model.gradients(&sample, &tensor![0.0], &MSELoss).unwrap();
        assert!((loss - y * y).abs() < 1e-14);
        let through = 2.0 * y * 3.0 * (1.0 - h * h);
        for (got, expected) in gradients.parameters().iter().zip([through * x, through, 2.0 * y * h, 2.0 * y]) {
            assert!((got - expected).abs() < 1e-12, "{got} against {expected}");
        }
    }
}

/// The facts that the compiler knows are those that a walk over the layers finds.
#[test]
fn the_facts_of_a_network_agree() {
    macro_rules! check {
        ($name:ident, $Net:ty, [$($input:tt),*] => [$($output:tt),*]) => {
            facts::<$Net>(stringify!($name), &[$($input),*], &[$($output),*]);
        };
    }
    each_network!(check);
}

fn facts<M: Model>(name: &str, input: &'static [usize], output: &'static [usize]) {
    let model = M::init(&mut Generator::manual_seed(1));
    assert_eq!(<M::Input as StaticShape>::SIZES, input, "{name}");
    assert_eq!(<M::Output as StaticShape>::SIZES, output, "{name}");
    assert_eq!(model.parameters().len(), M::PARAMS, "{name}: the block has as many numbers as PARAMS says");

    let layers = M::LAYERS;
    assert_eq!(layers.first().unwrap().input, input, "{name}: the first layer takes the input");
    assert_eq!(layers.last().unwrap().output, output, "{name}: the last layer gives the output");
    let mut flow = input.iter().product::<usize>();
    let mut offset = 0;
    for layer in layers {
        assert_eq!(layer.input.iter().product::<usize>(), flow, "{name}: {} takes what comes before", layer.name);
        assert_eq!(layer.offset, offset, "{name}: {} begins where the one before ends", layer.name);
        flow = layer.output.iter().product();
        offset += layer.params;
    }
    assert_eq!(offset, M::PARAMS, "{name}: the layers' parameters are the network's");

    // The tensors of the state dict, in order, are the block without gaps.
    let state: Vec<StateTensor<'_, M::Elem>> = model.state_dict().collect();
    let mut end = 0;
    for tensor in &state {
        assert_eq!(tensor.offset, end, "{name}: {} begins where the one before ends", tensor.name);
        assert_eq!(tensor.data.len(), tensor.shape.iter().product::<usize>(), "{name}: {}", tensor.name);
        let place = &model.parameters()[tensor.offset..][..tensor.data.len()];
        assert!(core::ptr::eq(tensor.data, place), "{name}: {} is a part of the block", tensor.name);
        end += tensor.data.len();
    }
    assert_eq!(end, M::PARAMS, "{name}: the state dict holds every parameter");
    let mut names: Vec<_> = state.iter().map(|tensor| &tensor.name).collect();
    names.dedup();
    assert_eq!(names.len(), state.len(), "{name}: each tensor has a name of its own");

    let summary = model.summary();
    assert_eq!((summary.layers, summary.input), (layers, input), "{name}");
    assert_eq!((summary.params, summary.multiply_adds), (M::PARAMS, M::MULTIPLY_ADDS), "{name}");
    assert_eq!(M::MULTIPLY_ADDS, layers.iter().map(|layer| layer.multiply_adds).sum::<usize>(), "{name}");
    assert_eq!(M::MULTIPLY_ADDS, weights(layers), "{name}: each weight is used once a sample and position");
    let text = summary.to_string();
    for layer in layers {
        assert!(text.contains(&format!("{}: {}", layer.name, layer.kind)), "{name}: {} is not in\n{text}", layer.name);
    }
}

/// Multiply-adds counted from the tensors: the weights' elements, as often as each is used, padding included.
fn weights(layers: &[LayerInfo]) -> usize {
    let of_layer = |layer: &LayerInfo| {
        let own: usize =
            layer.tensors.iter().filter(|tensor| tensor.name == "weight").map(|tensor| tensor.numel()).sum();
        let positions: usize = match layer.kind {
            "Conv2d" => layer.output[1..].iter().product(),
            _ => layer.input.iter().rev().skip(1).product(),
        };
        own * positions + weights(layer.layers)
    };
    layers.iter().map(of_layer).sum()
}

/// A network computes with any element type through `Layer`, with no model at hand.
#[test]
fn a_network_is_a_layer_without_a_model() {
    let mut rng = Generator::manual_seed(9);
    let model = <Chance<f64> as Model>::init(&mut rng);
    let x = samples::<Shape![6], f64>(3, &mut rng);
    let (mut y, mut saved) = (vec![f64::NAN; 3], vec![f64::NAN; 3 * Chance::<f32>::SAVED]);
    <Chance as Layer>::forward_pass(Forward {
        params: model.parameters(),
        x: &x,
        y: &mut y,
        saved: &mut saved,
        batch: 3,
    });
    let batch: Tensor<Shape![3, 6], f64> = Tensor::from_slice(&x).unwrap();
    assert_eq!(bits(&y), bits(model.forward(&batch).as_slice()));
    let mut dparams = vec![f64::NAN; Chance::PARAMS];
    <Chance as Layer>::backward_pass(Backward {
        params: model.parameters(),
        x: &x,
        y: &y,
        saved: &saved,
        dy: &mut [1.0; 3],
        dx: None,
        dparams: &mut dparams,
        scratch: &mut [f64::NAN; 3 * Chance::<f32>::SCRATCH],
        batch: 3,
    });
    assert!(dparams.iter().all(|g| g.is_finite()), "every gradient is written: {dparams:?}");
}
