//! Linear layers: products of matrices, with what comes after them.

use super::matmul::{Epilogue, Kind, Places, Product};
use super::network::{Act, Network, Space, launch};
use crate::error::Result;
use core::ffi::c_void;
use cudarc::driver::sys::{CUdeviceptr, CUstream};

impl Network {
    /// y = A(x · Wᵀ + b), in the way that was the fastest when it was computed first.
    pub(super) fn linear(
        &self,
        product: &Product,
        places: Places,
        act: &Act,
        saved: CUdeviceptr,
        space: &Space,
        stream: CUstream,
    ) -> Result<()> {
        let Product { m, n, k, .. } = *product;
        let places = self.cast(product.kind, places, (m * k, n * k), space, stream)?;
        let count = m * n;
        let apart = |stream| {
            // SAFETY: the operands and the result are of the step's sizes, and the result is nobody's else.
            unsafe { self.gpu.multiply(product, Places { bias: 0, ..places }, stream)? };
            if act.identity && places.bias == 0 {
                return Ok(());
            }
            self.bias_act(act, places.c, places.bias, saved, count, n, 1, stream)
        };
        let epilogue = match (places.bias, act) {
            // Where the activation's input is kept, it must be seen after the product.
            _ if saved != 0 => Epilogue::Nothing,
            (0, _) => Epilogue::Nothing,
            (_, act) if act.relu && self.gpu.relu_keeps_nan()? => Epilogue::BiasRelu,
            _ => Epilogue::Bias,
        };
        if epilogue == Epilogue::Nothing {
            return apart(stream);
        }
        let fused = Product { epilogue, ..*product };
        let together = |stream| {
            // SAFETY: as above.
            unsafe { self.gpu.multiply(&fused, places, stream)? };
            if act.identity || epilogue == Epilogue::BiasRelu {
                return Ok(());
            }
            launch!(self.gpu, stream, act.forward, self.grid(count), places.c, places.c, count)
        };
        if self.gpu.faster(&fused, &together, &apart)? { together(stream) } else { apart(stream) }
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

    pub(super) fn multiply(&self, product: Product, places: Places, space: &Space, stream: CUstream) -> Result<()> {
        let Product { kind, m, n, k, .. } = product;
        let places = self.cast(kind, places, (m * k, n * k), space, stream)?;
        // SAFETY: the operands and the result are of the step's sizes, and the result is nobody's else.
        unsafe { self.gpu.multiply(&product, places, stream) }
    }
}
