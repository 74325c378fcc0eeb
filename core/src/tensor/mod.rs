//! Tensors whose shape is a type.
//!
//! Arithmetic broadcasts as NumPy's. What the types prove needs no `Result`: the operators, [`matmul`](Tensor::matmul),
//! [`reshape`](Tensor::reshape) and so on give a tensor, and what does not fit does not compile. Where sizes are known
//! only at run time, the method of the same name with `try_` in front compares them.
//!
//! An axis is a number in the type: [`sum_axis`](Tensor::sum_axis)`::<1>()` leaves it out,
//! [`sum_keep`](Tensor::sum_keep)`::<1>()` keeps it at size 1.
//!
//! ```
//! use plywood::prelude::*;
//!
//! let x: Tensor<Shape![2, 3]> = tensor![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
//! let centred = &x - x.mean_keep::<1>();
//! assert_eq!(centred, tensor![[-1.0, 0.0, 1.0], [-1.0, 0.0, 1.0]]);
//!
//! let w: Tensor<Shape![3, 2]> = Tensor::ones();
//! let y: Tensor<Shape![2, 2]> = centred.matmul(&w) + 1.0;
//! assert_eq!(y, tensor![[1.0, 1.0], [1.0, 1.0]]);
//! ```

mod along;
mod arithmetic;
mod arrays;
mod axis;
mod broadcast;
mod compare;
mod create;
mod display;
mod elementwise;
mod index;
mod join;
mod lanes;
mod map;
mod matmul;
#[cfg(feature = "ndarray")]
mod ndarray;
#[cfg(feature = "cuda")]
pub(crate) mod on_gpu;
pub(crate) mod permute;
mod ranges;
mod reduce;
mod reshape;
mod rows;
pub(crate) mod zip;

pub use axis::{Axis, NewAxis, Unit};
pub use broadcast::{Broadcast, BroadcastTo, TryBroadcast};
pub use create::FromNumel;
#[doc(hidden)]
pub use create::literal;
pub use index::Along;
#[cfg(feature = "autograd")]
pub(crate) use join::Times;
pub use join::{Concat, Holds, Join, Joins, Parts, Splits, Stack, TryConcat, TryJoins};
#[cfg(feature = "autograd")]
pub(crate) use lanes::around;
pub use matmul::{Inner, MatMul, SameBatch, TryInner, TrySameBatch};
#[cfg(feature = "npy")]
pub(crate) use permute::permuted;
pub(crate) use reduce::argmax;
#[cfg(feature = "autograd")]
pub(crate) use reduce::sum;
pub use reshape::SameNumel;
pub use rows::{Rows, RowsIter};

#[cfg(feature = "cuda")]
use crate::backend::cuda::Memory;
use crate::backend::{Buffer, Device};
use crate::element::Element;
use crate::error::{Error, MoveError, Result};
use crate::shape::{Shape, Sizes};
use core::fmt::{self, Debug};
use core::marker::PhantomData;
use std::borrow::Cow;

/// A tensor of shape `S` with elements `E`, `f32` unless said otherwise, row-major.
///
/// The shape is a tuple of sizes and is written with [`Shape!`](../../plywood/macro.Shape.html): `Tensor<Shape![5, 6]>`
/// has five rows of six numbers, `Tensor<Shape![_, 6]>` as many rows as the running program gives it.
///
/// ```
/// use plywood::prelude::*;
///
/// let x: Tensor<Shape![2, 3]> = tensor![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
/// assert_eq!(x.sizes(), [2, 3]);
/// assert_eq!(x.get([1, 2]), Some(6.0));
///
/// let batch: Tensor<Shape![_, 3]> = Tensor::from_vec(vec![0.0; 12])?;
/// assert_eq!(batch.sizes(), [4, 3]);
/// # Ok::<(), plywood::Error>(())
/// ```
///
/// The third parameter says where the elements are: a tensor owns them unless it is a [`TensorView`].
#[derive(Clone, Copy)]
pub struct Tensor<S, E = f32, B = Buffer<E>> {
    shape: S,
    data: B,
    element: PhantomData<E>,
}

/// A tensor that borrows its elements: a row of another, a layer's weight inside a model.
///
/// ```
/// use plywood::prelude::*;
///
/// let x: Tensor<Shape![2, 3]> = tensor![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
/// let row: TensorView<Shape![3]> = x.row(1).expect("two rows");
/// assert_eq!(row.to_owned(), tensor![4.0, 5.0, 6.0]);
/// ```
pub type TensorView<'a, S, E = f32> = Tensor<S, E, &'a [E]>;

/// A tensor that borrows its elements to change them in place; see [`borrow_mut`](TensorViewMut::borrow_mut).
pub type TensorViewMut<'a, S, E = f32> = Tensor<S, E, &'a mut [E]>;

