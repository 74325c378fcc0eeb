use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net<N: StaticDim> {
        Linear(N, { 2 * N }), //~ layer 0
    }
}

fn main() {}
