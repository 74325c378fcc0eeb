use plywood::prelude::*;

const SIDE: usize = 28;

sequential! {
    /// A network.
    pub struct Net: (1, SIDE, SIDE) => 10 {
        Conv2d(1, 16, 3), MaxPool2d(2),
        Flatten,
        Linear(784, 10), //~ layer 3 `Linear(784, 10)` takes D<784> features, but layer 2 `Flatten` gives D<2, 704>
    }
}

fn main() {}
