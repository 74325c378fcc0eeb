use plywood::prelude::*;

const HIDDEN: usize = 4;

sequential! {
    /// A network.
    pub struct Net {
        Linear(2, { 3 - HIDDEN }), //~
        ReLU,
    }
}

fn main() {}
