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
    pub struct Whole: 12 => 2 {
        encoder: Encoder, //~ layer 0
        Linear(_, 2),
    }
}

fn main() {}
