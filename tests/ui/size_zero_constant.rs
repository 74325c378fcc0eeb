use plywood::prelude::*;

const NONE: usize = 0;

sequential! {
    /// A network.
    pub struct Net {
        Linear(4, NONE), //~ layer 0
    }
}

fn main() {}
