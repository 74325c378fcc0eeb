//! Conversions from and to the arrays of the crate `ndarray`.

use super::{Storage, StorageMut, Tensor, TensorView, TensorViewMut, shape_of_type};
use crate::dim::Dim;
use crate::element::Element;
use crate::error::{Error, Result};
use crate::shape::Shape;
use ndarray::{Array, ArrayD, ArrayView, ArrayViewD, ArrayViewMut, ArrayViewMutD, Dimension, IxDyn};

const FITS: &str = "as many elements as the sizes say";

/// The elements of the array, of any rank (`Array2`, `ArrayD`), in its logical order.
///
/// Nothing is copied if the array owns its memory in standard layout (row-major); one that is transposed or otherwise
/// laid out is copied. The error tells both shapes where the array's sizes are not those of the type.
///
/// ```
/// use ndarray::{Array, Array2};
/// use plywood::prelude::*;
///
/// let array: Array2<f32> = ndarray::array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
/// let x: Tensor<Shape![_, 3]> = array.try_into()?;
/// assert_eq!(x.get([1, 0]), Some(4.0));
///
/// let doubled = Array2::from(x * 2.0);
/// assert_eq!(doubled, ndarray::array![[2.0, 4.0, 6.0], [8.0, 10.0, 12.0]]);
///
/// let wrong = Tensor::<Shape![3, 2]>::try_from(doubled).unwrap_err();
/// assert_eq!(wrong.to_string(), "these are not the sizes of the type: [2, 3] against [3, 2]");
/// # Ok::<(), plywood::Error>(())
/// ```
impl<S: Shape, E: Element, D: Dimension> TryFrom<Array<E, D>> for Tensor<S, E> {
    type Error = Error;

    fn try_from(array: Array<E, D>) -> Result<Self> {
        let shape = shape_of_type(array.shape())?;
        let elements = if array.is_standard_layout() {
            let numel = array.len();
            let (mut elements, start) = array.into_raw_vec_and_offset();
            // An array that was cut down still has what was cut off.
            elements.truncate(start.unwrap_or(0) + numel);
            elements.drain(..start.unwrap_or(0));
            elements
        } else {
            array.iter().copied().collect()
        };
        Ok(Self::from_buffer(shape, elements.into()))
    }
}

/// The array seen as a tensor; nothing is copied.
///
/// The error tells both shapes where the array's sizes are not those of the type, or the strides where the array is not
/// in standard layout (row-major); `array.to_owned().try_into()` copies one.
///
/// ```
/// use plywood::prelude::*;
///
/// let array = ndarray::array![[1.0f32, 2.0], [3.0, 4.0]];
/// let x: TensorView<Shape![2, 2]> = array.view().try_into()?;
/// assert_eq!(x.as_slice().as_ptr(), array.as_ptr());
///
/// let wrong = TensorView::<Shape![2, 2]>::try_from(array.t()).unwrap_err();
/// assert_eq!(
///     wrong.to_string(),
///     "the layout of an ndarray view is that of strides [1, 2], but must be row-major without gaps; \
///      `array.to_owned()` can be converted in any layout"
/// );
/// # Ok::<(), plywood::Error>(())
/// ```
impl<'a, S: Shape, E: Element, D: Dimension> TryFrom<ArrayView<'a, E, D>> for TensorView<'a, S, E> {
    type Error = Error;

    fn try_from(array: ArrayView<'a, E, D>) -> Result<Self> {
        let shape = shape_of_type(array.shape())?;
        let elements = array.to_slice().ok_or_else(|| layout(array.strides()))?;
        Ok(Self::of_slice(shape, elements))
    }
}

/// The array seen as a tensor that can be changed; nothing is copied. Errors as for a [`TensorView`].
impl<'a, S: Shape, E: Element, D: Dimension> TryFrom<ArrayViewMut<'a, E, D>> for TensorViewMut<'a, S, E> {
    type Error = Error;

    fn try_from(array: ArrayViewMut<'a, E, D>) -> Result<Self> {
        let shape = shape_of_type(array.shape())?;
        if !array.is_standard_layout() {
            return Err(layout(array.strides()));
        }
        Ok(Self::of_mut_slice(shape, array.into_slice().expect("standard layout")))
    }
}

fn layout(strides: &[isize]) -> Error {
    Error::Setting {
        what: "the layout of an ndarray view",
        given: format!("that of strides {strides:?}"),
        expected: "row-major without gaps; `array.to_owned()` can be converted in any layout",
    }
}

