use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net {
        Linear(1, 1_000_000),
        Linear(1_000_001, 1), //~ layer 1
    }
}

fn main() {}
