use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net {
        Linear(4, _), //~ layer 0
    }
}

fn main() {}
