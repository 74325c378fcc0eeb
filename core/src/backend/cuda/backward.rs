//! A network's layers backwards.

use super::gpu::Gpu;
use super::linear::Blocks;
use super::network::{Network, Space, StepKind, launch};
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
        (dparams, dinput): (CUdeviceptr, Option<CUdeviceptr>),
        stream: CUstream,
    ) -> Result<()> {
        self.gpu.enter()?;
        let blocks = Blocks { params, dparams, x };
        let slots = space.gradients.expect("memory for training").map(|slot| space.at(slot));
        for (i, step) in self.steps.iter().enumerate().rev() {
            let (y, dy) = (space.at(space.y[i]), slots[i % 2]);
            let x = if i == 0 { x } else { space.at(space.y[i - 1]) };
            let dx = if i == 0 { dinput } else { Some(slots[(i + 1) % 2]) };
            let n = space.batch * step.output;
            match &step.kind {
                StepKind::Linear { .. } => self.linear_backward(i, (dy, dx), blocks, space, stream)?,
                StepKind::Conv2d { conv, .. } => {
                    let kernels = self.convolutions.as_ref().expect("there is a convolution");
                    let shape = ConvShape::of(conv, space.batch);
                    let [params, dparams] = [params, dparams].map(|block| block + self.bytes_of(step.params) as u64);
                    let kind = self.precision(space, shape.product());
                    self.derive(i, dy, blocks.dparams, space, stream)?;
                    kernels.backward_weight(shape, kind, [dy, x, dparams], space.at(space.partial), stream)?;
                    if let Some(dx) = dx {
                        kernels.backward_data(shape, kind, [dy, params, dx], stream)?;
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

    /// dy of a layer becomes the gradient before its activation; the sums of that over all but the channels are its bias's.
    pub(super) fn derive(
        &self,
        i: usize,
        dy: CUdeviceptr,
        dparams: CUdeviceptr,
        space: &Space,
        stream: CUstream,
    ) -> Result<()> {
        let step = &self.steps[i];
        let n = space.batch * step.output;
        let (act, bias, weights, channels, inner) = match &step.kind {
            StepKind::Linear { inputs, outputs, bias, act } => (act, *bias, inputs * outputs, *outputs, 1),
            StepKind::Conv2d { conv, bias, act } => {
                let (channels, weights) = (conv.out_channels, ConvShape::of(conv, space.batch).weights());
                (act, *bias, weights, channels, step.output / channels)
            }
            _ => unreachable!("a layer with weights"),
        };
        let v = space.at(if act.keeps() { space.saved[i] } else { space.y[i] });
        if !bias {
            if act.identity {
                return Ok(());
            }
            return launch!(self.gpu, stream, act.backward, self.grid(n), dy, v, dy, n);
        }
        let v = if act.identity { 0 } else { v };
        let db = dparams + self.bytes_of(step.params + weights) as u64;
        let outer = n / (channels * inner);
        let parts = bias_parts(&self.gpu, outer, channels, inner);
        let columns = if inner == 1 { channels.div_ceil(32) } else { channels } as u32;
        // With one part, its sums are the whole ones.
        let partial = space.at(space.partial);
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
