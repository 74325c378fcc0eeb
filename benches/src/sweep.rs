//! Networks of many shapes beside the tasks: a step with SGD of each, timed for `peers/sweep.py`.

use plywood::prelude::*;
use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// The networks as a user would write them, by the shapes of their inputs and outputs. A line of JSON of each gives them in
/// the same words to the other side, and the median time of a step in microseconds.
macro_rules! networks {
    ($([$batch:tt] $input:tt => $output:tt: [$($layer:tt)*];)+) => {
        pub(crate) fn run(secs: f64, with: &str) -> Result<(), Box<dyn Error>> {
            $(if concat!(stringify!([$batch] $input), ": ", stringify!($($layer)*)).contains(with) {
                sequential! { struct Net: $input => $output { $($layer)* } }
                let mut rng = Generator::manual_seed(0);
                let mut model = Net::init(&mut rng);
                let x = <networks!(tensor $batch $input)>::rand(&mut rng);
                let y = <networks!(tensor $batch $output)>::zeros();
                let (mut optimizer, mut workspace) = (SGD::new(1e-3), Workspace::new());
                let us = median(secs, &mut || {
                    let (loss, gradients) = model.gradients_with(&mut workspace, black_box(&x), &y, &MSELoss)?;
                    optimizer.step(&mut model, gradients)?;
                    Ok(loss)
                })?;
                let [input, layers] = [stringify!($input), stringify!($($layer)*)];
                println!("{}", serde_json::json!({ "batch": $batch, "input": input, "layers": layers, "us": us }));
            })+
            Ok(())
        }
    };
    (tensor $batch:tt ($($size:tt),+)) => { Tensor<Shape![$batch, $($size),+]> };
}

networks! {
    [1] (256) => (10): [Linear(256, 256), ReLU, Linear(256, 10)];
    [1] (2048) => (2048): [Linear(2048, 2048), Tanh, Linear(2048, 2048)];
    [3] (301) => (77): [Linear(301, 501), Sigmoid, Linear(501, 77)];
    [16] (784) => (10): [Linear(784, 512), ReLU, Linear(512, 512), ReLU, Linear(512, 10)];
    [17] (1000) => (1000): [Linear(1000, 1000), ELU, Linear(1000, 1000)];
    [32] (1024) => (1024): [Linear(1024, 1024), ReLU, Linear(1024, 1024)];
    [33] (97) => (3): [Linear(97, 131), Tanh, Linear(131, 61), Tanh, Linear(61, 3)];
    [50] (1500) => (100): [Linear(1500, 700), LeakyReLU, Linear(700, 100)];
    [64] (512) => (512): [Linear(512, 512), GELU, Linear(512, 512), GELU, Linear(512, 512)];
    [64] (4096) => (1000): [Linear(4096, 2048), ReLU, Linear(2048, 1000)];
    [100] (333) => (222): [Linear(333, 444), SiLU, Linear(444, 222)];
    [128] (64) => (8): [Linear(64, 64), Sigmoid, Linear(64, 64), Sigmoid, Linear(64, 64), Sigmoid, Linear(64, 8)];
    [200] (600) => (600): [Linear(600, 1201), Softplus, Linear(1201, 600)];
    [256] (256) => (1): [Linear(256, 256), ReLU, Linear(256, 256), ReLU, Linear(256, 256), ReLU, Linear(256, 256), ReLU,
        Linear(256, 256), ReLU, Linear(256, 256), ReLU, Linear(256, 256), ReLU, Linear(256, 1)];
    [500] (20) => (2): [Linear(20, 300), Tanh, Linear(300, 2)];
    [512] (1024) => (1024): [Linear(1024, 1024), ReLU, Linear(1024, 1024)];
    [1000] (100) => (10): [Linear(100, 200), Hardtanh, Linear(200, 10)];
    [1024] (784) => (10): [Linear(784, 128), ReLU, Linear(128, 10)];
    [4096] (8) => (1): [Linear(8, 32), Tanh, Linear(32, 32), Tanh, Linear(32, 1)];
    [4096] (128) => (128): [Linear(128, 128), GELU, Linear(128, 128)];
    [1] (3, 32, 32) => (8, 32, 32): [Conv2d(3, 16, kernel = 3, padding = 1), ReLU, Conv2d(16, 8, kernel = 3, padding = 1)];
    [8] (64, 28, 28) => (64, 28, 28): [Conv2d(64, 64, kernel = 3, padding = 1), ReLU, Conv2d(64, 64, kernel = 3, padding = 1)];
    [8] (256, 14, 14) => (256, 14, 14): [Conv2d(256, 256, kernel = 3, padding = 1), ReLU,
        Conv2d(256, 256, kernel = 3, padding = 1)];
    [16] (128, 7, 7) => (128, 7, 7): [Conv2d(128, 128, kernel = 3, padding = 1), ReLU,
        Conv2d(128, 128, kernel = 3, padding = 1)];
    [32] (3, 32, 32) => (32, 8, 8): [Conv2d(3, 32, kernel = 5, padding = 2), ReLU, MaxPool2d(2),
        Conv2d(32, 32, kernel = 5, padding = 2), ReLU, MaxPool2d(2)];
    [64] (1, 28, 28) => (6, 12, 12): [Conv2d(1, 6, kernel = 5), Tanh, MaxPool2d(2)];
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
