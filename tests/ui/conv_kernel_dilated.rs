use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net: (1, 28, 5) => (4, 1, 22) {
        Conv2d(1, 4, 3, padding = 1, dilation = (1, 4)), //~ the dilated kernel is 9 wide, but what the declared input gives, with its padding, is 7
    }
}

fn main() {}
