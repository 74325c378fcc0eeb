#[cfg(feature = "autograd")]
use super::Storage;
use super::{Tensor, TensorView, TensorViewMut};
use crate::backend::{Buffer, Device};
use crate::dim::{Dim, Dyn, StaticDim};
use crate::element::{Element, Float, Numeric};
use crate::error::{Error, Result};
use crate::generator::Generator;
use crate::shape::{Shape, Sizes, StaticShape};
use core::marker::PhantomData;

/// Shapes that follow from the number of elements: all sizes known at compile time, but for the first. See
/// [`Tensor::from_vec`].
#[diagnostic::on_unimplemented(
    message = "the sizes of `{Self}` do not follow from the number of elements",
    label = "only the first size may be `Dyn` here",
    note = "use the constructor that takes a shape value: `Tensor::from_slice_of(shape, …)`"
)]
pub trait FromNumel: Shape {
    /// The shape with this number of elements, if there is one. See [`Tensor::from_vec`].
    fn from_numel(numel: usize) -> Option<Self>;
}

impl FromNumel for () {
    fn from_numel(numel: usize) -> Option<Self> {
        (numel == 1).then_some(())
    }
}

macro_rules! from_numel {
    ($($name:ident)*) => {
        impl<First: Dim, $($name: StaticDim),*> FromNumel for (First, $($name,)*) {
            fn from_numel(numel: usize) -> Option<Self> {
                let row = ($($name::default(),)*).checked_numel()?;
                let first = First::from_size(First::KNOWN.unwrap_or(numel / row.max(1)))?;
                (first.size().checked_mul(row)? == numel).then_some((first, $($name::default(),)*))
            }
        }
    };
}

from_numel!();
from_numel!(A2);
from_numel!(A2 A3);
from_numel!(A2 A3 A4);
from_numel!(A2 A3 A4 A5);
from_numel!(A2 A3 A4 A5 A6);

impl<S: Shape, E: Element> Tensor<S, E> {
    pub(crate) fn from_buffer(shape: S, data: Buffer<E>) -> Self {
        debug_assert_eq!(shape.numel(), data.len());
        Tensor { shape, data, element: PhantomData }
    }

    /// Changes the shape in place, keeping the memory; what is new is zero.
    pub(crate) fn reshape_in_place(&mut self, shape: S) {
        self.data.resize(shape.numel());
        self.shape = shape;
    }

    /// [`reshape_in_place`](Tensor::reshape_in_place) on a GPU, with whatever is in the elements; gives their memory.
    #[cfg(feature = "cuda")]
    pub(crate) fn make_room(&mut self, gpu: &crate::backend::Gpu, shape: S) -> Result<&crate::backend::cuda::Memory> {
        self.data.make_room(gpu, shape.numel())?;
        self.shape = shape;
        Ok(self.data.memory().expect("on the GPU"))
    }

    /// The same memory under another shape of as many elements.
    pub(crate) fn into_shape<T: Shape>(self, shape: T) -> Tensor<T, E> {
        Tensor::from_buffer(shape, self.data)
    }

    /// All zeros, of a shape with sizes known only at run time.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![_, 6]> = Tensor::zeros_of((Dyn(5), D));
    /// assert_eq!(x.sizes(), [5, 6]);
    /// ```
    #[must_use]
    pub fn zeros_of(shape: S) -> Self {
        Self::from_buffer(shape, Buffer::zeros(shape.numel()))
    }

    /// The same number everywhere, of a shape with sizes known only at run time.
    #[must_use]
    pub fn full_of(shape: S, value: E) -> Self {
        let mut tensor = Self::zeros_of(shape);
        tensor.as_mut_slice().fill(value);
        tensor
    }

    /// [`full_of`](Tensor::full_of), where another tensor is.
    #[cfg(feature = "autograd")]
    #[cfg_attr(not(feature = "cuda"), expect(unused_variables))]
    pub(crate) fn full_beside<T: Shape, F: Element, B: Storage<F>>(
        shape: S,
        value: E,
        other: &Tensor<T, F, B>,
    ) -> Self {
        #[cfg(feature = "cuda")]
        if let Some(memory) = other.memory() {
            return super::sure(super::on_gpu::full(memory.gpu(), shape, value));
        }
        Self::full_of(shape, value)
    }

