//! What turns each lane along an axis into another lane: softmax, running sums, order.

use super::Variable;
use super::lanes::{Lane, by_lane};
use super::node::Record;
use crate::dim::StaticDim;
use crate::element::Float;
use crate::error::Result;
use crate::shape::Shape;
use crate::tensor::{Axis, Tensor, around};

fn softmax<E: Float>(lane: Lane<'_, E, E>, dx: &mut [E]) {
    let dot: E = lane.y.iter().zip(lane.dy).map(|(y, dy)| *y * *dy).sum();
    dx.iter_mut().zip(lane.y.iter().zip(lane.dy)).for_each(|(dx, (y, dy))| *dx = *y * (*dy - dot));
}

fn log_softmax<E: Float>(lane: Lane<'_, E, E>, dx: &mut [E]) {
    let sum = crate::tensor::sum(lane.dy);
    dx.iter_mut().zip(lane.y.iter().zip(lane.dy)).for_each(|(dx, (y, dy))| *dx = *dy - y.exp() * sum);
}

fn cumsum<E: Float>(lane: Lane<'_, E, E>, dx: &mut [E]) {
    let mut sum = E::zero();
    for (dx, dy) in dx.iter_mut().zip(lane.dy).rev() {
        sum += *dy;
        *dx = sum;
    }
}

fn running<S: Shape, E: Float>(
    name: &'static str,
    axis: usize,
    x: &Variable<S, E>,
    y: Tensor<S, E>,
    rule: fn(Lane<'_, E, E>, &mut [E]),
) -> Variable<S, E> {
    let (shape, around) = (x.shape(), around(x.sizes().as_ref(), axis));
    let record = Record::new(name, y);
    let y = record.value();
    let rule = move |dy: &Tensor<S, E>| {
        #[cfg(feature = "cuda")]
        if dy.memory().is_some() {
            return crate::tensor::sure(super::on_gpu::running(name, around, &y, dy));
        }
        by_lane(shape, around, &Lane { x: &[], y: y.as_slice(), dy: dy.as_slice() }, rule)
    };
    record.of(x, rule).done()
}

/// `y` along the axis are the elements of `x` at these positions.
fn ordered<S: Shape, T: Shape, E: Float>(
    name: &'static str,
    axis: usize,
    x: &Variable<S, E>,
    (y, positions): (Tensor<T, E>, Tensor<T, i64>),
) -> (Variable<T, E>, Tensor<T, i64>) {
    let (shape, around, saved) = (x.shape(), around(x.sizes().as_ref(), axis), positions.clone());
    let rule = move |dy: &Tensor<T, E>| {
        #[cfg(feature = "cuda")]
        if let (Some(d), Some(positions)) = (dy.array(), saved.array()) {
            return crate::tensor::sure(crate::tensor::on_gpu::unordered(shape, d, positions, axis));
        }
        let all = Lane { x: &[], y: saved.as_slice(), dy: dy.as_slice() };
        by_lane(shape, around, &all, |lane, dx| {
            lane.y.iter().zip(lane.dy).for_each(|(position, dy)| dx[*position as usize] = *dy);
        })
    };
    (Record::new(name, y).of(x, rule).done(), positions)
}

impl<S: Shape, E: Float> Variable<S, E> {
    /// [`Tensor::softmax`] along axis `I`.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x = tensor![[0.0, 0.0]].requires_grad();
    /// x.softmax::<1>().get([0, 0]).unwrap().backward()?;
    /// assert_eq!(x.grad(), Some(tensor![[0.25, -0.25]]));
    /// # Ok::<(), plywood::Error>(())
    /// ```
    #[must_use]
    pub fn softmax<const I: usize>(&self) -> Variable<S, E>
    where
        S: Axis<I>,
    {
        running("softmax", I, self, self.value().softmax::<I>(), softmax)
    }

    /// [`Tensor::log_softmax`] along axis `I`.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x = tensor![[0.0, 0.0]].requires_grad();
    /// x.log_softmax::<1>().get([0, 0]).unwrap().backward()?;
    /// assert_eq!(x.grad(), Some(tensor![[0.5, -0.5]]));
    /// # Ok::<(), plywood::Error>(())
    /// ```
    #[must_use]
    pub fn log_softmax<const I: usize>(&self) -> Variable<S, E>
    where
        S: Axis<I>,
    {
        running("log_softmax", I, self, self.value().log_softmax::<I>(), log_softmax)
    }

    /// [`Tensor::cumsum`] along axis `I`.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x = tensor![1.0, 2.0, 3.0].requires_grad();
    /// x.cumsum::<0>().sum().backward()?;
    /// assert_eq!(x.grad(), Some(tensor![3.0, 2.0, 1.0]));
    /// # Ok::<(), plywood::Error>(())
    /// ```
    #[must_use]
    pub fn cumsum<const I: usize>(&self) -> Variable<S, E>
    where
        S: Axis<I>,
    {
        running("cumsum", I, self, self.value().cumsum::<I>(), cumsum)
    }

    /// [`Tensor::sort`] along axis `I`: the elements from small to large, and where each was.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x = tensor![0.5, -1.0, 0.25].requires_grad();
    /// let (values, _positions) = x.sort::<0>();
    /// (values * tensor![1.0, 2.0, 3.0]).sum().backward()?;
    /// assert_eq!(x.grad(), Some(tensor![3.0, 1.0, 2.0]));
    /// # Ok::<(), plywood::Error>(())
    /// ```
    #[must_use]
    pub fn sort<const I: usize>(&self) -> (Variable<S, E>, Tensor<S, i64>)
    where
        S: Axis<I>,
    {
        ordered("sort", I, self, self.value().sort::<I>())
    }

    /// [`Tensor::topk`] along axis `I`: the `K` largest elements, and where each was.
    ///
    /// # Errors
    /// If the axis has fewer than `K` elements.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x = tensor![0.5, -1.0, 0.25].requires_grad();
    /// let (values, _positions) = x.topk::<0, D<2>>()?;
    /// values.sum().backward()?;
    /// assert_eq!(x.grad(), Some(tensor![1.0, 0.0, 1.0]));
    /// # Ok::<(), plywood::Error>(())
    /// ```
    #[allow(clippy::type_complexity)]
    pub fn topk<const I: usize, K: StaticDim>(&self) -> Result<(Variable<S::With<K>, E>, Tensor<S::With<K>, i64>)>
    where
        S: Axis<I>,
    {
        Ok(ordered("topk", I, self, self.value().topk::<I, K>()?))
    }
}
