use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net: (4, 8, 8) => (4, 6, 6) {
        Conv2d(4, 4, 3, groups = 2), //~ Plywood has only `groups = 1` so far, but this is `2`
    }
}

fn main() {}
