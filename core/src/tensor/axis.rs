//! Axes of a shape, by their number in the type.

use crate::dim::{D, Dim};
use crate::shape::Shape;

/// Shapes with an axis `I`, numbered from 0.
///
/// ```
/// use plywood::prelude::*;
/// use plywood::tensor::Axis;
///
/// let _: <Shape![2, 3, 4] as Axis<1>>::Size = D::<3>;
/// let _: <Shape![2, 3, 4] as Axis<1>>::Removed = (D::<2>, D::<4>);
/// let _: <Shape![2, 3, 4] as Axis<1>>::With<Dyn> = (D::<2>, Dyn(7), D::<4>);
/// ```
#[diagnostic::on_unimplemented(
    message = "a tensor of shape {Self} has no axis {I}",
    label = "axis {I} is out of range",
    note = "axes are numbered from 0: the last of a matrix is axis 1"
)]
pub trait Axis<const I: usize>: Shape {
    /// The size of the axis.
    type Size: Dim;
    /// The shape without it.
    type Removed: Shape;
    /// The shape with another size there.
    type With<N: Dim>: Shape;
}

/// Shapes that have room for a new axis `I` (up to rank 6). See [`Tensor::unsqueeze`](super::Tensor::unsqueeze).
#[diagnostic::on_unimplemented(
    message = "a tensor of shape {Self} cannot get an axis {I}",
    label = "no place for an axis {I}",
    note = "a new axis stands before, between or after the others, and a tensor has at most six"
)]
pub trait NewAxis<const I: usize>: Shape {
    /// The shape with an axis of size `N` put there. See [`Tensor::unsqueeze`](super::Tensor::unsqueeze).
    type Added<N: Dim>: Shape;
}

/// The size 1, of an axis that can be left out. See [`Tensor::squeeze`](super::Tensor::squeeze).
#[diagnostic::on_unimplemented(
    message = "only an axis of size 1 can be squeezed, not one of {Self}",
    label = "the size of this axis is {Self}"
)]
pub trait Unit: Dim {}

#[diagnostic::do_not_recommend]
impl Unit for D<1> {}

macro_rules! axis {
    ($($i:literal: [$($before:ident)*] $name:ident [$($after:ident)*];)*) => {$(
        #[diagnostic::do_not_recommend]
        impl<$($before: Dim,)* $name: Dim, $($after: Dim),*> Axis<$i> for ($($before,)* $name, $($after,)*) {
            type Size = $name;
            type Removed = ($($before,)* $($after,)*);
            type With<N: Dim> = ($($before,)* N, $($after,)*);
        }

        #[diagnostic::do_not_recommend]
        impl<$($before: Dim,)* $($after: Dim),*> NewAxis<$i> for ($($before,)* $($after,)*) {
            type Added<N: Dim> = ($($before,)* N, $($after,)*);
        }
    )*};
}

axis! {
    0: [] A [];
    0: [] A [B];
    1: [A] B [];
    0: [] A [B C];
    1: [A] B [C];
    2: [A B] C [];
    0: [] A [B C E];
    1: [A] B [C E];
    2: [A B] C [E];
    3: [A B C] E [];
    0: [] A [B C E F];
    1: [A] B [C E F];
    2: [A B] C [E F];
    3: [A B C] E [F];
    4: [A B C E] F [];
    0: [] A [B C E F G];
    1: [A] B [C E F G];
    2: [A B] C [E F G];
    3: [A B C] E [F G];
    4: [A B C E] F [G];
    5: [A B C E F] G [];
}
