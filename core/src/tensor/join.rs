//! Several tensors become one, and one several, along an axis.

use super::lanes::around;
use super::reshape::SameNumber;
use super::zip::shape_of;
use super::{Axis, NewAxis, Storage, Tensor, sure};
#[cfg(feature = "cuda")]
use crate::backend::cuda::Memory;
use crate::dim::{D, Dim, DimOf, Dyn, StaticDim, ToDim};
use crate::element::Element;
use crate::error::{Error, Result};
use crate::shape::{Shape, Sizes, StaticShape};
use core::ops::{Add, Mul};
use typenum::{B1, IsLessOrEqual, Prod, Sum};

/// The size of two axes one behind the other.
#[doc(hidden)]
pub trait Plus<Other>: Dim {
    type Total: Dim;
}

impl<const A: usize, const B: usize, const C: usize, const X: usize, const Y: usize, const Z: usize> Plus<D<X, Y, Z>>
    for D<A, B, C>
where
    Self: StaticDim<Num: Add<<D<X, Y, Z> as StaticDim>::Num, Output: ToDim<Dim: Dim>>>,
    D<X, Y, Z>: StaticDim,
{
    type Total = DimOf<Sum<<Self as StaticDim>::Num, <D<X, Y, Z> as StaticDim>::Num>>;
}

impl<const A: usize, const B: usize, const C: usize> Plus<Dyn> for D<A, B, C>
where
    Self: StaticDim,
{
    type Total = Dyn;
}

impl<N: Dim> Plus<N> for Dyn {
    type Total = Dyn;
}

/// The size of `N` such axes one behind the other.
#[doc(hidden)]
pub trait Times<const N: usize>: Dim {
    type Total: Dim;
}

impl<const N: usize, const A: usize, const B: usize, const C: usize> Times<N> for D<A, B, C>
where
    D<N>: StaticDim,
    Self: StaticDim<Num: Mul<<D<N> as StaticDim>::Num, Output: ToDim<Dim: Dim>>>,
{
    type Total = DimOf<Prod<<Self as StaticDim>::Num, <D<N> as StaticDim>::Num>>;
}

impl<const N: usize> Times<N> for Dyn {
    type Total = Dyn;
}

/// Shapes of which the types say that they are equal but for axis `I`: what can stand one behind the other there. See
/// [`Join`].
#[diagnostic::on_unimplemented(
    message = "tensors of shape {Self} and {Other} cannot be joined along axis {I}",
    label = "{Self} here, {Other} there",
    note = "all sizes but that of axis {I} must be equal and known at compile time; `try_concat` compares those that are not"
)]
pub trait Joins<const I: usize, Other: Shape>: Axis<I> {
    /// The shape of both. See [`Join`].
    type Output: Shape;
}

#[diagnostic::do_not_recommend]
impl<const I: usize, S, T> Joins<I, T> for S
where
    S: Axis<I>,
    T: Axis<I>,
    S::Removed: StaticShape + SameNumber<T::Removed>,
    S::Size: Plus<T::Size>,
{
    type Output = S::With<<S::Size as Plus<T::Size>>::Total>;
}

/// Shapes of which the types do not say that another axis than `I` differs. See [`Join::try_concat`].
#[diagnostic::on_unimplemented(
    message = "tensors of shape {Self} and {Other} cannot be joined along axis {I}",
    label = "{Self} here, {Other} there",
    note = "all sizes but that of axis {I} must be equal: those known at compile time by their types, the others when it runs"
)]
pub trait TryJoins<const I: usize, Other: Shape>: Axis<I> {}

#[diagnostic::do_not_recommend]
impl<const I: usize, S: Axis<I, Removed: Same<T::Removed>>, T: Axis<I>> TryJoins<I, T> for S {}

/// Equal types.
#[doc(hidden)]
pub trait Same<T> {}
impl<T> Same<T> for T {}

