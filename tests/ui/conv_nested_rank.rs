use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Encoder {
        Linear(16, 8),
        ReLU,
    }
}

sequential! {
    /// A network.
    pub struct Net {
        encoder: Encoder,
        Conv2d(1, 4, 3), //~ layer 1 `Conv2d(1, 4, 3)` takes images of 1 channel, but layer 0 `encoder: Encoder` gives D<8>
        Flatten,
        Linear(_, 10),
    }
}

fn main() {}
