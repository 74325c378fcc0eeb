use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net {
        Linear(4, 8, in_features = 4), //~ layer 0
    }
}

fn main() {}
