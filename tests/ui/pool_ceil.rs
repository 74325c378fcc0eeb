use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net: (1, 7, 7) => (1, 4, 4) {
        MaxPool2d(2, ceil_mode = true), //~ Plywood has only `ceil_mode = false` so far
    }
}

fn main() {}
