use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net {
        Linear(_, 8), //~ layer 0
    }
}

fn main() {}
