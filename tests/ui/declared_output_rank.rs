use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net: (28, 28) => 10 { //~
        Linear(28, 10),
    }
}

fn main() {}