    /// A copy of the slice, of a shape with sizes known only at run time.
    ///
    /// # Errors
    /// If the slice does not have as many elements as the shape.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![_, _]> = Tensor::from_slice_of((Dyn(2), Dyn(3)), &[1.0; 6])?;
    /// assert_eq!(x.sizes(), [2, 3]);
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn from_slice_of(shape: S, slice: &[E]) -> Result<Self> {
        if Some(slice.len()) != shape.checked_numel() {
            return Err(Error::Length {
                given: slice.len(),
                expected: shape.checked_numel().unwrap_or(usize::MAX),
                shape: format!("a tensor of shape {}", Sizes(shape.sizes().as_ref())),
            });
        }
        Ok(Self::from_buffer(shape, Buffer::copy_of(slice)))
    }

    /// A copy of the slice, row-major. A first size that is `Dyn` follows from the number of elements.
    ///
    /// # Errors
    /// If the number of elements is not the shape's.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![_, 2]> = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0])?;
    /// assert_eq!(x.sizes(), [2, 2]);
    /// let wrong = Tensor::<Shape![2, 3]>::from_slice(&[1.0, 2.0, 3.0, 4.0]).unwrap_err();
    /// assert_eq!(wrong.to_string(), "4 elements do not fill a tensor of shape [2, 3], which has 6");
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn from_slice(slice: &[E]) -> Result<Self>
    where
        S: FromNumel,
    {
        Ok(Self::from_buffer(shape_of_numel(slice.len())?, Buffer::copy_of(slice)))
    }

    /// The elements of the vector, row-major; nothing is copied. A first size that is `Dyn` follows from the number of
    /// elements.
    ///
    /// # Errors
    /// If the number of elements is not the shape's.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![_, 2]> = Tensor::from_vec(vec![1.0, 2.0, 3.0, 4.0])?;
    /// assert_eq!(x, tensor![[1.0, 2.0], [3.0, 4.0]].try_shape()?);
    /// let y: Tensor<Shape![_], i64> = vec![1, 2, 3].into(); // what always fits needs no `Result`
    /// assert_eq!(y.sizes(), [3]);
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn from_vec(vec: Vec<E>) -> Result<Self>
    where
        S: FromNumel,
    {
        Ok(Self::from_buffer(shape_of_numel(vec.len())?, vec.into()))
    }

    /// The elements, row-major. A tensor that was made [of a vector](Tensor::from_vec) gives that vector back; the
    /// elements of any other are copied, because they are aligned for computing and a vector's are not, or are on a GPU.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let mut x: Tensor<Shape![2]> = Tensor::from_vec(vec![1.0, 2.0])?;
    /// x *= 10.0;
    /// assert_eq!(x.into_vec(), vec![10.0, 20.0]);
    /// # Ok::<(), plywood::Error>(())
    /// ```
    #[must_use]
    pub fn into_vec(self) -> Vec<E> {
        match self.data.device() {
            Device::Cpu => self.data.into_vec(),
            #[cfg(feature = "cuda")]
            Device::Cuda(_) => self.to_vec(),
        }
    }

    /// All zeros.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// assert_eq!(Tensor::<Shape![2, 2]>::zeros().to_vec(), [0.0; 4]);
    /// ```
    #[must_use]
    pub fn zeros() -> Self
    where
        S: StaticShape,
    {
        Self::zeros_of(S::default())
    }

    /// The same number everywhere.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// assert_eq!(Tensor::<Shape![2]>::full(7.0), tensor![7.0, 7.0]);
    /// ```
    #[must_use]
    pub fn full(value: E) -> Self
    where
        S: StaticShape,
    {
        Self::full_of(S::default(), value)
    }
}

impl<S: StaticShape, E: Numeric> Tensor<S, E> {
    /// All ones.
    #[must_use]
    pub fn ones() -> Self {
        Self::full_of(S::default(), E::one())
    }
}

impl<S: Shape, E: Float> Tensor<S, E> {
    /// Random numbers in [0, 1), each equally likely, of a shape with sizes known only at run time. See
    /// [`Tensor::zeros_of`].
    #[must_use]
    pub fn rand_of(shape: S, rng: &mut Generator) -> Self {
        Self::filled_by(shape, || rng.uniform())
    }

    /// Random numbers of the normal distribution of mean 0 and variance 1, of a shape with sizes known only at run
    /// time. See [`Tensor::zeros_of`].
    #[must_use]
    pub fn randn_of(shape: S, rng: &mut Generator) -> Self {
        Self::filled_by(shape, || rng.normal())
    }

