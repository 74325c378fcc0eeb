//! Every optimizer with its settings, step by step, and between devices.

use crate::parity::{compare_state, one_step, parameters};
use crate::report::{Outcome, Report, ensure};
use plywood::prelude::*;

sequential! { struct Net { Linear(6, 40), Tanh, Linear(40, 33), SiLU, Linear(33, 3), Identity, Identity, Identity, Identity } }

const STEPS: usize = 12;

/// Data that every check trains on.
#[allow(clippy::type_complexity)]
fn batch<E: Float>() -> (Tensor<Shape![_, 6], E>, Tensor<Shape![_, 3], E>) {
    let mut rng = Generator::manual_seed(9);
    (Tensor::randn_of((Dyn(50), D), &mut rng), Tensor::randn_of((Dyn(50), D), &mut rng))
}

fn optimizer<E: Float, O: Optimizer<E> + Clone + 'static>(report: &mut Report, name: &str, optimizer: O)
where
    Net<E>: Model<Elem = E, Input = (D<6>,), Output = (D<3>,)>,
{
    let start = || Net::<E>::init(&mut Generator::manual_seed(4));
    let (x, y) = batch::<E>();
    // Each step's rounding goes into the next, and Adam divides by roots of small numbers.
    let bound = one_step::<E>() * if size_of::<E>() == 4 { 10.0 } else { 100.0 };
    report.check(&format!("optimizers: {name}, {STEPS} steps, {}", E::DTYPE), bound, |device, worst| {
        let mut here = Trainer::new(start(), MSELoss, optimizer.clone());
        let mut there = Trainer::new(start(), MSELoss, optimizer.clone()).on(device)?;
        let (x_there, y_there) = (x.clone().to(device)?, y.clone().to(device)?);
        for step in 0..STEPS {
            // Recorded steps take the new setting.
            if step % 4 == 3 {
                for trainer in [&mut here, &mut there] {
                    let lr = trainer.optimizer_mut().learning_rate() * 0.5;
                    trainer.optimizer_mut().set_learning_rate(lr);
                }
            }
            let expected = here.step(&x, &y)?;
            // By turns from the CPU's memory and from the GPU's.
            let got = if step % 2 == 0 { there.step(&x, &y)? } else { there.step(&x_there, &y_there)? };
            worst.compare(&format!("the loss of step {step}"), &[got], &[expected])?;
        }
        compare_state::<Net<E>>(worst, "after all steps", &parameters(there.model())?, here.model().parameters())
    });
    report.check(&format!("optimizers: {name} by hand, {}", E::DTYPE), bound, |device, worst| {
        let (mut here, mut there) = (start(), start().to(device)?);
        let (mut of_here, mut of_there) = (optimizer.clone(), optimizer.clone());
        let x_there = x.clone().to(device)?;
        for _ in 0..STEPS {
            let (_, gradients) = here.gradients(&x, &y, &MSELoss)?;
            of_here.step(&mut here, &gradients)?;
            let (_, gradients) = there.gradients(&x_there, &y, &MSELoss)?;
            of_there.step(&mut there, &gradients)?;
        }
        compare_state::<Net<E>>(worst, "after all steps", &parameters(&there)?, here.parameters())
    });
    report.check(
        &format!("optimizers: {name} from the GPU to the CPU and back, {}", E::DTYPE),
        bound,
        |device, worst| {
            let mut here = Trainer::new(start(), MSELoss, optimizer.clone());
            let mut moving = Trainer::new(start(), MSELoss, optimizer.clone()).on(device)?;
            for part in 0..4 {
                for _ in 0..5 {
                    let (expected, got) = (here.step(&x, &y)?, moving.step(&x, &y)?);
                    worst.compare(&format!("the loss in part {part}"), &[got], &[expected])?;
                }
                moving = moving.on(if part % 2 == 0 { &Device::Cpu } else { device })?;
            }
            ensure(moving.model().device() == *device, || "the network is not where it was moved to".to_owned())?;
            compare_state::<Net<E>>(worst, "after all parts", &parameters(moving.model())?, here.model().parameters())
        },
    );
}

fn both<A, B>(report: &mut Report, name: &str, of: (A, B))
where
    A: Optimizer<f32> + Clone + 'static,
    B: Optimizer<f64> + Clone + 'static,
{
    optimizer::<f32, A>(report, name, of.0);
    optimizer::<f64, B>(report, name, of.1);
}

