//! What goes wrong on a GPU is an error, the same as on the CPU where it is the same mistake, and the program goes on.

use crate::parity::{Inputs, compare_state, parameters};
use crate::report::{Outcome, Report, ensure};
use plywood::Error;
use plywood::loss::Loss;
use plywood::prelude::*;
use plywood::shape::InputOf;
use plywood_tests::networks::Scaled;

sequential! { struct Net { Linear(4, 16), ReLU, Linear(16, 3), Identity, Identity, Identity, Identity, Identity, Identity } }
sequential! { struct Chance { Linear(4, 3) } }

type Batch = Tensor<Shape![_, 4]>;
type Labels<L = i64> = Tensor<Shape![_], L>;

/// The driver takes memory for recorded steps in pieces of 2 MiB.
const SLACK: usize = 4 << 20;

fn x(rows: usize) -> Batch {
    Tensor::randn_of((Dyn(rows), D), &mut Generator::manual_seed(8))
}

fn labels(rows: usize) -> Labels {
    Tensor::from_vec((0..rows).map(|i| (i % 3) as i64).collect()).expect("any number of labels")
}

fn trainer(device: &Device) -> Outcome<Trainer<Net, CrossEntropyLoss, Adam>> {
    Ok(Trainer::new(Net::init(&mut Generator::manual_seed(1)), CrossEntropyLoss, Adam::new(0.01)).on(device)?)
}

/// After an error, three good steps are those that follow the steps before it.
fn goes_on<L, O: Optimizer<f32>>(
    here: &mut Trainer<Net, L, O>,
    there: &mut Trainer<Net, L, O>,
    worst: &mut crate::report::Worst,
) -> Outcome
where
    Inputs<Net>: InputOf<Net, Inputs<Net>>,
    L: Clone + Loss<Shape![_, 3], Labels, f32>,
{
    for _ in 0..3 {
        let (expected, got) = (here.step(&x(10), &labels(10))?, there.step(&x(10), &labels(10))?);
        worst.compare("the loss of a step after the error", &[got], &[expected])?;
    }
    compare_state::<Net>(worst, "the parameters", &parameters(there.model())?, here.model().parameters())
}

/// The same error here and there, after which the parameters are the same.
fn same_error(expected: &Error, got: &Error) -> Outcome {
    ensure(expected.to_string() == got.to_string(), || format!("the error is `{got}` and not `{expected}`"))
}

pub(crate) fn check(report: &mut Report) {
    divergence(report);
    targets(report);
    devices(report);
    memory(report);
}

fn divergence(report: &mut Report) {
    report.check("errors: a batch with NaN diverges, and nothing changes", 1e-5, |device, worst| {
        let mut wrong = x(10);
        wrong.as_mut_slice()[7] = f32::NAN;
        let (mut here, mut there) = (trainer(&Device::Cpu)?, trainer(device)?);
        for round in 0..3 {
            goes_on(&mut here, &mut there, worst)?;
            let before = parameters(there.model())?;
            let expected = here.step(&wrong, &labels(10)).unwrap_err();
            let got = there.step(&wrong, &labels(10)).expect_err("NaN is no loss");
            same_error(&expected, &got)?;
            ensure(parameters(there.model())? == before, || format!("round {round}: the parameters have changed"))?;
        }
        goes_on(&mut here, &mut there, worst)
    });
    report.check("errors: NaN in the third batch of a fit", 1e-5, |device, worst| {
        let mut inputs = x(50);
        inputs.as_mut_slice()[4 * 25] = f32::NAN;
        let data: TensorDataset<Shape![4]> = TensorDataset::new(inputs, labels(50))?;
        let (mut here, mut there) = (trainer(&Device::Cpu)?, trainer(device)?);
        let fit = Fit::epochs(2).batch(10).quiet();
        same_error(&here.fit(&data, fit).unwrap_err(), &there.fit(&data, fit).expect_err("NaN is no loss"))?;
        ensure(here.epochs() == there.epochs(), || "another number of epochs".to_owned())?;
        compare_state::<Net>(worst, "the parameters", &parameters(there.model())?, here.model().parameters())?;
        goes_on(&mut here, &mut there, worst)
    });
    report.check("errors: a learning rate that is too large", 1e-5, |device, worst| {
        let run = |device: &Device| -> Outcome<_> {
            let mut trainer = trainer(device)?;
            trainer.optimizer_mut().set_learning_rate(1e30);
            let error = (0..50).find_map(|_| trainer.step(&x(10), &labels(10)).err());
            Ok((error.ok_or("50 steps did not diverge")?, trainer))
        };
        let ((expected, _), (got, mut there)) = (run(&Device::Cpu)?, run(device)?);
        ensure(matches!((&expected, &got), (Error::Diverged { .. }, Error::Diverged { .. })), || got.to_string())?;
        // On the same trainer, with parameters that make sense again.
        let model = Net::init(&mut Generator::manual_seed(1)).to(device)?;
        *there.model_mut() = model;
        there.optimizer_mut().set_learning_rate(0.0);
        let loss = there.step(&x(10), &labels(10))?;
        worst.compare("the loss", &[loss], &[trainer(&Device::Cpu)?.step(&x(10), &labels(10))?])
    });
}

