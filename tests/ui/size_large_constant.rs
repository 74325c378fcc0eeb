use plywood::prelude::*;

const HUGE: usize = 2_000_000_000;

sequential! {
    /// A network.
    pub struct Net {
        Linear(4, HUGE), //~ layer 0
    }
}

fn main() {}
