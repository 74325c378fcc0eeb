//! The workloads' networks as a user of Plywood writes them. W9 is W7 with more samples.

use plywood::prelude::*;
use plywood_bench_protocol::Workload;

sequential! { pub struct W1 { Linear(6, 4), Sigmoid, Linear(4, 1) } }
sequential! { pub struct W2 { Linear(2, 10), Sigmoid, Linear(10, 1) } }
sequential! { pub struct W3 { Linear(4, 64), ReLU, Linear(64, 64), ReLU, Linear(64, 3) } }
sequential! { pub struct W4 { Linear(784, 128), ReLU, Linear(128, 10) } }
sequential! { pub struct W5 { Linear(784, 1024), ReLU, Linear(1024, 1024), ReLU, Linear(1024, 10) } }
sequential! { pub struct W6 { Linear(1024, 4096), ReLU, Linear(4096, 4096), ReLU, Linear(4096, 1024) } }
sequential! {
    pub struct W7: (1, 28, 28) => 10 {
        Conv2d(1, 16, kernel = 3, padding = 1),
        ReLU,
        MaxPool2d(2),
        Conv2d(16, 32, kernel = 3, padding = 1),
        ReLU,
        MaxPool2d(2),
        Flatten,
        Linear(1568, 10),
    }
}
sequential! {
    pub struct W8 { Linear(64, 64), ReLU, Linear(64, 64), ReLU, Linear(64, 64), ReLU, Linear(64, 16) }
}

/// The initial parameters of a workload.
#[must_use]
pub fn parameters(workload: &Workload) -> Vec<f32> {
    (0..workload.weights.len()).flat_map(|layer| [workload.weight(layer), workload.bias(layer)].concat()).collect()
}
