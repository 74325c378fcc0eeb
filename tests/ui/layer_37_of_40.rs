use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net {
        Linear(64, 64),
        Linear(64, 64),
        Linear(64, 64),
        Linear(64, 64),
        Linear(64, 64),
        Linear(64, 64),
        Linear(64, 64),
        Linear(64, 64),
        Linear(64, 64),
        Linear(64, 64),
        Linear(64, 64),
        Linear(64, 64),
        Linear(64, 64),
        Linear(64, 64),
        Linear(64, 64),
        Linear(64, 64),
        Linear(64, 64),
        Linear(64, 64),
        Linear(64, 64),
        Linear(64, 64),
        Linear(64, 64),
        Linear(64, 64),
        Linear(64, 64),
        Linear(64, 64),
        Linear(64, 64),
        Linear(64, 64),
        Linear(64, 64),
        Linear(64, 64),
        Linear(64, 64),
        Linear(64, 64),
        Linear(64, 64),
        Linear(64, 64),
        Linear(64, 64),
        Linear(64, 64),
        Linear(64, 64),
        Linear(64, 64),
        Linear(64, 64),
        Linear(63, 64), //~ layer 37
        Linear(64, 64),
        Linear(64, 64),
    }
}

fn main() {}
