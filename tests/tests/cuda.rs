//! Networks on a GPU against the same on the CPU.
#![cfg(feature = "cuda")]

use plywood::prelude::*;

/// The GPU; `None`, said aloud, where there is none.
fn gpu() -> Option<Device> {
    match Device::cuda(0) {
        Ok(gpu) => Some(gpu),
        Err(error) => {
            assert!(std::env::var_os("PLYWOOD_REQUIRE_CUDA").is_none(), "{error}");
            eprintln!("not checked: {error}");
            None
        }
    }
}

fn close(what: &str, got: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(got.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(1e-3f32, |largest, x| largest.max(x.abs()));
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        let error = (got - expected).abs() / expected.abs().max(largest * 0.1);
        assert!(error < tolerance || got.is_nan() && expected.is_nan(), "{what}: number {i} is {got}, not {expected}");
    }
}

sequential! { struct Mlp { Linear(6, 40), ReLU, Linear(40, 33), Tanh, Linear(33, 5) } }
sequential! { struct Cnn: (1, 12, 12) => 10 {
    Conv2d(1, 16, kernel = 3, padding = 1), ReLU, MaxPool2d(2),
    Conv2d(16, 20, kernel = 3, padding = 1), GELU, MaxPool2d(2),
    Flatten, Linear(180, 10),
} }

#[test]
fn forward_and_gradients() {
    let Some(gpu) = gpu() else { return };
    println!("{gpu:#}");
    let mut rng = Generator::manual_seed(0);
    let model = Mlp::init(&mut rng);
    let x: Tensor<Shape![17, 6]> = Tensor::randn(&mut rng);
    let labels: Tensor<Shape![17], i64> = Tensor::from_vec((0..17).map(|i| i % 5).collect()).unwrap();
    let there = Mlp::from_parameters(model.parameters()).unwrap().to(&gpu).unwrap();
    let y = there.forward(&x.clone().to(&gpu).unwrap()).to(&Device::Cpu).unwrap();
    close("outputs", y.as_slice(), model.forward(&x).as_slice(), 1e-5);
    let (loss, grads) = model.gradients(&x, &labels, &CrossEntropyLoss).unwrap();
    let (there_loss, there_grads) = there.gradients(&x.clone().to(&gpu).unwrap(), &labels, &CrossEntropyLoss).unwrap();
    close("loss", &[there_loss], &[loss], 1e-5);
    let there_grads = Mlp::from_buffer(there_grads.buffer().clone()).to(&Device::Cpu).unwrap();
    close("gradients", there_grads.parameters(), grads.parameters(), 1e-4);
}

#[test]
fn training_is_the_same() {
    let Some(gpu) = gpu() else { return };
    let mut rng = Generator::manual_seed(1);
    let x: Tensor<Shape![_, 1, 12, 12]> = Tensor::randn_of((Dyn(50), D, D, D), &mut rng);
    let labels: Tensor<Shape![_], i64> = Tensor::from_vec((0..50).map(|i| i % 10).collect()).unwrap();
    let data = TensorDataset::new(x, labels).unwrap();
    let run = |device: &Device| {
        let model = Cnn::init(&mut Generator::manual_seed(2));
        let mut trainer = Trainer::new(model, CrossEntropyLoss, Adam::new(1e-3)).on(device).unwrap();
        let history = trainer.fit(&data, Fit::epochs(3).batch(16).shuffle(3).quiet()).unwrap();
        let evaluation = trainer.evaluate(&data).unwrap();
        (history.losses(), evaluation, trainer.into_model().to(&Device::Cpu).unwrap())
    };
    let (losses, evaluation, model) = run(&Device::Cpu);
    let (there_losses, there_evaluation, there) = run(&gpu);
    println!("{losses:?} {there_losses:?} {evaluation:?} {there_evaluation:?}");
    for (got, expected) in there_losses.iter().zip(&losses) {
        assert!((got - expected).abs() < 1e-4 * expected, "{there_losses:?} {losses:?}");
    }
    assert!((there_evaluation.loss - evaluation.loss).abs() < 1e-4);
    assert_eq!(there_evaluation.accuracy, evaluation.accuracy);
    close("parameters", there.parameters(), model.parameters(), 1e-2);
}
