use plywood::prelude::*;

const KERNEL: usize = 3;
const PADDING: usize = 2;

sequential! {
    /// A network.
    pub struct Net: (1, 28, 28) => 10 {
        MaxPool2d(KERNEL, 1, PADDING), //~ layer 0 `MaxPool2d(KERNEL, 1, PADDING)`: the padding is at most half of the kernel's height, KERNEL, but this is PADDING
        Flatten,
        Linear(_, 10),
    }
}

fn main() {}
