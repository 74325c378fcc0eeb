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
        encoder: Encoder,
        Tanh,
        Linear(9, 2), //~ layer 2
    }
}

fn main() {}
