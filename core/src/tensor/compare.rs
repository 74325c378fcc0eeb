//! Comparisons, which give tensors of `bool`, and what to do with those.

use super::zip::{broadcast, shape_of, zip};
use super::{Broadcast, Storage, Tensor};
use crate::element::Element;
use crate::shape::Shape;
use core::ops::{BitAnd, BitOr, BitXor, Not};

macro_rules! comparisons {
    ($($name:ident $symbol:literal $operator:tt [$($result:literal)*];)*) => {
        impl<S: Shape, E: Element, A: Storage<E>> Tensor<S, E, A> {$(
            #[doc = concat!("Whether x ", $symbol, " y, for each two elements, broadcast. A comparison with NaN is as Rust's.")]
            ///
            /// ```
            /// use plywood::prelude::*;
            ///
            /// let x: Tensor<Shape![3]> = tensor![1.0, 2.0, 3.0];
            /// let two: Tensor<Shape![1]> = tensor![2.0];
            #[doc = concat!("let mask: Tensor<Shape![3], bool> = x.", stringify!($name), "(&two);")]
            #[doc = concat!("assert_eq!(mask.to_vec(), [", $(stringify!($result), ", ",)* "]);")]
            /// ```
            #[must_use]
            pub fn $name<T: Shape, B: Storage<E>>(&self, other: &Tensor<T, E, B>) -> Tensor<S::Output, bool>
            where
                S: Broadcast<T>,
            {
                self.zip_by(other, concat!("x ", stringify!($operator), " y"), |x, y| x $operator y)
            }
        )*}
    };
}

comparisons! {
    eq_elem "=" == [false true false];
    ne_elem "≠" != [true false true];
    lt_elem "<" < [true false false];
    le_elem "≤" <= [true true false];
    gt_elem ">" > [false false true];
    ge_elem "≥" >= [false true true];
}

impl<S: Shape, A: Storage<bool>> Tensor<S, bool, A> {
    /// x where this is true, y where it is false, all three broadcast.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![2, 2]> = tensor![[1.0, -5.0], [-3.0, 2.0]];
    /// let zero = Tensor::<Shape![]>::zeros();
    /// let y: Tensor<Shape![2, 2]> = x.gt_elem(&zero).where_(&x, &zero);
    /// assert_eq!(y, x.relu());
    /// ```
    #[must_use]
    pub fn where_<T, U, E, B, C>(
        &self,
        x: &Tensor<T, E, B>,
        y: &Tensor<U, E, C>,
    ) -> Tensor<<<S as Broadcast<T>>::Output as Broadcast<U>>::Output, E>
    where
        S: Broadcast<T, Output: Broadcast<U>>,
        T: Shape,
        U: Shape,
        E: Element,
        B: Storage<E>,
        C: Storage<E>,
    {
        #[cfg(feature = "cuda")]
        if let Some(tensor) = super::sure(super::on_gpu::chosen(self, x, y)) {
            return tensor;
        }
        let (mask, a, b) = (self.sizes(), x.sizes(), y.sizes());
        let sizes = broadcast(mask.as_ref(), a.as_ref())
            .and_then(|sizes| broadcast(&sizes, b.as_ref()))
            .expect("sizes that broadcast by their types");
        let mut z = Tensor::zeros_of(shape_of(&sizes));
        let y = y.operand(&b);
        zip(z.as_mut_slice(), &sizes, y, y, |z, y, _| *z = y);
        zip(z.as_mut_slice(), &sizes, self.operand(&mask), x.operand(&a), |z, mask, x| {
            if mask {
                *z = x;
            }
        });
        z
    }

    /// Whether every element is true.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![3]> = tensor![1.0, 2.0, 3.0];
    /// let mask = x.gt_elem(&tensor![2.0]);
    /// assert!(!mask.all() && mask.any() && mask.count() == 1);
    /// ```
    #[must_use]
    pub fn all(&self) -> bool {
        #[cfg(feature = "cuda")]
        if let Some(x) = self.array() {
            return super::sure(super::on_gpu::count(&x)) == self.numel();
        }
        self.iter().all(|x| *x)
    }

    /// Whether some element is true; see [`all`](Tensor::all).
    #[must_use]
    pub fn any(&self) -> bool {
        #[cfg(feature = "cuda")]
        if let Some(x) = self.array() {
            return super::sure(super::on_gpu::count(&x)) > 0;
        }
        self.iter().any(|x| *x)
    }

    /// How many elements are true; see [`all`](Tensor::all).
    #[must_use]
    pub fn count(&self) -> usize {
        #[cfg(feature = "cuda")]
        if let Some(x) = self.array() {
            return super::sure(super::on_gpu::count(&x));
        }
        self.iter().filter(|x| **x).count()
    }
}

impl<S: Shape, A: Storage<bool>> Not for &Tensor<S, bool, A> {
    type Output = Tensor<S, bool>;

    fn not(self) -> Self::Output {
        self.map_by("!x", &[] as &[bool], |x| !x)
    }
}

impl<S: Shape, A: Storage<bool>> Not for Tensor<S, bool, A> {
    type Output = Tensor<S, bool>;

    fn not(self) -> Self::Output {
        !&self
    }
}

macro_rules! logic {
    ($($Trait:ident $method:ident $code:literal)*) => {$(
        logic!(@between $Trait $method $code;
            &Tensor<S, bool, A>, &Tensor<T, bool, B>;
            &Tensor<S, bool, A>, Tensor<T, bool, B>;
            Tensor<S, bool, A>, &Tensor<T, bool, B>;
            Tensor<S, bool, A>, Tensor<T, bool, B>;
        );
    )*};
    (@between $Trait:ident $method:ident $code:literal; $($left:ty, $right:ty;)*) => {$(
        impl<S, T, A, B> $Trait<$right> for $left
        where
            S: Broadcast<T>,
            T: Shape,
            A: Storage<bool>,
            B: Storage<bool>,
        {
            type Output = Tensor<S::Output, bool>;

            fn $method(self, other: $right) -> Self::Output {
                self.zip_by(&other, $code, |x, y| x.$method(y))
            }
        }
    )*};
}

logic!(BitAnd bitand "x && y" BitOr bitor "x || y" BitXor bitxor "x != y");
