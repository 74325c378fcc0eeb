use super::Window;
use crate::element::Float;

/// The largest number under each place of the window: `x: [planes, H, W]`, `y: [planes, OH, OW]`.
///
/// `indices` keeps, for each output, the position of its number in the window, row by row; of equal numbers the first.
/// A NaN is larger than every number. What the padding adds is smaller than every number.
pub fn max_pool2d_forward<E: Float>(x: &[E], y: &mut [E], indices: &mut [u8], planes: usize, window: &Window) {
    let (plane, (height, width)) = (window.input.0 * window.input.1, window.output());
    for i in 0..planes * height * width {
        let (line, column) = (i / width % height, i % width);
        let x = &x[i / (height * width) * plane..][..plane];
        let mut found = None;
        for (position, at) in inside(window, line, column) {
            if found.is_none_or(|(_, max)| x[at] > max || x[at].is_nan()) {
                found = Some((position, x[at]));
            }
        }
        let (position, max) = found.expect("padding is at most half of the kernel");
        (indices[i], y[i]) = (position, max);
    }
}

/// The gradient of [`max_pool2d_forward`] with respect to `x`, which is overwritten.
pub fn max_pool2d_backward<E: Float>(indices: &[u8], dy: &[E], dx: &mut [E], planes: usize, window: &Window) {
    let Window { input, kernel, stride, padding, dilation } = window;
    let (plane, (height, width)) = (input.0 * input.1, window.output());
    dx.fill(E::zero());
    for i in 0..planes * height * width {
        let position = usize::from(indices[i]);
        let row = i / width % height * stride.0 + position / kernel.1 * dilation.0 - padding.0;
        let column = i % width * stride.1 + position % kernel.1 * dilation.1 - padding.1;
        dx[i / (height * width) * plane + row * input.1 + column] += dy[i];
    }
}

/// The positions of the window that lie in the plane, each with the element there.
fn inside(window: &Window, line: usize, column: usize) -> impl Iterator<Item = (u8, usize)> {
    let Window { input, kernel, stride, padding, dilation } = *window;
    (0..=u8::MAX).take(kernel.0 * kernel.1).filter_map(move |position| {
        let (ky, kx) = (usize::from(position) / kernel.1, usize::from(position) % kernel.1);
        let row = (line * stride.0 + ky * dilation.0).checked_sub(padding.0).filter(|row| *row < input.0)?;
        let column = (column * stride.1 + kx * dilation.1).checked_sub(padding.1).filter(|column| *column < input.1)?;
        Some((position, row * input.1 + column))
    })
}
