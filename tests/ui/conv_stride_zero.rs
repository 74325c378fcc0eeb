use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net: (1, 8, 8) => (4, 6, 6) {
        Conv2d(1, 4, 3, stride = 0), //~ `stride` is at least 1, but this is 0
    }
}

fn main() {}
