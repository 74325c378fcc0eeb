use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net<H: Dim> { //~
        Linear(4, H),
        ReLU,
    }
}

fn main() {}
