use plywood::prelude::*;

const SIDE: usize = 5;
const KERNEL: usize = 7;

sequential! {
    /// A network.
    pub struct Net: (1, SIDE, 28) => 10 {
        Conv2d(1, 16, KERNEL), //~ layer 0 `Conv2d(1, 16, KERNEL)`: the kernel does not fit into the height of what the declared input gives
        Flatten,
        Linear(_, 10),
    }
}

fn main() {}
