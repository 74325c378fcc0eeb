use crate::element::Float;
use crate::nn::Activation;
use core::ops::Range;

/// Geometry of a two-dimensional window sliding over planes; each pair is (height, width).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The sizes of a plane.
    pub input: (usize, usize),
    /// The number of positions in the window.
    pub kernel: (usize, usize),
    /// From one place of the window to the next.
    pub stride: (usize, usize),
    /// What is added to the plane on each of two sides.
    pub padding: (usize, usize),
    /// From one position in the window to the next.
    pub dilation: (usize, usize),
}

impl Window {
    /// The number of places of the window: (H + 2p − d(k − 1) − 1)/s + 1.
    #[must_use]
    pub const fn output(&self) -> (usize, usize) {
        let height = (self.input.0 + 2 * self.padding.0 - self.dilation.0 * (self.kernel.0 - 1) - 1) / self.stride.0;
        let width = (self.input.1 + 2 * self.padding.1 - self.dilation.1 * (self.kernel.1 - 1) - 1) / self.stride.1;
        (height + 1, width + 1)
    }
}

/// A convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv {
    /// The planes that go in.
    pub in_channels: usize,
    /// The planes that come out.
    pub out_channels: usize,
    /// The window.
    pub window: Window,
}

/// The places of the window at which its position `k` lies within `size` numbers.
fn places(k: usize, size: usize, stride: usize, padding: usize, dilation: usize, output: usize) -> Range<usize> {
    let offset = k * dilation;
    let first = padding.saturating_sub(offset).div_ceil(stride);
    let end = (size + padding).saturating_sub(offset).div_ceil(stride).min(output);
    first.min(end)..end
}

/// Calls `row(weight, x, y, count)` for each row of outputs under each weight: `count` outputs from element `y` on belong
/// to inputs from element `x` on, a stride apart.
fn rows(conv: &Conv, mut row: impl FnMut(usize, usize, usize, usize)) {
    let Window { input, kernel, stride, padding, dilation } = conv.window;
    let output = conv.window.output();
    for weight in 0..conv.out_channels * conv.in_channels * kernel.0 * kernel.1 {
        let (kx, ky) = (weight % kernel.1, weight / kernel.1 % kernel.0);
        let (from, to) =
            (weight / (kernel.0 * kernel.1) % conv.in_channels, weight / (kernel.0 * kernel.1 * conv.in_channels));
        let columns = places(kx, input.1, stride.1, padding.1, dilation.1, output.1);
        if columns.is_empty() {
            continue;
        }
        for line in places(ky, input.0, stride.0, padding.0, dilation.0, output.0) {
            let above = from * input.0 + line * stride.0 + ky * dilation.0 - padding.0;
            let x = above * input.1 + columns.start * stride.1 + kx * dilation.1 - padding.1;
            let y = (to * output.0 + line) * output.1 + columns.start;
            row(weight, x, y, columns.len());
        }
    }
}

/// `y = A(w ⋆ x + b)`, a cross-correlation: `x: [batch, in, H, W]`, `w: [out, in, kh, kw]`, `b: [out]`,
/// `y: [batch, out, OH, OW]`.
///
/// `pre` keeps `w ⋆ x + b` where the activation's derivative needs it (see [`Activation::FROM_OUTPUT`]); otherwise it is
/// empty.
pub fn conv2d_forward<E: Float, A: Activation>(
    x: &[E],
    w: &[E],
    b: Option<&[E]>,
    y: &mut [E],
    pre: &mut [E],
    batch: usize,
    conv: &Conv,
) {
    let Window { input, stride, .. } = conv.window;
    let output = conv.window.output();
    let (taken, plane) = (conv.in_channels * input.0 * input.1, output.0 * output.1);
    for sample in 0..batch {
        let (x, y) = (&x[sample * taken..][..taken], &mut y[sample * conv.out_channels * plane..]);
        for (to, y) in y.chunks_exact_mut(plane).take(conv.out_channels).enumerate() {
            y.fill(b.map_or(E::zero(), |b| b[to]));
        }
        rows(conv, |weight, from, to, count| {
            let (w, y) = (w[weight], &mut y[to..][..count]);
            if stride.1 == 1 {
                y.iter_mut().zip(&x[from..][..count]).for_each(|(y, x)| *y += w * *x);
            } else {
                y.iter_mut().zip(x[from..].iter().step_by(stride.1)).for_each(|(y, x)| *y += w * *x);
            }
        });
    }
    if !A::FROM_OUTPUT {
        pre.copy_from_slice(y);
    }
    if !A::IDENTITY {
        y.iter_mut().for_each(|y| *y = A::forward(*y));
    }
}

