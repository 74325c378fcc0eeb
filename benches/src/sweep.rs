//! Networks of many shapes beside the tasks, for `peers/sweep.py`: a step with SGD, or the forward pass of a batch.

use plywood::prelude::*;
use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// The networks as a user would write them, by the shapes of their inputs and outputs. A line of JSON of each gives them in
/// the same words to the other side, and the median time of a step in microseconds.
macro_rules! networks {
    ($($kind:ident [$batch:tt] $input:tt => $output:tt: [$($layer:tt)*];)+) => {
        pub(crate) fn run(secs: f64, with: &str) -> Result<(), Box<dyn Error>> {
            $(
                let [kind, input] = [stringify!($kind), stringify!($input)];
                let layers = stringify!($($layer)*).split_whitespace().collect::<Vec<_>>().join(" ");
                let name = format!("{kind} {} × {input}: {layers}", $batch);
                if name.contains(with) {
                    sequential! { struct Net: $input => $output { $($layer)* } }
                    let us = networks!($kind Net, secs, $batch, $input, $output)?;
                    let network = serde_json::json!({ "name": name, "kind": kind, "batch": $batch, "input": input,
                        "layers": layers, "us": us });
                    println!("{network}");
                }
            )+
            Ok(())
        }
    };
    (train $Net:ident, $secs:ident, $batch:tt, $input:tt, $output:tt) => {{
        let mut rng = Generator::manual_seed(0);
        let mut model = $Net::init(&mut rng);
        let x = <networks!(tensor $batch $input)>::rand(&mut rng);
        let y = <networks!(tensor $batch $output)>::zeros();
        let (mut optimizer, mut workspace) = (SGD::new(1e-3), Workspace::new());
        median($secs, &mut || {
            let (loss, gradients) = model.gradients_with(&mut workspace, black_box(&x), &y, &MSELoss)?;
            optimizer.step(&mut model, gradients)?;
            Ok(loss)
        })
    }};
    (infer $Net:ident, $secs:ident, $batch:tt, $input:tt, $output:tt) => {{
        let mut rng = Generator::manual_seed(0);
        let model = $Net::init(&mut rng);
        let x = <networks!(tensor $batch $input)>::rand(&mut rng);
        let mut workspace = Workspace::new();
        median($secs, &mut || Ok(model.forward_with(&mut workspace, black_box(&x)).as_slice()[0]))
    }};
    (tensor $batch:tt ($($size:tt),+)) => { Tensor<Shape![$batch, $($size),+]> };
}

