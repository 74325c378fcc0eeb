use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net: (1, 8, 8) => (1, 8, 8) {
        MaxPool2d(3, 1, padding = 2), //~ the padding is at most half of the kernel's height, 1 of 3, but this is 2
    }
}

fn main() {}
