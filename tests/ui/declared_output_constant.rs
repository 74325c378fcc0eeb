use plywood::prelude::*;

const CLASSES: usize = 10;

sequential! {
    /// A network.
    pub struct Net: 784 => CLASSES { //~
        Linear(784, 128),
        ReLU,
        Linear(128, 12),
    }
}

fn main() {}