/// Tensors that become one along an axis: two to six of any that fit in a tuple, or any number of equal shape in an array.
///
/// ```
/// use plywood::prelude::*;
///
/// let x: Tensor<Shape![2, 1]> = tensor![[1.0], [2.0]];
/// let y: Tensor<Shape![2, 2]> = tensor![[3.0, 4.0], [5.0, 6.0]];
/// let z: Tensor<Shape![2, 3]> = (&x, &y).concat::<1>();
/// assert_eq!(z, tensor![[1.0, 3.0, 4.0], [2.0, 5.0, 6.0]]);
///
/// let wide: Tensor<Shape![2, 6]> = [&z, &z].concat::<1>();
/// let wider: Tensor<Shape![2, 9]> = (&x, &y, &wide).concat::<1>();
/// assert_eq!(wider.row(0).unwrap().to_array(), [1.0, 3.0, 4.0, 1.0, 3.0, 4.0, 1.0, 3.0, 4.0]);
///
/// let rows: Tensor<Shape![3]> = tensor![1.0, 2.0, 3.0];
/// let stacked: Tensor<Shape![2, 3]> = [&rows, &rows].stack::<0>();
/// assert_eq!(stacked.row(1).unwrap(), rows);
/// ```
pub trait Join: Sized {
    /// One behind the other along axis `I`, as `torch.cat`.
    fn concat<const I: usize>(self) -> <Self as Concat<I>>::Output
    where
        Self: Concat<I>,
    {
        self.concatenated()
    }

    /// [`concat`](Join::concat) where sizes along other axes are known only at run time and are compared: columns of a table
    /// beside one another. For a tuple of tensors.
    ///
    /// # Errors
    /// If a size along another axis differs.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let numbers: Tensor<Shape![_, 2]> = Tensor::from_vec(vec![1.0, 2.0, 3.0, 4.0])?;
    /// let kind: Tensor<Shape![_, 1]> = Tensor::from_vec(vec![0.0, 1.0])?;
    /// let x: Tensor<Shape![_, 3]> = (&numbers, &kind).try_concat::<1>()?;
    /// assert_eq!(x.to_vec(), [1.0, 2.0, 0.0, 3.0, 4.0, 1.0]);
    ///
    /// let short: Tensor<Shape![_, 1]> = Tensor::from_vec(vec![0.0])?;
    /// let wrong = (&numbers, &short).try_concat::<1>().unwrap_err();
    /// assert_eq!(wrong.to_string(), "to be joined along axis 1, all other sizes must be equal: [2, 2] and [1, 1]");
    /// # Ok::<(), plywood::Error>(())
    /// ```
    fn try_concat<const I: usize>(self) -> Result<<Self as TryConcat<I>>::Output>
    where
        Self: TryConcat<I>,
    {
        self.try_concatenated()
    }

    /// One behind the other along a new axis `I`, as `torch.stack`.
    fn stack<const I: usize>(self) -> <Self as Stack<I>>::Output
    where
        Self: Stack<I>,
    {
        self.stacked()
    }
}

macro_rules! join_tuple {
    ($($T:ident)*) => { impl<$($T),*> Join for ($($T,)*) {} };
}

// Of anything, so that [`Concat`] and [`Stack`] say what does not fit.
join_tuple!(T1 T2);
join_tuple!(T1 T2 T3);
join_tuple!(T1 T2 T3 T4);
join_tuple!(T1 T2 T3 T4 T5);
join_tuple!(T1 T2 T3 T4 T5 T6);

// Only of tensors: any other array keeps the `concat` of slices.
impl<const N: usize, S, E, A> Join for [&Tensor<S, E, A>; N] {}

/// What [`Join::concat`] takes. See [`Join`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be joined along axis {I}",
    label = "not two to six references to tensors, or to variables, of one element type",
    note = "write `(&x, &y).concat::<{I}>()`; beside a variable, `Variable::constant` makes one of a tensor"
)]
pub trait Concat<const I: usize> {
    /// The tensor of all. See [`Join`].
    type Output;
    #[doc(hidden)]
    fn concatenated(self) -> Self::Output;
}

