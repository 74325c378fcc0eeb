//! Elements that only move: axes in another order, rows, ranges, picks.
//!
//! One rule serves them all. The same operation on the positions of the elements says where each element of the result
//! came from, and there its gradient goes back.

use super::Variable;
use super::node::Record;
use crate::dim::{Dim, StaticDim};
use crate::element::{Float, Label};
use crate::error::Result;
use crate::shape::{Features, Shape};
use crate::tensor::permute::{Differs, Number};
use crate::tensor::{Axis, Holds, Rows, Storage, Tensor};
#[cfg(feature = "cuda")]
use crate::tensor::{on_gpu, sure};

/// `y` is `f` of the value of `x`, and the type of the elements is all the same to `f`.
pub(super) fn moved<S: Shape, T: Shape, E: Float>(
    name: &'static str,
    x: &Variable<S, E>,
    y: Tensor<T, E>,
    f: impl Fn(&Tensor<S, i64>) -> Tensor<T, i64> + 'static,
) -> Variable<T, E> {
    let shape = x.shape();
    let rule = move |dy: &Tensor<T, E>| {
        #[cfg(feature = "cuda")]
        if let Some(d) = dy.array() {
            let positions = f(&sure(on_gpu::positions(d.gpu(), shape)));
            return sure(on_gpu::scattered(shape, d, positions.array().expect("on the same GPU")));
        }
        let mut positions = Tensor::zeros_of(shape);
        positions.as_mut_slice().iter_mut().zip(0..).for_each(|(place, position)| *place = position);
        let mut dx = Tensor::zeros_of(shape);
        let places = dx.as_mut_slice();
        f(&positions).iter().zip(dy).for_each(|(position, dy)| places[*position as usize] += *dy);
        dx
    };
    Record::new(name, y).of(x, rule).done()
}

/// A closure that has worked once for the value works again for the positions.
const AGAIN: &str = "what fitted the elements fits their positions";

impl<S: Shape, E: Float> Variable<S, E> {
    /// The element at an index as a variable; `None` outside.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x = tensor![[1.0, 2.0], [3.0, 4.0]].requires_grad();
    /// x.get([1, 0]).unwrap().square().backward()?;
    /// assert_eq!(x.grad(), Some(tensor![[0.0, 0.0], [6.0, 0.0]]));
    /// assert!(x.get([2, 0]).is_none());
    /// # Ok::<(), plywood::Error>(())
    /// ```
    #[must_use]
    pub fn get(&self, index: S::Sizes) -> Option<Variable<(), E>> {
        let y = self.value().get(index)?;
        let y = Tensor::full_beside((), y, self.value());
        Some(moved("get", self, y, move |x| Tensor::full_beside((), x.get(index).expect(AGAIN), x)))
    }

    /// [`Tensor::row`], as a variable; `None` outside.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x = tensor![[1.0, 2.0], [3.0, 4.0]].requires_grad();
    /// (x.row(1).unwrap() * x.row(0).unwrap()).sum().backward()?;
    /// assert_eq!(x.grad(), Some(tensor![[3.0, 4.0], [1.0, 2.0]]));
    /// # Ok::<(), plywood::Error>(())
    /// ```
    #[must_use]
    pub fn row(&self, index: usize) -> Option<Variable<S::Row, E>>
    where
        S: Rows<Row: Features>,
    {
        let y = self.value().row_owned(index)?;
        Some(moved("row", self, y, move |x| x.row_owned(index).expect(AGAIN)))
    }

    /// The rows, first to last, each as [`row`](Variable::row) gives it.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = Variable<S::Row, E>> + '_
    where
        S: Rows<Row: Features>,
    {
        (0..self.shape().rows()).map(|i| self.row(i).expect("a row of as many"))
    }

    /// [`Tensor::slice`]: `Length` positions of axis `I` from `Start` on.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x = tensor![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]].requires_grad();
    /// x.slice::<1, D<1>, D<2>>().sum().backward()?;
    /// assert_eq!(x.grad(), Some(tensor![[0.0, 1.0, 1.0], [0.0, 1.0, 1.0]]));
    /// # Ok::<(), plywood::Error>(())
    /// ```
    #[must_use]
    pub fn slice<const I: usize, Start: StaticDim, Length: StaticDim>(&self) -> Variable<S::With<Length>, E>
    where
        S: Axis<I, Size: Holds<Start, Length>>,
    {
        moved("slice", self, self.value().slice::<I, Start, Length>(), |x| x.slice::<I, Start, Length>())
    }

    /// [`Tensor::narrow`]: `Length` positions of axis `I` from `start` on; see [`slice`](Variable::slice).
    ///
    /// # Errors
    /// If they do not lie in the axis.
    pub fn narrow<const I: usize, Length: StaticDim>(&self, start: usize) -> Result<Variable<S::With<Length>, E>>
    where
        S: Axis<I>,
    {
        let y = self.value().narrow::<I, Length>(start)?;
        Ok(moved("narrow", self, y, move |x| x.narrow::<I, Length>(start).expect(AGAIN)))
    }

    /// The axis `I`, to pick from it by indices, as [`Tensor::along`].
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x = tensor![0.5, 1.5, 2.5].requires_grad();
    /// x.along::<0>().index_select(&tensor![1, 1])?.sum().backward()?;
    /// assert_eq!(x.grad(), Some(tensor![0.0, 2.0, 0.0]));
    /// # Ok::<(), plywood::Error>(())
    /// ```
    #[must_use]
    pub fn along<const I: usize>(&self) -> Along<'_, I, S, E>
    where
        S: Axis<I>,
    {
        Along(self)
    }
}

