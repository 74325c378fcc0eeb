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
        Conv2d(1, 4, 3), //~ images have three sizes, channels × height × width
        Flatten,
        Linear(_, 10),
    }
}

fn main() {}
