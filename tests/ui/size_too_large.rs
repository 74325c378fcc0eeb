use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net {
        Linear(4, 1_000_000_001), //~ layer 0
    }
}

fn main() {}
