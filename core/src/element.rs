//! Element types: what a tensor can hold ([`Element`]) and what it computes with ([`Numeric`], [`Float`]), on top of
//! num-traits.
//!
//! ```
//! use plywood::element::{Element, Float, Label, Numeric};
//!
//! fn of_a_tensor<E: Element>() {}
//! fn with_arithmetic<E: Numeric>() {}
//! fn of_a_network<E: Float>() {}
//! fn of_labels<E: Label>() {}
//!
//! of_a_tensor::<bool>();
//! with_arithmetic::<u8>();
//! of_a_network::<f64>();
//! of_labels::<i64>();
//! ```

use crate::backend::cpu::math;
use core::fmt::{self, Debug, Display};
use core::iter::Sum;
use core::ops::{AddAssign, DivAssign, MulAssign, SubAssign};
use num_traits::{FloatConst, NumCast, PrimInt};

/// The name of an element type, as it prints.
///
/// ```
/// use plywood::element::{DType, Element};
///
/// assert_eq!((f32::DTYPE, i64::DTYPE.to_string()), (DType::F32, "i64".to_owned()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum DType {
    Bool,
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
}

impl Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DType::Bool => "bool",
            DType::F32 => "f32",
            DType::F64 => "f64",
            DType::I8 => "i8",
            DType::I16 => "i16",
            DType::I32 => "i32",
            DType::I64 => "i64",
            DType::U8 => "u8",
            DType::U16 => "u16",
            DType::U32 => "u32",
            DType::U64 => "u64",
        })
    }
}

mod sealed {
    pub trait Sealed {}
}

/// What a tensor can hold: `f32`, `f64`, the integers and `bool`. See [`DType`].
///
/// Zero bytes are its zero, or `false`.
#[diagnostic::on_unimplemented(
    message = "a tensor cannot hold `{Self}`",
    label = "tensors hold f32, f64, i8 to i64, u8 to u64 and bool"
)]
pub trait Element:
    sealed::Sealed
    + bytemuck::NoUninit
    + bytemuck::CheckedBitPattern
    + bytemuck::Zeroable
    + PartialOrd
    + Debug
    + Display
    + Send
    + Sync
    + 'static
{
    /// The type's name. See [`DType`].
    const DTYPE: DType;

    /// The same value as another type, if it exists there.
    #[doc(hidden)]
    fn cast_to<T: Element>(self) -> Option<T>;

    /// The value of a number, if it exists in this type.
    #[doc(hidden)]
    fn of_number<N: Numeric>(number: N) -> Option<Self>;
}

/// The element types with arithmetic: `f32`, `f64` and the integers.
///
/// ```
/// use plywood::prelude::*;
///
/// fn double<S: Shape, E: Numeric>(x: &Tensor<S, E>) -> Tensor<S, E> {
///     x.map(|x| *x + *x)
/// }
/// assert_eq!(double(&tensor![1u8, 2]), tensor![2u8, 4]);
/// ```
#[diagnostic::on_unimplemented(
    message = "there is no arithmetic on `{Self}`",
    label = "arithmetic takes f32, f64, i8 to i64 and u8 to u64",
    note = "`cast` makes numbers of booleans: false is 0, true is 1"
)]
pub trait Numeric: Element + bytemuck::Pod + NumCast + num_traits::Num {}

/// The element types of networks: `f32` and `f64`.
///
/// ```
/// use plywood::prelude::*;
///
/// /// The chance that a number of the normal distribution is below `x`.
/// fn normal_cdf<E: Float>(x: E) -> E {
///     E::of(0.5) * (E::one() + Float::erf(x * E::FRAC_1_SQRT_2()))
/// }
/// assert_eq!(normal_cdf(0.0f32), 0.5);
/// assert!((normal_cdf(1.96f64) - 0.975).abs() < 1e-4);
/// ```
#[diagnostic::on_unimplemented(
    message = "networks compute in `f32` or `f64`, not in `{Self}`",
    label = "`{Self}` is not a float"
)]
pub trait Float:
    Numeric
    + plywood_kernels::Compiled
    + crate::backend::cpu::Gemm
    + crate::backend::cpu::math::Elementary
    + crate::backend::cpu::small::Small
    + num_traits::Float
    + FloatConst
    + AddAssign
    + SubAssign
    + MulAssign
    + DivAssign
    + Sum
{
    /// The number closest to `value`.
    fn of(value: f64) -> Self;

    /// The error function: [`math::erf`].
    #[must_use]
    fn erf(self) -> Self;
}

/// Integers that number the classes of a classification.
///
/// ```
/// use plywood::prelude::*;
///
/// fn classes<L: Label>(labels: &Tensor<Shape![_], L>) -> Option<usize> {
///     labels.iter().max()?.to_usize().map(|last| last + 1)
/// }
/// let labels: Tensor<Shape![_], u8> = Tensor::from_vec(vec![2, 0, 1])?;
/// assert_eq!(classes(&labels), Some(3));
/// # Ok::<(), plywood::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "class labels are integers, not `{Self}`",
    label = "labels of type `{Self}` where integers are expected",
    note = "number the classes from 0 in an integer tensor of shape [batch], or give probabilities of the logits' own shape and type"
)]
pub trait Label: Numeric + PrimInt {}

macro_rules! element {
    ($($ty:ident $dtype:ident),*) => {$(
        impl sealed::Sealed for $ty {}
        impl Element for $ty {
            const DTYPE: DType = DType::$dtype;

            fn cast_to<T: Element>(self) -> Option<T> {
                T::of_number(self)
            }

            fn of_number<N: Numeric>(number: N) -> Option<Self> {
                NumCast::from(number)
            }
        }
        #[diagnostic::do_not_recommend]
        impl Numeric for $ty {}
    )*};
}

element!(f32 F32, f64 F64, i8 I8, i16 I16, i32 I32, i64 I64, u8 U8, u16 U16, u32 U32, u64 U64);

impl sealed::Sealed for bool {}
impl Element for bool {
    const DTYPE: DType = DType::Bool;

    fn cast_to<T: Element>(self) -> Option<T> {
        T::of_number(if self { 1u8 } else { 0 })
    }

    fn of_number<N: Numeric>(number: N) -> Option<Self> {
        Some(number != N::zero())
    }
}

macro_rules! label {
    ($($ty:ident),*) => {$(
        #[diagnostic::do_not_recommend]
        impl Label for $ty {}
    )*};
}

label!(i8, i16, i32, i64, u8, u16, u32, u64);

#[allow(clippy::cast_possible_truncation)]
impl Float for f32 {
    fn of(value: f64) -> Self {
        value as f32
    }

    fn erf(self) -> Self {
        math::erf(self)
    }
}

impl Float for f64 {
    fn of(value: f64) -> Self {
        value
    }

    fn erf(self) -> Self {
        math::erf(self)
    }
}
