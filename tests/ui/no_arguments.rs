use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net {
        Linear, //~ layer 0
    }
}

fn main() {}
