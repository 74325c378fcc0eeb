use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net {
        Linear(4, 8, biass = true), //~ layer 0
    }
}

fn main() {}
