//! Training of small networks on a GPU, whose steps have kernels of their own, against the same on the CPU. On an emulated GPU
//! everything is checked twice: with those kernels, and with the recorded steps that they stand in for, as the emulator lets
//! one or the other look slow. Without a GPU nothing is checked, unless `PLYWOOD_REQUIRE_CUDA` is set.
#![cfg(feature = "cuda")]

use plywood::prelude::*;
use plywood_tests::gpu::{Square, close, is_emulated, output_of_a_process, runs};

/// Kernels that belong to only one of the two ways.
const OWN: [&str; 3] = ["small_step", "small_part", "small_update"];
const RECORDED: &str = "loss_finish";

/// The GPU, if there is something to check on it in this process: one that is emulated is checked in a process of its own for
/// each way.
fn gpu(test: &str) -> Option<Device> {
    let gpu = plywood_tests::gpu::gpu()?;
    if !is_emulated(&gpu) {
        return Some(gpu);
    }
    let ran = |slow: &str| {
        let variables = [("PLYWOOD_EMULATOR_SLOW", slow), ("PLYWOOD_EMULATOR_RUNS", "1")];
        let text = output_of_a_process(test, &variables)?;
        Some((runs(&text, OWN[0]) + runs(&text, OWN[1]), runs(&text, RECORDED)))
    };
    let Some((own, recorded)) = ran(RECORDED) else { return Some(gpu) };
    let Some((few, many)) = ran(&OWN.join(",")) else { return Some(gpu) };
    // The way that looks slow runs when it is measured, and the recorded one in each first step.
    assert!(own > few && many > recorded, "{own}, {recorded}; {few}, {many}");
    None
}

