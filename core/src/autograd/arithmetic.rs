//! `+`, `-`, `*`, `/` and negation, on variables, tensors and numbers, by reference and by value.

use super::broadcast::{binary, spread, sum_to};
use super::node::Record;
use super::{Operand, Variable};
use crate::element::Float;
use crate::error::Result;
use crate::shape::Shape;
use crate::tensor::{Broadcast, Storage, Tensor, TryBroadcast};
use core::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

/// z = x ± y saves nothing.
fn added<S: Shape, T: Shape, O: Shape, E: Float>(
    name: &'static str,
    (x, y): (&Variable<S, E>, &Variable<T, E>),
    z: Tensor<O, E>,
    sign: E,
) -> Variable<O, E> {
    let (left, right) = (x.shape(), y.shape());
    Record::new(name, z)
        .of(x, move |dz| sum_to(dz.clone(), left))
        .of(y, move |dz| sum_to(dz.map_by("p * x", &[sign], |dz| sign * *dz), right))
        .done()
}

type Pair<'a, S, T, E> = (&'a Variable<S, E>, &'a Variable<T, E>);

fn add<S: Shape, T: Shape, O: Shape, E: Float>(pair: Pair<'_, S, T, E>, z: Tensor<O, E>) -> Variable<O, E> {
    added("add", pair, z, E::one())
}

fn sub<S: Shape, T: Shape, O: Shape, E: Float>(pair: Pair<'_, S, T, E>, z: Tensor<O, E>) -> Variable<O, E> {
    added("sub", pair, z, -E::one())
}

fn mul<S: Shape, T: Shape, O: Shape, E: Float>(pair: Pair<'_, S, T, E>, z: Tensor<O, E>) -> Variable<O, E> {
    binary("mul", pair, z, ["x * z", "x * y"], |_, y| y, |x, _| x)
}

fn div<S: Shape, T: Shape, O: Shape, E: Float>(pair: Pair<'_, S, T, E>, z: Tensor<O, E>) -> Variable<O, E> {
    binary("div", pair, z, ["x / z", "-x * (y / z) / z"], |_, y| E::one() / y, |x, y| -(x / y) / y)
}

/// y = f(x) with a constant derivative.
fn scaled<S: Shape, E: Float>(name: &'static str, x: &Variable<S, E>, y: Tensor<S, E>, slope: E) -> Variable<S, E> {
    Record::new(name, y).of(x, move |dy| dy.map_by("p * x", &[slope], |dy| slope * *dy)).done()
}

macro_rules! between {
    ($Trait:ident $method:ident; $([$($b:ident)*] $left:ty, $right:ty;)*) => {$(
        impl<S, T, E, $($b: Storage<E>)*> $Trait<$right> for $left
        where
            S: Broadcast<T>,
            T: Shape,
            E: Float,
        {
            type Output = Variable<S::Output, E>;

            fn $method(self, other: $right) -> Self::Output {
                let (x, y) = (self.variable(), other.variable());
                $method((&x, &y), x.value().$method(y.value()))
            }
        }
    )*};
}

macro_rules! with_number {
    ($Trait:ident $method:ident $slope:expr; $($left:ty)*) => {$(
        impl<S: Shape, E: Float> $Trait<E> for $left {
            type Output = Variable<S, E>;

            fn $method(self, number: E) -> Self::Output {
                scaled(stringify!($method), &self, self.value().$method(number), ($slope)(number))
            }
        }
    )*};
}

macro_rules! number_first {
    ($Trait:ident $method:ident; $($number:ident $right:ty;)*) => {$(
        impl<S: Shape> $Trait<$right> for $number {
            type Output = Variable<S, $number>;

            fn $method(self, x: $right) -> Self::Output {
                let number = Variable::constant(Tensor::full_beside((), self, x.value()));
                $method((&number, &x), self.$method(x.value()))
            }
        }
    )*};
}