    /// Random numbers in [0, 1), each equally likely.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let mut rng = Generator::manual_seed(0);
    /// let x: Tensor<Shape![100]> = Tensor::rand(&mut rng);
    /// assert!(x.iter().all(|x| (0.0..1.0).contains(x)));
    /// ```
    #[must_use]
    pub fn rand(rng: &mut Generator) -> Self
    where
        S: StaticShape,
    {
        Self::rand_of(S::default(), rng)
    }

    /// Random numbers of the normal distribution of mean 0 and variance 1.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![1000], f64> = Tensor::randn(&mut Generator::manual_seed(0));
    /// assert!(x.mean().abs() < 0.1 && (x.std() - 1.0).abs() < 0.1);
    /// ```
    #[must_use]
    pub fn randn(rng: &mut Generator) -> Self
    where
        S: StaticShape,
    {
        Self::randn_of(S::default(), rng)
    }

    fn filled_by(shape: S, mut draw: impl FnMut() -> E) -> Self {
        let mut tensor = Self::zeros_of(shape);
        tensor.as_mut_slice().iter_mut().for_each(|x| *x = draw());
        tensor
    }
}

impl<'a, S: Shape, E: Element> TensorView<'a, S, E> {
    pub(crate) fn of_slice(shape: S, data: &'a [E]) -> Self {
        debug_assert_eq!(shape.numel(), data.len());
        Tensor { shape, data, element: PhantomData }
    }

    /// The slice seen as a tensor, row-major; nothing is copied. A first size that is `Dyn` follows from the number of
    /// elements.
    ///
    /// # Errors
    /// If the number of elements is not the shape's.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let numbers = [1.0, 2.0, 3.0, 4.0];
    /// let x = TensorView::<Shape![_, 2]>::borrow(&numbers)?;
    /// assert_eq!(x.sizes(), [2, 2]);
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn borrow(slice: &'a [E]) -> Result<Self>
    where
        S: FromNumel,
    {
        Ok(Self::of_slice(shape_of_numel(slice.len())?, slice))
    }
}

impl<'a, S: Shape, E: Element> TensorViewMut<'a, S, E> {
    pub(crate) fn of_mut_slice(shape: S, data: &'a mut [E]) -> Self {
        debug_assert_eq!(shape.numel(), data.len());
        Tensor { shape, data, element: PhantomData }
    }

    /// The slice seen as a tensor that can be changed, row-major; nothing is copied. A first size that is `Dyn` follows
    /// from the number of elements.
    ///
    /// # Errors
    /// If the number of elements is not the shape's.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let mut numbers = [1.0, 2.0, 3.0, 4.0];
    /// let mut x = TensorViewMut::<Shape![_, 2]>::borrow_mut(&mut numbers)?;
    /// x -= tensor![1.0, 2.0];
    /// assert_eq!(numbers, [0.0, 0.0, 2.0, 2.0]);
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn borrow_mut(slice: &'a mut [E]) -> Result<Self>
    where
        S: FromNumel,
    {
        Ok(Self::of_mut_slice(shape_of_numel(slice.len())?, slice))
    }
}

/// The elements of the vector; nothing is copied.
impl<E: Element> From<Vec<E>> for Tensor<(Dyn,), E> {
    fn from(vec: Vec<E>) -> Self {
        Self::from_buffer((Dyn(vec.len()),), vec.into())
    }
}

pub(super) fn shape_of_numel<S: FromNumel>(numel: usize) -> Result<S> {
    S::from_numel(numel).ok_or_else(|| Error::length(numel, S::pattern().0))
}

/// What `tensor!` expands to: its numbers, whose count the macro has checked.
#[doc(hidden)]
#[must_use]
pub fn literal<S: StaticShape, E: Element>(numbers: &[E]) -> Tensor<S, E> {
    Tensor::from_buffer(S::default(), Buffer::copy_of(numbers))
}

impl Error {
    fn length(given: usize, pattern: Vec<Option<usize>>) -> Self {
        let expected = pattern.iter().flatten().fold(1, |product: usize, size| product.saturating_mul(*size));
        if pattern.contains(&None) {
            let shape = Sizes(pattern).to_string();
            return Error::Rows { given, row: expected, shape };
        }
        Error::Length { given, expected, shape: format!("a tensor of shape {}", Sizes(pattern)) }
    }
}
