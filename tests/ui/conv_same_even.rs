use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net: (4, 8, 8) => (4, 8, 8) {
        Conv2d(4, 4, 2, padding = "same"), //~ keeps the size where the stride is 1 and the kernel an odd number
    }
}

fn main() {}
