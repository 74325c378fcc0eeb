//! Sizes as types: [`D`] for a size the compiler knows, [`Dyn`] for one that only the running program knows.
//!
//! A size is written in thousands, so it reads in decimal wherever the compiler prints it: `D<784>` is 784,
//! `D<50, 257>` is 50,257 and `D<1, 0, 0>` is a million. The arithmetic underneath is typenum's
//! ([`StaticDim::Num`]), so a length can be computed and used for a
//! [`GenericArray`](https://docs.rs/generic-array).
//!
//! ```
//! use plywood::prelude::*;
//!
//! assert_eq!(<D<784>>::SIZE, 784);
//! assert_eq!(<D<50, 257>>::SIZE, 50_257);
//! assert_eq!(Dyn(32).size(), 32);
//! ```

use core::fmt::{self, Debug, Display};
use core::ops::{Add, Div, Mul, Rem};
use typenum::{Prod, Quot, Sum, U1000, UInt, UTerm, Unsigned};

mod limb;

pub use limb::{FromLimb, Limb, LimbValue, ToD};

/// A size known at compile time, in thousands: `D<784>` is 784, `D<50, 257>` is 50,257.
///
/// Write it through [`Shape!`](../../plywood/macro.Shape.html) and [`Size!`](../../plywood/macro.Size.html), which turn
/// any literal or constant up to 10⁹ into the right `D`. By hand, `D<5000>` is not a size and does not compile, and
/// `D<0, 5>` is another type than `D<5>`.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct D<const A: usize, const B: usize = 1000, const C: usize = 1000>;

/// A size known at run time, usually the batch.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Dyn(pub usize);

/// One size of a tensor.
///
/// ```
/// use plywood::prelude::*;
///
/// fn known<N: Dim>(size: N) -> String {
///     match N::KNOWN {
///         Some(n) => format!("{n}, says the type"),
///         None => format!("{}, says the program", size.size()),
///     }
/// }
/// assert_eq!(known(D::<784>), "784, says the type");
/// assert_eq!(known(Dyn(32)), "32, says the program");
/// assert_eq!((Dyn::from_size(7), <D<6>>::from_size(7)), (Some(Dyn(7)), None));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a size",
    label = "not a size",
    note = "a size is `D<784>`, `Dyn`, or a type parameter with the bound `{Self}: Dim` (`StaticDim` where it must be known at compile time)"
)]
pub trait Dim: Copy + Debug + PartialEq + Send + Sync + 'static {
    /// The size where the type alone tells it, `None` for [`Dyn`].
    const KNOWN: Option<usize>;

    /// The size.
    fn size(&self) -> usize;

    /// The dimension of this size; `None` if the type stands for another size.
    fn from_size(size: usize) -> Option<Self>;
}

/// A size known at compile time.
///
/// [`Num`](StaticDim::Num) is the same number for typenum, exact for every size up to 10⁹:
///
/// ```
/// use plywood::prelude::*;
/// use typenum::Unsigned;
///
/// fn twice<N: StaticDim>() -> usize {
///     2 * N::SIZE
/// }
/// assert_eq!(twice::<D<50, 257>>(), 100_514);
/// assert_eq!(<<D<50, 257> as StaticDim>::Num as Unsigned>::USIZE, 50_257);
/// ```
#[diagnostic::on_unimplemented(
    message = "the size `{Self}` is not known at compile time here",
    label = "its value is not known at compile time",
    note = "in generic code ask for it with the bound `{Self}: StaticDim`"
)]
pub trait StaticDim: Dim + Default {
    /// The size as a typenum number.
    type Num: Unsigned;
    /// The size.
    const SIZE: usize;
}

type Step<Before, N> = Sum<Prod<Before, <N as LimbValue>::Scale>, <N as LimbValue>::Num>;

/// The number that three limbs make.
#[doc(hidden)]
pub trait Joined {
    type Num: Unsigned;
}

impl<A: LimbValue, B: LimbValue, C: LimbValue> Joined for (A, B, C)
where
    A::First: Mul<B::Scale>,
    Prod<A::First, B::Scale>: Add<B::Num>,
    Step<A::First, B>: Mul<C::Scale>,
    Prod<Step<A::First, B>, C::Scale>: Add<C::Num>,
    Step<Step<A::First, B>, C>: Unsigned,
{
    type Num = Step<Step<A::First, B>, C>;
}