sequential! { struct Tiny { Linear(6, 4), Sigmoid, Linear(_, 1) } }
sequential! { #[derive(Debug)] struct ReLUs { Linear(6, 40), ReLU, Linear(_, 33, bias = false), ReLU, Linear(_, 3) } }
sequential! { struct Kept { Linear(8, 12), GELU, Linear(_, 7), SiLU, Linear(_, 8), Softplus, Linear(_, 3), Square(..) } }
sequential! { struct Bounded { Linear(6, 5), Hardtanh, Linear(_, 3), Sigmoid } }
sequential! { struct First: 6 => 3 { ELU, Linear(6, 16), Tanh, LeakyReLU, Linear(_, 3), Identity } }
sequential! { struct Digits { Linear(784, 128), ReLU, Linear(_, 10) } }
sequential! { struct Wide { Linear(100, 128), Tanh, Linear(_, 128), GELU, Linear(_, 128), ReLU, Linear(_, 5) } }

/// The losses and the parameters after some steps with numbers here and there and another learning rate, on the GPU and on the
/// CPU.
macro_rules! check {
    ($gpu:expr, $Net:ident in $E:ident, [$input:literal], $batches:expr, $steps:expr, $loss:expr, $optimizer:expr, $tolerance:expr, $target:expr) => {
        for batch in $batches {
            let mut rng = Generator::manual_seed(batch as u64);
            let start = <<$Net as Model>::As<$E> as Model>::init(&mut rng);
            let x: Tensor<Shape![_, $input], $E> = Tensor::randn_of((Dyn(batch), D), &mut rng);
            let target = $target(batch, &mut rng);
            let train = |device: &Device| {
                let model = <<$Net as Model>::As<$E> as Model>::from_parameters(start.parameters()).unwrap();
                let mut trainer = Trainer::new(model, $loss, $optimizer).on(device).unwrap();
                let mut losses: Vec<$E> = (0..4).map(|_| trainer.step(&x, &target).unwrap()).collect();
                let there = x.clone().to(device).unwrap();
                losses.push(trainer.steps(&there, &target, $steps / 2).unwrap());
                let target_there = target.clone().to(device).unwrap();
                let lr = trainer.optimizer_mut().learning_rate();
                trainer.optimizer_mut().set_learning_rate(lr / 2.0);
                losses.push(trainer.steps(&there, &target_there, $steps - $steps / 2 - 5).unwrap());
                losses.push(trainer.step(&x, &target).unwrap());
                (losses, trainer.into_model().to(&Device::Cpu).unwrap())
            };
            let ((losses, model), (expected, expected_model)) = (train($gpu), train(&Device::Cpu));
            let what = format!(
                "{} in {}, {}, {}, batch {batch}",
                stringify!($Net),
                stringify!($E),
                stringify!($loss),
                stringify!($optimizer)
            );
            close(&format!("{what}: losses"), &losses, &expected, $tolerance);
            close(&format!("{what}: parameters"), model.parameters(), expected_model.parameters(), 10.0 * $tolerance);
        }
    };
}

fn labels(classes: usize) -> impl Fn(usize, &mut Generator) -> Tensor<Shape![_], i32> {
    move |batch, _| Tensor::from_vec((0..batch).map(|i| (i * 7 % classes) as i32).collect()).unwrap()
}

fn normal<E: Float>(batch: usize, rng: &mut Generator) -> Tensor<Shape![_, 3], E> {
    Tensor::randn_of((Dyn(batch), D), rng)
}

fn chances<E: Float, N: StaticDim>(batch: usize, rng: &mut Generator) -> Tensor<(Dyn, N), E> {
    Tensor::rand_of((Dyn(batch), N::default()), rng)
}

/// Sizes of batches: one sample, fewer than a block takes, and more, of which the last block has fewer.
const BATCHES: [usize; 3] = [1, 33, 200];

#[test]
fn every_loss() {
    let Some(gpu) = gpu("every_loss") else { return };
    let gpu = &gpu;
    check!(gpu, ReLUs in f32, [6], BATCHES, 100, MSELoss, SGD::new(0.02), 1e-4, normal::<f32>);
    check!(gpu, ReLUs in f64, [6], BATCHES, 20, MSELoss.sum(), SGD::new(1e-4), 1e-10, normal::<f64>);
    check!(gpu, Bounded in f32, [6], BATCHES, 100, BCELoss, SGD::new(0.05), 1e-4, chances::<f32, D<3>>);
    check!(gpu, Tiny in f32, [6], BATCHES, 100, BCEWithLogitsLoss, SGD::new(0.1), 1e-4, chances::<f32, D<1>>);
    check!(gpu, ReLUs in f32, [6], BATCHES, 100, CrossEntropyLoss, SGD::new(0.05), 1e-4, labels(3));
    check!(gpu, ReLUs in f64, [6], BATCHES, 20, CrossEntropyLoss.sum(), SGD::new(1e-3), 1e-10, labels(3));
    check!(gpu, ReLUs in f32, [6], BATCHES, 20, CrossEntropyLoss, SGD::new(0.05), 1e-4, chances::<f32, D<3>>);
}

#[test]
fn every_layer_and_optimizer() {
    let Some(gpu) = gpu("every_layer_and_optimizer") else { return };
    let gpu = &gpu;
    check!(gpu, Kept in f32, [8], [3, 150], 100, MSELoss, SGD::new(0.01).momentum(0.9), 1e-3, normal::<f32>);
    check!(gpu, Kept in f64, [8], [3, 150], 20, MSELoss, SGD::new(0.01).momentum(0.9).nesterov(true), 1e-10, normal::<f64>);
    check!(gpu, First in f32, [6], [3, 150], 100, CrossEntropyLoss, SGD::new(0.01).momentum(0.9).dampening(0.3).weight_decay(0.01), 1e-3, labels(3));
    check!(gpu, ReLUs in f32, [6], [3, 150], 100, MSELoss, Adam::new(1e-3), 1e-3, normal::<f32>);
    check!(gpu, First in f64, [6], [3, 150], 20, MSELoss, AdamW::new(1e-3).weight_decay(0.1), 1e-9, normal::<f64>);
}

#[test]
fn wide_ones() {
    let Some(gpu) = gpu("wide_ones") else { return };
    let gpu = &gpu;
    check!(gpu, Digits in f32, [784], [1, 7, 30], 12, CrossEntropyLoss, SGD::new(0.01).momentum(0.9), 1e-3, labels(10));
    check!(gpu, Wide in f32, [100], [2, 50], 12, CrossEntropyLoss, Adam::new(1e-3), 1e-3, labels(5));
    check!(gpu, Wide in f64, [100], [20], 12, CrossEntropyLoss, SGD::new(0.01), 1e-10, labels(5));
}

fn data() -> TensorDataset<Shape![6], Shape![], f32, i64> {
    let mut rng = Generator::manual_seed(3);
    let x: Tensor<Shape![_, 6]> = Tensor::randn_of((Dyn(50), D), &mut rng);
    let labels = x.rows().map(|row| i64::from(row.sum() > 0.0) + i64::from(row.max() > 1.0)).collect();
    TensorDataset::new(x, Tensor::<Shape![_], i64>::from_vec(labels).unwrap()).unwrap()
}

/// The last batch of an epoch is smaller; a batch that is too large for these kernels comes between; the optimizer's moments go
/// on with each.
#[test]
fn epochs() {
    let Some(gpu) = gpu("epochs") else { return };
    let mut rng = Generator::manual_seed(4);
    let large: Tensor<Shape![_, 6]> = Tensor::randn_of((Dyn(1100), D), &mut rng);
    let of_large: Tensor<Shape![_], i32> = Tensor::from_vec((0..1100).map(|i| i % 3).collect()).unwrap();
    let run = |device: &Device| {
        let model = ReLUs::init(&mut Generator::manual_seed(2));
        let mut trainer = Trainer::new(model, CrossEntropyLoss, Adam::new(0.003)).on(device).unwrap();
        let mut losses = Vec::new();
        for seed in 0..3 {
            losses.extend(trainer.fit(&data(), Fit::epochs(3).batch(16).shuffle(seed).quiet()).unwrap().losses());
            losses.push(f64::from(trainer.steps(&large, &of_large, 3).unwrap()));
            trainer.optimizer_mut().set_learning_rate(0.002);
        }
        let evaluation = trainer.evaluate(&data()).unwrap();
        losses.push(evaluation.loss);
        (losses, evaluation.accuracy, trainer.into_model().to(&Device::Cpu).unwrap())
    };
    let ((losses, accuracy, model), (expected, expected_accuracy, expected_model)) = (run(&gpu), run(&Device::Cpu));
    assert_eq!(accuracy, expected_accuracy);
    close("losses", &losses, &expected, 1e-3);
    close("parameters", model.parameters(), expected_model.parameters(), 1e-2);
}

#[test]
fn what_is_refused_changes_nothing() {
    let Some(gpu) = gpu("what_is_refused_changes_nothing") else { return };
    let here = |model: &ReLUs| ReLUs::from_buffer(model.buffer().clone()).to(&Device::Cpu).unwrap();
    // One block, and several.
    for batch in [4, 200] {
        let x: Tensor<Shape![_, 6]> = Tensor::randn_of((Dyn(batch), D), &mut Generator::manual_seed(1));
        let there = x.clone().to(&gpu).unwrap();
        let nan = Tensor::<Shape![_, 6]>::full_of((Dyn(batch), D), f32::NAN);
        let good = Tensor::<Shape![_], i32>::from_vec(vec![1; batch]).unwrap().to(&gpu).unwrap();
        let mut bad = vec![1; batch];
        bad[batch - 2] = 7;
        bad[batch - 1] = -1;
        let bad = Tensor::<Shape![_], i32>::from_vec(bad).unwrap().to(&gpu).unwrap();
        let start = || {
            Trainer::new(ReLUs::init(&mut Generator::manual_seed(2)), CrossEntropyLoss, Adam::new(0.01))
                .on(&gpu)
                .unwrap()
        };

        let (mut trainer, mut other) = (start(), start());
        trainer.steps(&there, &good, 6).unwrap();
        let before = here(trainer.model());
        let wrong = trainer.steps(&there, &bad, 3).unwrap_err().to_string();
        assert_eq!(wrong, format!("the label of sample {} is 7, but the network has 3 classes (0 to 2)", batch - 2));
        assert_eq!(here(trainer.model()).parameters(), before.parameters());
        let wrong = trainer.steps(&nan, &good, 3).unwrap_err().to_string();
        assert!(wrong.starts_with("the loss became NaN in epoch 1"), "{wrong}");
        assert_eq!(here(trainer.model()).parameters(), before.parameters());
        // It goes on as if those steps had not been.
        let (loss, expected) = (trainer.steps(&there, &good, 5).unwrap(), other.steps(&there, &good, 11).unwrap());
        assert_eq!(loss, expected);
        assert_eq!(here(trainer.model()).parameters(), here(other.model()).parameters());
    }
}

#[test]
fn what_is_no_probability_is_named() {
    let Some(gpu) = gpu("what_is_no_probability_is_named") else { return };
    for batch in [4, 200] {
        // What goes in comes out.
        let mut model = sequential![Linear(3, 3)].init(&mut Generator::manual_seed(2));
        model.parameters_mut().copy_from_slice(&[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
        let mut trainer = Trainer::new(model, BCELoss, SGD::new(0.0)).on(&gpu).unwrap();
        let good = Tensor::<Shape![_, 3]>::full_of((Dyn(batch), D), 0.5);
        let mut bad = good.clone();
        bad.as_mut_slice()[3 * batch - 2] = 1.5;
        bad.as_mut_slice()[3 * batch - 1] = -1.0;
        for (x, t, what) in [(&bad, &good, "prediction"), (&good, &bad, "target")] {
            trainer.steps(&good, &good.clone().to(&gpu).unwrap(), 4).unwrap();
            let wrong = trainer.step(x, &t.clone().to(&gpu).unwrap()).unwrap_err().to_string();
            let expected = format!("the {what} at index {} is 1.5", 3 * batch - 2);
            assert!(wrong.starts_with(&expected), "{wrong}");
        }
    }
}
