//! Shapes: tuples of sizes, from rank 0 (`()`) to rank 6.
//!
//! [`Shape!`](../../plywood/macro.Shape.html) writes them: `Shape![_, 784]` is `(Dyn, D<784>)`.
//!
//! ```
//! use plywood::prelude::*;
//!
//! let x: Tensor<Shape![_, 784]> = Tensor::zeros_of((Dyn(32), D));
//! assert_eq!(x.shape(), (Dyn(32), D::<784>));
//! ```

use crate::dim::{D, Dim, DimOf, Dyn, StaticDim, ToDim};
use core::fmt::{self, Debug, Display};
use core::ops::Mul;
use typenum::{Prod, U1};

/// The shape of a tensor: a tuple of [`Dim`]s.
///
/// ```
/// use plywood::prelude::*;
///
/// let shape = (Dyn(32), D::<784>);
/// assert_eq!(shape.sizes(), [32, 784]);
/// assert_eq!(shape.numel(), 32 * 784);
/// ```
///
/// ```
/// use plywood::prelude::*;
///
/// fn describe<S: Shape>() -> String {
///     format!("rank {}, {}", S::RANK, S::pattern())
/// }
/// assert_eq!(describe::<Shape![_, 784]>(), "rank 2, [_, 784]");
/// let read: Option<Shape![_, 784]> = Shape::from_sizes(&[32, 784]);
/// assert_eq!(read, Some((Dyn(32), D::<784>)));
/// assert_eq!((Dyn(usize::MAX), D::<784>).checked_numel(), None);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a shape",
    label = "not a shape",
    note = "a shape is a tuple of zero to six sizes: write `Shape![5, 6]`, or `Shape![_, 6]` for a batch known at run time"
)]
pub trait Shape: Copy + Debug + PartialEq + Send + Sync + 'static {
    /// The number of dimensions.
    const RANK: usize;
    /// `[usize; RANK]`. See [`Shape`].
    type Sizes: AsRef<[usize]> + Copy + Debug + PartialEq + Send + Sync + 'static;

    /// The sizes, first dimension first.
    fn sizes(&self) -> Self::Sizes;

    /// The shape of these sizes; `None` if the type stands for others.
    fn from_sizes(sizes: &[usize]) -> Option<Self>;

    /// What the type says, as `[_, 784]`: a size known at run time is `_`.
    fn pattern() -> Sizes<Vec<Option<usize>>>;

    /// The number of elements; `None` if it is more than a `usize` can hold.
    fn checked_numel(&self) -> Option<usize> {
        self.sizes().as_ref().iter().try_fold(1usize, |product, size| product.checked_mul(*size))
    }

    /// The number of elements.
    ///
    /// # Panics
    /// If it is more than a `usize` can hold, as for a `Vec` of that length.
    fn numel(&self) -> usize {
        self.checked_numel().expect("capacity overflow")
    }
}

/// A shape whose sizes are all known at compile time.
///
/// ```
/// use plywood::prelude::*;
///
/// fn bytes<S: StaticShape>() -> usize {
///     S::NUMEL * size_of::<f32>()
/// }
/// assert_eq!(bytes::<Shape![3, 32, 32]>(), 12_288);
/// assert_eq!(<Shape![3, 32, 32]>::SIZES, [3, 32, 32]);
/// ```
#[diagnostic::on_unimplemented(
    message = "the shape `{Self}` is not known at compile time",
    label = "this needs every size as a type",
    note = "where a size is known only at run time (`Dyn`), use the constructor that takes a shape value, as `Tensor::zeros_of((Dyn(n), D::<6>))`",
    note = "in a generic function give each size the bound `StaticDim`, as `N: StaticDim`"
)]
pub trait StaticShape: Shape + Default {
    /// The sizes, first dimension first.
    const SIZES: &'static [usize];
    /// The number of elements.
    const NUMEL: usize;
}

/// The shape of one sample: what a tensor's shape is after its batch dimension.
///
/// A layer's input and output are features; a batch of them has one dimension more.
///
/// ```
/// use plywood::prelude::*;
///
/// fn batch_of<S: Features>(samples: usize) -> Tensor<S::Batched<Dyn>> {
///     Tensor::zeros_of(S::default().batched(Dyn(samples)))
/// }
/// assert_eq!(batch_of::<Shape![1, 28, 28]>(5).sizes(), [5, 1, 28, 28]);
/// let _: <Shape![28] as Features>::Push<D<3>> = <Shape![28, 3]>::default();
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the shape of a sample",
    label = "a sample has zero to five sizes, all known at compile time"
)]
pub trait Features: StaticShape {
    /// The shape of a batch of such samples.
    type Batched<B: Dim>: Shape;
    /// One size more at the end.
    type Push<N: StaticDim>: StaticShape;
    /// How compiler messages show it: a single size without its tuple.
    #[doc(hidden)]
    type Shown;

    /// The shape of a batch of such samples.
    fn batched<B: Dim>(self, batch: B) -> Self::Batched<B>;
}

