use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net {
        Linear(4, 8, bais = false), //~ layer 0
        Tanh,
        Linear(0, 2), //~ layer 2
        Linear(2, -1), //~ layer 3
    }
}

fn main() {}
