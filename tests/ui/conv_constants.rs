use plywood::prelude::*;

const SIDE: usize = 28;
const PLANES: usize = 16;

sequential! {
    /// A network.
    pub struct Net: (1, SIDE, SIDE) => 10 {
        Conv2d(1, PLANES, 3), MaxPool2d(2),
        Conv2d(8, PLANES, 3), //~ layer 2 `Conv2d(8, PLANES, 3)` takes D<8> channels, but layer 1 `MaxPool2d(2)` gives D<16>
        Flatten,
        Linear({ PLANES * 121 }, 10),
    }
}

fn main() {}
