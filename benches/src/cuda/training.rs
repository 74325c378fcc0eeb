//! `Trainer::fit` and `evaluate`, whole runs on data sets, and the workloads whose losses PyTorch gave.

use crate::parity::{compare_state, output, parameters};
use crate::report::{Outcome, Report, ensure};
use crate::workloads;
use plywood::prelude::*;
use plywood::train::History;
use plywood_bench_protocol::{EQUAL, Kind, Task};

sequential! { struct Mlp { Linear(6, 40), ReLU, Linear(40, 33), Tanh, Linear(33, 5), Identity, Identity, Identity, Identity } }
sequential! { struct Cnn: (1, 12, 12) => 10 {
    Conv2d(1, 16, kernel = 3, padding = 1), ReLU, MaxPool2d(2),
    Conv2d(16, 20, kernel = 3, padding = 1), GELU, MaxPool2d(2),
    Flatten, Linear(180, 10), Identity,
} }

/// The losses and shares of every epoch.
fn numbers(history: &History) -> (Vec<f64>, Vec<Option<f64>>) {
    let both = |epoch: &plywood::train::Epoch| [Some(epoch.train), epoch.validation].into_iter().flatten().collect();
    let all: Vec<Vec<plywood::train::Evaluation>> = history.epochs.iter().map(both).collect();
    all.concat().iter().map(|evaluation| (evaluation.loss, evaluation.accuracy)).unzip()
}

/// 50 samples in batches of 16: the last has 2.
fn classes<E: Float>() -> Outcome<TensorDataset<Shape![6], (), E>> {
    let mut rng = Generator::manual_seed(1);
    let x: Tensor<Shape![_, 6], E> = Tensor::randn_of((Dyn(50), D), &mut rng);
    let labels = Tensor::<Shape![_], i64>::from_vec((0..50).map(|i| i % 5).collect())?;
    Ok(TensorDataset::new(x, labels)?)
}

/// A `fit` in two parts with a validation, here and there.
macro_rules! fit {
    ($report:expr, $E:ty, $bound:expr, $loss:expr, $name:literal) => {
        $report.check(&format!("training: fit, {}, {}", $name, <$E>::DTYPE), $bound, |device, worst| {
            let data = classes::<$E>()?;
            let (train, validation) = data.split(0.7, &mut Generator::manual_seed(2))?;
            let run = |device: &Device| -> Outcome<_> {
                let model = Mlp::<$E>::init(&mut Generator::manual_seed(2));
                let mut trainer = Trainer::new(model, $loss, SGD::new(0.05).momentum(0.9)).on(device)?;
                let fit = Fit::epochs(3).batch(16).shuffle(3).quiet();
                let mut history = trainer.fit_validated(&train, &validation, fit)?;
                trainer.optimizer_mut().set_learning_rate(0.01);
                history.epochs.extend(trainer.fit(&train, fit.drop_last(true))?.epochs);
                history.epochs.extend(trainer.fit(&data, Fit::epochs(2).batch(7).quiet())?.epochs);
                let evaluation = trainer.evaluate(&data)?;
                let state = parameters(trainer.model())?;
                Ok((numbers(&history), (evaluation.loss, evaluation.accuracy), state, trainer.epochs()))
            };
            let (expected, got) = (run(&Device::Cpu)?, run(device)?);
            let cast = |x: &[f64]| x.iter().map(|x| *x as $E).collect::<Vec<_>>();
            worst.compare("the history", &cast(&got.0.0), &cast(&expected.0.0))?;
            ensure(got.0.1 == expected.0.1, || format!("the shares are {:?} and not {:?}", got.0.1, expected.0.1))?;
            worst.compare("the evaluation", &cast(&[got.1.0]), &cast(&[expected.1.0]))?;
            ensure(got.1.1 == expected.1.1, || "the evaluation has another share".to_owned())?;
            ensure(got.3 == expected.3, || "another number of epochs".to_owned())?;
            compare_state::<Mlp<$E>>(worst, "the parameters", &got.2, &expected.2)
        });
    };
}

