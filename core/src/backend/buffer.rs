#![allow(unsafe_code)]

use super::Device;
#[cfg(feature = "cuda")]
use super::cuda::{Gpu, Memory};
use super::pages;
use crate::element::Element;
use crate::error::{MoveError, Result};
use core::fmt::{self, Debug};
use core::ptr::NonNull;

/// One cache line, so that a vector of them is 64-byte aligned.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

// SAFETY: all zeros is a valid `[u8; 64]`.
unsafe impl bytemuck::Zeroable for Line {}
// SAFETY: 64 bytes of alignment 64: no padding, and every bit pattern is valid.
unsafe impl bytemuck::Pod for Line {}

/// Owned memory of a tensor or a model: on the heap, 64-byte aligned unless it came as a `Vec`, or on a [`Device`].
///
/// On the heap, it is taken from a `Vec` of lines or of elements and given back to one. The parts are kept apart, so that
/// reading asks nothing about where they came from.
///
/// Elements on a GPU cannot be read or changed here: whatever needs them as a slice panics and says to move them with
/// [`to`](Buffer::to) first.
///
/// ```
/// use plywood::backend::Buffer;
///
/// let mut buffer = Buffer::copy_of(&[1.0, 2.0]);
/// buffer.resize(3);
/// buffer.as_mut_slice()[2] = 5.0;
/// assert_eq!(buffer.as_slice(), [1.0, 2.0, 5.0]);
/// assert_eq!(Buffer::<i64>::zeros(2).into_vec(), [0, 0]);
/// ```
pub struct Buffer<E> {
    pointer: NonNull<E>,
    len: usize,
    /// Of the vector: in lines or in elements.
    capacity: usize,
    lines: bool,
    /// Where the elements are if they are not here.
    #[cfg(feature = "cuda")]
    memory: Option<Memory>,
}

/// Changes the length; new lines are zero.
fn extend(lines: &mut Vec<Line>, len: usize) {
    if len > lines.capacity() {
        lines.reserve(len - lines.len());
        pages::wish_for_huge(lines.spare_capacity_mut());
    }
    lines.resize(len, Line([0; 64]));
}

/// The vector that a buffer came from.
enum Taken<E> {
    Lines(Vec<Line>),
    Elements(Vec<E>),
}

// SAFETY: a buffer owns its elements as a `Vec<E>` does; no one else has the pointer.
unsafe impl<E: Send> Send for Buffer<E> {}
// SAFETY: as above; a shared buffer gives shared elements only.
unsafe impl<E: Sync> Sync for Buffer<E> {}

impl<E> Buffer<E> {
    /// A line holds a whole number of elements, each at a place aligned for it.
    const FITS: () = assert!(size_of::<Line>().is_multiple_of(size_of::<E>()) && align_of::<Line>() >= align_of::<E>());

    fn lines_for(len: usize) -> usize {
        const { Self::FITS };
        len.checked_mul(size_of::<E>()).expect("capacity overflow").div_ceil(size_of::<Line>())
    }

    /// Gives the vector back; the buffer is empty afterwards.
    fn take(&mut self) -> Taken<E> {
        #[cfg(feature = "cuda")]
        if self.memory.take().is_some() {
            self.len = 0;
        }
        let Buffer { pointer, len, capacity, lines, .. } = *self;
        // Aligned for lines and for elements.
        self.pointer = NonNull::<Line>::dangling().cast();
        (self.len, self.capacity) = (0, 0);
        if lines {
            // SAFETY: `pointer` and `capacity` are the parts of a `Vec<Line>` of `lines_for(len)` lines, or stand for an
            // empty one; the buffer has forgotten them.
            Taken::Lines(unsafe { Vec::from_raw_parts(pointer.as_ptr().cast(), Self::lines_for(len), capacity) })
        } else {
            // SAFETY: `pointer`, `len` and `capacity` are the parts of a `Vec<E>`; the buffer has forgotten them.
            Taken::Elements(unsafe { Vec::from_raw_parts(pointer.as_ptr(), len, capacity) })
        }
    }
}

