use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net: (1, 64, 64) => (1, 3, 3) {
        MaxPool2d(17), //~ a pooling kernel has at most 256 positions, but 17 × 17 are 289
    }
}

fn main() {}
