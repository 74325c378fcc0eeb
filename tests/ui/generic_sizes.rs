use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net<H: StaticDim, K: StaticDim> {
        Linear(4, H),
        ReLU,
        Linear(K, 2), //~ layer 2
    }
}

fn main() {}