fn targets(report: &mut Report) {
    report.check("errors: a label that is no class, here and on the GPU", 1e-5, |device, worst| {
        for label in [3i64, -1, 1 << 40] {
            let (mut here, mut there) = (trainer(&Device::Cpu)?, trainer(device)?);
            goes_on(&mut here, &mut there, worst)?;
            let before = parameters(there.model())?;
            let mut wrong = labels(10);
            wrong.as_mut_slice()[6] = label;
            let expected = here.step(&x(10), &wrong).unwrap_err();
            same_error(&expected, &there.step(&x(10), &wrong).expect_err("no class"))?;
            if let Ok(wrong) = wrong.cast::<i32>() {
                let wrong = wrong.to(device)?;
                same_error(&expected, &there.step(&x(10), &wrong).expect_err("no class"))?;
                same_error(&expected, &there.steps(&x(10), &wrong, 5).expect_err("no class"))?;
            }
            ensure(parameters(there.model())? == before, || format!("label {label}: the parameters have changed"))?;
            goes_on(&mut here, &mut there, worst)?;
        }
        Ok(())
    });
    report.check("errors: predictions and targets that are no probabilities", 0.0, |device, _| {
        let model = |bias: f32| {
            let mut model = Chance::init(&mut Generator::manual_seed(1));
            model.parameters_mut().fill(0.0);
            model.parameters_mut()[14] = bias;
            model
        };
        for (bias, chance) in [(1.5, 0.5), (-0.5, 0.5), (f32::NAN, 0.5), (0.5, 1.5), (0.5, -0.25)] {
            let mut target: Tensor<Shape![_, 3]> = Tensor::full_of((Dyn(5), D), 0.25);
            target.as_mut_slice()[8] = chance;
            let mut here = Trainer::new(model(bias), BCELoss, SGD::new(0.1));
            let mut there = Trainer::new(model(bias), BCELoss, SGD::new(0.1)).on(device)?;
            let expected = here.step(&x(5), &target).expect_err("no probability");
            same_error(&expected, &there.step(&x(5), &target).expect_err("no probability"))?;
            let target_there = target.clone().to(device)?;
            same_error(&expected, &there.step(&x(5), &target_there).expect_err("no probability"))?;
            ensure(
                parameters(there.model())?
                    .iter()
                    .zip(model(bias).parameters())
                    .all(|(a, b)| a.to_bits() == b.to_bits()),
                || "the parameters have changed".to_owned(),
            )?;
        }
        Ok(())
    });
}

fn devices(report: &mut Report) {
    if report.device == Device::Cpu {
        return;
    }
    report.check("errors: a layer of one's own has no kernel", 0.0, |device, worst| {
        let model = Scaled::<f32>::init(&mut Generator::manual_seed(1));
        let mut trainer = Trainer::new(model, CrossEntropyLoss, SGD::new(0.1)).on(device)?;
        let x: Tensor<Shape![5, 7]> = Tensor::ones();
        let labels: Tensor<Shape![5], i64> = Tensor::zeros();
        let error = trainer.step(&x, &labels).expect_err("no kernel").to_string();
        ensure(error.contains("LinearScale") && error.contains("scale"), || format!("the error is `{error}`"))?;
        let error = trainer.model().try_forward(&x.to(device)?).expect_err("no kernel").to_string();
        ensure(error.contains("LinearScale"), || format!("the error is `{error}`"))?;
        let loss = trainer.on(&Device::Cpu)?.step(&Tensor::<Shape![5, 7]>::ones(), &labels)?;
        worst.note(error);
        ensure(loss.is_finite(), || "no training on the CPU after it".to_owned())
    });
    report.check("errors: a network on the GPU and its input on the CPU", 0.0, |device, worst| {
        let there = Net::init(&mut Generator::manual_seed(1)).to(device)?;
        let error = there.try_forward(&x(5)).expect_err("two devices");
        ensure(matches!(error, Error::Devices { .. }), || format!("the error is `{error}`"))?;
        worst.note(error.to_string());
        let here = Net::init(&mut Generator::manual_seed(1));
        let error = here.try_forward(&x(5).to(device)?).expect_err("two devices");
        ensure(matches!(error, Error::Devices { .. }), || format!("the error is `{error}`"))
    });
    report.check("errors: a GPU that is not there", 0.0, |_, worst| {
        let error = Device::cuda(99).expect_err("no machine has a hundred GPUs");
        worst.note(error.to_string());
        ensure(matches!(error, Error::Device { .. }), || format!("the error is `{error}`"))
    });
}

