//! Windows that slide over images, as types.

use crate::backend::cpu::Window;
use crate::dim::window_size;
use crate::shape::StaticShape;

/// A number for height and one for width.
const fn pair<S: StaticShape>() -> (usize, usize) {
    assert!(S::SIZES.len() == 2, "a window has two sizes, height and width");
    (S::SIZES[0], S::SIZES[1])
}

/// The window of these types over images of shape `I`, checked to give images of shape `O`.
pub(super) const fn window<I, O, K, S, P, L>() -> Window
where
    I: StaticShape,
    O: StaticShape,
    K: StaticShape,
    S: StaticShape,
    P: StaticShape,
    L: StaticShape,
{
    let input = (I::SIZES[1], I::SIZES[2]);
    let (kernel, stride, padding, dilation) = (pair::<K>(), pair::<S>(), pair::<P>(), pair::<L>());
    assert!(
        window_size(input.0, kernel.0, stride.0, padding.0, dilation.0) == O::SIZES[1]
            && window_size(input.1, kernel.1, stride.1, padding.1, dilation.1) == O::SIZES[2],
        "the output of a window has (H + 2p − d(k − 1) − 1)/s + 1 rows, and as many columns for its width"
    );
    Window { input, kernel, stride, padding, dilation }
}
