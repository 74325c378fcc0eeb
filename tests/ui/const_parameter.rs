use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net<const H: usize> { //~
        Linear(4, 8),
    }
}

fn main() {}
