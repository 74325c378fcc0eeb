//! Two tensors element by element, each repeated where it broadcasts.

#[cfg(feature = "cuda")]
use super::on_gpu;
use super::{Broadcast, BroadcastTo, Storage, StorageMut, Tensor, TryBroadcast};
use crate::element::Element;
use crate::error::{Error, Result};
use crate::shape::{Shape, Sizes};

/// The highest rank of a shape.
pub(super) const MAX_RANK: usize = 6;

/// Elements and their sizes.
type Operand<'a, E> = (&'a [E], &'a [usize]);

/// The sizes that two lists broadcast to, compared from the last.
pub(super) fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let size = |sizes: &[usize], i: usize| (i + sizes.len()).checked_sub(rank).map_or(1, |i| sizes[i]);
    (0..rank)
        .map(|i| match (size(a, i), size(b, i)) {
            (1, n) | (n, 1) => Some(n),
            (n, m) => (n == m).then_some(n),
        })
        .collect()
}

/// The shape of sizes that follow from its type.
pub(super) fn shape_of<S: Shape>(sizes: &[usize]) -> S {
    S::from_sizes(sizes).expect("sizes that follow from the type")
}

/// The distance between neighbours along each of the `rank` dimensions; 0 where an operand is repeated.
fn strides(sizes: &[usize], rank: usize) -> [usize; MAX_RANK] {
    let mut strides = [0; MAX_RANK];
    let mut stride = 1;
    for (i, size) in sizes.iter().enumerate().rev() {
        strides[i + rank - sizes.len()] = if *size == 1 { 0 } else { stride };
        stride *= size;
    }
    strides
}

/// `f(&mut y, a, b)` for every element of `y`, of sizes `sizes`, to which the operands broadcast.
pub(crate) fn zip<T, A: Copy, B: Copy>(
    y: &mut [T],
    sizes: &[usize],
    (a, a_sizes): Operand<'_, A>,
    (b, b_sizes): Operand<'_, B>,
    mut f: impl FnMut(&mut T, A, B),
) {
    if y.is_empty() {
        return;
    }
    if a_sizes == sizes && b_sizes == sizes {
        y.iter_mut().zip(a).zip(b).for_each(|((y, a), b)| f(y, *a, *b));
        return;
    }
    let rank = sizes.len();
    nest(y, sizes, (a, &strides(a_sizes, rank)), (b, &strides(b_sizes, rank)), &mut f);
}

fn nest<T, A: Copy, B: Copy>(
    y: &mut [T],
    sizes: &[usize],
    (a, a_strides): Operand<'_, A>,
    (b, b_strides): Operand<'_, B>,
    f: &mut impl FnMut(&mut T, A, B),
) {
    match sizes {
        [] => f(&mut y[0], a[0], b[0]),
        [_] => match (a_strides[0], b_strides[0]) {
            (0, 0) => y.iter_mut().for_each(|y| f(y, a[0], b[0])),
            (0, _) => y.iter_mut().zip(b).for_each(|(y, b)| f(y, a[0], *b)),
            (_, 0) => y.iter_mut().zip(a).for_each(|(y, a)| f(y, *a, b[0])),
            _ => y.iter_mut().zip(a).zip(b).for_each(|((y, a), b)| f(y, *a, *b)),
        },
        [size, inner @ ..] => {
            let len = y.len() / size;
            for (i, y) in y.chunks_exact_mut(len).enumerate() {
                let (a, b) = (&a[i * a_strides[0]..], &b[i * b_strides[0]..]);
                nest(y, inner, (a, &a_strides[1..]), (b, &b_strides[1..]), f);
            }
        }
    }
}

impl<S: Shape, E: Element, A: Storage<E>> Tensor<S, E, A> {
    pub(super) fn operand<'a>(&'a self, sizes: &'a S::Sizes) -> Operand<'a, E> {
        (self.as_slice(), sizes.as_ref())
    }

