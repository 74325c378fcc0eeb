//! Lanes: the elements along one axis, one lane for each place of the other axes.

use super::zip::shape_of;
use super::{Axis, Storage, Tensor};
use crate::dim::D;
use crate::element::Element;
use crate::shape::Shape;

/// The number of places before the axis, its size, and the number of places after it.
pub(crate) fn around(sizes: &[usize], axis: usize) -> (usize, usize, usize) {
    (sizes[..axis].iter().product(), sizes[axis], sizes[axis + 1..].iter().product())
}

impl<S: Shape, E: Element, B: Storage<E>> Tensor<S, E, B> {
    /// `f` for each lane along the axis, in row-major order of the other axes.
    fn each_lane(&self, axis: usize, mut f: impl FnMut(usize, &[E])) {
        let (before, size, after) = around(self.sizes().as_ref(), axis);
        let x = self.as_slice();
        if after == 1 {
            (0..before).for_each(|i| f(i, &x[i * size..][..size]));
            return;
        }
        let mut lane = Vec::with_capacity(size);
        for i in 0..before {
            for j in 0..after {
                lane.clear();
                lane.extend((0..size).map(|k| x[(i * size + k) * after + j]));
                f(i * after + j, &lane);
            }
        }
    }

    /// One element for each lane along axis `I`, without the axis.
    pub(super) fn reduce<const I: usize, T: Element>(&self, mut f: impl FnMut(&[E]) -> T) -> Tensor<S::Removed, T>
    where
        S: Axis<I>,
    {
        let mut sizes = self.sizes().as_ref().to_vec();
        sizes.remove(I);
        let mut y = Tensor::zeros_of(shape_of(&sizes));
        let places = y.as_mut_slice();
        self.each_lane(I, |place, lane| places[place] = f(lane));
        y
    }

    /// `reduce` by what devices know by its name, too.
    #[cfg_attr(not(feature = "cuda"), expect(unused_variables))]
    pub(super) fn reduce_by<const I: usize, T: Element>(
        &self,
        name: &str,
        f: impl FnMut(&[E]) -> T,
    ) -> Tensor<S::Removed, T>
    where
        S: Axis<I>,
    {
        #[cfg(feature = "cuda")]
        if let Some(x) = self.array() {
            let mut sizes = x.sizes().to_vec();
            sizes.remove(I);
            return super::sure(super::on_gpu::reduced(shape_of(&sizes), name, &x, around(x.sizes(), I)));
        }
        self.reduce::<I, T>(f)
    }

    /// The shape with another size of axis `I`.
    pub(super) fn resized<const I: usize, T: Shape>(&self, size: usize) -> T {
        let mut sizes = self.sizes().as_ref().to_vec();
        sizes[I] = size;
        shape_of(&sizes)
    }

    /// `reduce_by` with the axis kept at size 1.
    pub(super) fn reduce_keep_by<const I: usize, T: Element>(
        &self,
        name: &str,
        f: impl FnMut(&[E]) -> T,
    ) -> Tensor<S::With<D<1>>, T>
    where
        S: Axis<I>,
    {
        let shape = self.resized::<I, S::With<D<1>>>(1);
        self.reduce_by::<I, T>(name, f).into_shape(shape)
    }

    /// A lane of `size` elements for each lane along axis `I`; `f` gets the old one and fills the new one.
    pub(super) fn map_lanes<const I: usize, Out: Shape, T: Element>(
        &self,
        size: usize,
        mut f: impl FnMut(&[E], &mut [T]),
    ) -> Tensor<Out, T>
    where
        S: Axis<I>,
    {
        let after = around(self.sizes().as_ref(), I).2;
        let mut y = Tensor::zeros_of(self.resized::<I, Out>(size));
        let places = y.as_mut_slice();
        if size == 0 {
            return y;
        }
        let mut new = vec![T::zeroed(); size];
        self.each_lane(I, |place, lane| {
            f(lane, &mut new);
            let start = place / after * size * after + place % after;
            new.iter().enumerate().for_each(|(k, value)| places[start + k * after] = *value);
        });
        y
    }
}
