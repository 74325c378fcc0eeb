use plywood::prelude::*;

/// Not a layer.
pub struct Furniture<N>(core::marker::PhantomData<N>);

sequential! {
    /// A network.
    pub struct Net {
        Linear(4, 8),
        Furniture(8), //~ `Furniture<D<8>>` is not a layer
    }
}

fn main() {}
