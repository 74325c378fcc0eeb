use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net: 784 => 10 { //~
        Linear(784, 128),
        ReLU,
        Linear(128, 12),
    }
}

fn main() {}
