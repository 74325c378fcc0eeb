use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net {
        Linear(2, 3),
        Mish, //~ `Mish`
        Linear(3, 4),
    }
}

fn main() {}
