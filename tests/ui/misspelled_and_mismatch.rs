use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net {
        Linear(4, 8),
        Relu, //~ layer 1
        Linear(9, 2), //~ layer 2
    }
}

fn main() {}
