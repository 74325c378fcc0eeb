use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net: (1, 8, 8) => (4, 6, 6) {
        Conv2d(1, 4, 3, paddding = 1), //~ unknown option `paddding`; did you mean `padding`?
    }
}

fn main() {}
