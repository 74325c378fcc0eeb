//! Sizes as the kernels of images take them.

use super::convolve::Workspaces;
use super::cudnn::{Convolution, Direction};
use super::gpu::Gpu;
use super::kernels::{self, Kernel, Program};
use super::matmul::{Choice, Kind};
use super::network::launch;
use crate::backend::cpu::{Conv, Window};
use crate::element::DType;
use crate::error::Result;
use core::ffi::c_void;
use cudarc::driver::sys::{CUdeviceptr, CUstream};

/// A window over planes; as `PoolShape` in the kernels' text.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct PoolShape([i32; 13]);

/// [`Network::space`](super::network::Network::space) has refused larger batches.
fn size(size: usize) -> i32 {
    i32::try_from(size).expect("a size of images below 2³¹")
}

impl PoolShape {
    pub(super) fn of(window: &Window, planes: usize) -> Self {
        let Window { input, kernel, stride, padding, dilation } = *window;
        let output = window.output();
        let [planes, h, w, oh, ow, kh, kw, sh, sw, ph, pw, dh, dw] = [
            planes, input.0, input.1, output.0, output.1, kernel.0, kernel.1, stride.0, stride.1, padding.0, padding.1,
            dilation.0, dilation.1,
        ]
        .map(size);
        PoolShape([planes, h, w, oh, ow, kh, kw, sh, sw, ph, pw, dh, dw])
    }
}

/// A convolution of a batch; as `ConvShape` in the kernels' text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub(super) struct ConvShape {
    batch: i32,
    in_channels: i32,
    height: i32,
    width: i32,
    out_channels: i32,
    out_height: i32,
    out_width: i32,
    kernel: [i32; 2],
    stride: [i32; 2],
    padding: [i32; 2],
    dilation: [i32; 2],
}

impl ConvShape {
    pub(super) fn of(conv: &Conv, batch: usize) -> Self {
        let Window { input, kernel, stride, padding, dilation } = conv.window;
        let (output, pair) = (conv.window.output(), |(a, b): (usize, usize)| [a, b].map(size));
        ConvShape {
            batch: size(batch),
            in_channels: size(conv.in_channels),
            height: size(input.0),
            width: size(input.1),
            out_channels: size(conv.out_channels),
            out_height: size(output.0),
            out_width: size(output.1),
            kernel: pair(kernel),
            stride: pair(stride),
            padding: pair(padding),
            dilation: pair(dilation),
        }
    }

    pub(super) fn weights(&self) -> usize {
        [self.out_channels, self.in_channels, self.kernel[0], self.kernel[1]]
            .iter()
            .map(|size| *size as usize)
            .product()
    }

    /// The sizes of x, w and y.
    pub(super) fn tensors(&self) -> [[i32; 4]; 3] {
        let ConvShape { batch, in_channels, height, width, out_channels, out_height, out_width, kernel, .. } = *self;
        [
            [batch, in_channels, height, width],
            [out_channels, in_channels, kernel[0], kernel[1]],
            [batch, out_channels, out_height, out_width],
        ]
    }

    /// The sizes of the product of matrices that it is.
    pub(super) fn product(&self) -> [usize; 3] {
        let taps = self.in_channels * self.kernel[0] * self.kernel[1];
        [self.pixels() as usize, self.out_channels as usize, taps as usize]
    }

    /// Padding, stride and dilation.
    pub(super) fn steps(&self) -> [[i32; 2]; 3] {
        [self.padding, self.stride, self.dilation]
    }

    /// The pixels of the output, of all samples.
    fn pixels(&self) -> u32 {
        (self.batch * self.out_height * self.out_width) as u32
    }
}

/// Convolutions, by kernels or, where it is found and faster, by cuDNN. Of kernels there is one for many channels, for few, and
/// for very few.
pub(super) struct Convolutions {
    gpu: Gpu,
    workspaces: Workspaces,
    forward: [Kernel; 3],
    backward_data: [Kernel; 3],
    backward_weight: [Kernel; 3],
    sum: Kernel,
}

/// Threads of a block.
const BLOCK: u32 = 128;
/// The channels, and the pixels, that a block of each kernel takes at a time.
const CHANNELS: [u32; 3] = [64, 32, 16];
const PIXELS: [u32; 3] = [64, 128, 128];

/// The kernel for so many channels.
fn choice(channels: i32) -> usize {
    match channels {
        33.. => 0,
        17..=32 => 1,
        _ => 2,
    }
}

