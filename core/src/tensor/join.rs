//! Several tensors become one, and one several, along an axis.

use super::lanes::around;
use super::reshape::SameNumber;
use super::{Axis, NewAxis, Storage, Tensor};
use crate::dim::{D, Dim, DimOf, Dyn, StaticDim, ToDim};
use crate::element::Element;
use crate::shape::{Shape, StaticShape};
use core::ops::Add;
use typenum::{B1, IsLessOrEqual, Sum};

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

/// Shapes of which the types say that they are equal but for axis `I`: what can stand one behind the other there.
#[diagnostic::on_unimplemented(
    message = "tensors of shape {Self} and {Other} cannot be joined along axis {I}",
    label = "{Self} here, {Other} there",
    note = "all sizes but that of axis {I} must be equal and known at compile time"
)]
pub trait Joins<const I: usize, Other: Shape>: Axis<I> {
    /// The shape of both.
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

/// Tensors that become one along an axis: a pair of any that fit, or an array of equal shape.
///
/// ```
/// use plywood::prelude::*;
///
/// let x: Tensor<Shape![2, 1]> = tensor![[1.0], [2.0]];
/// let y: Tensor<Shape![2, 2]> = tensor![[3.0, 4.0], [5.0, 6.0]];
/// let z: Tensor<Shape![2, 3]> = (&x, &y).concat::<1>();
/// assert_eq!(z, tensor![[1.0, 3.0, 4.0], [2.0, 5.0, 6.0]]);
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

    /// One behind the other along a new axis `I`, as `torch.stack`.
    fn stack<const I: usize>(self) -> <Self as Stack<I>>::Output
    where
        Self: Stack<I>,
    {
        self.stacked()
    }
}

impl<S, T, E, A, B> Join for (&Tensor<S, E, A>, &Tensor<T, E, B>) {}
// Only of tensors: any other array keeps the `concat` of slices.
impl<const N: usize, S, E, A> Join for [&Tensor<S, E, A>; N] {}

/// What [`Join::concat`] takes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be joined along axis {I}",
    label = "`concat` takes a pair of tensors of one element type: `(&x, &y).concat::<{I}>()`"
)]
pub trait Concat<const I: usize> {
    /// The tensor of both.
    type Output;
    #[doc(hidden)]
    fn concatenated(self) -> Self::Output;
}

impl<const I: usize, S, T, E, A, B> Concat<I> for (&Tensor<S, E, A>, &Tensor<T, E, B>)
where
    S: Joins<I, T>,
    T: Axis<I>,
    E: Element,
    A: Storage<E>,
    B: Storage<E>,
{
    type Output = Tensor<<S as Joins<I, T>>::Output, E>;

    fn concatenated(self) -> Self::Output {
        let (x, y) = self;
        let (before, left, after) = around(x.sizes().as_ref(), I);
        let right = y.sizes().as_ref()[I];
        let mut z = Tensor::zeros_of(x.resized::<I, _>(left + right));
        let (left, right) = (left * after, right * after);
        for i in 0..before {
            let z = &mut z.as_mut_slice()[i * (left + right)..][..left + right];
            z[..left].copy_from_slice(&x.as_slice()[i * left..][..left]);
            z[left..].copy_from_slice(&y.as_slice()[i * right..][..right]);
        }
        z
    }
}

/// What [`Join::stack`] takes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be stacked along a new axis {I}",
    label = "`stack` takes an array of tensors of one shape, known at compile time: `[&x, &y].stack::<{I}>()`"
)]
pub trait Stack<const I: usize> {
    /// The tensor of all.
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
        sizes.insert(I, N);
        let mut y = Tensor::zeros_of(super::zip::shape_of(&sizes));
        let (before, _, after) = around(&sizes, I);
        for (k, x) in self.into_iter().enumerate() {
            for i in 0..before {
                y.as_mut_slice()[(i * N + k) * after..][..after].copy_from_slice(&x.as_slice()[i * after..][..after]);
            }
        }
        y
    }
}

/// Sizes that are `Left` and `Right` together.
#[diagnostic::on_unimplemented(
    message = "an axis of size {Self} does not split into {Left} and {Right}",
    label = "{Left} and {Right} do not sum to {Self}"
)]
pub trait Splits<Left: StaticDim, Right: StaticDim>: StaticDim {}

#[diagnostic::do_not_recommend]
impl<N, L, R> Splits<L, R> for N
where
    N: StaticDim,
    L: StaticDim<Num: Add<R::Num, Output: SameNumber<N::Num>>>,
    R: StaticDim,
{
}

/// Sizes in which a range of `Length` from `Start` lies.
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
        let (before, size, after) = around(self.sizes().as_ref(), I);
        let mut y = Tensor::zeros_of(self.resized::<I, Out>(len));
        for i in 0..before {
            y.as_mut_slice()[i * len * after..][..len * after]
                .copy_from_slice(&self.as_slice()[(i * size + start) * after..][..len * after]);
        }
        y
    }

    /// The first `L` and the last `R` positions of axis `I`, of size L + R.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![2, 3]> = tensor![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
    /// let (left, right) = x.split::<1, D<2>, D<1>>();
    /// assert_eq!(left, tensor![[1.0, 2.0], [4.0, 5.0]]);
    /// assert_eq!(right, tensor![[3.0], [6.0]]);
    /// ```
    #[must_use]
    #[allow(clippy::type_complexity)]
    pub fn split<const I: usize, L: StaticDim, R: StaticDim>(&self) -> (Tensor<S::With<L>, E>, Tensor<S::With<R>, E>)
    where
        S: Axis<I, Size: Splits<L, R>>,
    {
        (self.range::<I, _>(0, L::SIZE), self.range::<I, _>(L::SIZE, R::SIZE))
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
