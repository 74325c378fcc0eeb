use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net: (1, 8, 8) => (16, 6, 6) {
        Conv2d(16), //~ layer 0 `Conv2d(16)`: expected `Conv2d(in_channels, out_channels, kernel_size, stride = 1
    }
}

fn main() {}
