use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net: 784 { //~
        Linear(784, 10),
    }
}

fn main() {}