/// One limb of `D` out of a whole size; const-evaluated by what [`Shape!`](../../plywood/macro.Shape.html) and
/// [`sequential!`](../../plywood/macro.sequential.html) write for a named constant.
#[doc(hidden)]
#[must_use]
pub const fn limb<const K: usize>(size: usize) -> usize {
    assert!(size <= 1_000_000_000, "a size is at most 1,000,000,000");
    match (K, size) {
        (0, 0..1_000) => size,
        (0, 1_000..1_000_000) => size / 1_000,
        (0, _) => size / 1_000_000,
        (1, 0..1_000) => 1_000,
        (1, 1_000..1_000_000) => size % 1_000,
        (1, _) => size / 1_000 % 1_000,
        (_, 0..1_000_000) => 1_000,
        _ => size % 1_000,
    }
}

/// A size of a layer; refuses what is below `least` or no size.
#[doc(hidden)]
#[must_use]
pub const fn check_size(size: usize, least: usize, what: &str) -> usize {
    assert!(size >= least && size <= 1_000_000_000, "{}", what);
    size
}

/// The number of places of a window along one dimension, (H + 2p − d(k − 1) − 1)/s + 1; 0 if it does not fit.
#[doc(hidden)]
#[must_use]
pub const fn window_size(input: usize, kernel: usize, stride: usize, padding: usize, dilation: usize) -> usize {
    if kernel == 0 || stride == 0 || input + 2 * padding <= dilation * (kernel - 1) {
        return 0;
    }
    (input + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1
}

impl<const A: usize, const B: usize, const C: usize> D<A, B, C> {
    const VALUE: usize = {
        assert!(A < 1000 || A == 1000 && B == 0 && C == 0, "this `D` is not a size: write it as `Size![…]`");
        assert!(B == 1000 && C == 1000 || A > 0 && B < 1000, "this `D` is not a size: write it as `Size![…]`");
        let high = if B == 1000 { A } else { A * 1000 + B };
        if C == 1000 { high } else { high * 1000 + C }
    };
}

impl<const A: usize, const B: usize, const C: usize> Dim for D<A, B, C>
where
    Limb<A>: LimbValue,
    Limb<B>: LimbValue,
    Limb<C>: LimbValue,
{
    const KNOWN: Option<usize> = Some(Self::VALUE);

    fn size(&self) -> usize {
        Self::VALUE
    }

    fn from_size(size: usize) -> Option<Self> {
        (size == Self::VALUE).then_some(D)
    }
}

impl<const A: usize, const B: usize, const C: usize> StaticDim for D<A, B, C>
where
    Self: Dim,
    (Limb<A>, Limb<B>, Limb<C>): Joined,
{
    type Num = <(Limb<A>, Limb<B>, Limb<C>) as Joined>::Num;
    const SIZE: usize = Self::VALUE;
}

impl<const A: usize, const B: usize, const C: usize> Display for D<A, B, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Self::VALUE)
    }
}

impl<const A: usize, const B: usize, const C: usize> Debug for D<A, B, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "D<{A}")?;
        if B != 1000 {
            write!(f, ", {B}")?;
        }
        if C != 1000 {
            write!(f, ", {C}")?;
        }
        write!(f, ">")
    }
}

impl Dim for Dyn {
    const KNOWN: Option<usize> = None;

    fn size(&self) -> usize {
        self.0
    }

    fn from_size(size: usize) -> Option<Self> {
        Some(Dyn(size))
    }
}

impl Display for Dyn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Debug for Dyn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dyn({})", self.0)
    }
}

/// The size of a typenum number: the way back from [`StaticDim::Num`].
///
/// It divides at compile time, so it is for what is computed on types; for a number you can write down,
/// [`Shape!`](../../plywood/macro.Shape.html) is cheaper.
///
/// ```
/// use plywood::{D, dim::DimOf, StaticDim};
/// use typenum::{Prod, U500};
///
/// assert_eq!(<DimOf<Prod<U500, U500>>>::default(), D::<250, 0>);
/// ```
pub type DimOf<N> = <N as ToDim>::Dim;

/// typenum numbers that have a [`D`]: those up to 10⁹ − 1. See [`DimOf`].
pub trait ToDim: Unsigned {
    /// The size. See [`DimOf`].
    type Dim;
}

impl<N> ToDim for N
where
    N: Unsigned + Div<U1000> + Rem<U1000>,
    Quot<N, U1000>: Above<typenum::Mod<N, U1000>>,
{
    type Dim = <Quot<N, U1000> as Above<typenum::Mod<N, U1000>>>::Dim;
}

/// `Self` thousands above the limb `Low`.
#[doc(hidden)]
pub trait Above<Low> {
    type Dim;
}

