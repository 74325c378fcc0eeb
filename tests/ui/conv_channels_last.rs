use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net: (28, 28, 1) => 10 {
        Conv2d(1, 8, 28), //~ channels come first, as in `(1, 28, 28)`
        Flatten,
        Linear(8, 10),
    }
}

fn main() {}
