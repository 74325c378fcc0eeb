use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net: (1, 28, 28) => (4, 26, 10) {
        Conv2d(1, 4, 3),
        Linear(676, 10), //~ `Flatten` gives all of them
    }
}

fn main() {}