pub(crate) fn check(report: &mut Report) {
    fit!(report, f32, 1e-4, CrossEntropyLoss, "CrossEntropyLoss");
    fit!(report, f64, 1e-9, CrossEntropyLoss, "CrossEntropyLoss");
    fit!(report, f32, 1e-4, CrossEntropyLoss.sum(), "CrossEntropyLoss.sum()");
    data_there(report);
    convolutional(report);
    chances(report);
    many_steps(report);
    inference(report);
    for task in Task::all().into_iter().filter(|task| task.kind != Kind::Infer1) {
        // The larger ones take minutes where the GPU is emulated.
        if !report.quick || ["W1", "W2", "W3"].contains(&task.workload.name.as_str()) {
            workload(report, &task);
        }
    }
}

/// PyTorch's losses of `benches/losses.json`.
fn workload(report: &mut Report, task: &Task) {
    let steps = task.losses().len();
    report.check(&format!("training: {task}, {steps} steps, against PyTorch"), EQUAL, |device, worst| {
        let mut run = workloads::run(&task.workload, task.kind == Kind::Adam, device)?;
        let [lr, _] = task.learning_rates();
        for (step, expected) in task.losses().iter().enumerate() {
            let loss = run.train(lr, 1)?;
            worst.compare(&format!("the loss of step {step}"), &[loss], &[*expected as f32])?;
        }
        Ok(())
    });
}

fn convolutional(report: &mut Report) {
    report.check("training: fit of a convolutional network with Adam, f32", 1e-3, |device, worst| {
        let mut rng = Generator::manual_seed(1);
        let x: Tensor<Shape![_, 1, 12, 12]> = Tensor::randn_of((Dyn(50), D, D, D), &mut rng);
        let data = TensorDataset::new(x, Tensor::<Shape![_], i64>::from_vec((0..50).map(|i| i % 10).collect())?)?;
        let run = |device: &Device| -> Outcome<_> {
            let model = Cnn::init(&mut Generator::manual_seed(2));
            let mut trainer = Trainer::new(model, CrossEntropyLoss, Adam::new(1e-3)).on(device)?;
            let history = trainer.fit(&data, Fit::epochs(3).batch(16).shuffle(3).quiet())?;
            let evaluation = trainer.evaluate(&data)?;
            Ok((history.losses(), evaluation, parameters(trainer.model())?))
        };
        let (expected, got) = (run(&Device::Cpu)?, run(device)?);
        worst.compare("the history", &got.0, &expected.0)?;
        worst.compare("the evaluation", &[got.1.loss as f32], &[expected.1.loss as f32])?;
        compare_state::<Cnn>(worst, "the parameters", &got.2, &expected.2)
    });
}

/// Data that is on the GPU is gathered there: the same steps, to the bit, in recordings that read it where it stays.
fn data_there(report: &mut Report) {
    report.check("training: fit of data on the GPU, f32", 0.0, |device, _| {
        let here = classes::<f32>()?;
        let run = |data: &TensorDataset<Shape![6]>| -> Outcome<_> {
            let model = Mlp::<f32>::init(&mut Generator::manual_seed(2));
            let mut trainer = Trainer::new(model, CrossEntropyLoss, Adam::new(1e-3)).on(device)?;
            let history = trainer.fit_validated(data, data, Fit::epochs(30).batch(16).shuffle(3).quiet())?;
            Ok((numbers(&history), parameters(trainer.model())?))
        };
        let (expected, got) = (run(&here)?, run(&here.to(device)?)?);
        ensure(got == expected, || "data on the GPU gives other numbers than data on the CPU".to_owned())
    });
}

