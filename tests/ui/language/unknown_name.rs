use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net {
        Linear(4, 8),
        Convolution(3), //~ `Convolution`
    }
}

fn main() {}
