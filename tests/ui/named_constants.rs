use plywood::prelude::*;

const HIDDEN: usize = 64;
const OTHER: usize = 32;

sequential! {
    /// A network.
    pub struct Net {
        Linear(4, HIDDEN),
        ReLU,
        Linear(OTHER, 2), //~ layer 2
    }
}

fn main() {}