macro_rules! into_array {
    ($owned:ty, $view:ty, $view_mut:ty, $shape:ty, [$($name:ident: $bound:ident)*], $sizes:expr) => {
        /// The elements of the tensor, as [`into_vec`](Tensor::into_vec) gives them.
        impl<$($name: $bound,)* E: Element> From<Tensor<$shape, E>> for $owned {
            fn from(x: Tensor<$shape, E>) -> Self {
                let sizes = x.sizes();
                Self::from_shape_vec($sizes(sizes), x.into_vec()).expect(FITS)
            }
        }

        /// The tensor seen as an array; nothing is copied.
        impl<'a, $($name: $bound,)* E: Element, Data: Storage<E>> From<&'a Tensor<$shape, E, Data>> for $view {
            fn from(x: &'a Tensor<$shape, E, Data>) -> Self {
                Self::from_shape($sizes(x.sizes()), x.as_slice()).expect(FITS)
            }
        }

        /// The tensor seen as an array that can be changed; nothing is copied.
        impl<'a, $($name: $bound,)* E: Element, Data: StorageMut<E>> From<&'a mut Tensor<$shape, E, Data>> for $view_mut {
            fn from(x: &'a mut Tensor<$shape, E, Data>) -> Self {
                Self::from_shape($sizes(x.sizes()), x.as_mut_slice()).expect(FITS)
            }
        }
    };
}

macro_rules! of_rank {
    ($($rank:literal [$($name:ident)*];)*) => {$(
        into_array!(
            Array<E, ndarray::Dim<[usize; $rank]>>,
            ArrayView<'a, E, ndarray::Dim<[usize; $rank]>>,
            ArrayViewMut<'a, E, ndarray::Dim<[usize; $rank]>>,
            ($($name,)*), [$($name: Dim)*], core::convert::identity
        );
    )*};
}

of_rank! {
    0 [];
    1 [A1];
    2 [A1 A2];
    3 [A1 A2 A3];
    4 [A1 A2 A3 A4];
    5 [A1 A2 A3 A4 A5];
    6 [A1 A2 A3 A4 A5 A6];
}
into_array!(ArrayD<E>, ArrayViewD<'a, E>, ArrayViewMutD<'a, E>, S, [S: Shape], |sizes: <S as Shape>::Sizes| IxDyn(
    sizes.as_ref()
));

#[cfg(test)]
mod tests {
    use crate::prelude::*;
    use ndarray::{Array, Array1, Array2, Array3, ArrayD, ArrayView2, ArrayViewD, ArrayViewMut1, s};

    #[test]
    fn what_is_row_major_goes_there_and_back_without_a_copy() {
        let array = Array3::from_shape_vec((2, 3, 4), (0..24).collect::<Vec<i32>>()).unwrap();
        let place = array.as_ptr();
        let x: Tensor<Shape![_, 3, 4], i32> = array.try_into().unwrap();
        assert_eq!((x.as_slice().as_ptr(), x.sizes()), (place, [2, 3, 4]));
        let array = ArrayD::from(x);
        assert_eq!((array.as_ptr(), array.shape()), (place, &[2, 3, 4][..]));
        let x: Tensor<Shape![2, _, 4], i32> = array.try_into().unwrap();
        assert_eq!(Array3::from(x).as_ptr(), place);
    }

    #[test]
    fn other_layouts_are_copied_in_logical_order() {
        let array = Array2::from_shape_vec((2, 3), (0..6).collect::<Vec<i32>>()).unwrap();
        let x: Tensor<Shape![3, 2], i32> = array.clone().reversed_axes().try_into().unwrap();
        assert_eq!(x.to_vec(), [0, 3, 1, 4, 2, 5]);
        let column: Tensor<Shape![2], i32> = array.clone().slice_move(s![.., 1]).try_into().unwrap();
        assert_eq!(column.to_vec(), [1, 4]);
        let row: Tensor<Shape![1, 3], i32> = array.clone().slice_move(s![1..2, ..]).try_into().unwrap();
        assert_eq!(row.to_vec(), [3, 4, 5]);
        let backwards: Tensor<Shape![3], i32> = array.slice_move(s![0, ..;-1]).try_into().unwrap();
        assert_eq!(backwards.to_vec(), [2, 1, 0]);
        let none: Tensor<Shape![_, 0], f32> = Array::zeros((3, 0)).try_into().unwrap();
        assert_eq!(none.sizes(), [3, 0]);
    }

    #[test]
    fn views_are_the_same_memory_both_ways() {
        let mut x: Tensor<Shape![2, 2]> = tensor![[1.0, 2.0], [3.0, 4.0]];
        let place = x.as_slice().as_ptr();
        assert_eq!(ArrayView2::from(&x).as_ptr(), place);
        assert_eq!(ArrayViewD::from(&x.view()).as_ptr(), place);
        ndarray::ArrayViewMut2::from(&mut x)[[1, 0]] = 30.0;
        assert_eq!(x.get([1, 0]), Some(30.0));

        let mut array = Array1::<f32>::ones(3);
        let mut view: TensorViewMut<Shape![3]> = array.view_mut().try_into().unwrap();
        view *= tensor![1.0, 2.0, 3.0];
        assert_eq!(array, ndarray::array![1.0, 2.0, 3.0]);
        let every_other: ArrayViewMut1<f32> = array.slice_mut(s![..;2]);
        assert!(TensorViewMut::<Shape![2]>::try_from(every_other).is_err());
        assert!(TensorView::<Shape![2]>::try_from(array.view()).is_err());
    }
}