macro_rules! arithmetic {
    ($($Trait:ident $method:ident $Assign:ident $assign:ident $try:ident $symbol:literal $slope:expr;)*) => {$(
        between!($Trait $method;
            [] &Variable<S, E>, &Variable<T, E>;
            [] &Variable<S, E>, Variable<T, E>;
            [] Variable<S, E>, &Variable<T, E>;
            [] Variable<S, E>, Variable<T, E>;
            [B] &Variable<S, E>, &Tensor<T, E, B>;
            [B] &Variable<S, E>, Tensor<T, E, B>;
            [B] Variable<S, E>, &Tensor<T, E, B>;
            [B] Variable<S, E>, Tensor<T, E, B>;
            [B] &Tensor<S, E, B>, &Variable<T, E>;
            [B] &Tensor<S, E, B>, Variable<T, E>;
            [B] Tensor<S, E, B>, &Variable<T, E>;
            [B] Tensor<S, E, B>, Variable<T, E>;
        );
        with_number!($Trait $method $slope; &Variable<S, E> Variable<S, E>);
        number_first!($Trait $method;
            f32 &Variable<S, f32>;
            f32 Variable<S, f32>;
            f64 &Variable<S, f64>;
            f64 Variable<S, f64>;
        );

        impl<S: Shape, E: Float, R> $Assign<R> for Variable<S, E>
        where
            for<'a> &'a Variable<S, E>: $Trait<R, Output = Variable<S, E>>,
        {
            fn $assign(&mut self, other: R) {
                *self = (&*self).$method(other);
            }
        }

        impl<S: Shape, E: Float> Variable<S, E> {
            #[doc = concat!("x ", $symbol, " y, broadcast, where sizes are known only at run time.")]
            ///
            /// # Errors
            #[doc = concat!("As [`Tensor::", stringify!($try), "`].")]
            ///
            /// ```
            /// use plywood::prelude::*;
            ///
            /// let x = Tensor::<Shape![_, 2]>::from_vec(vec![4.0, 6.0])?.requires_grad();
            /// let y: Tensor<Shape![_, 2]> = Tensor::from_vec(vec![2.0, 3.0])?;
            #[doc = concat!("assert_eq!(x.", stringify!($try), "(&y)?.value().to_vec(), [4.0 ", $symbol, " 2.0, 6.0 ", $symbol, " 3.0]);")]
            /// # Ok::<(), plywood::Error>(())
            /// ```
            pub fn $try<R: Operand<Elem = E>>(&self, other: &R) -> Result<Variable<S::Output, E>>
            where
                S: TryBroadcast<R::Shape>,
            {
                let other = other.variable();
                Ok($method((self, &other), self.value().$try(other.value())?))
            }
        }
    )*};
}

arithmetic! {
    Add add AddAssign add_assign try_add "+" |_: E| E::one();
    Sub sub SubAssign sub_assign try_sub "-" |_: E| E::one();
    Mul mul MulAssign mul_assign try_mul "*" |c: E| c;
    Div div DivAssign div_assign try_div "/" |c: E| c.recip();
}

impl<S: Shape, E: Float> Neg for &Variable<S, E> {
    type Output = Variable<S, E>;

    fn neg(self) -> Variable<S, E> {
        scaled("neg", self, -self.value(), -E::one())
    }
}

impl<S: Shape, E: Float> Neg for Variable<S, E> {
    type Output = Variable<S, E>;

    fn neg(self) -> Variable<S, E> {
        -&self
    }
}

/// The derivative of an extreme of x and y with respect to x: equal ones share it.
fn share<E: Float>(equal: bool, other: bool) -> E {
    E::of(if equal {
        0.5
    } else if other {
        0.0
    } else {
        1.0
    })
}

