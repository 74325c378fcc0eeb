use plywood::prelude::*;

const MILLION: usize = 1_000_000;

sequential! {
    /// A network.
    pub struct Net {
        Linear(1, MILLION),
        Linear({ MILLION + 1 }, 1), //~ layer 1
    }
}

fn main() {}
