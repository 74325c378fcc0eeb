//! The workloads on a device, with their data there.

use crate::parity::Inputs;
use crate::report::Outcome;
use plywood::loss::Loss;
use plywood::prelude::*;
use plywood::shape::InputOf;
use plywood_bench::{W1, W2, W3, W4, W5, W6, W7, W8, parameters};
use plywood_bench_protocol::Workload;

/// A workload that is ready to run.
pub(crate) trait Run {
    /// So many steps, for the last of which it waits: the loss of that one.
    fn train(&mut self, lr: f64, steps: usize) -> Outcome<f32>;

    /// The whole batch forward, so many times, for the last of which it waits: the first number of the output.
    fn infer(&mut self, times: usize) -> Outcome<f32>;
}

struct OnDevice<M: Model, X: Shape, T, L, O> {
    trainer: Trainer<M, L, O>,
    x: Tensor<X, f32>,
    target: T,
    device: Device,
}

impl<M, X, T, L, O> Run for OnDevice<M, X, T, L, O>
where
    M: Model<Elem = f32>,
    X: InputOf<M, Inputs<M>>,
    L: Loss<X::Of<M::Output>, T, f32>,
    O: Optimizer<f32>,
{
    fn train(&mut self, lr: f64, steps: usize) -> Outcome<f32> {
        self.trainer.optimizer_mut().set_learning_rate(lr);
        Ok(self.trainer.steps(&self.x, &self.target, steps)?)
    }

    fn infer(&mut self, times: usize) -> Outcome<f32> {
        let mut y = self.trainer.model().try_forward(&self.x)?;
        for _ in 1..times {
            y = self.trainer.model().try_forward(&self.x)?;
        }
        self.device.synchronize()?;
        Ok(y.to(&Device::Cpu)?.as_slice()[0])
    }
}

/// A workload on a device.
pub(crate) fn run(workload: &Workload, adam: bool, device: &Device) -> Outcome<Box<dyn Run>> {
    macro_rules! run {
        ($Net:ty, [$($input:literal),+], $target:expr, $loss:expr) => {{
            let x: Tensor<Shape![_, $($input),+]> = Tensor::from_vec(workload.x())?;
            let model = <$Net>::from_parameters(&parameters(workload))?;
            let (x, target, device) = (x.to(device)?, $target.to(device)?, device.clone());
            if adam {
                let trainer = Trainer::new(model, $loss, Adam::new(0.0)).on(&device)?;
                Box::new(OnDevice { trainer, x, target, device })
            } else {
                let trainer = Trainer::new(model, $loss, SGD::new(0.0)).on(&device)?;
                Box::new(OnDevice { trainer, x, target, device })
            }
        }};
    }
    let labels = || Tensor::<Shape![_], i64>::from_vec(workload.labels())?.cast::<i32>();
    let targets = || workload.targets();
    Ok(match workload.name.as_str() {
        "W1" => run!(W1, [6], Tensor::<Shape![_, 1]>::from_vec(targets())?, BCEWithLogitsLoss),
        "W2" => run!(W2, [2], Tensor::<Shape![_, 1]>::from_vec(targets())?, BCEWithLogitsLoss),
        "W3" => run!(W3, [4], labels()?, CrossEntropyLoss),
        "W4" => run!(W4, [784], labels()?, CrossEntropyLoss),
        "W5" => run!(W5, [784], labels()?, CrossEntropyLoss),
        "W6" => run!(W6, [1024], Tensor::<Shape![_, 1024]>::from_vec(targets())?, MSELoss),
        "W7" | "W9" => run!(W7, [1, 28, 28], labels()?, CrossEntropyLoss),
        "W8" => run!(W8, [64], labels()?, CrossEntropyLoss),
        name => return Err(format!("`{name}` is no workload").into()),
    })
}