/// What [`Join::try_concat`] takes. See [`Join`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be joined along axis {I}, whatever the sizes known at run time",
    label = "not two to six references to tensors of one element type whose shapes differ in axis {I} alone",
    note = "write `(&x, &y).try_concat::<{I}>()?`"
)]
pub trait TryConcat<const I: usize> {
    /// The tensor of all. See [`Join`].
    type Output;
    #[doc(hidden)]
    fn try_concatenated(self) -> Result<Self::Output>;
}

/// Elements of a part, where they are.
enum Elements<'a, E> {
    Here(&'a [E]),
    #[cfg(feature = "cuda")]
    There(&'a Memory),
}

/// A part, with its size along the axis.
fn part<S: Shape, E: Element, B: Storage<E>>(x: &Tensor<S, E, B>, size: usize) -> (Elements<'_, E>, usize) {
    #[cfg(feature = "cuda")]
    if let Some(memory) = x.memory() {
        return (Elements::There(memory), size);
    }
    (Elements::Here(x.as_slice()), size)
}

/// The parts' sizes but for that along the axis are those of `sizes`.
///
/// # Errors
/// If they are not all on one device, or a GPU's memory does not suffice.
#[cfg_attr(not(feature = "cuda"), expect(clippy::unnecessary_wraps))]
fn joined<S: Shape, E: Element>(
    mut sizes: Vec<usize>,
    axis: usize,
    parts: &[(Elements<'_, E>, usize)],
) -> Result<Tensor<S, E>> {
    sizes[axis] = parts.iter().map(|(_, size)| size).sum();
    let shape = shape_of(&sizes);
    #[cfg(feature = "cuda")]
    if let Some(there) = super::on_gpu::all_there(parts.iter().map(|(x, _)| match x {
        Elements::Here(_) => None,
        Elements::There(memory) => Some(*memory),
    }))? {
        let sizes = parts.iter().map(|(_, size)| *size);
        return super::on_gpu::joined(shape, axis, &there.into_iter().zip(sizes).collect::<Vec<_>>());
    }
    let mut y = Tensor::zeros_of(shape);
    let (before, _, after) = around(&sizes, axis);
    let mut rest = y.as_mut_slice();
    for i in 0..before {
        for (x, size) in parts {
            #[cfg_attr(not(feature = "cuda"), allow(clippy::infallible_destructuring_match))]
            let x = match x {
                Elements::Here(x) => x,
                #[cfg(feature = "cuda")]
                Elements::There(_) => unreachable!("all are here"),
            };
            let (place, behind) = rest.split_at_mut(size * after);
            place.copy_from_slice(&x[i * size * after..][..size * after]);
            rest = behind;
        }
    }
    Ok(y)
}

/// The shape of all: of the first two with the third, and so on.
macro_rules! joined {
    ($all:ty,) => { $all };
    ($all:ty, $next:ident $($rest:ident)*) => { joined!(<$all as Joins<I, $next>>::Output, $($rest)*) };
}

macro_rules! concat_tuple {
    ($S:ident $A:ident 0 $(, $T:ident $B:ident $i:tt)*; $($first:ident [$($between:ident)*] $next:ident),*) => {
        impl<const I: usize, $S, $($T,)* E, $A, $($B),*> Concat<I> for (&Tensor<$S, E, $A>, $(&Tensor<$T, E, $B>),*)
        where
            $(joined!($first, $($between)*): Joins<I, $next>,)*
            $($T: Axis<I>,)*
            E: Element,
            $A: Storage<E>,
            $($B: Storage<E>,)*
        {
            type Output = Tensor<joined!($S, $($T)*), E>;

            fn concatenated(self) -> Self::Output {
                let sizes = self.0.sizes().as_ref().to_vec();
                let parts = [
                    part(self.0, sizes[I]),
                    $(part(self.$i, self.$i.sizes().as_ref()[I])),*
                ];
                sure(joined(sizes, I, &parts))
            }
        }
    };
}

concat_tuple!(S1 A1 0, S2 A2 1; S1 [] S2);
concat_tuple!(S1 A1 0, S2 A2 1, S3 A3 2; S1 [] S2, S1 [S2] S3);
concat_tuple!(S1 A1 0, S2 A2 1, S3 A3 2, S4 A4 3; S1 [] S2, S1 [S2] S3, S1 [S2 S3] S4);
concat_tuple!(S1 A1 0, S2 A2 1, S3 A3 2, S4 A4 3, S5 A5 4; S1 [] S2, S1 [S2] S3, S1 [S2 S3] S4, S1 [S2 S3 S4] S5);
concat_tuple!(
    S1 A1 0, S2 A2 1, S3 A3 2, S4 A4 3, S5 A5 4, S6 A6 5;
    S1 [] S2, S1 [S2] S3, S1 [S2 S3] S4, S1 [S2 S3 S4] S5, S1 [S2 S3 S4 S5] S6
);

/// The size of the first two axes with the third, and so on.
macro_rules! plus {
    ($all:ty,) => { $all };
    ($all:ty, $next:ident $($rest:ident)*) => { plus!(<$all as Plus<<$next as Axis<I>>::Size>>::Total, $($rest)*) };
}

macro_rules! try_concat_tuple {
    ($S:ident $A:ident 0 $(, $T:ident $B:ident $i:tt)*; $([$($between:ident)*] $next:ident),*) => {
        impl<const I: usize, $S, $($T,)* E, $A, $($B),*> TryConcat<I> for (&Tensor<$S, E, $A>, $(&Tensor<$T, E, $B>),*)
        where
            $S: Axis<I> $(+ TryJoins<I, $T>)*,
            $($T: Axis<I>,)*
            $(plus!(<$S as Axis<I>>::Size, $($between)*): Plus<<$next as Axis<I>>::Size>,)*
            E: Element,
            $A: Storage<E>,
            $($B: Storage<E>,)*
        {
            type Output = Tensor<$S::With<plus!(<$S as Axis<I>>::Size, $($T)*)>, E>;

            fn try_concatenated(self) -> Result<Self::Output> {
                let sizes = self.0.sizes().as_ref().to_vec();
                let parts = [
                    part(self.0, sizes[I]),
                    $(part(self.$i, others_equal::<I>(&sizes, self.$i.sizes().as_ref())?)),*
                ];
                joined(sizes, I, &parts)
            }
        }
    };
}

try_concat_tuple!(S1 A1 0, S2 A2 1; [] S2);
try_concat_tuple!(S1 A1 0, S2 A2 1, S3 A3 2; [] S2, [S2] S3);
try_concat_tuple!(S1 A1 0, S2 A2 1, S3 A3 2, S4 A4 3; [] S2, [S2] S3, [S2 S3] S4);
try_concat_tuple!(S1 A1 0, S2 A2 1, S3 A3 2, S4 A4 3, S5 A5 4; [] S2, [S2] S3, [S2 S3] S4, [S2 S3 S4] S5);
try_concat_tuple!(
    S1 A1 0, S2 A2 1, S3 A3 2, S4 A4 3, S5 A5 4, S6 A6 5;
    [] S2, [S2] S3, [S2 S3] S4, [S2 S3 S4] S5, [S2 S3 S4 S5] S6
);

/// The size along axis `I` of what can be joined there.
fn others_equal<const I: usize>(first: &[usize], sizes: &[usize]) -> Result<usize> {
    let others = |sizes: &[usize]| [&sizes[..I], &sizes[I + 1..]].concat();
    if others(first) == others(sizes) {
        return Ok(sizes[I]);
    }
    Err(Error::Join { axis: I, left: Sizes(first).to_string(), right: Sizes(sizes).to_string() })
}

impl<const I: usize, const N: usize, S, E, A> Concat<I> for [&Tensor<S, E, A>; N]
where
    S: Axis<I, Size: Times<N>, Removed: StaticShape>,
    E: Element,
    A: Storage<E>,
{
    type Output = Tensor<S::With<<S::Size as Times<N>>::Total>, E>;

    fn concatenated(self) -> Self::Output {
        let mut sizes = <S::Removed as StaticShape>::SIZES.to_vec();
        sizes.insert(I, 0);
        sure(joined(sizes, I, &self.map(|x| part(x, x.sizes().as_ref()[I]))))
    }
}

/// What [`Join::stack`] takes. See [`Join`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be stacked along a new axis {I}",
    label = "`stack` takes an array of tensors of one shape, known at compile time: `[&x, &y].stack::<{I}>()`"
)]
pub trait Stack<const I: usize> {
    /// The tensor of all. See [`Join`].
    type Output;
    #[doc(hidden)]
    fn stacked(self) -> Self::Output;
}

impl<const I: usize, const N: usize, S, E, A> Stack<I> for [&Tensor<S, E, A>; N]
where
    S: StaticShape + NewAxis<I>,
    D<N>: StaticDim,
    E: Element,
    A: Storage<E>,
{
    type Output = Tensor<S::Added<D<N>>, E>;

    fn stacked(self) -> Self::Output {
        let mut sizes = S::SIZES.to_vec();
        sizes.insert(I, 1);
        sure(joined(sizes, I, &self.map(|x| part(x, 1))))
    }
}

/// Sizes that are `Parts` together, a tuple of sizes. See [`Tensor::split`].
#[diagnostic::on_unimplemented(
    message = "an axis of size {Self} does not split into {Parts}",
    label = "{Parts} do not sum to {Self}",
    note = "where the size is known only at run time, `narrow` takes the start as a number and gives a `Result`"
)]
pub trait Splits<Parts>: StaticDim {}