impl<E> Drop for Buffer<E> {
    fn drop(&mut self) {
        drop(self.take());
    }
}

impl<E: Element> Buffer<E> {
    /// `lines` has `lines_for(len)` lines.
    fn of_lines(lines: Vec<Line>, len: usize) -> Self {
        debug_assert_eq!(lines.len(), Self::lines_for(len));
        let (pointer, _, capacity) = lines.into_raw_parts();
        // SAFETY: the pointer of a `Vec` is not null.
        let pointer = unsafe { NonNull::new_unchecked(pointer) }.cast();
        Buffer {
            pointer,
            len,
            capacity,
            lines: true,
            #[cfg(feature = "cuda")]
            memory: None,
        }
    }

    /// `len` zeros.
    #[must_use]
    pub fn zeros(len: usize) -> Self {
        let mut lines = Vec::new();
        extend(&mut lines, Self::lines_for(len));
        Self::of_lines(lines, len)
    }

    /// Where the elements are.
    #[must_use]
    pub fn device(&self) -> Device {
        #[cfg(feature = "cuda")]
        if let Some(memory) = &self.memory {
            return Device::Cuda(memory.gpu().clone());
        }
        Device::Cpu
    }

    /// The number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The elements on this device: the buffer itself if it is there, or else a copy.
    ///
    /// # Errors
    /// If a GPU's memory does not suffice, or it fails; the buffer is in the error.
    ///
    /// ```
    /// use plywood::backend::Buffer;
    /// use plywood::prelude::*;
    ///
    /// let buffer = Buffer::copy_of(&[1.0, 2.0]).to(&Device::Cpu)?;
    /// assert_eq!((buffer.len(), buffer.device()), (2, Device::Cpu));
    /// # Ok::<(), plywood::Error>(())
    /// ```
    #[allow(clippy::result_large_err, reason = "the value itself is as large")]
    pub fn to(self, device: &Device) -> Result<Self, MoveError<Self>> {
        if self.device() == *device {
            return Ok(self);
        }
        self.copied_to(device).map_err(|error| MoveError { value: self, error })
    }

    /// A copy of the elements on this device.
    #[cfg_attr(not(feature = "cuda"), expect(clippy::unnecessary_wraps))]
    pub(crate) fn copied_to(&self, device: &Device) -> Result<Self> {
        #[cfg(feature = "cuda")]
        let here = match &self.memory {
            Some(memory) => {
                let mut here = Self::zeros(self.len);
                let elements = here.as_mut_slice();
                let (start, bytes) = (elements.as_mut_ptr().cast::<u8>(), size_of_val(elements));
                // SAFETY: the bytes of the elements, borrowed mutably. What is copied into them are elements, too: a buffer's
                // memory is filled from elements or by kernels that write elements.
                memory.read(unsafe { core::slice::from_raw_parts_mut(start, bytes) })?;
                here
            }
            None => Self::copy_of(self.as_slice()),
        };
        #[cfg(not(feature = "cuda"))]
        let here = self.clone();
        match device {
            Device::Cpu => Ok(here),
            #[cfg(feature = "cuda")]
            Device::Cuda(gpu) => {
                let memory = Memory::of(gpu, bytemuck::cast_slice(here.as_slice()))?;
                Ok(Self::on_gpu(memory, self.len))
            }
        }
    }

    /// Elements on a GPU.
    #[cfg(feature = "cuda")]
    pub(crate) fn on_gpu(memory: Memory, len: usize) -> Self {
        assert!(len * size_of::<E>() <= memory.len(), "the elements do not fit into the memory");
        Buffer { len, memory: Some(memory), ..Self::zeros(0) }
    }