    /// f(x, y) for each two elements, broadcast.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![3, 1]> = tensor![[1.0], [2.0], [3.0]];
    /// let y: Tensor<Shape![2]> = tensor![10.0, 20.0];
    /// let z: Tensor<Shape![3, 2]> = x.zip(&y, |x, y| x.hypot(y));
    /// assert_eq!(z.get([0, 1]), Some(1f32.hypot(20.0)));
    /// ```
    #[must_use]
    pub fn zip<T, F, Y, B>(&self, other: &Tensor<T, F, B>, mut f: impl FnMut(E, F) -> Y) -> Tensor<S::Output, Y>
    where
        S: Broadcast<T>,
        T: Shape,
        F: Element,
        Y: Element,
        B: Storage<F>,
    {
        #[cfg(feature = "cuda")]
        on_gpu::not_there("zip", self);
        let (a, b) = (self.sizes(), other.sizes());
        let sizes = broadcast(a.as_ref(), b.as_ref()).expect("sizes that broadcast by their types");
        let mut y = Tensor::zeros_of(shape_of(&sizes));
        zip(y.as_mut_slice(), &sizes, self.operand(&a), other.operand(&b), |y, a, b| *y = f(a, b));
        y
    }

    /// `zip` by a function that devices know, too: `code` is it in CUDA C++, in `x` and `y`.
    #[cfg_attr(not(feature = "cuda"), expect(unused_variables))]
    pub(super) fn zip_by<T, F, Y, B>(
        &self,
        other: &Tensor<T, F, B>,
        code: &str,
        f: impl FnMut(E, F) -> Y,
    ) -> Tensor<S::Output, Y>
    where
        S: Broadcast<T>,
        T: Shape,
        F: Element,
        Y: Element,
        B: Storage<F>,
    {
        #[cfg(feature = "cuda")]
        if let Some(pair) = super::sure(on_gpu::pair(self, other)) {
            let (a, b) = (self.sizes(), other.sizes());
            let sizes = broadcast(a.as_ref(), b.as_ref()).expect("sizes that broadcast by their types");
            return super::sure(on_gpu::zipped(shape_of(&sizes), pair, code));
        }
        self.zip(other, f)
    }

    /// f(x, y) for each two elements, broadcast, where sizes are known only at run time.
    ///
    /// # Errors
    /// If two sizes differ and neither is 1, or if a size of 1 known only at run time would have to grow to one that
    /// the other's type does not state.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![_, 2]> = Tensor::from_vec(vec![1.0, 5.0, 3.0, 4.0])?;
    /// let y: Tensor<Shape![_, 2]> = Tensor::from_vec(vec![2.0, 2.0, 2.0, 9.0])?;
    /// assert_eq!(x.try_zip(&y, f32::max)?.to_vec(), [2.0, 5.0, 3.0, 9.0]);
    ///
    /// let z: Tensor<Shape![_, 2]> = Tensor::zeros_of((Dyn(3), D));
    /// let wrong = x.try_zip(&z, f32::max).unwrap_err();
    /// assert_eq!(wrong.to_string(), "shapes do not match: [2, 2] against [3, 2]");
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn try_zip<T, F, Y, B>(
        &self,
        other: &Tensor<T, F, B>,
        mut f: impl FnMut(E, F) -> Y,
    ) -> Result<Tensor<S::Output, Y>>
    where
        S: TryBroadcast<T>,
        T: Shape,
        F: Element,
        Y: Element,
        B: Storage<F>,
    {
        #[cfg(feature = "cuda")]
        if let Some(memory) = self.memory() {
            return Err(crate::backend::cuda::tensor::no_kernel("try_zip", memory.gpu()));
        }
        let (shape, a, b) = (self.try_broadcast(other)?, self.sizes(), other.sizes());
        let mut y = Tensor::zeros_of(shape);
        zip(y.as_mut_slice(), shape.sizes().as_ref(), self.operand(&a), other.operand(&b), |y, a, b| *y = f(a, b));
        Ok(y)
    }

    /// `try_zip` by a function that devices know, too, as for `zip_by`.
    #[cfg_attr(not(feature = "cuda"), expect(unused_variables))]
    pub(super) fn try_zip_by<T, F, Y, B>(
        &self,
        other: &Tensor<T, F, B>,
        code: &str,
        f: impl FnMut(E, F) -> Y,
    ) -> Result<Tensor<S::Output, Y>>
    where
        S: TryBroadcast<T>,
        T: Shape,
        F: Element,
        Y: Element,
        B: Storage<F>,
    {
        #[cfg(feature = "cuda")]
        if let Some(pair) = on_gpu::pair(self, other)? {
            return on_gpu::zipped(self.try_broadcast(other)?, pair, code);
        }
        self.try_zip(other, f)
    }

