use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net: (1, 12, 12) => 10 {
        Conv2d(1, 4, 5), ReLU, MaxPool2d(4),
        Conv2d(4, 8, 2), MaxPool2d(2), //~ layer 4 `MaxPool2d(2)`: the kernel is 2 high, but what layer 3 `Conv2d(4, 8, 2)` gives is 1
        Flatten,
        Linear(_, 10),
    }
}

fn main() {}