impl Convolutions {
    pub(super) fn new(gpu: &Gpu, real: DType) -> Result<Self> {
        let program = Program::new(kernels::CONV, real);
        let kernel = |name| gpu.kernel(&program, name);
        Ok(Convolutions {
            gpu: gpu.clone(),
            workspaces: Workspaces::default(),
            forward: [kernel("conv_forward")?, kernel("conv_forward_32")?, kernel("conv_forward_16")?],
            backward_data: [
                kernel("conv_backward_data")?,
                kernel("conv_backward_data_32")?,
                kernel("conv_backward_data_16")?,
            ],
            backward_weight: [
                kernel("conv_backward_weight")?,
                kernel("conv_backward_weight_32")?,
                kernel("conv_backward_weight_16")?,
            ],
            sum: kernel("conv_sum")?,
        })
    }

    /// The way that was the faster when it was computed first.
    fn choose(
        &self,
        direction: Direction,
        (s, kind): (ConvShape, Kind),
        places: [CUdeviceptr; 3],
        own: &dyn Fn(CUstream) -> Result<()>,
        stream: CUstream,
    ) -> Result<()> {
        if self.gpu.cudnn().is_none() {
            return own(stream);
        }
        let convolution = Convolution::new(direction, s, kind, places);
        let by_cudnn = |workspaces, stream| {
            // SAFETY: the operands and the result are of the convolution's sizes, and the result is nobody's else.
            unsafe { self.gpu.convolve(&convolution, places, workspaces, stream) }
        };
        // What is only tried keeps no memory.
        let trial = Workspaces::default();
        let faster = self.gpu.faster(Choice::Convolution(convolution), &|stream| by_cudnn(&trial, stream), own)?;
        if faster { by_cudnn(&self.workspaces, stream) } else { own(stream) }
    }

    /// y = w ⋆ x.
    pub(super) fn forward(&self, s: ConvShape, kind: Kind, places: [CUdeviceptr; 3], stream: CUstream) -> Result<()> {
        let [x, w, y] = places;
        let i = choice(s.out_channels);
        let grid = [s.pixels().div_ceil(PIXELS[i]), (s.out_channels as u32).div_ceil(CHANNELS[i]), 1];
        let own = |stream| launch!(block BLOCK, self.gpu, stream, self.forward[i], grid, x, w, y, s);
        self.choose(Direction::Forward, (s, kind), places, &own, stream)
    }

    /// dx from dy.
    pub(super) fn backward_data(
        &self,
        s: ConvShape,
        kind: Kind,
        places: [CUdeviceptr; 3],
        stream: CUstream,
    ) -> Result<()> {
        let [dy, w, dx] = places;
        let i = choice(s.in_channels);
        let rows = (s.height as u32).div_ceil(s.stride[0] as u32);
        let columns = (s.width as u32).div_ceil(s.stride[1] as u32);
        let pixels = s.batch as u32 * rows * columns;
        let classes = (s.stride[0] * s.stride[1]) as u32;
        let grid = [pixels.div_ceil(PIXELS[i]), (s.in_channels as u32).div_ceil(CHANNELS[i]), classes];
        let own = |stream| launch!(block BLOCK, self.gpu, stream, self.backward_data[i], grid, dy, w, dx, s);
        self.choose(Direction::BackwardData, (s, kind), places, &own, stream)
    }

    /// dw from dy, with part sums in `partial`.
    pub(super) fn backward_weight(
        &self,
        s: ConvShape,
        kind: Kind,
        places: [CUdeviceptr; 3],
        partial: CUdeviceptr,
        stream: CUstream,
    ) -> Result<()> {
        let [dy, x, dw] = places;
        let (i, [columns, rows], parts) = weight_blocks(&self.gpu, &s);
        let sums = if parts == 1 { dw } else { partial };
        let (n, grid) = (s.weights(), [columns, rows, parts]);
        let own = |stream| {
            launch!(block BLOCK, self.gpu, stream, self.backward_weight[i], grid, dy, x, sums, s)?;
            if parts == 1 {
                return Ok(());
            }
            launch!(self.gpu, stream, self.sum, [(n as u32).div_ceil(32), 1, 1], partial, dw, n, parts)
        };
        self.choose(Direction::BackwardWeight, (s, kind), places, &own, stream)
    }
}

/// The kernel for a weight's gradient, its blocks across and down, and the parts of the pixels that keep the GPU busy.
fn weight_blocks(gpu: &Gpu, s: &ConvShape) -> (usize, [u32; 2], u32) {
    let taps = s.in_channels * s.kernel[0] * s.kernel[1];
    let i = choice(s.out_channels.min(taps));
    let blocks = [taps, s.out_channels].map(|size| (size as u32).div_ceil(CHANNELS[i]));
    let wanted = (gpu.multiprocessors() * 4).div_ceil(blocks[0] * blocks[1]);
    (i, blocks, wanted.clamp(1, s.pixels().div_ceil(256).max(1)))
}

/// The part sums of a weight's gradient, in elements.
pub(super) fn conv_partial(gpu: &Gpu, s: &ConvShape) -> usize {
    s.weights() * weight_blocks(gpu, s).2 as usize
}
