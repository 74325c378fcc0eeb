use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net {
        Linear(4, 8),
        Softmax(dim = 0), //~ layer 1
    }
}

fn main() {}
