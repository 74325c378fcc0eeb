use super::{Storage, Tensor, TensorView};
use crate::dim::{D, Dim, StaticDim};
use crate::element::Element;
use crate::shape::{Features, Shape, StaticShape};
use core::iter::FusedIterator;
use core::marker::PhantomData;
#[cfg(feature = "generic-array")]
use generic_array::{ArrayLength, GenericArray};

/// Shapes with a first dimension to go along: a batch of samples, the rows of a matrix.
///
/// ```
/// use plywood::prelude::*;
/// use plywood::tensor::Rows;
///
/// /// The first row, of whatever shape rows are.
/// fn head<S: Rows>(x: &Tensor<S>) -> Option<TensorView<'_, S::Row>> {
///     (x.shape().rows() > 0).then(|| x.row(0))?
/// }
/// assert_eq!(head(&tensor![[1.0, 2.0], [3.0, 4.0]]), Some(tensor![1.0, 2.0].view()));
/// let _: <Shape![_, 784] as Rows>::First = Dyn(32);
/// ```
#[diagnostic::on_unimplemented(
    message = "a tensor of shape `{Self}` has no rows",
    label = "rows need a first size, and the sizes after it known at compile time"
)]
pub trait Rows: Shape {
    /// The shape of one row.
    type Row: Features;
    /// The type of the first size.
    type First: Dim;

    /// The number of rows.
    fn rows(&self) -> usize {
        self.sizes().as_ref()[0]
    }
}

macro_rules! rows {
    ($($name:ident)*) => {
        impl<First: Dim, $($name: StaticDim),*> Rows for (First, $($name,)*) {
            type Row = ($($name,)*);
            type First = First;
        }
    };
}

rows!();
rows!(A2);
rows!(A2 A3);
rows!(A2 A3 A4);
rows!(A2 A3 A4 A5);
rows!(A2 A3 A4 A5 A6);

impl<S: Rows, E: Element, B: Storage<E>> Tensor<S, E, B> {
    /// A row; `None` outside. Nothing is copied.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![2, 3]> = tensor![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
    /// let row: TensorView<Shape![3]> = x.row(1).unwrap();
    /// assert_eq!(row.to_vec(), [4.0, 5.0, 6.0]);
    /// assert!(x.row(2).is_none());
    /// ```
    #[must_use]
    pub fn row(&self, index: usize) -> Option<TensorView<'_, S::Row, E>> {
        let len = <S::Row as StaticShape>::NUMEL;
        (index < self.shape.rows())
            .then(|| TensorView::of_slice(Default::default(), &self.as_slice()[index * len..][..len]))
    }

    /// A row of its own, where this tensor is; `None` outside.
    #[cfg(feature = "autograd")]
    pub(crate) fn row_owned(&self, index: usize) -> Option<Tensor<S::Row, E>> {
        #[cfg(feature = "cuda")]
        if let Some(x) = self.array() {
            let of = |x: crate::backend::cuda::tensor::Array<'_>| super::on_gpu::copied(S::Row::default(), &x);
            return (index < self.shape.rows()).then(|| super::sure(of(x.narrowed(0, index, 1))));
        }
        Some(self.row(index)?.to_owned())
    }

    /// The rows, first to last. Nothing is copied.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![2, 3]> = tensor![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
    /// let sums: Vec<f32> = x.rows().map(|row| row.iter().sum()).collect();
    /// assert_eq!(sums, [6.0, 15.0]);
    /// ```
    #[must_use]
    pub fn rows(&self) -> RowsIter<'_, S::Row, E> {
        RowsIter { rest: self.as_slice(), left: self.shape.rows(), shape: PhantomData }
    }
}

/// The rows of a tensor; see [`Tensor::rows`].
#[derive(Clone, Debug)]
pub struct RowsIter<'a, Row, E> {
    rest: &'a [E],
    left: usize,
    shape: PhantomData<Row>,
}

impl<'a, Row: Features, E: Element> Iterator for RowsIter<'a, Row, E> {
    type Item = TensorView<'a, Row, E>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let (row, rest) = self.rest.split_at(Row::NUMEL);
        self.rest = rest;
        Some(TensorView::of_slice(Row::default(), row))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<Row: Features, E: Element> ExactSizeIterator for RowsIter<'_, Row, E> {}
impl<Row: Features, E: Element> FusedIterator for RowsIter<'_, Row, E> {}

#[cfg(feature = "generic-array")]
impl<N: StaticDim<Num: ArrayLength>, E: Element, B: Storage<E>> Tensor<(N,), E, B> {
    /// The elements as an array whose length is the type's, however large; [`to_array`](Tensor::to_array) gives a plain
    /// array for up to 999. With the feature `generic-array`, which is a default.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![1500]> = Tensor::ones();
    /// assert_eq!(x.to_generic_array().len(), 1500);
    /// ```
    #[must_use]
    pub fn to_generic_array(&self) -> GenericArray<E, N::Num> {
        GenericArray::<E, N::Num>::from_slice(self.as_slice()).clone()
    }
}

impl<const N: usize, E: Element, B: Storage<E>> Tensor<(D<N>,), E, B>
where
    D<N>: StaticDim,
{
    /// The elements as an array, of up to 999.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![2, 3]> = tensor![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
    /// let [a, b, c] = x.row(0).unwrap().to_array();
    /// assert_eq!((a, b, c), (1.0, 2.0, 3.0));
    /// ```
    #[must_use]
    pub fn to_array(&self) -> [E; N] {
        let elements = self.read();
        core::array::from_fn(|i| elements[i])
    }
}
