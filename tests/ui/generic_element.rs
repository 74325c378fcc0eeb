use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net<E: Float> { //~ the element type is a parameter already
        Linear(4, 10),
    }
}

fn main() {}
