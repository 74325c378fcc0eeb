//! `MaxPool2d`: the largest number under a window.

use super::{Backward, Forward, Layer, Op, window};
use crate::backend::cpu;
use crate::dim::{D, StaticDim};
use crate::element::Float;
use crate::shape::StaticShape;
use core::marker::PhantomData;

/// The largest number under each place of a window that slides over images, as `torch.nn.MaxPool2d`.
///
/// In [`sequential!`](../../plywood/macro.sequential.html): `MaxPool2d(kernel_size, stride = kernel_size, padding = 0)`.
/// Each is one number or `(height, width)`; `kernel` is short for `kernel_size`. A kernel has at most 256 positions, and
/// `padding` is at most half of it; what it adds is smaller than every number.
///
/// Shapes: `x: [batch, channels, H, W]`, `y: [batch, channels, OH, OW]` with OH = (H + 2·padding − kernel)/stride + 1,
/// rounded down, and OW likewise. Of equal numbers, the first gets the gradient; a NaN is larger than every number.
///
/// As a type it names the shape that goes in, the one that comes out, and three pairs: kernel, stride, padding.
///
/// ```
/// use plywood::prelude::*;
///
/// sequential! {
///     struct Half: (1, 2, 4) => (1, 1, 2) {
///         MaxPool2d(2),
///     }
/// }
/// let x: Tensor<Shape![1, 2, 4]> = tensor![[[1.0, 2.0, 5.0, 6.0], [3.0, 4.0, 8.0, 7.0]]];
/// assert_eq!(Half::init(&mut Generator::manual_seed(0)).forward(&x), tensor![[[4.0, 8.0]]]);
/// ```
#[derive(Debug)]
pub struct MaxPool2d<I, O, K, S = K, P = (D<0>, D<0>)>(PhantomData<(I, O, K, S, P)>);

impl<C, H, W, OH, OW, K, S, P> MaxPool2d<(C, H, W), (C, OH, OW), K, S, P>
where
    C: StaticDim,
    H: StaticDim,
    W: StaticDim,
    OH: StaticDim,
    OW: StaticDim,
    K: StaticShape,
    S: StaticShape,
    P: StaticShape,
{
    /// Without a look at it: the facts about a layer say nothing of a mistake a second time.
    const UNCHECKED: cpu::Window = window::window::<(C, H, W), (C, OH, OW), K, S, P, (D<1>, D<1>)>();
    const WINDOW: cpu::Window = {
        let window = Self::UNCHECKED;
        assert!(K::NUMEL <= 256, "a pooling kernel has at most 256 positions");
        assert!(
            2 * window.padding.0 <= window.kernel.0 && 2 * window.padding.1 <= window.kernel.1,
            "the padding of a pooling is at most half of its kernel"
        );
        window
    };
    /// A byte an output.
    const POSITIONS: usize = <(C, OH, OW)>::NUMEL;
}

impl<C, H, W, OH, OW, K, S, P> Layer for MaxPool2d<(C, H, W), (C, OH, OW), K, S, P>
where
    C: StaticDim,
    H: StaticDim,
    W: StaticDim,
    OH: StaticDim,
    OW: StaticDim,
    K: StaticShape,
    S: StaticShape,
    P: StaticShape,
{
    type Input = (C, H, W);
    type Output = (C, OH, OW);
    type View<'a, E: Float> = ();
    const KIND: &'static str = "MaxPool2d";
    const OP: Op = Op::MaxPool2d { planes: C::SIZE, window: Self::UNCHECKED };
    /// Four bytes and more a number: where each output came from takes one.
    const SAVED: usize = Self::POSITIONS.div_ceil(4);

    fn view<E: Float>(_params: &[E]) {}

    fn forward_pass<E: Float>(pass: Forward<'_, E>) {
        let positions = &mut bytemuck::cast_slice_mut(pass.saved)[..pass.batch * Self::POSITIONS];
        cpu::max_pool2d_forward(pass.x, pass.y, positions, pass.batch * C::SIZE, &Self::WINDOW);
    }

    fn backward_pass<E: Float>(pass: Backward<'_, E>) {
        let Some(dx) = pass.dx else { return };
        let positions = &bytemuck::cast_slice(pass.saved)[..pass.batch * Self::POSITIONS];
        cpu::max_pool2d_backward(positions, pass.dy, dx, pass.batch * C::SIZE, &Self::WINDOW);
    }
}