/// The axis `I` of a variable; see [`Variable::along`].
#[derive(Debug)]
pub struct Along<'a, const I: usize, S: Shape, E: Float>(&'a Variable<S, E>);

impl<const I: usize, S: Axis<I>, E: Float> Along<'_, I, S, E> {
    /// [`index_select`](crate::tensor::Along::index_select); see [`Variable::along`].
    ///
    /// # Errors
    /// If an index is outside the axis.
    pub fn index_select<N: Dim, L: Label, A: Storage<L>>(
        &self,
        indices: &Tensor<(N,), L, A>,
    ) -> Result<Variable<S::With<N>, E>> {
        let y = self.0.value().along::<I>().index_select(indices)?;
        let indices = indices.to_owned();
        #[cfg(feature = "cuda")]
        if y.memory().is_some() {
            let shape = self.0.shape();
            let rule = move |dy: &Tensor<_, E>| sure(on_gpu::unselected(shape, dy, &indices, I));
            return Ok(Record::new("index_select", y).of(self.0, rule).done());
        }
        Ok(moved("index_select", self.0, y, move |x| x.along::<I>().index_select(&indices).expect(AGAIN)))
    }

    /// [`gather`](crate::tensor::Along::gather): for each place of `indices` the element at that index along the axis.
    ///
    /// # Errors
    /// If an index is outside the axis, or if `indices` is larger than this variable along another axis.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let logits = tensor![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]].requires_grad();
    /// let labels: Tensor<Shape![2, 1], i64> = tensor![[2], [0]];
    /// logits.along::<1>().gather(&labels)?.sum().backward()?;
    /// assert_eq!(logits.grad(), Some(tensor![[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]));
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn gather<N: Dim, L: Label, A: Storage<L>>(
        &self,
        indices: &Tensor<S::With<N>, L, A>,
    ) -> Result<Variable<S::With<N>, E>> {
        let y = self.0.value().along::<I>().gather(indices)?;
        let indices = indices.to_owned();
        #[cfg(feature = "cuda")]
        if y.memory().is_some() {
            let shape = self.0.shape();
            let rule = move |dy: &Tensor<_, E>| sure(on_gpu::ungathered(shape, dy, &indices, I));
            return Ok(Record::new("gather", y).of(self.0, rule).done());
        }
        Ok(moved("gather", self.0, y, move |x| x.along::<I>().gather(&indices).expect(AGAIN)))
    }
}

impl<M: Dim, N: Dim, E: Float> Variable<(M, N), E> {
    /// [`Tensor::column`], as a variable; `None` outside.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x = tensor![[1.0, 2.0], [3.0, 4.0]].requires_grad();
    /// x.column(1).unwrap().sum().backward()?;
    /// assert_eq!(x.grad(), Some(tensor![[0.0, 1.0], [0.0, 1.0]]));
    /// # Ok::<(), plywood::Error>(())
    /// ```
    #[must_use]
    pub fn column(&self, index: usize) -> Option<Variable<(M,), E>> {
        let y = self.value().column(index)?;
        Some(moved("column", self, y, move |x| x.column(index).expect(AGAIN)))
    }
}

macro_rules! permute {
    ($($shape:ty, [$($name:ident)*], $($axis:ident)*, $(($i:ident $j:ident))*;)*) => {$(
        impl<$($name: Dim,)* E: Float> Variable<$shape, E> {
            permute!(@method $shape, $($axis)*, $(($i $j))*);
        }
    )*};
    (@method $shape:ty, $($axis:ident)*, $(($i:ident $j:ident))*) => {
        /// [`Tensor::permute`]: the axes in another order, given by their old numbers.
        ///
        /// ```
        /// use plywood::autograd::Variable;
        /// use plywood::prelude::*;
        ///
        /// let x = Tensor::<Shape![2, 3, 4]>::ones().requires_grad();
        /// let y: Variable<Shape![4, 2, 3]> = x.permute::<2, 0, 1>();
        /// ```
        #[must_use]
        #[allow(clippy::type_complexity)]
        pub fn permute<$(const $axis: usize),*>(&self) -> Variable<($(<$shape as Axis<$axis>>::Size,)*), E>
        where
            $($shape: Axis<$axis>,)*
            $(Number<$i>: Differs<$j>,)*
        {
            moved("permute", self, self.value().permute::<$($axis),*>(), |x| x.permute::<$($axis),*>())
        }
    };
}

permute! {
    (A1, A2), [A1 A2], I J, (I J);
    (A1, A2, A3), [A1 A2 A3], I J L, (I J) (I L) (J L);
    (A1, A2, A3, A4), [A1 A2 A3 A4], I J L M, (I J) (I L) (I M) (J L) (J M) (L M);
    (A1, A2, A3, A4, A5), [A1 A2 A3 A4 A5], I J L M N, (I J) (I L) (I M) (I N) (J L) (J M) (J N) (L M) (L N) (M N);
    (A1, A2, A3, A4, A5, A6), [A1 A2 A3 A4 A5 A6], I J L M N O, (I J) (I L) (I M) (I N) (I O) (J L) (J M) (J N) (J O) (L M) (L N) (L O) (M N) (M O) (N O);
}
