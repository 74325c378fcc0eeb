use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net {
        Linear(4, 8),
        Linear(9, 16), //~ layer 1
        ReLU,
        Linear(16, 32),
        Linear(31, 2), //~ layer 4
    }
}

fn main() {}
