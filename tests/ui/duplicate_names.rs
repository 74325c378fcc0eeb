use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net {
        out: Linear(4, 8),
        ReLU,
        out: Linear(8, 2), //~ layer 2
    }
}

fn main() {}
