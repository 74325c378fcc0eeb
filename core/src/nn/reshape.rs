//! Layers that leave the numbers as they are: `Flatten` and `Identity`. A network skips them; they only change types.

use super::{Backward, Forward, Layer, Op};
use crate::dim::StaticDim;
use crate::element::Float;
use crate::shape::Features;
use core::marker::PhantomData;

/// A sample of shape `S` as one row of `N` numbers, as `torch.nn.Flatten()`.
///
/// ```
/// use plywood::prelude::*;
///
/// sequential! {
///     struct Net: (2, 3) => 6 {
///         Flatten,
///     }
/// }
/// let x: Tensor<Shape![1, 2, 3]> = tensor![[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]];
/// let y: Tensor<Shape![1, 6]> = Net::init(&mut Generator::manual_seed(0)).forward(&x);
/// assert_eq!(y.to_vec(), x.to_vec());
/// ```
#[derive(Debug)]
pub struct Flatten<S, N>(PhantomData<(S, N)>);

/// What goes in comes out, as `torch.nn.Identity`.
///
/// ```
/// use plywood::prelude::*;
///
/// let net = sequential![Linear(2, 3), Identity].init(&mut Generator::manual_seed(0));
/// assert_eq!(net.forward(&Tensor::<Shape![1, 2]>::ones()).sizes(), [1, 3]);
/// ```
#[derive(Debug)]
pub struct Identity<S>(PhantomData<S>);

macro_rules! copying {
    ([$($param:ident: $bound:path),*] $layer:ty, $input:ty => $output:ty, $kind:literal) => {
        impl<$($param: $bound),*> Layer for $layer {
            type Input = $input;
            type Output = $output;
            type View<'a, E: Float> = ();
            const KIND: &'static str = $kind;
            const OP: Op = Op::Same;

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
    };
}

copying!([S: Features, N: StaticDim] Flatten<S, N>, S => (N,), "Flatten");
copying!([S: Features] Identity<S>, S => S, "Identity");
