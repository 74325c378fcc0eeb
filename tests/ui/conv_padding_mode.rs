use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net: (4, 8, 8) => (4, 8, 8) {
        Conv2d(4, 4, 3, padding = 1, padding_mode = "reflect"), //~ Plywood has only `padding_mode = "zeros"` so far
    }
}

fn main() {}