/// Features with a last dimension, as [`Linear`](crate::nn::Linear) takes.
#[diagnostic::on_unimplemented(
    message = "a single number has no last dimension",
    label = "this layer takes a sample of at least one dimension"
)]
pub trait EndsWith: Features {
    /// The dimensions before the last. See [`Linear`](crate::nn::Linear).
    type Lead: Features;
    /// The last dimension. See [`Linear`](crate::nn::Linear).
    type Last: StaticDim;
}

/// Features as channels × height × width. `sequential!` checks that they are that; what they are otherwise only lets the
/// compiler go on.
#[doc(hidden)]
pub trait Image: Features {
    type Channels: StaticDim;
    type Height: StaticDim;
    type Width: StaticDim;
}

/// Features whose number of elements is a size, as [`Flatten`](crate::nn::Flatten) gives.
pub trait Flat: Features {
    /// The number of elements. See [`Flatten`](crate::nn::Flatten).
    type Numel;
}

/// Sizes, printed as `[5, 6]`.
///
/// ```
/// use plywood::shape::Sizes;
///
/// assert_eq!(Sizes(&[5usize, 6][..]).to_string(), "[5, 6]");
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sizes<T>(pub T);

impl Display for Sizes<&[usize]> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0).finish()
    }
}

impl Display for Sizes<Vec<Option<usize>>> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[")?;
        for (i, size) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            match size {
                Some(n) => write!(f, "{comma}{n}")?,
                None => write!(f, "{comma}_")?,
            }
        }
        write!(f, "]")
    }
}

macro_rules! shape {
    ($rank:literal $($name:ident $index:tt)*) => {
        impl<$($name: Dim),*> Shape for ($($name,)*) {
            const RANK: usize = $rank;
            type Sizes = [usize; $rank];

            fn sizes(&self) -> Self::Sizes {
                [$(self.$index.size()),*]
            }

            fn from_sizes(sizes: &[usize]) -> Option<Self> {
                if sizes.len() != $rank {
                    return None;
                }
                Some(($($name::from_size(sizes[$index])?,)*))
            }

            fn pattern() -> Sizes<Vec<Option<usize>>> {
                Sizes(vec![$($name::KNOWN),*])
            }
        }

        #[diagnostic::do_not_recommend]
        impl<$($name: StaticDim),*> StaticShape for ($($name,)*) {
            const SIZES: &'static [usize] = &[$($name::SIZE),*];
            const NUMEL: usize = 1 $(* $name::SIZE)*;
        }
    };
}

macro_rules! features {
    ($shown:ty; $($name:ident $index:tt)*) => {
        impl<$($name: StaticDim),*> Features for ($($name,)*) {
            type Batched<Batch: Dim> = (Batch, $($name,)*);
            type Push<Last: StaticDim> = ($($name,)* Last,);
            type Shown = $shown;

            fn batched<Batch: Dim>(self, batch: Batch) -> Self::Batched<Batch> {
                (batch, $(self.$index,)*)
            }
        }
    };
}

macro_rules! ends_with {
    ($($lead:ident)*; $last:ident) => {
        impl<$($lead: StaticDim,)* $last: StaticDim> EndsWith for ($($lead,)* $last,) {
            type Lead = ($($lead,)*);
            type Last = $last;
        }
    };
}

macro_rules! image {
    ($($name:ident)*; $channels:ty, $height:ty, $width:ty) => {
        impl<$($name: StaticDim),*> Image for ($($name,)*) {
            type Channels = $channels;
            type Height = $height;
            type Width = $width;
        }
    };
}

macro_rules! flat {
    ($head:ident $($tail:ident)+) => {
        impl<$head: StaticDim, $($tail: StaticDim),+> Flat for ($head, $($tail,)+)
        where
            Self: FlatNum,
            <Self as FlatNum>::Num: ToDim,
        {
            type Numel = DimOf<<Self as FlatNum>::Num>;
        }
    };
}

/// The number of elements as a typenum number.
#[doc(hidden)]
pub trait FlatNum {
    type Num;
}

macro_rules! flat_num {
    ($last:ident; $($name:ident)*) => {
        impl<$($name: StaticDim,)* $last: StaticDim> FlatNum for ($($name,)* $last,)
        where
            ($($name,)*): FlatNum,
            <($($name,)*) as FlatNum>::Num: Mul<$last::Num>,
        {
            type Num = Prod<<($($name,)*) as FlatNum>::Num, $last::Num>;
        }
    };
}

impl FlatNum for () {
    type Num = U1;
}
flat_num!(A1; );
flat_num!(A2; A1);
flat_num!(A3; A1 A2);
flat_num!(A4; A1 A2 A3);
flat_num!(A5; A1 A2 A3 A4);
flat_num!(A6; A1 A2 A3 A4 A5);

shape!(0);
shape!(1 A1 0);
shape!(2 A1 0 A2 1);
shape!(3 A1 0 A2 1 A3 2);
shape!(4 A1 0 A2 1 A3 2 A4 3);
shape!(5 A1 0 A2 1 A3 2 A4 3 A5 4);
shape!(6 A1 0 A2 1 A3 2 A4 3 A5 4 A6 5);

