use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net {
        Linear(4, 8),
        ReLU(inplace = true), //~ layer 1
    }
}

fn main() {}
