use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Features: (1, 28, 28) => (8, 13, 13) {
        Conv2d(1, 8, 3),
        MaxPool2d(2),
    }
}

sequential! {
    /// A network.
    pub struct Net {
        features: Features,
        Conv2d(16, 4, 3), //~ layer 1 `Conv2d(16, 4, 3)` takes D<16> channels, but layer 0 `features: Features` gives D<8>
        Flatten,
        Linear(484, 10),
    }
}

fn main() {}