networks! {
    train [1] (256) => (10): [Linear(256, 256), ReLU, Linear(256, 10)];
    train [1] (2048) => (2048): [Linear(2048, 2048), Tanh, Linear(2048, 2048)];
    train [3] (301) => (77): [Linear(301, 501), Sigmoid, Linear(501, 77)];
    train [16] (784) => (10): [Linear(784, 512), ReLU, Linear(512, 512), ReLU, Linear(512, 10)];
    train [17] (1000) => (1000): [Linear(1000, 1000), ELU, Linear(1000, 1000)];
    train [32] (1024) => (1024): [Linear(1024, 1024), ReLU, Linear(1024, 1024)];
    train [33] (97) => (3): [Linear(97, 131), Tanh, Linear(131, 61), Tanh, Linear(61, 3)];
    train [50] (1500) => (100): [Linear(1500, 700), LeakyReLU, Linear(700, 100)];
    train [64] (512) => (512): [Linear(512, 512), GELU, Linear(512, 512), GELU, Linear(512, 512)];
    train [64] (4096) => (1000): [Linear(4096, 2048), ReLU, Linear(2048, 1000)];
    train [100] (333) => (222): [Linear(333, 444), SiLU, Linear(444, 222)];
    train [128] (64) => (8): [Linear(64, 64), Sigmoid, Linear(64, 64), Sigmoid, Linear(64, 64), Sigmoid, Linear(64, 8)];
    train [200] (600) => (600): [Linear(600, 1201), Softplus, Linear(1201, 600)];
    train [256] (256) => (1): [Linear(256, 256), ReLU, Linear(256, 256), ReLU, Linear(256, 256), ReLU, Linear(256, 256), ReLU,
        Linear(256, 256), ReLU, Linear(256, 256), ReLU, Linear(256, 256), ReLU, Linear(256, 1)];
    train [500] (20) => (2): [Linear(20, 300), Tanh, Linear(300, 2)];
    train [512] (1024) => (1024): [Linear(1024, 1024), ReLU, Linear(1024, 1024)];
    train [1000] (100) => (10): [Linear(100, 200), Hardtanh, Linear(200, 10)];
    train [1024] (784) => (10): [Linear(784, 128), ReLU, Linear(128, 10)];
    train [4096] (8) => (1): [Linear(8, 32), Tanh, Linear(32, 32), Tanh, Linear(32, 1)];
    train [4096] (128) => (128): [Linear(128, 128), GELU, Linear(128, 128)];
    train [1] (3, 32, 32) => (8, 32, 32): [Conv2d(3, 16, kernel = 3, padding = 1), ReLU, Conv2d(16, 8, kernel = 3, padding = 1)];
    train [8] (64, 28, 28) => (64, 28, 28): [Conv2d(64, 64, kernel = 3, padding = 1), ReLU, Conv2d(64, 64, kernel = 3, padding = 1)];
    train [8] (256, 14, 14) => (256, 14, 14): [Conv2d(256, 256, kernel = 3, padding = 1), ReLU,
        Conv2d(256, 256, kernel = 3, padding = 1)];
    train [16] (128, 7, 7) => (128, 7, 7): [Conv2d(128, 128, kernel = 3, padding = 1), ReLU,
        Conv2d(128, 128, kernel = 3, padding = 1)];
    train [32] (3, 32, 32) => (32, 8, 8): [Conv2d(3, 32, kernel = 5, padding = 2), ReLU, MaxPool2d(2),
        Conv2d(32, 32, kernel = 5, padding = 2), ReLU, MaxPool2d(2)];
    train [64] (1, 28, 28) => (6, 12, 12): [Conv2d(1, 6, kernel = 5), Tanh, MaxPool2d(2)];
    infer [1] (784) => (10): [Linear(784, 256), Tanh, Linear(256, 256), Tanh, Linear(256, 10)];
    infer [1] (256) => (256): [Linear(256, 1024), SiLU, Linear(1024, 256)];
    infer [1] (512) => (512): [Linear(512, 2048), GELU, Linear(2048, 512)];
    infer [1] (33) => (5): [Linear(33, 301), ELU, Linear(301, 5)];
    infer [16] (784) => (10): [Linear(784, 512), ReLU, Linear(512, 512), ReLU, Linear(512, 10)];
    infer [16] (512) => (512): [Linear(512, 2048), GELU, Linear(2048, 512)];
    infer [16] (301) => (77): [Linear(301, 501), Sigmoid, Linear(501, 77)];
    infer [256] (784) => (10): [Linear(784, 512), ELU, Linear(512, 512), ELU, Linear(512, 10)];
    infer [256] (512) => (512): [Linear(512, 2048), GELU, Linear(2048, 512)];
    infer [256] (100) => (10): [Linear(100, 200), Softplus, Linear(200, 10)];
    infer [4096] (8) => (1): [Linear(8, 32), Tanh, Linear(32, 32), Tanh, Linear(32, 1)];
    infer [4096] (64) => (64): [Linear(64, 64), SiLU, Linear(64, 64)];
    infer [4096] (128) => (128): [Linear(128, 128), GELU, Linear(128, 128)];
    infer [4096] (256) => (16): [Linear(256, 256), Sigmoid, Linear(256, 16)];
    infer [1] (3, 32, 32) => (32, 8, 8): [Conv2d(3, 32, kernel = 5, padding = 2), ReLU, MaxPool2d(2),
        Conv2d(32, 32, kernel = 5, padding = 2), ReLU, MaxPool2d(2)];
    infer [16] (64, 28, 28) => (64, 28, 28): [Conv2d(64, 64, kernel = 3, padding = 1), SiLU,
        Conv2d(64, 64, kernel = 3, padding = 1)];
    infer [256] (1, 28, 28) => (6, 12, 12): [Conv2d(1, 6, kernel = 5), Tanh, MaxPool2d(2)];
}

/// The median time of a step, of so many seconds after a fifth as many.
fn median(secs: f64, step: &mut dyn FnMut() -> plywood::Result<f32>) -> plywood::Result<f64> {
    let mut times = Vec::new();
    for secs in [secs / 5.0, secs] {
        times.clear();
        let start = Instant::now();
        while times.len() < 3 || start.elapsed() < Duration::from_secs_f64(secs) {
            let step_start = Instant::now();
            black_box(step()?);
            times.push(step_start.elapsed().as_secs_f64() * 1e6);
        }
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}
