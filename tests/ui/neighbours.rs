use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net {
        Linear(4, 8),
        Linear(9, 2), //~ layer 1
    }
}

fn main() {}
