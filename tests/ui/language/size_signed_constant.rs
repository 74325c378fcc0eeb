use plywood::prelude::*;

const HIDDEN: i32 = 8;

sequential! {
    /// A network.
    pub struct Net {
        Linear(4, HIDDEN), //~
    }
}

fn main() {}
