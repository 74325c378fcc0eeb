use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net: (1, 8, 8) => 10 {
        Conv2d(1, 4, 3),
        Flatten,
        Conv2d(4, 8, 3), //~ layer 2 `Conv2d(4, 8, 3)` takes images, channels × height × width, but layer 1 `Flatten` gives 144 (4 × 6 × 6)
        Flatten,
        Linear(10, 10),
    }
}

fn main() {}
