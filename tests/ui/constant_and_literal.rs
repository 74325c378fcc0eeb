use plywood::prelude::*;

const HIDDEN: usize = 64;

sequential! {
    /// A network.
    pub struct Net {
        Linear(4, HIDDEN),
        Linear(32, 2), //~ layer 1
    }
}

fn main() {}
