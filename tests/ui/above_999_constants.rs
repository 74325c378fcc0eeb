use plywood::prelude::*;

const FLAT: usize = 1568;
const TWICE: usize = 2 * FLAT;

sequential! {
    /// A network.
    pub struct Net {
        Linear(784, FLAT),
        ReLU,
        Linear(TWICE, 10), //~ layer 2
    }
}

fn main() {}