#[diagnostic::do_not_recommend]
impl<N: StaticDim, P: Total<Num: SameNumber<N::Num>>> Splits<P> for N {}

/// The sum of a tuple of sizes as a typenum number.
#[doc(hidden)]
pub trait Total {
    type Num;
}

/// Sizes into which an axis `I` of a tensor of shape `S` can be split: `Shape![2, 1]`, a tuple of two to six. See
/// [`Tensor::split`].
#[diagnostic::on_unimplemented(
    message = "an axis cannot be split into `{Self}`",
    label = "not two to six sizes",
    note = "write the sizes as a shape: `x.split::<{I}, Shape![2, 1]>()`"
)]
pub trait Parts<const I: usize, S: Axis<I>, E> {
    /// The tensors, a tuple. See [`Tensor::split`].
    type Tensors;
    #[doc(hidden)]
    fn of<B: Storage<E>>(x: &Tensor<S, E, B>) -> Self::Tensors;
}

macro_rules! total {
    ($all:ty,) => { $all };
    ($all:ty, $next:ident $($rest:ident)*) => { total!(Sum<$all, $next::Num>, $($rest)*) };
}

macro_rules! split_tuple {
    ($first:ident $($part:ident)*; $([$($before:ident)*] $next:ident),*) => {
        impl<$first: StaticDim, $($part: StaticDim),*> Total for ($first, $($part),*)
        where
            $(total!($first::Num, $($before)*): Add<$next::Num>,)*
        {
            type Num = total!($first::Num, $($part)*);
        }

        impl<const I: usize, S, E, $first, $($part),*> Parts<I, S, E> for ($first, $($part),*)
        where
            S: Axis<I, Size: Splits<Self>>,
            E: Element,
            $first: StaticDim,
            $($part: StaticDim,)*
        {
            type Tensors = (Tensor<S::With<$first>, E>, $(Tensor<S::With<$part>, E>),*);

            fn of<B: Storage<E>>(x: &Tensor<S, E, B>) -> Self::Tensors {
                let mut start = 0;
                let mut next = |size| {
                    start += size;
                    start - size
                };
                (x.range::<I, _>(next($first::SIZE), $first::SIZE), $(x.range::<I, _>(next($part::SIZE), $part::SIZE)),*)
            }
        }
    };
}