    /// Becomes so many elements on a GPU, with whatever is in them; the memory is kept if it is there and large enough.
    #[cfg(feature = "cuda")]
    pub(crate) fn make_room(&mut self, gpu: &Gpu, len: usize) -> Result<()> {
        let bytes = len * size_of::<E>();
        if self.memory().is_some_and(|memory| memory.gpu() == gpu && memory.len() >= bytes) {
            self.len = len;
        } else {
            *self = Self::on_gpu(Memory::new(gpu, bytes)?, len);
        }
        Ok(())
    }

    /// The elements' memory on a GPU.
    #[cfg(feature = "cuda")]
    pub(crate) fn memory(&self) -> Option<&Memory> {
        self.memory.as_ref()
    }

    /// The GPU that they are on.
    #[cfg(feature = "cuda")]
    pub(crate) fn gpu(&self) -> Option<&Gpu> {
        self.memory.as_ref().map(Memory::gpu)
    }

    #[inline(always)]
    fn assert_here(&self) {
        #[cfg(feature = "cuda")]
        if let Some(memory) = &self.memory {
            elsewhere(memory);
        }
    }

    /// A copy of the slice.
    #[must_use]
    pub fn copy_of(slice: &[E]) -> Self {
        let mut buffer = Self::zeros(slice.len());
        buffer.as_mut_slice().copy_from_slice(slice);
        buffer
    }

    /// The elements as a vector. One that [came as a vector](From) is given back; other memory is copied, because a
    /// vector's is aligned as its elements and not to 64 bytes.
    #[must_use]
    pub fn into_vec(mut self) -> Vec<E> {
        self.assert_here();
        if self.lines {
            return self.as_slice().to_vec();
        }
        match self.take() {
            Taken::Elements(elements) => elements,
            Taken::Lines(_) => unreachable!("the buffer does not consist of lines"),
        }
    }

    /// Changes the length; what is new is zero. Memory is taken only when there is not enough.
    pub fn resize(&mut self, len: usize) {
        self.assert_here();
        let old = self.len.min(len);
        *self = match self.take() {
            Taken::Lines(mut lines) => {
                extend(&mut lines, Self::lines_for(len));
                Self::of_lines(lines, len)
            }
            Taken::Elements(mut elements) => {
                elements.resize(len, E::zeroed());
                Self::from(elements)
            }
        };
        self.as_mut_slice()[old..].fill(E::zeroed());
    }

    /// The elements.
    #[must_use]
    pub fn as_slice(&self) -> &[E] {
        self.assert_here();
        // SAFETY: `pointer` is that of a `Vec<E>` of `len` elements, or of a `Vec<Line>` with room for them, aligned for
        // them by `FITS`. There every byte is zero, which `Zeroable` makes a valid element, or was written through
        // `as_mut_slice` as part of an `E`.
        unsafe { core::slice::from_raw_parts(self.pointer.as_ptr(), self.len) }
    }

    /// The elements.
    #[must_use]
    pub fn as_mut_slice(&mut self) -> &mut [E] {
        self.assert_here();
        // SAFETY: as in `as_slice`; the buffer is borrowed mutably, and `NoUninit` says that an `E` leaves no byte undefined.
        unsafe { core::slice::from_raw_parts_mut(self.pointer.as_ptr(), self.len) }
    }
}

/// The memory of the vector; nothing is copied.
impl<E: Element> From<Vec<E>> for Buffer<E> {
    fn from(elements: Vec<E>) -> Self {
        let (pointer, len, capacity) = elements.into_raw_parts();
        // SAFETY: the pointer of a `Vec` is not null.
        let pointer = unsafe { NonNull::new_unchecked(pointer) };
        Buffer {
            pointer,
            len,
            capacity,
            lines: false,
            #[cfg(feature = "cuda")]
            memory: None,
        }
    }
}

