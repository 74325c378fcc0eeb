//! candle on the CPU, with its default features.

use candle_core::{Device, Module, Result, Tensor, Var};
use candle_nn::{AdamW, Linear, Optimizer, ParamsAdamW, SGD, loss, ops};
use protocol::{Kind, Task, Workload};

/// The weight and the bias of each layer.
type Parameters = Vec<(Tensor, Tensor)>;

fn forward(workload: &Workload, parameters: &Parameters, x: &Tensor) -> Result<Tensor> {
    let mut h = x.clone();
    for (i, (w, b)) in parameters.iter().enumerate() {
        if w.rank() == 4 {
            let b = b.reshape((1, (), 1, 1))?;
            h = h.conv2d(w, 1, 1, 1, 1)?.broadcast_add(&b)?.relu()?.max_pool2d(2)?;
            continue;
        }
        h = Linear::new(w.clone(), Some(b.clone())).forward(&h.flatten_from(1)?)?;
        if i + 1 < parameters.len() {
            h = if workload.activation == "relu" { h.relu()? } else { ops::sigmoid(&h)? };
        }
    }
    Ok(h)
}

fn train<O: Optimizer + 'static>(workload: Workload, mut optimizer: O, parameters: Parameters) -> Result<Box<dyn FnMut(f64) -> f32>> {
    let x = Tensor::from_vec(workload.x(), [&[workload.batch][..], &workload.input].concat(), &Device::Cpu)?;
    let y = match workload.loss.as_str() {
        "ce" => Tensor::from_vec(workload.labels(), workload.batch, &Device::Cpu)?,
        _ => Tensor::from_vec(workload.targets(), (workload.batch, workload.outputs()), &Device::Cpu)?,
    };
    Ok(Box::new(move |lr| {
        optimizer.set_learning_rate(lr);
        let step = forward(&workload, &parameters, &x).and_then(|z| match workload.loss.as_str() {
            "ce" => loss::cross_entropy(&z, &y),
            "bce" => loss::binary_cross_entropy_with_logit(&z, &y),
            _ => loss::mse(&z, &y),
        });
        let loss = step.expect("a loss");
        optimizer.backward_step(&loss).expect("a step");
        loss.to_scalar().expect("a scalar")
    }))
}

fn step(task: &Task) -> Result<Box<dyn FnMut(f64) -> f32>> {
    let workload = task.workload.clone();
    let mut vars = Vec::new();
    let mut parameters = Vec::new();
    for (i, shape) in workload.weights.iter().enumerate() {
        let w = Var::from_vec(workload.weight(i), shape.clone(), &Device::Cpu)?;
        let b = Var::from_vec(workload.bias(i), shape[0], &Device::Cpu)?;
        parameters.push((w.as_tensor().clone(), b.as_tensor().clone()));
        vars.extend([w, b]);
    }
    match task.kind {
        Kind::Sgd => train(workload, SGD::new(vars, 0.0)?, parameters),
        Kind::Adam => {
            let adam = ParamsAdamW { lr: 0.0, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0 };
            train(workload, AdamW::new(vars, adam)?, parameters)
        }
        Kind::Infer1 => {
            let parameters: Parameters = parameters.iter().map(|(w, b)| (w.detach(), b.detach())).collect();
            let x = Tensor::from_slice(&workload.x()[..workload.features()], (1, workload.features()), &Device::Cpu)?;
            Ok(Box::new(move |_| {
                let z = forward(&workload, &parameters, &x).and_then(|z| z.get(0)?.get(0)?.to_scalar());
                z.expect("an output")
            }))
        }
    }
}

fn main() {
    protocol::main("candle", |task| Some(step(task).expect("the shapes fit")));
}