    fn try_broadcast<T: Shape, F: Element, B: Storage<F>>(&self, other: &Tensor<T, F, B>) -> Result<S::Output>
    where
        S: TryBroadcast<T>,
    {
        let (a, b) = (self.sizes(), other.sizes());
        let shape = broadcast(a.as_ref(), b.as_ref()).and_then(|sizes| S::Output::from_sizes(&sizes));
        shape.ok_or_else(|| Error::Shape {
            what: "shapes do not match",
            left: Sizes(a.as_ref()).to_string(),
            right: Sizes(b.as_ref()).to_string(),
        })
    }

    /// The same elements, repeated to another shape.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![2, 1]> = tensor![[1.0], [2.0]];
    /// let y: Tensor<Shape![2, 3]> = x.broadcast_to(Default::default());
    /// assert_eq!(y.to_vec(), [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]);
    /// ```
    #[must_use]
    pub fn broadcast_to<T: Shape>(&self, shape: T) -> Tensor<T, E>
    where
        S: BroadcastTo<T>,
    {
        #[cfg(feature = "cuda")]
        if let Some(x) = self.array() {
            return super::sure(on_gpu::copied(shape, &x.broadcast_to(shape.sizes().as_ref())));
        }
        let (mut y, sizes) = (Tensor::zeros_of(shape), self.sizes());
        let x = self.operand(&sizes);
        zip(y.as_mut_slice(), shape.sizes().as_ref(), x, x, |y, x, _| *y = x);
        y
    }
}

impl<S: Shape, E: Element, A: StorageMut<E>> Tensor<S, E, A> {
    /// f(&mut x, y) for each element x, with `other` broadcast to this shape.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let mut x: Tensor<Shape![2, 2]> = tensor![[1.0, 2.0], [3.0, 4.0]];
    /// x.zip_assign(&tensor![2.0, 3.0], |x, y: f32| *x = x.powf(y));
    /// assert_eq!(x.to_vec(), [1.0, 8.0, 9.0, 64.0]);
    /// ```
    pub fn zip_assign<T, F, B>(&mut self, other: &Tensor<T, F, B>, mut f: impl FnMut(&mut E, F))
    where
        T: BroadcastTo<S>,
        F: Element,
        B: Storage<F>,
    {
        #[cfg(feature = "cuda")]
        on_gpu::not_there("zip_assign", self);
        let (sizes, other_sizes) = (self.sizes(), other.sizes());
        let other = other.operand(&other_sizes);
        zip(self.as_mut_slice(), sizes.as_ref(), other, other, |x, y, _| f(x, y));
    }

    /// `zip_assign` by a function that devices know, too: `code` gives the new `x`.
    #[cfg_attr(not(feature = "cuda"), expect(unused_variables))]
    pub(crate) fn zip_assign_by<T, F, B>(&mut self, other: &Tensor<T, F, B>, code: &str, f: impl FnMut(&mut E, F))
    where
        T: BroadcastTo<S>,
        F: Element,
        B: Storage<F>,
    {
        #[cfg(feature = "cuda")]
        if let Some((x, y)) = super::sure(on_gpu::pair(self, other)) {
            return super::sure(on_gpu::assigned(&x, Some(y), code, &[] as &[E]));
        }
        self.zip_assign(other, f);
    }

    /// Each element by a function that devices know, too: `code` gives the new `x`, from `x` and `p`.
    #[cfg_attr(not(feature = "cuda"), expect(unused_variables))]
    pub(super) fn assign_by(&mut self, code: &str, numbers: &[E], f: impl FnMut(&mut E)) {
        #[cfg(feature = "cuda")]
        if let Some(x) = self.array() {
            return super::sure(on_gpu::assigned(&x, None, code, numbers));
        }
        self.as_mut_slice().iter_mut().for_each(f);
    }
}

#[cfg(test)]
mod tests {
    use super::broadcast;

    #[test]
    fn sizes_broadcast_as_numpys() {
        assert_eq!(broadcast(&[1, 3], &[3, 1]), Some(vec![3, 3]));
        assert_eq!(broadcast(&[10, 5], &[5]), Some(vec![10, 5]));
        assert_eq!(broadcast(&[], &[2, 0]), Some(vec![2, 0]));
        assert_eq!(broadcast(&[0], &[1]), Some(vec![0]));
        assert_eq!(broadcast(&[0], &[2]), None);
        assert_eq!(broadcast(&[2, 3], &[2, 4]), None);
        assert_eq!(broadcast(&[10, 5], &[10]), None);
    }
}