impl<Low: FromLimb> Above<Low> for UTerm {
    type Dim = <Low::Limb as ToD>::Single;
}

impl<U, B, Low> Above<Low> for UInt<U, B>
where
    UInt<U, B>: Div<U1000> + Rem<U1000>,
    Quot<UInt<U, B>, U1000>: Top<typenum::Mod<UInt<U, B>, U1000>, Low>,
{
    type Dim = <Quot<UInt<U, B>, U1000> as Top<typenum::Mod<UInt<U, B>, U1000>, Low>>::Dim;
}

/// `Self` millions above the limbs `Mid` and `Low`.
#[doc(hidden)]
pub trait Top<Mid, Low> {
    type Dim;
}

impl<Mid: FromLimb, Low: FromLimb> Top<Mid, Low> for UTerm {
    type Dim = <Mid::Limb as ToD>::Second<Low::Limb>;
}

impl<U, B, Mid: FromLimb, Low: FromLimb> Top<Mid, Low> for UInt<U, B>
where
    UInt<U, B>: FromLimb,
{
    type Dim = <<UInt<U, B> as FromLimb>::Limb as ToD>::Third<Mid::Limb, Low::Limb>;
}

/// Two sizes that can be the same: equal at compile time, or one of them known only at run time.
///
/// ```
/// use plywood::dim::SameSize;
/// use plywood::prelude::*;
///
/// fn pairs<N: Dim, M: SameSize<N>>(left: N, right: M) -> Option<usize> {
///     (left.size() == right.size()).then(|| left.size())
/// }
/// assert_eq!(pairs(D::<3>, Dyn(3)), Some(3)); // `pairs(D::<3>, D::<4>)` does not compile
/// ```
#[diagnostic::on_unimplemented(
    message = "sizes do not match: {Self} and {Other}",
    label = "{Self} here, {Other} there"
)]
pub trait SameSize<Other: Dim>: Dim {}

#[diagnostic::do_not_recommend]
impl<N: Dim> SameSize<N> for N {}
#[diagnostic::do_not_recommend]
impl<const A: usize, const B: usize, const C: usize> SameSize<Dyn> for D<A, B, C> where Self: Dim {}
#[diagnostic::do_not_recommend]
impl<const A: usize, const B: usize, const C: usize> SameSize<D<A, B, C>> for Dyn where D<A, B, C>: Dim {}

#[cfg(test)]
mod tests {
    use super::*;

    type Back<N> = DimOf<<N as StaticDim>::Num>;

    fn round_trip<N: StaticDim>(size: usize)
    where
        N::Num: ToDim<Dim = N>,
    {
        assert_eq!(N::SIZE, size);
        assert_eq!(<N::Num as Unsigned>::USIZE, size);
        assert_eq!(N::default().size(), size);
    }

    #[test]
    fn sizes_agree_with_typenum_and_come_back() {
        round_trip::<D<0>>(0);
        round_trip::<D<1>>(1);
        round_trip::<D<999>>(999);
        round_trip::<D<1, 0>>(1_000);
        round_trip::<D<50, 257>>(50_257);
        round_trip::<D<999, 999>>(999_999);
        round_trip::<D<1, 0, 0>>(1_000_000);
        round_trip::<D<25, 0, 7>>(25_000_007);
        round_trip::<D<999, 999, 999>>(999_999_999);
        assert_eq!(<D<1000, 0, 0>>::SIZE, 1_000_000_000);
        assert_eq!(<<D<1000, 0, 0> as StaticDim>::Num as Unsigned>::USIZE, 1_000_000_000);
        let _: Back<D<784>> = D::<784>;
    }

    #[test]
    fn limbs_are_those_of_the_decimal_number() {
        let limbs = |n| (limb::<0>(n), limb::<1>(n), limb::<2>(n));
        assert_eq!(limbs(0), (0, 1000, 1000));
        assert_eq!(limbs(999), (999, 1000, 1000));
        assert_eq!(limbs(1_000), (1, 0, 1000));
        assert_eq!(limbs(999_999), (999, 999, 1000));
        assert_eq!(limbs(1_000_000), (1, 0, 0));
        assert_eq!(limbs(1_000_000_000), (1000, 0, 0));
    }

    #[test]
    fn sizes_print_in_decimal() {
        assert_eq!(format!("{:?} {}", D::<50, 257>, D::<50, 257>), "D<50, 257> 50257");
        assert_eq!(format!("{:?} {}", Dyn(3), Dyn(3)), "Dyn(3) 3");
    }
}