/// A copy on the same device, aligned to 64 bytes. Panics if a GPU's memory does not suffice; [`Buffer::to`] gives an error.
impl<E: Element> Clone for Buffer<E> {
    fn clone(&self) -> Self {
        #[cfg(feature = "cuda")]
        if let Some(memory) = &self.memory {
            return Self::on_gpu(memory.copy().unwrap_or_else(|error| panic!("{error}")), self.len);
        }
        Self::copy_of(self.as_slice())
    }
}

#[cfg(feature = "cuda")]
#[cold]
fn elsewhere(memory: &Memory) -> ! {
    panic!("these elements are on {}, and this works on the CPU's only; `.to(&Device::Cpu)?` copies them", memory.gpu())
}

/// The same elements, wherever they are. Panics if a GPU fails.
impl<E: Element> PartialEq for Buffer<E> {
    fn eq(&self, other: &Self) -> bool {
        #[cfg(feature = "cuda")]
        if self.memory.is_some() || other.memory.is_some() {
            let [here, there] =
                [self, other].map(|buffer| buffer.copied_to(&Device::Cpu).unwrap_or_else(|error| panic!("{error}")));
            return here.as_slice() == there.as_slice();
        }
        self.as_slice() == other.as_slice()
    }
}

impl<E: Element> Debug for Buffer<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.device() {
            Device::Cpu => Debug::fmt(self.as_slice(), f),
            #[cfg(feature = "cuda")]
            device => write!(f, "{} elements on {device}", self.len),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_aligned_to_64_bytes() {
        for len in [1, 15, 16, 17, 1000] {
            let buffer = Buffer::<f32>::zeros(len);
            assert_eq!(buffer.as_slice().as_ptr() as usize % 64, 0);
            assert_eq!(buffer.as_slice().len(), len);
        }
    }

    #[test]
    fn booleans_start_false_and_keep_what_is_written() {
        let mut buffer = Buffer::<bool>::zeros(70);
        assert!(buffer.as_slice().iter().all(|x| !x));
        buffer.as_mut_slice()[69] = true;
        buffer.resize(100);
        assert_eq!(buffer.as_slice().iter().position(|x| *x), Some(69));
        assert!(!buffer.as_slice()[99]);
        assert_eq!(Buffer::copy_of(&[true, false]).as_slice(), [true, false]);
    }

    #[test]
    fn resize_keeps_what_fits_and_zeroes_what_is_new() {
        let mut buffer = Buffer::copy_of(&[1.0f32, 2.0, 3.0]);
        buffer.resize(2);
        buffer.resize(40);
        assert_eq!(&buffer.as_slice()[..3], &[1.0, 2.0, 0.0]);
        assert!(buffer.as_slice()[3..].iter().all(|x| *x == 0.0));
    }

    #[test]
    fn a_vector_is_taken_and_given_back_without_a_copy() {
        let mut vec = vec![1.0f64, 2.0, 3.0];
        vec.reserve_exact(10);
        let (place, capacity) = (vec.as_ptr(), vec.capacity());
        let mut buffer = Buffer::from(vec);
        assert_eq!(buffer.as_slice().as_ptr(), place);
        buffer.resize(5);
        buffer.as_mut_slice()[3] = 4.0;
        buffer.resize(4);
        let copy = buffer.clone();
        let vec = buffer.into_vec();
        assert_eq!((vec.as_ptr(), vec.capacity()), (place, capacity));
        assert_eq!(vec, [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(copy.as_slice(), vec);
        assert_eq!(copy.as_slice().as_ptr() as usize % 64, 0);
        assert_eq!(copy.into_vec(), vec);
    }

    #[test]
    fn nothing_is_a_buffer_too() {
        assert!(Buffer::<f32>::zeros(0).into_vec().is_empty());
        let mut buffer = Buffer::<f32>::from(Vec::new());
        assert!(buffer.as_slice().is_empty() && buffer.as_mut_slice().is_empty());
        buffer.resize(3);
        assert_eq!(buffer.into_vec(), [0.0; 3]);
    }
}