macro_rules! optimizers {
    ($report:expr; $($optimizer:expr),* $(,)?) => {
        $(both($report, stringify!($optimizer), ($optimizer, $optimizer));)*
    };
}

pub(crate) fn check(report: &mut Report) {
    optimizers!(report;
        SGD::new(0.1),
        SGD::new(0.1).momentum(0.9),
        SGD::new(0.1).momentum(0.8).nesterov(true),
        SGD::new(0.1).momentum(0.9).dampening(0.3),
        SGD::new(0.1).weight_decay(0.1),
        SGD::new(0.05).momentum(0.9).weight_decay(0.05).nesterov(true),
        SGD::new(0.05).momentum(0.8).dampening(0.1).weight_decay(0.02),
        Adam::new(0.01),
        Adam::new(0.02).betas(0.8, 0.95).eps(1e-6),
        Adam::new(0.01).weight_decay(0.1),
        AdamW::new(0.01),
    );
    clipped::<f32>(report);
    clipped::<f64>(report);
    settings(report);
}

/// Gradients clipped in recorded steps, with a setting that changes, and by hand.
fn clipped<E: Float>(report: &mut Report)
where
    Net<E>: Model<Elem = E, Input = (D<6>,), Output = (D<3>,)>,
{
    let start = || Net::<E>::init(&mut Generator::manual_seed(4));
    let (x, y) = batch::<E>();
    let bound = one_step::<E>() * if size_of::<E>() == 4 { 10.0 } else { 100.0 };
    report.check(&format!("optimizers: clipped gradients, {}", E::DTYPE), bound, |device, worst| {
        let run = |device: &Device| -> Outcome<_> {
            let mut trainer = Trainer::new(start(), MSELoss, SGD::<E>::new(0.5).momentum(0.9)).on(device)?;
            let mut losses = Vec::new();
            for part in 0..4 {
                trainer = match part {
                    0 => trainer.clip_grad_norm(0.1),
                    1 => trainer.clip_grad_value(0.01),
                    2 => trainer.clip_grad_norm(0.05),
                    _ => trainer.clip_grad_norm(f64::INFINITY),
                };
                losses.extend((0..STEPS).map(|_| trainer.step(&x, &y)).collect::<plywood::Result<Vec<E>>>()?);
            }
            Ok((losses, parameters(trainer.model())?))
        };
        let (expected, got) = (run(&Device::Cpu)?, run(device)?);
        worst.compare("the losses", &got.0, &expected.0)?;
        compare_state::<Net<E>>(worst, "after all steps", &got.1, &expected.1)
    });
    report.check(&format!("optimizers: gradients clipped by hand, {}", E::DTYPE), bound, |device, worst| {
        let run = |device: &Device| -> Outcome<_> {
            let (model, x, y) = (start().to(device)?, x.clone().to(device)?, y.clone().to(device)?);
            let (_, mut gradients) = model.gradients(&x, &y, &MSELoss)?;
            let norms = [gradients.clip_grad_norm(0.1)?, gradients.clip_grad_norm(10.0)?];
            gradients.clip_grad_value(0.005)?;
            Ok((norms, parameters(&*gradients)?))
        };
        let (expected, got) = (run(&Device::Cpu)?, run(device)?);
        worst.compare("the norms", &got.0, &expected.0)?;
        compare_state::<Net<E>>(worst, "the gradients", &got.1, &expected.1)
    });
}

/// A setting that makes no sense is the same error, and changes nothing.
fn settings(report: &mut Report) {
    report.check("optimizers: a setting that makes no sense", 0.0, |device, _| {
        let (x, y) = batch::<f32>();
        let start = || Net::<f32>::init(&mut Generator::manual_seed(4));
        let before = start().parameters().to_vec();
        let mut here = Trainer::new(start(), MSELoss, Adam::new(0.1).betas(1.0, 0.9));
        let mut there = Trainer::new(start(), MSELoss, Adam::new(0.1).betas(1.0, 0.9)).on(device)?;
        let (expected, got) = (here.step(&x, &y).unwrap_err(), there.step(&x, &y).unwrap_err());
        ensure(expected.to_string() == got.to_string(), || format!("{got} instead of {expected}"))?;
        ensure(parameters(there.model())? == before, || "the parameters have changed".to_owned())
    });
}
