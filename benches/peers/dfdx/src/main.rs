//! dfdx on the CPU, with its default features; its convolutions need a nightly compiler.

use dfdx::optim::{Adam, Sgd};
use dfdx::prelude::*;
use protocol::{Kind, Task};

type W1 = ((Linear<6, 4>, Sigmoid), (Linear<4, 1>,));
type W2 = ((Linear<2, 10>, Sigmoid), (Linear<10, 1>,));
type W3 = ((Linear<4, 64>, ReLU), (Linear<64, 64>, ReLU), (Linear<64, 3>,));
type W4 = ((Linear<784, 128>, ReLU), (Linear<128, 10>,));
type W5 = ((Linear<784, 1024>, ReLU), (Linear<1024, 1024>, ReLU), (Linear<1024, 10>,));
type W6 = ((Linear<1024, 4096>, ReLU), (Linear<4096, 4096>, ReLU), (Linear<4096, 1024>,));

macro_rules! step {
    ($task:ident, $Net:ty, $batch:literal, $input:literal, $output:literal, $loss:ident, [$($layer:tt),+]) => {{
        let workload = $task.workload.clone();
        let device = Cpu::default();
        let mut model = device.build_module::<$Net, f32>();
        $(
            model.$layer.0.weight.copy_from(&workload.weight($layer));
            model.$layer.0.bias.copy_from(&workload.bias($layer));
        )+
        let x = workload.x();
        match $task.kind {
            Kind::Sgd => {
                let optimizer = Sgd::new(&model, SgdConfig { lr: 0.0, momentum: None, weight_decay: None });
                step!(train model, device, workload, x, optimizer, $batch, $input, $output, $loss)
            }
            Kind::Adam => {
                let config = AdamConfig { lr: 0.0, betas: [0.9, 0.999], eps: 1e-8, weight_decay: None };
                let optimizer = Adam::new(&model, config);
                step!(train model, device, workload, x, optimizer, $batch, $input, $output, $loss)
            }
            Kind::Infer1 => {
                let row = x[..$input].to_vec();
                let x: Tensor<Rank2<1, $input>, f32, Cpu> = device.tensor_from_vec(row, (Const, Const));
                Box::new(move |_| model.forward(x.clone()).array()[0][0])
            }
        }
    }};
    (train $model:ident, $device:ident, $workload:ident, $x:ident, $optimizer:ident,
     $batch:literal, $input:literal, $output:literal, $loss:ident) => {{
        let x: Tensor<Rank2<$batch, $input>, f32, Cpu> = $device.tensor_from_vec($x, (Const, Const));
        let mut y = $workload.targets();
        if $workload.loss == "ce" {
            // Its cross-entropy takes probabilities.
            y.fill(0.0);
            for (row, label) in y.chunks_exact_mut($output).zip($workload.labels()) {
                row[label as usize] = 1.0;
            }
        }
        let y: Tensor<Rank2<$batch, $output>, f32, Cpu> = $device.tensor_from_vec(y, (Const, Const));
        let mut optimizer = $optimizer;
        let mut gradients = Some($model.alloc_grads());
        Box::new(move |lr| {
            optimizer.cfg.lr = lr;
            let z = $model.forward_mut(x.clone().traced(gradients.take().expect("kept")));
            let loss = $loss(z, y.clone());
            let value = loss.array();
            let mut found = loss.backward();
            optimizer.update(&mut $model, &found).expect("every parameter is used");
            $model.zero_grads(&mut found);
            gradients = Some(found);
            value
        })
    }};
}

fn step(task: &Task) -> Option<Box<dyn FnMut(f64) -> f32>> {
    Some(match task.workload.name.as_str() {
        "W1" => step!(task, W1, 5, 6, 1, binary_cross_entropy_with_logits_loss, [0, 1]),
        "W2" => step!(task, W2, 40, 2, 1, binary_cross_entropy_with_logits_loss, [0, 1]),
        "W3" => step!(task, W3, 32, 4, 3, cross_entropy_with_logits_loss, [0, 1, 2]),
        "W4" => step!(task, W4, 64, 784, 10, cross_entropy_with_logits_loss, [0, 1]),
        "W5" => step!(task, W5, 128, 784, 10, cross_entropy_with_logits_loss, [0, 1, 2]),
        "W6" => step!(task, W6, 256, 1024, 1024, mse_loss, [0, 1, 2]),
        _ => return None,
    })
}

fn main() {
    dfdx::flush_denormals_to_zero();
    protocol::main("dfdx", step);
}
