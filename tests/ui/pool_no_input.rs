use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net {
        MaxPool2d(2), //~ layer 0 `MaxPool2d(2)` comes first
        Flatten,
    }
}

fn main() {}