impl<S: Shape, E: Float> Variable<S, E> {
    /// [`Tensor::maximum`]. Where two elements are equal, each gets half of the gradient.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x = tensor![1.0, 2.0, 3.0].requires_grad();
    /// x.maximum(&Tensor::<Shape![1]>::full(2.0)).sum().backward()?;
    /// assert_eq!(x.grad(), Some(tensor![0.0, 0.5, 1.0]));
    /// # Ok::<(), plywood::Error>(())
    /// ```
    #[must_use]
    pub fn maximum<R: Operand<Elem = E>>(&self, other: &R) -> Variable<S::Output, E>
    where
        S: Broadcast<R::Shape>,
    {
        let other = other.variable();
        let z = self.value().maximum(other.value());
        let codes = ["x * SHARE(y == z, y < z)", "x * SHARE(y == z, z < y)"];
        binary("maximum", (self, &other), z, codes, |x, y| share(x == y, x < y), |x, y| share(x == y, y < x))
    }

    /// [`Tensor::minimum`]. Where two elements are equal, each gets half of the gradient, as with
    /// [`maximum`](Variable::maximum).
    #[must_use]
    pub fn minimum<R: Operand<Elem = E>>(&self, other: &R) -> Variable<S::Output, E>
    where
        S: Broadcast<R::Shape>,
    {
        let other = other.variable();
        let z = self.value().minimum(other.value());
        let codes = ["x * SHARE(y == z, y > z)", "x * SHARE(y == z, z > y)"];
        binary("minimum", (self, &other), z, codes, |x, y| share(x == y, x > y), |x, y| share(x == y, y > x))
    }

    /// [`Tensor::pow`]: xʸ of each two elements, broadcast. Its derivatives are y · xʸ⁻¹ (0 where y is 0) and xʸ · ln x
    /// (0 where x is 0 and y at least 0).
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x = tensor![2.0, 3.0].requires_grad();
    /// x.pow(&tensor![3.0, 1.0]).sum().backward()?;
    /// assert_eq!(x.grad(), Some(tensor![12.0, 1.0]));
    /// # Ok::<(), plywood::Error>(())
    /// ```
    #[must_use]
    pub fn pow<R: Operand<Elem = E>>(&self, other: &R) -> Variable<S::Output, E>
    where
        S: Broadcast<R::Shape>,
    {
        let other = other.variable();
        let z = self.value().pow(other.value());
        let dx = |x: E, y: E| if y == E::zero() { y } else { y * x.powf(y - E::one()) };
        let dy = |x: E, y: E| if x == E::zero() && y >= x { x } else { x.powf(y) * x.ln() };
        let codes = ["x * (z == 0 ? z : z * pow(y, z - 1))", "x * (y == 0 && z >= y ? y : pow(y, z) * log(y))"];
        binary("pow", (self, &other), z, codes, dx, dy)
    }

    /// This where the mask is true, `other` where it is false, all three broadcast; see [`Tensor::where_`].
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x = tensor![1.0, -2.0].requires_grad();
    /// let positive = x.value().gt_elem(&tensor![0.0]);
    /// let y = x.where_(&positive, &(&x * 0.5));
    /// y.sum().backward()?;
    /// assert_eq!(y.value().to_vec(), [1.0, -1.0]);
    /// assert_eq!(x.grad(), Some(tensor![1.0, 0.5]));
    /// # Ok::<(), plywood::Error>(())
    /// ```
    #[must_use]
    #[allow(clippy::type_complexity)]
    pub fn where_<M, B, R>(
        &self,
        mask: &Tensor<M, bool, B>,
        other: &R,
    ) -> Variable<<<M as Broadcast<S>>::Output as Broadcast<R::Shape>>::Output, E>
    where
        M: Broadcast<S, Output: Broadcast<R::Shape>>,
        B: Storage<bool>,
        R: Operand<Elem = E>,
    {
        let other = other.variable();
        let z = mask.where_(self.value(), other.value());
        let (left, right) = (self.shape(), other.shape());
        let (mask, same) = (mask.to_owned(), mask.to_owned());
        Record::new("where", z)
            .of(self, move |dz| {
                sum_to(spread(dz, &mask, &mask, "y ? x : (X)0", |dz, m, _| if m { dz } else { E::zero() }), left)
            })
            .of(&other, move |dz| {
                sum_to(spread(dz, &same, &same, "y ? (X)0 : x", |dz, m, _| if m { E::zero() } else { dz }), right)
            })
            .done()
    }
}
