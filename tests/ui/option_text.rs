use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net {
        Linear(4, 8),
        GELU(approximate = "tan"), //~ layer 1
    }
}

fn main() {}
