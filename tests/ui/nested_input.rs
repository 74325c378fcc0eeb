use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Encoder {
        Linear(16, 8),
        ReLU,
    }
}

sequential! {
    /// A network.
    pub struct Whole {
        Linear(4, 12),
        encoder: Encoder, //~ layer 1
        Linear(_, 2),
    }
}

fn main() {}
