use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net<N: StaticDim>: (1, N, N) => (4, N, N) {
        Conv2d(1, 4, 3), //~ the height that comes out cannot be computed from the type parameter `N`
        Conv2d(4, 4, 3, padding = 2),
    }
}

fn main() {}
