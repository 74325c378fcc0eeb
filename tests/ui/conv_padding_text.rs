use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net: (4, 8, 8) => (4, 8, 8) {
        Conv2d(4, 4, 3, padding = "full"), //~ `padding` is a number, two of them, "same" or "valid", but this is "full"
    }
}

fn main() {}
