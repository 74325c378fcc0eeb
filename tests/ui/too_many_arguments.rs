use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net {
        Linear(4, 8, true, 3), //~ layer 0
    }
}

fn main() {}
