//! Several variables become one, and one several, along an axis: each gets its part of the gradient.

use super::Variable;
use super::index::moved;
use super::node::Record;
use crate::dim::{D, StaticDim};
use crate::element::Float;
use crate::shape::{Shape, StaticShape};
use crate::tensor::{Axis, Concat, Join, Joins, NewAxis, Splits, Stack, Times};

/// Each operand gets the positions of axis `I` that it gave.
struct Parts<const I: usize, S, E> {
    record: Record<S, E>,
    start: usize,
}

impl<const I: usize, S: Shape, E: Float> Parts<I, S, E> {
    fn of<T: Shape>(self, x: &Variable<T, E>) -> Self {
        let (start, size) = (self.start, x.sizes().as_ref()[I]);
        Parts { record: self.record.of(x, move |dz| dz.range::<I, T>(start, size)), start: start + size }
    }
}

/// The shape of all: of the first two with the third, and so on.
macro_rules! joined {
    ($all:ty,) => { $all };
    ($all:ty, $next:ident $($rest:ident)*) => { joined!(<$all as Joins<I, $next>>::Output, $($rest)*) };
}

macro_rules! concat_tuple {
    ($S:ident 0 $(, $T:ident $i:tt)*; $($first:ident [$($between:ident)*] $next:ident),*) => {
        impl<const I: usize, $S, $($T,)* E> Concat<I> for (&Variable<$S, E>, $(&Variable<$T, E>),*)
        where
            $(joined!($first, $($between)*): Joins<I, $next>,)*
            $($T: Axis<I>,)*
            E: Float,
        {
            type Output = Variable<joined!($S, $($T)*), E>;

            fn concatenated(self) -> Self::Output {
                let record = Record::new("concat", (self.0.value(), $(self.$i.value()),*).concatenated());
                Parts::<I, _, E> { record, start: 0 }.of(self.0)$(.of(self.$i))*.record.done()
            }
        }
    };
}

concat_tuple!(S1 0, S2 1; S1 [] S2);
concat_tuple!(S1 0, S2 1, S3 2; S1 [] S2, S1 [S2] S3);
concat_tuple!(S1 0, S2 1, S3 2, S4 3; S1 [] S2, S1 [S2] S3, S1 [S2 S3] S4);
concat_tuple!(S1 0, S2 1, S3 2, S4 3, S5 4; S1 [] S2, S1 [S2] S3, S1 [S2 S3] S4, S1 [S2 S3 S4] S5);
concat_tuple!(
    S1 0, S2 1, S3 2, S4 3, S5 4, S6 5;
    S1 [] S2, S1 [S2] S3, S1 [S2 S3] S4, S1 [S2 S3 S4] S5, S1 [S2 S3 S4 S5] S6
);

impl<const N: usize, S, E> Join for [&Variable<S, E>; N] {}

impl<const I: usize, const N: usize, S, E> Concat<I> for [&Variable<S, E>; N]
where
    S: Axis<I, Size: Times<N>, Removed: StaticShape>,
    E: Float,
{
    type Output = Variable<S::With<<S::Size as Times<N>>::Total>, E>;

    fn concatenated(self) -> Self::Output {
        let record = Record::new("concat", self.map(Variable::value).concatenated());
        self.into_iter().fold(Parts::<I, _, E> { record, start: 0 }, Parts::of).record.done()
    }
}

impl<const I: usize, const N: usize, S, E> Stack<I> for [&Variable<S, E>; N]
where
    S: StaticShape + NewAxis<I>,
    D<N>: StaticDim,
    E: Float,
{
    type Output = Variable<S::Added<D<N>>, E>;

    fn stacked(self) -> Self::Output {
        let record = Record::new("stack", self.map(Variable::value).stacked());
        let parts = self.into_iter().enumerate();
        let of = |record: Record<_, E>, (k, x)| {
            record.of(x, move |dy| dy.range::<I, S::Added<D<1>>>(k, 1).into_shape(S::default()))
        };
        parts.fold(record, of).done()
    }
}

/// Sizes into which an axis `I` of a variable of shape `S` can be split: `Shape![2, 1]`, a tuple of two to six. See
/// [`Variable::split`].
#[diagnostic::on_unimplemented(
    message = "an axis cannot be split into `{Self}`",
    label = "not two to six sizes",
    note = "write the sizes as a shape: `x.split::<{I}, Shape![2, 1]>()`"
)]
pub trait SplitInto<const I: usize, S: Axis<I>, E> {
    /// The variables, a tuple. See [`Variable::split`].
    type Variables;
    #[doc(hidden)]
    fn of(x: &Variable<S, E>) -> Self::Variables;
}

macro_rules! split_tuple {
    ($($part:ident)*) => {
        impl<const I: usize, S, E, $($part),*> SplitInto<I, S, E> for ($($part,)*)
        where
            S: Axis<I, Size: Splits<Self>>,
            E: Float,
            $($part: StaticDim,)*
        {
            type Variables = ($(Variable<S::With<$part>, E>,)*);

            fn of(x: &Variable<S, E>) -> Self::Variables {
                let mut start = 0;
                let mut next = |size| {
                    start += size;
                    start - size
                };
                ($({
                    let (start, size) = (next($part::SIZE), $part::SIZE);
                    moved("split", x, x.value().range::<I, S::With<$part>>(start, size), move |x| x.range::<I, _>(start, size))
                },)*)
            }
        }
    };
}

split_tuple!(P1 P2);
split_tuple!(P1 P2 P3);
split_tuple!(P1 P2 P3 P4);
split_tuple!(P1 P2 P3 P4 P5);
split_tuple!(P1 P2 P3 P4 P5 P6);

impl<S: Shape, E: Float> Variable<S, E> {
    /// [`Tensor::split`](crate::Tensor::split): axis `I` cut into parts of these sizes, two to six.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x = tensor![1.0, 2.0, 3.0].requires_grad();
    /// let (left, right) = x.split::<0, Shape![1, 2]>();
    /// (&left * right).sum().backward()?;
    /// assert_eq!(x.grad(), Some(tensor![5.0, 1.0, 1.0]));
    ///
    /// // And back: `concat` and `stack` take variables as they take tensors.
    /// let whole: Variable<Shape![4]> = (&x, &left).concat::<0>();
    /// # Ok::<(), plywood::Error>(())
    /// ```
    #[must_use]
    pub fn split<const I: usize, P>(&self) -> P::Variables
    where
        S: Axis<I>,
        P: SplitInto<I, S, E>,
    {
        P::of(self)
    }
}
