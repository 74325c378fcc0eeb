use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net: (3, 32, 32) => 10 {
        Conv2d(3, 8, 3, padding = 1), ReLU, MaxPool2d(2),
        Conv2d(16, 32, 3, padding = 1), ReLU, MaxPool2d(2), //~ layer 3 `Conv2d(16, 32, 3, padding = 1)` takes 16 channels, but layer 2 `MaxPool2d(2)` gives 8 (8 × 16 × 16)
        Flatten,
        Linear(2048, 10),
    }
}

fn main() {}
