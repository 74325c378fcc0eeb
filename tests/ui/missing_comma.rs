use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net {
        Linear(4, 8)
        ReLU, //~ after layer 0
    }
}

fn main() {}
