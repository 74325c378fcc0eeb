//! `+`, `-`, `*`, `/` and negation, on tensors that broadcast and with numbers, by reference and by value.

use super::{Broadcast, BroadcastTo, Storage, StorageMut, Tensor, TryBroadcast};
use crate::element::Numeric;
use crate::error::Result;
use crate::shape::Shape;
use core::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

macro_rules! between {
    ($Trait:ident $method:ident $code:literal; $($left:ty, $right:ty;)*) => {$(
        impl<S, T, E, A, B> $Trait<$right> for $left
        where
            S: Broadcast<T>,
            T: Shape,
            E: Numeric,
            A: Storage<E>,
            B: Storage<E>,
        {
            type Output = Tensor<S::Output, E>;

            fn $method(self, other: $right) -> Self::Output {
                self.zip_by(&other, concat!($code, "(x, y)"), |x, y| x.$method(y))
            }
        }
    )*};
}

macro_rules! with_number {
    ($Trait:ident $method:ident $code:literal; $($left:ty)*) => {$(
        impl<S: Shape, E: Numeric, A: Storage<E>> $Trait<E> for $left {
            type Output = Tensor<S, E>;

            fn $method(self, number: E) -> Self::Output {
                self.map_by(concat!($code, "(x, p)"), &[number], |x| x.$method(number))
            }
        }
    )*};
}

macro_rules! number_first {
    ($Trait:ident $method:ident $code:literal; $($number:ident)*) => {$(
        impl<S: Shape, A: Storage<$number>> $Trait<&Tensor<S, $number, A>> for $number {
            type Output = Tensor<S, $number>;

            fn $method(self, x: &Tensor<S, $number, A>) -> Self::Output {
                x.map_by(concat!($code, "(p, x)"), &[self], |x| self.$method(*x))
            }
        }

        impl<S: Shape, A: Storage<$number>> $Trait<Tensor<S, $number, A>> for $number {
            type Output = Tensor<S, $number>;

            fn $method(self, x: Tensor<S, $number, A>) -> Self::Output {
                self.$method(&x)
            }
        }
    )*};
}

macro_rules! assign {
    ($Trait:ident $method:ident $operation:ident $code:literal; $($right:ty)*) => {
        $(
            impl<S, T, E, A, B> $Trait<$right> for Tensor<S, E, A>
            where
                S: Shape,
                T: BroadcastTo<S>,
                E: Numeric,
                A: StorageMut<E>,
                B: Storage<E>,
            {
                fn $method(&mut self, other: $right) {
                    self.zip_assign_by(&other, concat!($code, "(x, y)"), |x, y| *x = x.$operation(y));
                }
            }
        )*

        impl<S: Shape, E: Numeric, A: StorageMut<E>> $Trait<E> for Tensor<S, E, A> {
            fn $method(&mut self, number: E) {
                self.assign_by(concat!($code, "(x, p)"), &[number], |x| *x = x.$operation(number));
            }
        }
    };
}

macro_rules! arithmetic {
    ($($Trait:ident $method:ident $Assign:ident $assign:ident $try:ident $symbol:literal $code:literal)*) => {$(
        between!($Trait $method $code;
            &Tensor<S, E, A>, &Tensor<T, E, B>;
            &Tensor<S, E, A>, Tensor<T, E, B>;
            Tensor<S, E, A>, &Tensor<T, E, B>;
            Tensor<S, E, A>, Tensor<T, E, B>;
        );
        with_number!($Trait $method $code; &Tensor<S, E, A> Tensor<S, E, A>);
        number_first!($Trait $method $code; f32 f64 i8 i16 i32 i64 u8 u16 u32 u64);
        assign!($Assign $assign $method $code; &Tensor<T, E, B> Tensor<T, E, B>);

        impl<S: Shape, E: Numeric, A: Storage<E>> Tensor<S, E, A> {
            #[doc = concat!("x ", $symbol, " y, broadcast, where sizes are known only at run time.")]
            ///
            /// # Errors
            /// As those of [`try_zip`](Tensor::try_zip): where two sizes differ and neither is 1.
            ///
            /// ```
            /// use plywood::prelude::*;
            ///
            /// let x: Tensor<Shape![_, 2]> = Tensor::from_vec(vec![4.0, 6.0])?;
            /// let y: Tensor<Shape![_, 2]> = Tensor::from_vec(vec![2.0, 3.0])?;
            #[doc = concat!("assert_eq!(x.", stringify!($try), "(&y)?.to_vec(), [4.0 ", $symbol, " 2.0, 6.0 ", $symbol, " 3.0]);")]
            /// # Ok::<(), plywood::Error>(())
            /// ```
            pub fn $try<T: Shape, B: Storage<E>>(&self, other: &Tensor<T, E, B>) -> Result<Tensor<S::Output, E>>
            where
                S: TryBroadcast<T>,
            {
                self.try_zip_by(other, concat!($code, "(x, y)"), |x, y| x.$method(y))
            }
        }
    )*};
}

arithmetic! {
    Add add AddAssign add_assign try_add "+" "ADD"
    Sub sub SubAssign sub_assign try_sub "-" "SUB"
    Mul mul MulAssign mul_assign try_mul "*" "MUL"
    Div div DivAssign div_assign try_div "/" "DIV"
}

impl<S: Shape, E: Numeric + Neg<Output = E>, A: Storage<E>> Neg for &Tensor<S, E, A> {
    type Output = Tensor<S, E>;

    fn neg(self) -> Tensor<S, E> {
        self.map_by("number::neg(x)", &[] as &[E], |x| -*x)
    }
}

impl<S: Shape, E: Numeric + Neg<Output = E>, A: Storage<E>> Neg for Tensor<S, E, A> {
    type Output = Tensor<S, E>;

    fn neg(self) -> Tensor<S, E> {
        -&self
    }
}
