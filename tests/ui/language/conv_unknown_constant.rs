use plywood::prelude::*;

const KERNEL: usize = 7;

sequential! {
    /// A network.
    pub struct Net: (1, 28, 28) => 10 {
        Conv2d(1, 16, KERNL), //~ cannot find value `KERNL`
        Flatten,
        Linear(_, 10),
    }
}

fn main() {}
