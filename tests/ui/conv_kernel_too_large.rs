use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net: (1, 5, 28) => (4, 1, 22) {
        Conv2d(1, 4, 7), //~ the kernel is 7 high, but what the declared input gives is 5
    }
}

fn main() {}
