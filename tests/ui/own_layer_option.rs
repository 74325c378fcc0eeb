use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net {
        Linear(4, 8),
        Scale(8, gain = 2.0), //~ layer 1
    }
}

fn main() {}
