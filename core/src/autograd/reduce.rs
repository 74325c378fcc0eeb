//! Reductions over the whole or along one axis.

use super::Variable;
use super::lanes::{Lane, by_lane};
use super::node::Record;
use crate::dim::D;
use crate::element::Float;
use crate::shape::Shape;
use crate::tensor::{Axis, Tensor, around, sum as sum_of};
use std::rc::Rc;

type Reduced<'a, E> = Lane<'a, E, E>;

fn sum<E: Float>(lane: Reduced<'_, E>, dx: &mut [E]) {
    dx.fill(lane.dy[0]);
}

fn mean<E: Float>(lane: Reduced<'_, E>, dx: &mut [E]) {
    dx.fill(lane.dy[0] / E::of(dx.len() as f64));
}

/// The product of all others, from those before and those after: no division, which a zero would spoil.
fn prod<E: Float>(lane: Reduced<'_, E>, dx: &mut [E]) {
    let mut product = lane.dy[0];
    for (dx, x) in dx.iter_mut().zip(lane.x) {
        *dx = product;
        product *= *x;
    }
    product = E::one();
    for (dx, x) in dx.iter_mut().zip(lane.x).rev() {
        *dx *= product;
        product *= *x;
    }
}

/// Whether an element is the extreme y, which is NaN if one is.
fn is_extreme<E: Float>(x: E, y: E) -> bool {
    x == y || x.is_nan()
}

/// Equal extremes share the gradient, as in PyTorch where the whole tensor is reduced.
fn shared<E: Float>(lane: Reduced<'_, E>, dx: &mut [E]) {
    let y = lane.y[0];
    let count = lane.x.iter().filter(|x| is_extreme(**x, y)).count();
    let share = lane.dy[0] / E::of(count as f64);
    dx.iter_mut().zip(lane.x).filter(|(_, x)| is_extreme(**x, y)).for_each(|(dx, _)| *dx = share);
}

/// The first of equal extremes gets the gradient, as in PyTorch along an axis.
fn first<E: Float>(lane: Reduced<'_, E>, dx: &mut [E]) {
    if let Some(i) = lane.x.iter().position(|x| is_extreme(*x, lane.y[0])) {
        dx[i] = lane.dy[0];
    }
}

/// Of Σ (x − mean)² / (n − correction).
fn spread<E: Float>(lane: Reduced<'_, E>, dx: &mut [E], correction: f64) {
    let n = lane.x.len() as f64;
    let mean = sum_of(lane.x) / E::of(n);
    let scale = lane.dy[0] * E::of(2.0) / E::of(n - correction);
    dx.iter_mut().zip(lane.x).for_each(|(dx, x)| *dx = scale * (*x - mean));
}

/// Of its square root: 0 where all are equal, as in PyTorch.
fn root_spread<E: Float>(lane: Reduced<'_, E>, dx: &mut [E], correction: f64) {
    let y = lane.y[0];
    if y != E::zero() {
        spread(Lane { dy: &[lane.dy[0] / (y + y)], ..lane }, dx, correction);
    }
}

fn var<E: Float>(lane: Reduced<'_, E>, dx: &mut [E]) {
    spread(lane, dx, 1.0);
}

fn var_population<E: Float>(lane: Reduced<'_, E>, dx: &mut [E]) {
    spread(lane, dx, 0.0);
}

fn std<E: Float>(lane: Reduced<'_, E>, dx: &mut [E]) {
    root_spread(lane, dx, 1.0);
}

fn std_population<E: Float>(lane: Reduced<'_, E>, dx: &mut [E]) {
    root_spread(lane, dx, 0.0);
}

/// 0 where all are 0, as in PyTorch.
fn norm<E: Float>(lane: Reduced<'_, E>, dx: &mut [E]) {
    let y = lane.y[0];
    if y != E::zero() {
        dx.iter_mut().zip(lane.x).for_each(|(dx, x)| *dx = lane.dy[0] * (*x / y));
    }
}

fn logsumexp<E: Float>(lane: Reduced<'_, E>, dx: &mut [E]) {
    dx.iter_mut().zip(lane.x).for_each(|(dx, x)| *dx = lane.dy[0] * (*x - lane.y[0]).exp());
}

