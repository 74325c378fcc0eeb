use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net: (1, 8, 8) => (4, 6, 6) {
        Conv2D(1, 4, 3), //~ unknown layer `Conv2D`; did you mean `Conv2d`?
    }
}

fn main() {}