fn chances(report: &mut Report) {
    report.check("training: fit with BCELoss, f32", 1e-4, |device, worst| {
        let mut rng = Generator::manual_seed(1);
        let x: Tensor<Shape![_, 6]> = Tensor::randn_of((Dyn(50), D), &mut rng);
        let y = Tensor::<Shape![_, 1]>::from_vec(x.rows().map(|row| f32::from(row.sum() > 0.0)).collect())?;
        let data: TensorDataset<Shape![6], Shape![1], f32, f32> = TensorDataset::new(x, y)?;
        let run = |device: &Device| -> Outcome<_> {
            let model = sequential![Linear(6, 20), Tanh, Linear(20, 1), Sigmoid].init(&mut Generator::manual_seed(2));
            let mut trainer = Trainer::new(model, BCELoss, SGD::new(0.3).momentum(0.5)).on(device)?;
            let history = trainer.fit(&data, Fit::epochs(4).batch(16).shuffle(3).early_stop(3).quiet())?;
            Ok((numbers(&history), parameters(trainer.model())?))
        };
        let (expected, got) = (run(&Device::Cpu)?, run(device)?);
        worst.compare("the history", &got.0.0, &expected.0.0)?;
        ensure(got.0.1 == expected.0.1, || format!("the shares are {:?} and not {:?}", got.0.1, expected.0.1))?;
        worst.compare("the parameters", &got.1, &expected.1)
    });
}

fn many_steps(report: &mut Report) {
    report.check("training: `steps` is that many times `step`, to the bit", 0.0, |device, worst| {
        let mut rng = Generator::manual_seed(1);
        let x: Tensor<Shape![_, 6]> = Tensor::randn_of((Dyn(64), D), &mut rng);
        let x = x.to(device)?;
        let labels = Tensor::<Shape![_], i32>::from_vec((0..64).map(|i| i % 5).collect())?.to(device)?;
        let run = |at_once: bool| -> Outcome<_> {
            let model = Mlp::<f32>::init(&mut Generator::manual_seed(2));
            let mut trainer = Trainer::new(model, CrossEntropyLoss, Adam::new(1e-3)).on(device)?;
            let mut loss = 0.0;
            for steps in [1, 1, 30, 7] {
                for _ in 0..if at_once { 1 } else { steps } {
                    loss = trainer.steps(&x, &labels, if at_once { steps } else { 1 })?;
                }
            }
            Ok((loss, parameters(trainer.model())?))
        };
        let (expected, got) = (run(false)?, run(true)?);
        worst.compare("the loss", &[got.0], &[expected.0])?;
        worst.compare("the parameters", &got.1, &expected.1)
    });
}

fn inference(report: &mut Report) {
    report.check("inference: batches of many sizes, one after the other", 1e-5, |device, worst| {
        let model = Cnn::<f32>::init(&mut Generator::manual_seed(2));
        let there = Cnn::<f32>::init(&mut Generator::manual_seed(2)).to(device)?;
        let mut rng = Generator::manual_seed(3);
        for batch in [3, 1, 7, 0, 33, 2, 1, 100, 3] {
            let x: Tensor<Shape![_, 1, 12, 12]> = Tensor::randn_of((Dyn(batch), D, D, D), &mut rng);
            worst.compare("the output", &output(&there, &x.clone().to(device)?)?, model.forward(&x).as_slice())?;
        }
        Ok(())
    });
    report.check("inference: while training goes on, the newest parameters are used", 1e-5, |device, worst| {
        let data = classes::<f32>()?;
        let start = || Mlp::<f32>::init(&mut Generator::manual_seed(2));
        let mut here = Trainer::new(start(), CrossEntropyLoss, SGD::new(0.1));
        let mut there = Trainer::new(start(), CrossEntropyLoss, SGD::new(0.1)).on(device)?;
        let x = data.inputs().clone().to(device)?;
        for _ in 0..5 {
            here.step(data.inputs(), data.targets())?;
            there.step(data.inputs(), data.targets())?;
            worst.compare("the output", &output(there.model(), &x)?, here.model().forward(data.inputs()).as_slice())?;
            let [a, b] = [here.evaluate(&data)?, there.evaluate(&data)?];
            worst.compare("the evaluation", &[b.loss as f32], &[a.loss as f32])?;
        }
        Ok(())
    });
}
