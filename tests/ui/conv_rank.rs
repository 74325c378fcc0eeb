use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net: (28, 28) => 10 {
        Conv2d(1, 16, 3), //~ images of one channel are `(1, 28, 28)`
        Flatten,
        Linear(10816, 10),
    }
}

fn main() {}