split_tuple!(P1 P2; [] P2);
split_tuple!(P1 P2 P3; [] P2, [P2] P3);
split_tuple!(P1 P2 P3 P4; [] P2, [P2] P3, [P2 P3] P4);
split_tuple!(P1 P2 P3 P4 P5; [] P2, [P2] P3, [P2 P3] P4, [P2 P3 P4] P5);
split_tuple!(P1 P2 P3 P4 P5 P6; [] P2, [P2] P3, [P2 P3] P4, [P2 P3 P4] P5, [P2 P3 P4 P5] P6);

/// Sizes in which a range of `Length` from `Start` lies. See [`Tensor::slice`].
#[diagnostic::on_unimplemented(
    message = "a range of length {Length} from {Start} does not lie in an axis of size {Self}",
    label = "{Length} from {Start} on is outside of {Self}",
    note = "where the size or the start is known only at run time, `narrow` takes the start as a number and gives a `Result`"
)]
pub trait Holds<Start: StaticDim, Length: StaticDim>: StaticDim {}

/// True, for typenum.
#[doc(hidden)]
pub trait IsTrue {}
impl IsTrue for B1 {}

#[diagnostic::do_not_recommend]
impl<N, Start, Length> Holds<Start, Length> for N
where
    N: StaticDim,
    Start: StaticDim<Num: Add<Length::Num, Output: IsLessOrEqual<N::Num, Output: IsTrue>>>,
    Length: StaticDim,
{
}

