use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net {
        Linear(4, 0), //~ layer 0
    }
}

fn main() {}
