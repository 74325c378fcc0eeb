//! Arrays seen as tensors.

use super::{TensorView, TensorViewMut, shape_of_type};
use crate::element::Element;
use crate::error::{Error, Result};
use crate::shape::Shape;

macro_rules! array {
    ($array:ty; $($size:ident)*; $($flattened:ident $flattened_mut:ident)*) => {
        /// The array seen as a tensor; nothing is copied.
        ///
        /// The error tells both shapes where the array's sizes are not those of the type.
        ///
        /// ```
        /// use plywood::prelude::*;
        ///
        /// let numbers = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
        /// let x: TensorView<Shape![2, 3]> = (&numbers).try_into()?;
        /// assert_eq!(x.sum_axis::<0>(), tensor![5.0, 7.0, 9.0]);
        ///
        /// let wrong = TensorView::<Shape![_, 2]>::try_from(&numbers).unwrap_err();
        /// assert_eq!(wrong.to_string(), "these are not the sizes of the type: [2, 3] against [_, 2]");
        /// # Ok::<(), plywood::Error>(())
        /// ```
        impl<'a, S: Shape, E: Element, $(const $size: usize),*> TryFrom<&'a $array> for TensorView<'a, S, E> {
            type Error = Error;

            fn try_from(array: &'a $array) -> Result<Self> {
                Ok(Self::of_slice(shape_of_type(&[$($size),*])?, array.as_slice()$(.$flattened())*))
            }
        }

        /// The array seen as a tensor that can be changed; nothing is copied.
        ///
        /// The error tells both shapes where the array's sizes are not those of the type.
        ///
        /// ```
        /// use plywood::prelude::*;
        ///
        /// let mut numbers = [[1.0, 2.0], [3.0, 4.0]];
        /// let mut x: TensorViewMut<Shape![2, 2]> = (&mut numbers).try_into()?;
        /// x += 0.5;
        /// assert_eq!(numbers, [[1.5, 2.5], [3.5, 4.5]]);
        /// # Ok::<(), plywood::Error>(())
        /// ```
        impl<'a, S: Shape, E: Element, $(const $size: usize),*> TryFrom<&'a mut $array> for TensorViewMut<'a, S, E> {
            type Error = Error;

            fn try_from(array: &'a mut $array) -> Result<Self> {
                Ok(Self::of_mut_slice(shape_of_type(&[$($size),*])?, array.as_mut_slice()$(.$flattened_mut())*))
            }
        }
    };
}

array!([E; A]; A;);
array!([[E; B]; A]; A B; as_flattened as_flattened_mut);
array!([[[E; C]; B]; A]; A B C; as_flattened as_flattened_mut as_flattened as_flattened_mut);
array!([[[[E; D]; C]; B]; A]; A B C D;
    as_flattened as_flattened_mut as_flattened as_flattened_mut as_flattened as_flattened_mut);

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn slices_vectors_and_arrays_become_tensors_where_they_are() {
        let vec = vec![1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0];
        let place = vec.as_ptr();
        let view = TensorView::<Shape![_, 2]>::borrow(&vec).unwrap();
        assert_eq!(view.as_slice().as_ptr(), place);
        let mut x: Tensor<Shape![3, 2]> = Tensor::from_vec(vec).unwrap();
        assert_eq!(x.as_slice().as_ptr(), place);
        x.as_mut_slice()[0] = 7.0;
        assert_eq!(x.view_mut().as_slice().as_ptr(), place);
        let vec = x.into_vec();
        assert_eq!((vec.as_ptr(), vec[0]), (place, 7.0));
        assert_eq!(Tensor::from(vec).as_slice().as_ptr(), place);

        let mut array = [[[1u8, 2], [3, 4], [5, 6]]; 4];
        let place = array.as_ptr().cast();
        let view: TensorView<Shape![_, 3, 2], u8> = (&array).try_into().unwrap();
        assert_eq!((view.as_slice().as_ptr(), view.sizes()), (place, [4, 3, 2]));
        assert_eq!(view.get([3, 1, 0]), Some(3));
        let mut view: TensorViewMut<Shape![4, 3, 2], u8> = (&mut array).try_into().unwrap();
        assert_eq!(view.as_mut_slice().as_ptr(), place);
        view.as_mut_slice()[23] = 60;
        assert_eq!(array[3][2], [5, 60]);
    }

    #[test]
    fn an_array_of_other_sizes_is_an_error_even_with_as_many_elements() {
        let array = [[0.0f32; 3]; 2];
        assert!(TensorView::<Shape![3, 2]>::try_from(&array).is_err());
        assert!(TensorView::<Shape![_]>::try_from(&array).is_err());
        assert!(TensorView::<Shape![6]>::try_from(&[0.0f32; 5]).is_err());
        assert!(TensorView::<Shape![6]>::try_from(&[0.0f32; 6]).is_ok());
        assert!(TensorView::<Shape![1, 1, 2, 3]>::try_from(&[[array]]).is_ok());
    }

    #[test]
    fn a_vector_of_the_wrong_length_is_an_error() {
        assert!(Tensor::<Shape![2, 2]>::from_vec(vec![0.0; 5]).is_err());
        assert!(TensorViewMut::<Shape![_, 2]>::borrow_mut(&mut [0.0; 3]).is_err());
    }
}