/// Where a tensor's elements are: its own memory or a borrowed slice.
///
/// ```
/// use plywood::prelude::*;
/// use plywood::tensor::{Storage, StorageMut};
///
/// /// Of tensors and of views.
/// fn largest<S: Shape, B: Storage<f32>>(x: &Tensor<S, f32, B>) -> f32 {
///     x.as_slice().iter().copied().fold(f32::NEG_INFINITY, f32::max)
/// }
///
/// fn clear<S: Shape, B: StorageMut<f32>>(x: &mut Tensor<S, f32, B>) {
///     x.as_mut_slice().fill(0.0);
/// }
///
/// let mut x: Tensor<Shape![2]> = tensor![3.0, 4.0];
/// assert_eq!((x.numel(), largest(&x), largest(&x.view())), (2, 4.0, 4.0));
/// clear(&mut x);
/// assert_eq!(largest(&x), 0.0);
/// ```
pub trait Storage<E> {
    /// The elements.
    fn as_slice(&self) -> &[E];

    /// Memory of its own with the elements: itself, or a copy of what is borrowed.
    #[doc(hidden)]
    fn into_buffer(self) -> Buffer<E>;

    /// The memory, if it is its own.
    #[doc(hidden)]
    fn as_buffer(&self) -> Option<&Buffer<E>> {
        None
    }
}

/// A tensor's own memory, or a slice borrowed to be changed. See [`Storage`].
pub trait StorageMut<E>: Storage<E> {
    /// The elements. See [`Storage`].
    fn as_mut_slice(&mut self) -> &mut [E];
}

impl<E: Element> Storage<E> for Buffer<E> {
    fn as_slice(&self) -> &[E] {
        Buffer::as_slice(self)
    }

    fn into_buffer(self) -> Buffer<E> {
        self
    }

    fn as_buffer(&self) -> Option<&Buffer<E>> {
        Some(self)
    }
}

impl<E: Element> StorageMut<E> for Buffer<E> {
    fn as_mut_slice(&mut self) -> &mut [E] {
        Buffer::as_mut_slice(self)
    }
}

impl<E: Element> Storage<E> for &[E] {
    fn as_slice(&self) -> &[E] {
        self
    }

    fn into_buffer(self) -> Buffer<E> {
        Buffer::copy_of(self)
    }
}

impl<E: Element> Storage<E> for &mut [E] {
    fn as_slice(&self) -> &[E] {
        self
    }

    fn into_buffer(self) -> Buffer<E> {
        Buffer::copy_of(self)
    }
}

impl<E: Element> StorageMut<E> for &mut [E] {
    fn as_mut_slice(&mut self) -> &mut [E] {
        self
    }
}

impl<S: Shape, E: Element, B: Storage<E>> Tensor<S, E, B> {
    /// The shape, as a value of its type.
    #[must_use]
    pub fn shape(&self) -> S {
        self.shape
    }

    /// The sizes, first dimension first.
    #[must_use]
    pub fn sizes(&self) -> S::Sizes {
        self.shape.sizes()
    }

    /// The number of elements. See [`Storage`].
    #[must_use]
    pub fn numel(&self) -> usize {
        self.shape.numel()
    }

    /// The elements, row-major. See [`Storage`].
    #[must_use]
    pub fn as_slice(&self) -> &[E] {
        self.data.as_slice()
    }

    /// The elements, row-major; from a GPU they are copied.
    #[must_use]
    pub fn to_vec(&self) -> Vec<E> {
        self.read().into_owned()
    }

