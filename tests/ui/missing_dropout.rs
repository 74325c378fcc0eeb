use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net {
        Linear(2, 3),
        Dropout(0.5), //~ layer 1 `Dropout(0.5)`: Plywood has no `Dropout`
        Linear(3, 4),
    }
}

fn main() {}
