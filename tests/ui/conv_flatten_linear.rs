use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net: (1, 28, 28) => 10 {
        Conv2d(1, 16, kernel = 3, padding = 1), ReLU, MaxPool2d(2),
        Conv2d(16, 32, kernel = 3, padding = 1), ReLU, MaxPool2d(2),
        Flatten,
        Linear(3136, 10), //~ layer 7 `Linear(3136, 10)` takes 3136 features, but layer 6 `Flatten` gives 1568 (32 × 7 × 7)
    }
}

fn main() {}
