//! A step of each workload, and one sample forward.

use plywood::prelude::*;
use plywood_bench::{W1, W2, W3, W4, W5, W6, W7, parameters};
use plywood_bench_protocol::{Kind, Task};
use std::hint::black_box;

/// What runs one step with a learning rate and returns the loss; in inference, the first output.
pub(crate) type Step = Box<dyn FnMut(f64) -> f32>;

/// A step of a network on `[batch, input…]` with a target and a loss.
macro_rules! step {
    ($task:ident, $Net:ty, [$batch:literal, $($input:literal),+], $target:expr, $loss:expr) => {{
        let model = <$Net>::from_parameters(&parameters(&$task.workload))?;
        let x = $task.workload.x();
        match $task.kind {
            Kind::Infer1 => {
                let x: Tensor<Shape![1, $($input),+]> = Tensor::from_slice(&x[..$task.workload.features()])?;
                let mut workspace = Workspace::new();
                Box::new(move |_| model.forward_with(&mut workspace, black_box(&x)).as_slice()[0])
            }
            Kind::Sgd => step!(train Trainer::new(model, $loss, SGD::new(0.0)), x, [$batch, $($input),+], $target),
            Kind::Adam => step!(train Trainer::new(model, $loss, Adam::new(0.0)), x, [$batch, $($input),+], $target),
        }
    }};
    (train $trainer:expr, $x:ident, [$($shape:literal),+], $target:expr) => {{
        let x: Tensor<Shape![$($shape),+]> = Tensor::from_slice(&$x)?;
        let (y, mut trainer) = ($target, $trainer);
        Box::new(move |lr| {
            trainer.optimizer_mut().set_learning_rate(lr);
            trainer.step(black_box(&x), &y).expect("the batch fits")
        })
    }};
}

/// Plywood's step of a task.
pub(crate) fn step(task: &Task) -> plywood::Result<Step> {
    let labels = || task.workload.labels();
    let targets = || task.workload.targets();
    Ok(match task.workload.name.as_str() {
        "W1" => step!(task, W1, [5, 6], Tensor::<Shape![5, 1]>::from_vec(targets())?, BCEWithLogitsLoss),
        "W2" => step!(task, W2, [40, 2], Tensor::<Shape![40, 1]>::from_vec(targets())?, BCEWithLogitsLoss),
        "W3" => step!(task, W3, [32, 4], Tensor::<Shape![32], i64>::from_vec(labels())?, CrossEntropyLoss),
        "W4" => step!(task, W4, [64, 784], Tensor::<Shape![64], i64>::from_vec(labels())?, CrossEntropyLoss),
        "W5" => step!(task, W5, [128, 784], Tensor::<Shape![128], i64>::from_vec(labels())?, CrossEntropyLoss),
        "W6" => step!(task, W6, [256, 1024], Tensor::<Shape![256, 1024]>::from_vec(targets())?, MSELoss),
        "W7" => step!(task, W7, [64, 1, 28, 28], Tensor::<Shape![64], i64>::from_vec(labels())?, CrossEntropyLoss),
        name => unreachable!("`{name}` is no workload"),
    })
}
