//! Broadcasting as NumPy's, decided by types.
//!
//! Shapes are compared from the last size: two sizes fit where they are equal or one of them is 1, and a shape that has
//! run out of sizes fits anything. What is 1, or missing, is repeated.

use crate::dim::{D, Dim, Dyn, Limb, LimbValue};
use crate::shape::Shape;
use core::marker::PhantomData;
use typenum::{B1, Bit, UInt, UTerm};

/// Shapes of which the types say that they broadcast, and to what: what the operators on tensors take.
///
/// ```
/// use plywood::prelude::*;
/// use plywood::tensor::Broadcast;
///
/// let _: <Shape![1, 3] as Broadcast<Shape![3, 1]>>::Output = <Shape![3, 3]>::default();
/// let _: <Shape![_, 5] as Broadcast<Shape![5]>>::Output = (Dyn(10), D::<5>);
/// ```
#[diagnostic::on_unimplemented(
    message = "shapes do not match: {Self} and {Other}",
    label = "{Self} here, {Other} there",
    note = "sizes are compared from the last: each two must be equal, or one of them 1",
    note = "where sizes are known only at run time (`Dyn`), `try_add`, `try_sub`, `try_mul`, `try_div` and `try_zip` compare them and give a `Result`"
)]
pub trait Broadcast<Other: Shape>: Shape {
    /// The shape of both, broadcast.
    type Output: Shape;
}

/// Shapes that may broadcast: where sizes are `Dyn` the running program compares them. See
/// [`Tensor::try_add`](super::Tensor::try_add).
#[diagnostic::on_unimplemented(
    message = "shapes do not match: {Self} and {Other}",
    label = "{Self} here, {Other} there",
    note = "sizes are compared from the last: each two must be equal, or one of them 1"
)]
pub trait TryBroadcast<Other: Shape>: Shape {
    /// The shape of both, broadcast. See [`Tensor::try_add`](super::Tensor::try_add).
    type Output: Shape;
}

/// Shapes of which the types say that they broadcast to the shape `Target`, as the right side of `+=` must. See [the
/// module](super).
#[diagnostic::on_unimplemented(
    message = "a tensor of shape {Self} does not broadcast to {Target}",
    label = "{Self} here, {Target} is to be filled",
    note = "sizes are compared from the last: each must be equal to the target's, or 1"
)]
pub trait BroadcastTo<Target: Shape>: Shape {}

#[diagnostic::do_not_recommend]
impl<S, T> Broadcast<T> for S
where
    S: Shape + Reversed,
    T: Shape + Reversed,
    S::List: Meet<Proven, T::List, Out: FromReversed>,
{
    type Output = <<S::List as Meet<Proven, T::List>>::Out as FromReversed>::Shape;
}

#[diagnostic::do_not_recommend]
impl<S, T> TryBroadcast<T> for S
where
    S: Shape + Reversed,
    T: Shape + Reversed,
    S::List: Meet<Checked, T::List, Out: FromReversed>,
{
    type Output = <<S::List as Meet<Checked, T::List>>::Out as FromReversed>::Shape;
}

#[diagnostic::do_not_recommend]
impl<S, T> BroadcastTo<T> for S
where
    S: Shape + Reversed,
    T: Shape + Reversed,
    S::List: Fill<T::List>,
{
}

/// What the types prove.
#[derive(Debug)]
#[doc(hidden)]
pub enum Proven {}
/// What the types do not exclude.
#[derive(Debug)]
#[doc(hidden)]
pub enum Checked {}

/// A size that is 1.
#[derive(Debug)]
#[doc(hidden)]
pub enum Yes {}
/// A size that is another number than 1.
#[derive(Debug)]
#[doc(hidden)]
pub enum No {}
/// A size of which only the running program knows.
#[derive(Debug)]
#[doc(hidden)]
pub enum Unknown {}

#[doc(hidden)]
pub trait Answer {
    type And<Other: Answer>: Answer;
}

impl Answer for Yes {
    type And<Other: Answer> = Other;
}

impl Answer for No {
    type And<Other: Answer> = No;
}

/// Whether a typenum number is 1.
#[doc(hidden)]
pub trait NumberIsOne {
    type Is: Answer;
}

impl NumberIsOne for UTerm {
    type Is = No;
}

impl NumberIsOne for UInt<UTerm, B1> {
    type Is = Yes;
}

impl<U, A: Bit, B: Bit> NumberIsOne for UInt<UInt<U, A>, B> {
    type Is = No;
}

/// Whether a size is 1.
#[doc(hidden)]
pub trait IsOne {
    type Is;
}

impl IsOne for Dyn {
    type Is = Unknown;
}