features!((););
features!(A1; A1 0);
features!(Self; A1 0 A2 1);
features!(Self; A1 0 A2 1 A3 2);
features!(Self; A1 0 A2 1 A3 2 A4 3);
features!(Self; A1 0 A2 1 A3 2 A4 3 A5 4);

ends_with!(; A1);
ends_with!(A1; A2);
ends_with!(A1 A2; A3);
ends_with!(A1 A2 A3; A4);
ends_with!(A1 A2 A3 A4; A5);

image!(A1 A2 A3; A1, A2, A3);
image!(; D<1>, D<999>, D<999>);
image!(A1; A1, D<999>, D<999>);
image!(A1 A2; D<1>, A1, A2);
image!(A1 A2 A3 A4; A2, A3, A4);
image!(A1 A2 A3 A4 A5; A3, A4, A5);

impl Flat for () {
    type Numel = D<1>;
}
impl<A1: StaticDim> Flat for (A1,) {
    type Numel = A1;
}
flat!(A1 A2);
flat!(A1 A2 A3);
flat!(A1 A2 A3 A4);
flat!(A1 A2 A3 A4 A5);

/// Shapes of the same rank whose sizes can be the same; see [`SameSize`](crate::dim::SameSize).
///
/// ```
/// use plywood::prelude::*;
/// use plywood::shape::SameShape;
///
/// fn both<S: Shape, T: SameShape<S>>(x: &Tensor<S>, y: &Tensor<T>) -> f32 {
///     x.iter().zip(y).map(|(x, y)| x * y).sum()
/// }
/// let x: Tensor<Shape![_]> = Tensor::from_vec(vec![1.0, 2.0])?;
/// assert_eq!(both(&x, &tensor![3.0, 4.0]), 11.0); // `&tensor![[3.0, 4.0]]` does not compile
/// # Ok::<(), plywood::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "shapes do not match: {Self} and {Other}",
    label = "{Self} here, {Other} there"
)]
pub trait SameShape<Other: Shape>: Shape {}

macro_rules! same_shape {
    ($($a:ident $b:ident)*) => {
        #[diagnostic::do_not_recommend]
        impl<$($a: Dim, $b: Dim),*> SameShape<($($b,)*)> for ($($a,)*)
        where
            $($a: crate::dim::SameSize<$b>),*
        {
        }
    };
}

same_shape!();
same_shape!(A1 B1);
same_shape!(A1 B1 A2 B2);
same_shape!(A1 B1 A2 B2 A3 B3);
same_shape!(A1 B1 A2 B2 A3 B3 A4 B4);
same_shape!(A1 B1 A2 B2 A3 B3 A4 B4 A5 B5);
same_shape!(A1 B1 A2 B2 A3 B3 A4 B4 A5 B5 A6 B6);

/// Shapes that a network takes: a batch of its samples, or one sample. See [`Model`](crate::nn::Model).
///
/// `Want` is the batch of any size that the network `Network` takes; it is there for the compiler's message.
#[diagnostic::on_unimplemented(
    message = "`{Network}` takes a tensor of shape {Want}, but this one is {Self}",
    label = "{Self} does not fit {Want}",
    note = "the first size is the batch: any `D` or `Dyn`; a single sample without it is taken, too",
    note = "in a generic function state the shapes of a sample: `M: Model<Elem = f32, Input = (D<4>,), Output = (D<3>,)>`"
)]
pub trait InputOf<Network, Want>: Shape {
    /// The same batch of other samples. See [`Model`](crate::nn::Model).
    type Of<O: Features>: Shape;

    /// The number of samples. See [`Model`](crate::nn::Model).
    fn batch(&self) -> usize;

    /// The same batch of other samples. See [`Model`](crate::nn::Model).
    fn of<O: Features>(&self) -> Self::Of<O>;
}

macro_rules! input_of {
    ($($name:ident)*) => {
        #[diagnostic::do_not_recommend]
        impl<Network, Batch: Dim, $($name: StaticDim),*> InputOf<Network, (Dyn, $($name,)*)> for (Batch, $($name,)*) {
            type Of<O: Features> = O::Batched<Batch>;

            fn batch(&self) -> usize {
                self.0.size()
            }

            fn of<O: Features>(&self) -> O::Batched<Batch> {
                O::default().batched(self.0)
            }
        }

        #[diagnostic::do_not_recommend]
        impl<Network, $($name: StaticDim),*> InputOf<Network, (Dyn, $($name,)*)> for ($($name,)*) {
            type Of<O: Features> = O;

            fn batch(&self) -> usize {
                1
            }

            fn of<O: Features>(&self) -> O {
                O::default()
            }
        }
    };
}

input_of!();
input_of!(A1);
input_of!(A1 A2);
input_of!(A1 A2 A3);
input_of!(A1 A2 A3 A4);
input_of!(A1 A2 A3 A4 A5);
