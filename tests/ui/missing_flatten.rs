use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net: (28, 28) => 10 {
        Linear(784, 10), //~ layer 0
    }
}

fn main() {}
