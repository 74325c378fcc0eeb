//! Linear layers: products of matrices, with what comes after them.

use super::matmul::{Choice, Epilogue, Kind, Places, Product};
use super::network::{Act, Network, Space, StepKind, launch};
use super::relu::mask_row;
use crate::element::DType;
use crate::error::Result;
use core::ffi::c_void;
use cudarc::driver::sys::{CUdeviceptr, CUstream};

/// Where the blocks are that a pass backwards reads and writes.
#[derive(Clone, Copy)]
pub(super) struct Blocks {
    pub(super) params: CUdeviceptr,
    pub(super) dparams: CUdeviceptr,
    /// The network's input.
    pub(super) x: CUdeviceptr,
}

/// y = A(x · Wᵀ + b) of a batch.
struct Linear<'a> {
    act: &'a Act,
    product: Product,
    places: Places,
    /// Where the activation's input is kept, or 0.
    saved: CUdeviceptr,
}

impl Network {
    /// y = A(x · Wᵀ + b) of the step `i`.
    pub(super) fn linear(
        &self,
        i: usize,
        params: CUdeviceptr,
        x: CUdeviceptr,
        space: &Space,
        stream: CUstream,
    ) -> Result<()> {
        let linear = self.linear_step(i, params, x, space);
        if space.is_masked(i) { self.with_mask(&linear, space, stream) } else { self.without(&linear, space, stream) }
    }