impl<S: Shape, E: Element, B: Storage<E>> Tensor<S, E, B> {
    /// The positions `start..start + len` of axis `I`, inside the axis.
    pub(crate) fn range<const I: usize, Out: Shape>(&self, start: usize, len: usize) -> Tensor<Out, E> {
        #[cfg(feature = "cuda")]
        if let Some(x) = self.array() {
            return sure(super::on_gpu::copied(self.resized::<I, Out>(len), &x.narrowed(I, start, len)));
        }
        let (before, size, after) = around(self.sizes().as_ref(), I);
        let mut y = Tensor::zeros_of(self.resized::<I, Out>(len));
        for i in 0..before {
            y.as_mut_slice()[i * len * after..][..len * after]
                .copy_from_slice(&self.as_slice()[(i * size + start) * after..][..len * after]);
        }
        y
    }

    /// Axis `I` cut into parts of these sizes, two to six, as `torch.split`; that they sum to its size is checked by the types.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![2, 3]> = tensor![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
    /// let (left, right) = x.split::<1, Shape![2, 1]>();
    /// assert_eq!(left, tensor![[1.0, 2.0], [4.0, 5.0]]);
    /// assert_eq!(right, tensor![[3.0], [6.0]]);
    ///
    /// let (a, _, c) = x.split::<1, Shape![1, 1, 1]>();
    /// assert_eq!(c - a, tensor![[2.0], [2.0]]);
    /// ```
    #[must_use]
    pub fn split<const I: usize, P>(&self) -> P::Tensors
    where
        S: Axis<I>,
        P: Parts<I, S, E>,
    {
        P::of(self)
    }

    /// `Length` positions of axis `I` from `Start` on; that they lie in it is checked by the types.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![2, 3]> = tensor![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
    /// assert_eq!(x.slice::<1, D<1>, D<2>>(), tensor![[2.0, 3.0], [5.0, 6.0]]);
    /// ```
    #[must_use]
    pub fn slice<const I: usize, Start: StaticDim, Length: StaticDim>(&self) -> Tensor<S::With<Length>, E>
    where
        S: Axis<I, Size: Holds<Start, Length>>,
    {
        self.range::<I, _>(Start::SIZE, Length::SIZE)
    }
}
