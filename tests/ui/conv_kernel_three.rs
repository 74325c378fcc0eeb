use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net: (4, 8, 8) => (4, 8, 8) {
        Conv2d(4, 4, (3, 3, 3)), //~ `kernel_size` is a number or two of them, `(height, width)`, but this is `(3, 3, 3)`
    }
}

fn main() {}