    fn linear_step(&self, i: usize, params: CUdeviceptr, x: CUdeviceptr, space: &Space) -> Linear<'_> {
        let step = &self.steps[i];
        let StepKind::Linear { inputs, outputs, bias, act } = &step.kind else { unreachable!("a linear layer") };
        let (m, n, k) = (space.batch * step.output / outputs, *outputs, *inputs);
        let product = Product {
            kind: self.precision(space, [m, n, k]),
            m,
            n,
            k,
            turned: (false, true),
            epilogue: Epilogue::Nothing,
        };
        let params = params + self.bytes_of(step.params) as u64;
        let bias = if *bias { params + self.bytes_of(inputs * outputs) as u64 } else { 0 };
        let mask = if self.takes_mask(i) { space.at(space.mask[i]) } else { 0 };
        // Without training nothing is kept.
        let saved = if act.keeps() && space.gradients.is_some() { space.at(space.saved[i]) } else { 0 };
        Linear { act, product, places: Places { a: x, b: params, c: space.at(space.y[i]), bias, mask }, saved }
    }

    /// In the way that was the fastest when it was computed first.
    fn without(&self, linear: &Linear<'_>, space: &Space, stream: CUstream) -> Result<()> {
        let Linear { act, product, saved, .. } = *linear;
        let Product { m, n, k, .. } = product;
        let places = self.cast(product.kind, linear.places, (m * k, n * k), space, stream)?;
        let count = m * n;
        let apart = |stream| {
            // SAFETY: the operands and the result are of the step's sizes, and the result is nobody's else.
            unsafe { self.gpu.multiply(&product, Places { bias: 0, ..places }, stream)? };
            if act.identity && places.bias == 0 {
                return Ok(());
            }
            self.bias_act(act, places.c, places.bias, saved, count, n, 1, stream)
        };
        let epilogue = match (places.bias, act) {
            // Where the activation's input is kept, it must be seen after the product.
            _ if saved != 0 => Epilogue::Nothing,
            (0, _) => Epilogue::Nothing,
            (_, act) if act.relu && self.gpu.relu()?.keeps_nan => Epilogue::BiasRelu,
            _ => Epilogue::Bias,
        };
        if epilogue == Epilogue::Nothing {
            return apart(stream);
        }
        let fused = Product { epilogue, ..product };
        let together = |stream| {
            // SAFETY: as above.
            unsafe { self.gpu.multiply(&fused, places, stream)? };
            if act.identity || epilogue == Epilogue::BiasRelu {
                return Ok(());
            }
            launch!(self.gpu, stream, act.forward, self.grid(count), places.c, places.c, count)
        };
        if self.gpu.faster(Choice::Product(fused), &together, &apart)? { together(stream) } else { apart(stream) }
    }

    /// With a bit of each output, whether it is greater than zero: by cuBLASLt, or by a kernel where its max(0, x) is not ours.
    fn with_mask(&self, linear: &Linear<'_>, space: &Space, stream: CUstream) -> Result<()> {
        let Linear { act, product, places, .. } = *linear;
        if self.gpu.relu()?.keeps_nan {
            return self.multiply(Product { epilogue: Epilogue::BiasReluMask, ..product }, places, space, stream);
        }
        self.multiply(product, places, space, stream)?;
        let Places { c, bias, mask, .. } = places;
        let (rows, columns, row) = (product.m, product.n as u32, mask_row(product.n) as u32);
        launch!(
            self.gpu,
            stream,
            act.bias_act_mask,
            self.grid(product.m * product.n),
            c,
            bias,
            mask,
            rows,
            columns,
            row
        )
    }

    /// Whether the step's activation may be taken back by a mask: that of a ReLU between two linear layers.
    pub(super) fn takes_mask(&self, i: usize) -> bool {
        let kind = |i: usize| self.steps.get(i).map(|step| &step.kind);
        match (kind(i), kind(i + 1)) {
            (Some(StepKind::Linear { outputs, bias: true, act, .. }), Some(StepKind::Linear { inputs, .. })) => {
                self.real() == DType::F32 && act.relu && outputs == inputs
            }
            _ => false,
        }
    }

    /// The gradients of the weights, the bias and the input of the step `i` from dy, which is used up.
    pub(super) fn linear_backward(
        &self,
        i: usize,
        (dy, dx): (CUdeviceptr, Option<CUdeviceptr>),
        blocks: Blocks,
        space: &Space,
        stream: CUstream,
    ) -> Result<()> {
        let Blocks { params, dparams, x } = blocks;
        let x = if i == 0 { x } else { space.at(space.y[i - 1]) };
        let Linear { act, product: Product { kind, m, n, k, .. }, places, .. } = self.linear_step(i, params, x, space);
        let dparams = dparams + self.bytes_of(self.steps[i].params) as u64;
        let epilogue = Epilogue::Nothing;
        let dw = Product { kind, m: n, n: k, k: m, turned: (true, false), epilogue };
        let to_dw = Places { a: dy, b: x, c: dparams, ..Places::default() };
        let apart = |stream| {
            self.derive(i, dy, blocks.dparams, space, stream)?;
            self.multiply(dw, to_dw, space, stream)
        };
        if space.is_masked(i) {
            // dy is already that before the activation, and its sums are taken.
            self.multiply(dw, to_dw, space, stream)?;
        } else if act.identity && places.bias != 0 && matches!(kind, Kind::F32 | Kind::Tf32) {
            // Of bf16 they would be sums of rounded numbers.
            let fused = Product { epilogue: Epilogue::OperandSums, ..dw };
            let to_both = Places { bias: dparams + self.bytes_of(n * k) as u64, ..to_dw };
            let together = |stream| self.multiply(fused, to_both, space, stream);
            let faster = self.gpu.faster(Choice::Product(fused), &together, &apart)?;
            if faster { together(stream)? } else { apart(stream)? }
        } else {
            apart(stream)?;
        }
        let Some(dx) = dx else { return Ok(()) };
        let product = Product { kind, m, n: k, k: n, turned: (false, false), epilogue };
        let to_dx = Places { a: dy, b: places.b, c: dx, ..Places::default() };
        if i > 0 && self.takes_mask(i - 1) {
            return self.through_mask(i - 1, product, to_dx, blocks, space, stream);
        }
        self.multiply(product, to_dx, space, stream)
    }

    /// The gradient of the output of the step `i`. If a mask is faster than the output to tell where the ReLU was zero, forward
    /// and backward together, it is already the gradient before the ReLU, and the bias has its own.
    fn through_mask(
        &self,
        i: usize,
        product: Product,
        places: Places,
        blocks: Blocks,
        space: &Space,
        stream: CUstream,
    ) -> Result<()> {
        let x = if i == 0 { blocks.x } else { space.at(space.y[i - 1]) };
        let before = self.linear_step(i, blocks.params, x, space);
        let masked = Product { epilogue: Epilogue::MaskedSums, ..product };
        let bias = blocks.dparams + (before.places.bias - blocks.params);
        let through = Places { bias, mask: before.places.mask, ..places };
        let by_mask = |stream| self.multiply(masked, through, space, stream);
        let plain = |stream| self.multiply(product, places, space, stream);
        if let Some(is_masked) = space.masked[i].get() {
            return if *is_masked { by_mask(stream) } else { plain(stream) };
        }
        let together = |stream| {
            self.with_mask(&before, space, stream)?;
            by_mask(stream)
        };
        let apart = |stream| {
            self.without(&before, space, stream)?;
            plain(stream)?;
            self.derive(i, places.c, blocks.dparams, space, stream)
        };
        let relu = self.gpu.relu()?;
        let choice = Choice::Masked(before.product, masked);
        let faster = (relu.keeps_nan || relu.mask_is_rows) && self.gpu.faster(choice, &together, &apart)?;
        // This once it was the other way forward.
        if faster {
            together(stream)?
        } else {
            plain(stream)?
        }
        space.masked[i].set(faster).expect("nobody else has this memory");
        Ok(())
    }

    /// The operands as the product wants them.
    fn cast(
        &self,
        kind: Kind,
        places: Places,
        (a, b): (usize, usize),
        space: &Space,
        stream: CUstream,
    ) -> Result<Places> {
        if kind != Kind::Bf16 {
            return Ok(places);
        }
        let to_bf16 = self.cast.expect("f32 has the kernel");
        let [half_a, half_b] = space.halves.map(|half| space.at(half));
        launch!(self.gpu, stream, to_bf16, self.grid(a), places.a, half_a, a)?;
        launch!(self.gpu, stream, to_bf16, self.grid(b), places.b, half_b, b)?;
        Ok(Places { a: half_a, b: half_b, ..places })
    }

    fn multiply(&self, product: Product, places: Places, space: &Space, stream: CUstream) -> Result<()> {
        let Product { kind, m, n, k, .. } = product;
        let places = self.cast(kind, places, (m * k, n * k), space, stream)?;
        // SAFETY: the operands and the result are of the step's sizes, and the result is nobody's else.
        unsafe { self.gpu.multiply(&product, places, stream) }
    }
}