    /// The elements, wherever they are.
    pub(crate) fn read(&self) -> Cow<'_, [E]> {
        #[cfg(feature = "cuda")]
        if let Some(buffer) = self.data.as_buffer().filter(|buffer| buffer.gpu().is_some()) {
            return Cow::Owned(sure(buffer.copied_to(&Device::Cpu)).into_vec());
        }
        Cow::Borrowed(self.as_slice())
    }

    /// A copy of the elements, where they are.
    fn to_buffer(&self) -> Buffer<E> {
        self.data.as_buffer().map_or_else(|| Buffer::copy_of(self.as_slice()), Buffer::clone)
    }

    /// The elements, row-major.
    pub fn iter(&self) -> core::slice::Iter<'_, E> {
        self.as_slice().iter()
    }

    /// The element at an index; `None` outside. From a GPU it is copied.
    #[must_use]
    pub fn get(&self, index: S::Sizes) -> Option<E> {
        let mut flat = 0;
        for (i, size) in index.as_ref().iter().zip(self.sizes().as_ref()) {
            if i >= size {
                return None;
            }
            flat = flat * size + i;
        }
        #[cfg(feature = "cuda")]
        if let Some(memory) = self.memory() {
            return Some(sure(crate::backend::cuda::tensor::element(memory, flat)));
        }
        self.as_slice().get(flat).copied()
    }

    /// The same elements, borrowed.
    #[must_use]
    pub fn view(&self) -> TensorView<'_, S, E> {
        Tensor { shape: self.shape, data: self.as_slice(), element: PhantomData }
    }

    /// A tensor of its own with the same elements. See [`TensorView`].
    #[must_use]
    pub fn to_owned(&self) -> Tensor<S, E> {
        Tensor { shape: self.shape, data: self.to_buffer(), element: PhantomData }
    }

    /// Where the elements are.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// assert_eq!(Tensor::<Shape![2, 3]>::zeros().device().to_string(), "cpu");
    /// ```
    #[must_use]
    pub fn device(&self) -> Device {
        self.data.as_buffer().map_or(Device::Cpu, Buffer::device)
    }

    /// The tensor on this device: as it is if it is its own and there already, or else a copy.
    ///
    /// # Errors
    /// If the device's memory does not suffice, or it fails; the tensor is in the error, see [`MoveError`].
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let device = Device::best()?;
    /// let x: Tensor<Shape![2]> = tensor![1.0, 2.0].to(&device)?;
    /// let copy = x.clone().to(&Device::Cpu)?; // `x` is still there
    /// assert_eq!(copy.to_vec(), [1.0, 2.0]);
    /// # Ok::<(), plywood::Error>(())
    /// ```
    #[allow(clippy::result_large_err, reason = "the value itself is as large")]
    pub fn to(self, device: &Device) -> Result<Tensor<S, E>, MoveError<Tensor<S, E>>> {
        let of = |data| Tensor { shape: self.shape, data, element: PhantomData };
        self.data.into_buffer().to(device).map(of).map_err(|wrong| wrong.map(of))
    }

    /// A copy on this device.
    pub(crate) fn copied_to(&self, device: &Device) -> Result<Tensor<S, E>> {
        let data = match self.data.as_buffer() {
            Some(buffer) => buffer.copied_to(device)?,
            None => Buffer::copy_of(self.as_slice()).to(device)?,
        };
        Ok(Tensor { shape: self.shape, data, element: PhantomData })
    }

    /// The elements' memory on a GPU.
    #[cfg(feature = "cuda")]
    pub(crate) fn memory(&self) -> Option<&Memory> {
        self.data.as_buffer().and_then(Buffer::memory)
    }

    /// The same elements under another shape type, as from a batch known at run time to one known at compile time.
    ///
    /// # Errors
    /// If the sizes are not those of the type `T`.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![_, 3]> = Tensor::from_vec(vec![0.0; 6])?;
    /// let y: Tensor<Shape![2, 3]> = x.try_shape()?;
    /// let wrong = y.try_shape::<Shape![5, 3]>().unwrap_err();
    /// assert_eq!(wrong.to_string(), "these are not the sizes of the type: [2, 3] against [5, 3]");
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn try_shape<T: Shape>(&self) -> Result<Tensor<T, E>> {
        let shape = shape_of_type(self.sizes().as_ref())?;
        Ok(Tensor { shape, data: self.to_buffer(), element: PhantomData })
    }
}

impl<E: Element, B: Storage<E>> Tensor<(), E, B> {
    /// The number of a tensor of rank 0; from a GPU it is copied.
    #[must_use]
    pub fn item(&self) -> E {
        self.read()[0]
    }
}

impl<S: Shape, E: Element, B: StorageMut<E>> Tensor<S, E, B> {
    /// The elements, row-major. See [`Storage`].
    #[must_use]
    pub fn as_mut_slice(&mut self) -> &mut [E] {
        self.data.as_mut_slice()
    }

    /// The same elements, borrowed to be changed.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let mut x: Tensor<Shape![2]> = tensor![1.0, 2.0];
    /// let mut view = x.view_mut();
    /// view += tensor![10.0, 20.0];
    /// assert_eq!(x, tensor![11.0, 22.0]);
    /// ```
    #[must_use]
    pub fn view_mut(&mut self) -> TensorViewMut<'_, S, E> {
        Tensor { shape: self.shape, data: self.data.as_mut_slice(), element: PhantomData }
    }
}

/// What only a GPU's failure keeps from being there.
#[inline(always)]
pub(crate) fn sure<T>(result: Result<T>) -> T {
    result.unwrap_or_else(
        #[cold]
        |error| panic!("{error}"),
    )
}

/// The shape of these sizes, if they are those of its type.
pub(crate) fn shape_of_type<S: Shape>(sizes: &[usize]) -> Result<S> {
    S::from_sizes(sizes).ok_or_else(|| Error::Shape {
        what: "these are not the sizes of the type",
        left: Sizes(sizes).to_string(),
        right: S::pattern().to_string(),
    })
}

impl<S: Shape, E: Element, A: Storage<E>, B: Storage<E>> PartialEq<Tensor<S, E, B>> for Tensor<S, E, A> {
    fn eq(&self, other: &Tensor<S, E, B>) -> bool {
        self.shape == other.shape && self.read() == other.read()
    }
}

impl<S: Shape, E: Element, B: Storage<E>> Debug for Tensor<S, E, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor {:?} {:?}", self.sizes().as_ref(), self.read())
    }
}

impl<'a, S: Shape, E: Element, B: Storage<E>> IntoIterator for &'a Tensor<S, E, B> {
    type Item = &'a E;
    type IntoIter = core::slice::Iter<'a, E>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