fn memory(report: &mut Report) {
    if report.device == Device::Cpu {
        return;
    }
    report.check("memory: more than there is, is an error, and the program goes on", 1e-5, |device, worst| {
        sequential! { struct Large { Linear(1, 1_000_000) } }
        let (_, total) = device.mem_get_info()?.ok_or("a GPU knows its memory")?;
        let rows = 2 * total / 4_000_000 + 1;
        let large = Large::init(&mut Generator::manual_seed(1)).to(device)?;
        let x: Tensor<Shape![_, 1]> = Tensor::zeros_of((Dyn(rows), D));
        let labels: Labels<i32> = Tensor::zeros_of((Dyn(rows),));
        let mut trainer = Trainer::new(large, CrossEntropyLoss, SGD::new(0.1)).on(device)?;
        for _ in 0..2 {
            let error =
                trainer.model().try_forward(&x.clone().to(device)?).err().ok_or("twice the memory was there")?;
            ensure(error.to_string().contains("out of memory"), || format!("the error is `{error}`"))?;
            let error = trainer.step(&x, &labels).err().ok_or("twice the memory was there")?;
            ensure(error.to_string().contains("out of memory"), || format!("the error is `{error}`"))?;
            worst.note(error.to_string());
            let (mut a, mut b) = (self::trainer(&Device::Cpu)?, self::trainer(device)?);
            goes_on(&mut a, &mut b, worst)?;
        }
        // The same trainer on what fits.
        let loss = trainer.step(&Tensor::<Shape![_, 1]>::zeros_of((Dyn(2), D)), &Labels::<i32>::zeros_of((Dyn(2),)))?;
        ensure(loss.is_finite(), || format!("the loss is {loss}"))
    });
    let steps = if report.quick { 1000 } else { 10_000 };
    report.check(&format!("memory: {steps} steps take no more of it"), 0.0, |device, worst| {
        let mut trainer = trainer(device)?;
        let data: TensorDataset<Shape![4]> = TensorDataset::new(x(100), labels(100))?;
        // Batches of 32, and a last one of 4.
        let mut some = |steps: usize| -> Outcome<usize> {
            trainer.fit(&data, Fit::epochs((steps / 8) as u64).batch(32).shuffle(1).quiet())?;
            for step in 0..steps / 2 {
                trainer.step(&x(1 + step % 3), &labels(1 + step % 3))?;
            }
            trainer.evaluate(&data)?;
            trainer.model().try_forward(&x(17).to(device)?)?;
            device.synchronize()?;
            Ok(device.mem_get_info()?.ok_or("a GPU knows its memory")?.0)
        };
        some(200)?;
        let first = some(200)?;
        let last = some(steps)?;
        worst.note(format!("{first} bytes free before and {last} after"));
        ensure(last + SLACK >= first, || format!("{} bytes more are used after {steps} steps", first - last))
    });
    report.check("memory: networks that come and go take no more of it", 0.0, |device, worst| {
        let one = || -> Outcome {
            trainer(device)?.steps(&x(64), &labels(64), 4)?;
            Ok(())
        };
        let free = || -> Outcome<usize> {
            device.synchronize()?;
            Ok(device.mem_get_info()?.ok_or("a GPU knows its memory")?.0)
        };
        for _ in 0..10 {
            one()?;
        }
        let first = free()?;
        for _ in 0..200 {
            one()?;
        }
        let last = free()?;
        worst.note(format!("{first} bytes free before and {last} after"));
        ensure(last + SLACK >= first, || format!("{} bytes more are used after 200 networks", first - last))
    });
}