/// `y` has one element for each lane of `x`; `saves` says whether the rule looks at `x` and `y`.
fn reduced<S: Shape, T: Shape, E: Float>(
    name: &'static str,
    x: &Variable<S, E>,
    y: Tensor<T, E>,
    around: (usize, usize, usize),
    saves: bool,
    rule: fn(Reduced<'_, E>, &mut [E]),
) -> Variable<T, E> {
    let (shape, record) = (x.shape(), Record::new(name, y));
    let saved = saves.then(|| (Rc::clone(&x.value), record.value()));
    let rule = move |dy: &Tensor<T, E>| {
        #[cfg(feature = "cuda")]
        if dy.memory().is_some() {
            let saved = saved.as_ref().map(|(x, y)| (&**x, &**y));
            return crate::tensor::sure(super::on_gpu::reduced(name, shape, around, saved, dy));
        }
        let (x, y) = saved.as_ref().map_or((&[][..], &[][..]), |(x, y)| (x.as_slice(), y.as_slice()));
        by_lane(shape, around, &Lane { x, y, dy: dy.as_slice() }, rule)
    };
    record.of(x, rule).done()
}

macro_rules! reductions {
    ($($all:ident $axis:ident $keep:ident $saves:literal $whole:ident $lane:ident $note:literal;)*) => {
        impl<S: Shape, E: Float> Variable<S, E> {$(
            #[doc = concat!("[`Tensor::", stringify!($all), "`] of all elements, as a variable of one.", $note)]
            ///
            /// ```
            /// use plywood::autograd::Variable;
            /// use plywood::prelude::*;
            ///
            /// let x = tensor![[1.0, 2.0, 6.0], [4.0, 5.0, 0.0]].requires_grad();
            #[doc = concat!("let y: Variable<Shape![]> = x.", stringify!($all), "();")]
            /// y.backward()?;
            /// assert!(x.grad().is_some());
            /// # Ok::<(), plywood::Error>(())
            /// ```
            #[must_use]
            pub fn $all(&self) -> Variable<(), E> {
                let size = self.value().numel();
                let y = Tensor::full_beside((), self.value().$all(), self.value());
                reduced(stringify!($all), self, y, (1, size, 1), $saves, $whole)
            }

            #[doc = concat!("[`Tensor::", stringify!($axis), "`]: along axis `I`, without the axis. See [`", stringify!($all), "`](Variable::", stringify!($all), ").")]
            #[must_use]
            pub fn $axis<const I: usize>(&self) -> Variable<S::Removed, E>
            where
                S: Axis<I>,
            {
                let around = around(self.sizes().as_ref(), I);
                reduced(stringify!($axis), self, self.value().$axis::<I>(), around, $saves, $lane)
            }

            #[doc = concat!("[`Tensor::", stringify!($keep), "`]: along axis `I`, with the axis kept at size 1. See [`", stringify!($all), "`](Variable::", stringify!($all), ").")]
            #[must_use]
            pub fn $keep<const I: usize>(&self) -> Variable<S::With<D<1>>, E>
            where
                S: Axis<I>,
            {
                let around = around(self.sizes().as_ref(), I);
                reduced(stringify!($keep), self, self.value().$keep::<I>(), around, $saves, $lane)
            }
        )*}
    };
}

reductions! {
    sum sum_axis sum_keep false sum sum "";
    mean mean_axis mean_keep false mean mean "";
    prod prod_axis prod_keep true prod prod "";
    max max_axis max_keep true shared first
        " Equal largest ones share the gradient; along an axis the first one gets it.\n\n# Panics\nIf there are no elements.";
    min min_axis min_keep true shared first
        " Equal smallest ones share the gradient; along an axis the first one gets it.\n\n# Panics\nIf there are no elements.";
    var var_axis var_keep true var var "";
    std std_axis std_keep true std std " Where all elements are equal, the gradient is 0.";
    var_population var_population_axis var_population_keep true var_population var_population "";
    std_population std_population_axis std_population_keep true std_population std_population
        " Where all elements are equal, the gradient is 0.";
    norm norm_axis norm_keep true norm norm " Where all elements are 0, the gradient is 0.";
    logsumexp logsumexp_axis logsumexp_keep true logsumexp logsumexp "";
}