// A limb that is not there has the scale 1, so this asks for a first limb of 1 and no other, without any arithmetic.
impl<const A: usize, const B: usize, const C: usize> IsOne for D<A, B, C>
where
    Limb<A>: LimbValue<First: NumberIsOne>,
    Limb<B>: LimbValue<Scale: NumberIsOne>,
    Limb<C>: LimbValue<Scale: NumberIsOne>,
{
    type Is = <<<<Limb<A> as LimbValue>::First as NumberIsOne>::Is as Answer>::And<
        <<Limb<B> as LimbValue>::Scale as NumberIsOne>::Is,
    > as Answer>::And<<<Limb<C> as LimbValue>::Scale as NumberIsOne>::Is>;
}

/// The size that `L` and `R` broadcast to, from whether each is 1.
#[doc(hidden)]
pub trait Choose<Mode, L, R> {
    type Out: Dim;
}

impl<Mode, L, R: Dim> Choose<Mode, L, R> for (Yes, Yes) {
    type Out = R;
}
impl<Mode, L, R: Dim> Choose<Mode, L, R> for (Yes, No) {
    type Out = R;
}
impl<Mode, L, R: Dim> Choose<Mode, L, R> for (Yes, Unknown) {
    type Out = R;
}
impl<Mode, L: Dim, R> Choose<Mode, L, R> for (No, Yes) {
    type Out = L;
}
impl<Mode, L: Dim, R> Choose<Mode, L, R> for (Unknown, Yes) {
    type Out = L;
}
impl<Mode, N: Dim> Choose<Mode, N, N> for (No, No) {
    type Out = N;
}
impl<L, R: Dim> Choose<Checked, L, R> for (Unknown, No) {
    type Out = R;
}
impl<L: Dim, R> Choose<Checked, L, R> for (No, Unknown) {
    type Out = L;
}
impl<L, R> Choose<Checked, L, R> for (Unknown, Unknown) {
    type Out = Dyn;
}

/// No more sizes.
#[derive(Debug)]
#[doc(hidden)]
pub enum Nil {}
/// A size and those before it.
#[derive(Debug)]
#[doc(hidden)]
pub struct Cons<Last, Lead>(PhantomData<(Last, Lead)>);

/// The sizes of a shape as a list, last size first.
#[doc(hidden)]
pub trait Reversed {
    type List;
}

/// The way back.
#[doc(hidden)]
pub trait FromReversed {
    type Shape: Shape;
}

/// What two lists broadcast to.
#[doc(hidden)]
pub trait Meet<Mode, Other> {
    type Out;
}

impl<Mode> Meet<Mode, Nil> for Nil {
    type Out = Nil;
}
impl<Mode, R, S> Meet<Mode, Cons<R, S>> for Nil {
    type Out = Cons<R, S>;
}
impl<Mode, L, K> Meet<Mode, Nil> for Cons<L, K> {
    type Out = Cons<L, K>;
}
impl<Mode, L, K, R, S> Meet<Mode, Cons<R, S>> for Cons<L, K>
where
    L: IsOne,
    R: IsOne,
    (L::Is, R::Is): Choose<Mode, L, R>,
    K: Meet<Mode, S>,
{
    type Out = Cons<<(L::Is, R::Is) as Choose<Mode, L, R>>::Out, K::Out>;
}

/// Lists that broadcast to another.
#[doc(hidden)]
pub trait Fill<Target> {}

impl<Target> Fill<Target> for Nil {}
impl<L, K, R, S> Fill<Cons<R, S>> for Cons<L, K>
where
    L: IsOne,
    L::Is: Stretch<L, R>,
    K: Fill<S>,
{
}

/// Sizes that stretch to another.
#[doc(hidden)]
pub trait Stretch<L, R> {}

impl<L, R> Stretch<L, R> for Yes {}
impl<N> Stretch<N, N> for No {}

macro_rules! reversed {
    ([$($name:ident)*] $list:ty) => {
        impl<$($name: Dim),*> Reversed for ($($name,)*) {
            type List = $list;
        }

        impl<$($name: Dim),*> FromReversed for $list {
            type Shape = ($($name,)*);
        }
    };
}

reversed!([] Nil);
reversed!([A] Cons<A, Nil>);
reversed!([A B] Cons<B, Cons<A, Nil>>);
reversed!([A B C] Cons<C, Cons<B, Cons<A, Nil>>>);
reversed!([A B C E] Cons<E, Cons<C, Cons<B, Cons<A, Nil>>>>);
reversed!([A B C E F] Cons<F, Cons<E, Cons<C, Cons<B, Cons<A, Nil>>>>>);
reversed!([A B C E F G] Cons<G, Cons<F, Cons<E, Cons<C, Cons<B, Cons<A, Nil>>>>>>);
