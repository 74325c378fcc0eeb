use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net: (1, 28, 28) => (4, 28, 28) { //~ the declared output is 3136 (4 × 28 × 28), but layer 0 `Conv2d(1, 4, 3)` gives 2704 (4 × 26 × 26)
        Conv2d(1, 4, 3),
    }
}

fn main() {}
