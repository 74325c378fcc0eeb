//! Several variables become one: each gets its part of the gradient.

use super::Variable;
use super::node::Record;
use crate::dim::{D, StaticDim};
use crate::element::Float;
use crate::shape::StaticShape;
use crate::tensor::{Axis, Concat, Join, Joins, NewAxis, Stack};

impl<S, T, E> Join for (&Variable<S, E>, &Variable<T, E>) {}
impl<const N: usize, S, E> Join for [&Variable<S, E>; N] {}

impl<const I: usize, S, T, E> Concat<I> for (&Variable<S, E>, &Variable<T, E>)
where
    S: Joins<I, T>,
    T: Axis<I>,
    E: Float,
{
    type Output = Variable<<S as Joins<I, T>>::Output, E>;

    fn concatenated(self) -> Self::Output {
        let (x, y) = self;
        let (left, right) = (x.sizes().as_ref()[I], y.sizes().as_ref()[I]);
        Record::new("concat", (x.value(), y.value()).concatenated())
            .of(x, move |dz| dz.range::<I, S>(0, left))
            .of(y, move |dz| dz.range::<I, T>(left, right))
            .done()
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
