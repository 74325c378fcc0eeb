use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net: (1, 28, 28) => 10 {
        Conv2d(1, 4, 3), ReLU,
        Linear(_, 10), //~ put `Flatten` before this layer
    }
}

fn main() {}
