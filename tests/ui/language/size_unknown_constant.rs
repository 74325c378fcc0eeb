use plywood::prelude::*;

/// Hidden units.
pub const HIDDEN: usize = 8;

sequential! {
    /// A network.
    pub struct Net {
        Linear(4, HIDEN), //~ `HIDEN`
    }
}

fn main() {}
