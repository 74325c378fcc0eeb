use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net: 784 => 10 {
        Linear(100, 10), //~ layer 0
    }
}

fn main() {}
