use plywood::prelude::*;

const STRIDE: usize = 0;

sequential! {
    /// A network.
    pub struct Net: (1, 28, 28) => 10 {
        Conv2d(1, 16, 3, STRIDE), //~ layer 0 `Conv2d(1, 16, 3, STRIDE)`: the size `STRIDE` is not between 1 and 1,000,000,000
        Flatten,
        Linear(_, 10),
    }
}

fn main() {}
