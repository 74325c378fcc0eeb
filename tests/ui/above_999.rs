use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net {
        Linear(784, 1568),
        ReLU,
        Linear(3136, 10), //~ layer 2
    }
}

fn main() {}