/// The gradients of [`conv2d_forward`].
///
/// `v` is the output or, if the activation's derivative needs it, the kept input of the activation. `dy` becomes the
/// gradient of `w ⋆ x + b`; `dw`, `db` and, if there is one, `dx` are overwritten.
#[allow(clippy::too_many_arguments)]
pub fn conv2d_backward<E: Float, A: Activation>(
    x: &[E],
    w: &[E],
    v: &[E],
    dy: &mut [E],
    mut dx: Option<&mut [E]>,
    dw: &mut [E],
    mut db: Option<&mut [E]>,
    batch: usize,
    conv: &Conv,
) {
    if !A::IDENTITY {
        dy.iter_mut().zip(v).for_each(|(dy, v)| *dy *= A::derivative(*v));
    }
    let Window { input, stride, .. } = conv.window;
    let output = conv.window.output();
    let (taken, plane) = (conv.in_channels * input.0 * input.1, output.0 * output.1);
    dw.fill(E::zero());
    if let Some(db) = db.as_deref_mut() {
        db.fill(E::zero());
    }
    if let Some(dx) = dx.as_deref_mut() {
        dx.fill(E::zero());
    }
    for sample in 0..batch {
        let x = &x[sample * taken..][..taken];
        let dy = &dy[sample * conv.out_channels * plane..][..conv.out_channels * plane];
        if let Some(db) = db.as_deref_mut() {
            db.iter_mut().zip(dy.chunks_exact(plane)).for_each(|(db, dy)| *db += dy.iter().copied().sum());
        }
        rows(conv, |weight, from, to, count| dw[weight] += dot(&dy[to..][..count], &x[from..], stride.1));
        let Some(dx) = dx.as_deref_mut() else { continue };
        let dx = &mut dx[sample * taken..][..taken];
        rows(conv, |weight, from, to, count| {
            let (w, dy) = (w[weight], &dy[to..][..count]);
            if stride.1 == 1 {
                dx[from..][..count].iter_mut().zip(dy).for_each(|(dx, dy)| *dx += w * *dy);
            } else {
                dx[from..].iter_mut().step_by(stride.1).zip(dy).for_each(|(dx, dy)| *dx += w * *dy);
            }
        });
    }
}

/// Σ dy · x, where x lies a stride apart.
fn dot<E: Float>(dy: &[E], x: &[E], stride: usize) -> E {
    if stride != 1 {
        return dy.iter().zip(x.iter().step_by(stride)).map(|(dy, x)| *dy * *x).sum();
    }
    let (dy_chunks, x_chunks) = (dy.chunks_exact(8), x[..dy.len()].chunks_exact(8));
    let rest: E = dy_chunks.remainder().iter().zip(x_chunks.remainder()).map(|(dy, x)| *dy * *x).sum();
    let mut lanes = [E::zero(); 8];
    for (dy, x) in dy_chunks.zip(x_chunks) {
        lanes.iter_mut().zip(dy.iter().zip(x)).for_each(|(lane, (dy, x))| *lane += *dy * *x);
    }
    lanes.into_iter().sum::<E>() + rest
}
