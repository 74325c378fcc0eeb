use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net<H: StaticDim> {
        Linear(4, H),
        ReLU,
        Linear(16, 2), //~ layer 2
    }
}

fn main() {}
