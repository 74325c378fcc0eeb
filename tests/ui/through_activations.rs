use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net {
        Linear(4, 8),
        ReLU,
        Identity,
        Tanh,
        Linear(9, 2), //~ layer 4
    }
}

fn main() {}
