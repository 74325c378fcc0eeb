use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net: (1, 28, 28) => 10 {
        Conv2d(1, 4, 3), ReLU,
        Linear(2704, 10), //~ layer 2 `Linear(2704, 10)` takes 2704 features, but layer 1 `ReLU` gives 4 × 26 × 26, the last of which is 26; put `Flatten` before this layer
    }
}

fn main() {}
