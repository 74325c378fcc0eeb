use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net {
        ReLU, //~ layer 0
        Linear(4, 2),
    }
}

fn main() {}
