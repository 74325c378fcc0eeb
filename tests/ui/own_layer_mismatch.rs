use plywood::prelude::*;

use core::marker::PhantomData;
use plywood::nn::{Backward, Forward};

/// A layer of one's own: y = x.
pub struct Wire<N>(PhantomData<N>);

impl<N: StaticDim> Layer for Wire<N> {
    type Input = (N,);
    type Output = (N,);
    type View<'a, E: Float> = ();
    const KIND: &'static str = "Wire";

    fn view<E: Float>(_params: &[E]) {}

    fn forward_pass<E: Float>(pass: Forward<'_, E>) {
        pass.y.copy_from_slice(pass.x);
    }

    fn backward_pass<E: Float>(pass: Backward<'_, E>) {
        if let Some(dx) = pass.dx {
            dx.copy_from_slice(pass.dy);
        }
    }
}

sequential! {
    /// A network.
    pub struct Net {
        Linear(4, 8),
        Wire(9), //~ layer 1
    }
}

fn main() {}
