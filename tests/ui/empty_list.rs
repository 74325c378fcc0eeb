use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net {} //~
}

fn main() {}
