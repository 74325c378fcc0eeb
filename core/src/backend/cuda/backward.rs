//! A network's layers backwards.

use super::gpu::Gpu;
use super::matmul::{Epilogue, Places, Product};
use super::network::{Act, Network, Space, StepKind, launch};
use super::shapes::{ConvShape, PoolShape};
use crate::error::Result;
use core::ffi::c_void;
use cudarc::driver::sys::{CUdeviceptr, CUstream};

impl Network {
    /// Computes the gradients of all parameters, and of the input where there is a place for it, from that of the output,
    /// which is in `space` and is used up.
    pub(super) fn backward(
        &self,
        space: &Space,
        params: CUdeviceptr,
        x: CUdeviceptr,
        dparams: CUdeviceptr,
        stream: CUstream,
    ) -> Result<()> {
        self.gpu.enter()?;
        let slots = space.gradients.expect("memory for training").map(|slot| space.at(slot));
        let partial = space.at(space.partial);
        for (i, step) in self.steps.iter().enumerate().rev() {
            let (y, dy) = (space.at(space.y[i]), slots[i % 2]);
            let x = if i == 0 { x } else { space.at(space.y[i - 1]) };
            // Nobody needs the gradient of the network's input.
            let dx = (i > 0).then(|| slots[(i + 1) % 2]);
            let v = |act: &Act| if act.keeps() { space.at(space.saved[i]) } else { y };
            let [params, dparams] = [params, dparams].map(|block| block + self.bytes_of(step.params) as u64);
            let n = space.batch * step.output;
            match &step.kind {
                StepKind::Linear { inputs, outputs, bias, act } => {
                    let rows = n / outputs;
                    let db = bias.then(|| dparams + self.bytes_of(inputs * outputs) as u64);
                    self.derive(act, dy, v(act), db, partial, (rows, *outputs, 1), stream)?;
                    let (kind, epilogue) = (self.precision([rows, *inputs, *outputs]), Epilogue::Nothing);
                    let dw = Product { kind, m: *outputs, n: *inputs, k: rows, turned: (true, false), epilogue };
                    self.multiply(dw, Places { a: dy, b: x, c: dparams, bias: 0 }, space, stream)?;
                    if let Some(dx) = dx {
                        let product =
                            Product { kind, m: rows, n: *inputs, k: *outputs, turned: (false, false), epilogue };
                        self.multiply(product, Places { a: dy, b: params, c: dx, bias: 0 }, space, stream)?;
                    }
                }
                StepKind::Conv2d { conv, bias, act } => {
                    let kernels = self.convolutions.as_ref().expect("there is a convolution");
                    let shape = ConvShape::of(conv, space.batch);
                    let db = bias.then(|| dparams + self.bytes_of(shape.weights()) as u64);
                    let channels = conv.out_channels;
                    self.derive(act, dy, v(act), db, partial, (space.batch, channels, step.output / channels), stream)?;
                    kernels.backward_weight(shape, [dy, x, dparams], partial, stream)?;
                    if let Some(dx) = dx {
                        kernels.backward_data(shape, [dy, params, dx], stream)?;
                    }
                }
                StepKind::MaxPool2d { planes, window, backward, .. } => {
                    let Some(dx) = dx else { continue };
                    let (index, shape) = (space.at(space.index[i]), PoolShape::of(window, planes * space.batch));
                    launch!(self.gpu, stream, *backward, self.grid(space.batch * step.input), dy, index, dx, shape)?;
                }
                StepKind::Activation(act) => {
                    let Some(dx) = dx else { continue };
                    let v = if act.from_output { y } else { x };
                    launch!(self.gpu, stream, act.backward, self.grid(n), dy, v, dx, n)?;
                }
                StepKind::Rows { size, backward, .. } => {
                    let Some(dx) = dx else { continue };
                    let (rows, columns) = (n / size.max(&1), *size as u32);
                    launch!(self.gpu, stream, *backward, self.grid(n), y, dy, dx, rows, columns)?;
                }
            }
        }
        Ok(())
    }

    /// dy becomes the gradient before the activation; its sums over all but the channels are the bias's.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn derive(
        &self,
        act: &Act,
        dy: CUdeviceptr,
        v: CUdeviceptr,
        db: Option<CUdeviceptr>,
        partial: CUdeviceptr,
        (outer, channels, inner): (usize, usize, usize),
        stream: CUstream,
    ) -> Result<()> {
        let n = outer * channels * inner;
        let Some(db) = db else {
            if act.identity {
                return Ok(());
            }
            return launch!(self.gpu, stream, act.backward, self.grid(n), dy, v, dy, n);
        };
        let v = if act.identity { 0 } else { v };
        let parts = bias_parts(&self.gpu, outer, channels, inner);
        let columns = if inner == 1 { channels.div_ceil(32) } else { channels } as u32;
        // With one part, its sums are the whole ones.
        let sums = if parts == 1 { db } else { partial };
        let (channels, inner) = (channels as u32, inner as u32);
        launch!(self.gpu, stream, act.backward_bias, [columns, parts, 1], dy, v, sums, outer, channels, inner)?;
        if parts == 1 {
            return Ok(());
        }
        launch!(self.gpu, stream, act.bias_sum, [channels.div_ceil(32), 1, 1], partial, db, channels, parts)
    }
}

/// Into how many parts the samples are divided for the gradient of a bias, so that the whole GPU is busy.
pub(super) fn bias_parts(gpu: &Gpu, outer: usize, channels: usize, inner: usize) -> u32 {
    let columns = if inner == 1 { channels.div_ceil(32) } else { channels };
    let wanted = (gpu.multiprocessors() as usize * 4).div_ceil(columns);
    // A block passes over eight rows at once where a row is one number of each channel.
    let most = if inner == 1 { outer.div_ceil(32) } else { outer };
    wanted.clamp(1, most.max(1)) as u32
}
