use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net {
        Conv2d(3, 16, kernel = 3), //~ layer 0 `Conv2d(3, 16, kernel = 3)` comes first
        ReLU,
    }
}

fn main() {}
