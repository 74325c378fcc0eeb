use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net {
        Linear(4, 8, bias = true, bias = false), //~ layer 0
    }
}

fn main() {}
