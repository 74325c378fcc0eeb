use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net {
        Linear(4, 8),
        Relu, //~ layer 1
        Linear(8, 2),
    }
}

fn main() {}
