use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net {
        forward: Linear(4, 8), //~ layer 0
    }
}

fn main() {}
