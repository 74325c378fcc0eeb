//! Axes in another order.

use super::zip::{MAX_RANK, shape_of};
use super::{Axis, Storage, Tensor};
use crate::dim::Dim;
use crate::element::Element;
use crate::shape::Shape;

/// Two different axes of a permutation.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "axis {J} stands twice in a permutation",
    label = "every axis stands once in a permutation"
)]
pub trait Differs<const J: usize> {}

/// The axis `I`.
#[doc(hidden)]
#[derive(Debug)]
pub struct Number<const I: usize>;

macro_rules! differs {
    ($($i:literal: $($j:literal)*;)*) => {$($(
        #[diagnostic::do_not_recommend]
        impl Differs<$j> for Number<$i> {}
    )*)*};
}

differs! {
    0: 1 2 3 4 5;
    1: 0 2 3 4 5;
    2: 0 1 3 4 5;
    3: 0 1 2 4 5;
    4: 0 1 2 3 5;
    5: 0 1 2 3 4;
}

/// Copies `x`, of sizes `sizes`, with its axes in the order `order`; gives the new sizes.
pub(crate) fn permuted<E: Copy>(x: &[E], sizes: &[usize], order: &[usize], y: &mut Vec<E>) -> Vec<usize> {
    let mut strides = [0; MAX_RANK];
    let mut stride = 1;
    for (i, size) in sizes.iter().enumerate().rev() {
        strides[i] = stride;
        stride *= size;
    }
    let sizes: Vec<usize> = order.iter().map(|i| sizes[*i]).collect();
    let strides: Vec<usize> = order.iter().map(|i| strides[*i]).collect();
    if !x.is_empty() {
        push(x, &sizes, &strides, y);
    }
    sizes
}

fn push<E: Copy>(x: &[E], sizes: &[usize], strides: &[usize], y: &mut Vec<E>) {
    match (sizes, strides) {
        ([size], [stride]) => y.extend((0..*size).map(|i| x[i * stride])),
        ([size, sizes @ ..], [stride, strides @ ..]) => {
            (0..*size).for_each(|i| push(&x[i * stride..], sizes, strides, y));
        }
        _ => y.push(x[0]),
    }
}

impl<S: Shape, E: Element, B: Storage<E>> Tensor<S, E, B> {
    fn in_order<T: Shape>(&self, order: &[usize]) -> Tensor<T, E> {
        #[cfg(feature = "cuda")]
        if let Some(x) = self.array() {
            let x = x.permuted(order);
            return super::sure(super::on_gpu::copied(shape_of(x.sizes()), &x));
        }
        let mut y = Vec::with_capacity(self.numel());
        let sizes = permuted(self.as_slice(), self.sizes().as_ref(), order, &mut y);
        Tensor::from_slice_of(shape_of(&sizes), &y).expect("as many elements as before")
    }
}

impl<M: Dim, N: Dim, E: Element, B: Storage<E>> Tensor<(M, N), E, B> {
    /// Rows become columns: `[m, n]` becomes `[n, m]`.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![2, 3]> = tensor![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
    /// assert_eq!(x.transpose(), tensor![[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]);
    /// ```
    #[must_use]
    pub fn transpose(&self) -> Tensor<(N, M), E> {
        self.in_order(&[1, 0])
    }
}

macro_rules! permute {
    ($($shape:ty, [$($name:ident)*], $($axis:ident)*, $(($i:ident $j:ident))*, $given:literal $order:literal $result:literal;)*) => {$(
        impl<$($name: Dim,)* E: Element, Data: Storage<E>> Tensor<$shape, E, Data> {
            permute!(@method $shape, $($axis)*, $(($i $j))*, $given $order $result);
        }
    )*};
    (@method $shape:ty, $($axis:ident)*, $(($i:ident $j:ident))*, $given:literal $order:literal $result:literal) => {
        /// The axes in another order, given by their old numbers.
        ///
        /// ```
        /// use plywood::prelude::*;
        ///
        #[doc = concat!("let x = Tensor::<Shape!", $given, ">::zeros();")]
        #[doc = concat!("let y: Tensor<Shape!", $result, "> = x.permute::<", $order, ">();")]
        /// ```
        #[must_use]
        #[allow(clippy::type_complexity)]
        pub fn permute<$(const $axis: usize),*>(&self) -> Tensor<($(<$shape as Axis<$axis>>::Size,)*), E>
        where
            $($shape: Axis<$axis>,)*
            $(Number<$i>: Differs<$j>,)*
        {
            self.in_order(&[$($axis),*])
        }
    };
}

permute! {
    (A1, A2), [A1 A2], I J, (I J), "[2, 3]" "1, 0" "[3, 2]";
    (A1, A2, A3), [A1 A2 A3], I J L, (I J) (I L) (J L), "[2, 3, 4]" "2, 0, 1" "[4, 2, 3]";
    (A1, A2, A3, A4), [A1 A2 A3 A4], I J L M, (I J) (I L) (I M) (J L) (J M) (L M), "[2, 3, 4, 5]" "0, 3, 1, 2" "[2, 5, 3, 4]";
    (A1, A2, A3, A4, A5), [A1 A2 A3 A4 A5], I J L M N, (I J) (I L) (I M) (I N) (J L) (J M) (J N) (L M) (L N) (M N), "[2, 3, 4, 5, 6]" "4, 3, 2, 1, 0" "[6, 5, 4, 3, 2]";
    (A1, A2, A3, A4, A5, A6), [A1 A2 A3 A4 A5 A6], I J L M N O, (I J) (I L) (I M) (I N) (I O) (J L) (J M) (J N) (J O) (L M) (L N) (L O) (M N) (M O) (N O), "[2, 3, 4, 5, 6, 7]" "1, 0, 2, 5, 4, 3" "[3, 2, 4, 7, 6, 5]";
}
