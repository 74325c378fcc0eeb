use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net {
        Linear(4, 8),
        LeakyReLU(true), //~ layer 1
    }
}

fn main() {}
