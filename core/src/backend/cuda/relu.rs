//! The ReLU of cuBLASLt, and the masks that it writes.

use super::gpu::Gpu;
use super::matmul::{Epilogue, Kind, Places, Product};
use super::memory::Memory;
use crate::error::Result;

/// The bits of a mask's row, for a result with so many columns.
pub(super) fn mask_row(columns: usize) -> usize {
    columns.next_multiple_of(128)
}

/// What cuBLASLt's max(0, x) is, of which nothing is documented.
#[derive(Clone, Copy, Debug)]
pub(super) struct Relu {
    /// Whether it is NaN for NaN, as ours: a network that went wrong must not look right.
    pub(super) keeps_nan: bool,
    /// Whether element (i, j) has bit j % 32 of the 32-bit word i · [`mask_row`] / 32 + j / 32 in a mask: then a kernel can
    /// write one.
    pub(super) mask_is_rows: bool,
}

impl Gpu {
    /// How cuBLASLt's max(0, x) is, which is tried once.
    pub(super) fn relu(&self) -> Result<Relu> {
        if let Some(relu) = self.0.relu.get() {
            return Ok(*relu);
        }
        const M: usize = 8;
        const N: usize = 136;
        const WORDS: usize = (N / 128 + 1) * 4;
        // a is the identity, so that c is b with another row at the end, where all is NaN.
        let mut a = [0f32; M * M];
        (0..M - 1).for_each(|i| a[i * M + i] = 1.0);
        a[M * M - 1] = f32::NAN;
        let sign = |i: usize, j: usize| (i * 13 + j * 7 + i * j) % 5 < 2;
        let b: Vec<f32> = (0..M * N).map(|at| if sign(at / N, at % N) { 1.0 } else { -2.0 }).collect();
        let memory = |numbers: &[f32]| Memory::of(self, bytemuck::cast_slice(numbers));
        let (a, b, bias) = (memory(&a)?, memory(&b)?, memory(&[0.5; N])?);
        let (c, mask) = (Memory::zeros(self, M * N * 4)?, Memory::zeros(self, M * WORDS * 4)?);
        let places =
            Places { a: a.pointer(), b: b.pointer(), c: c.pointer(), bias: bias.pointer(), mask: mask.pointer() };
        let mut numbers = vec![0f32; M * N];
        let mut keeps_nan = |epilogue| {
            let product = Product { kind: Kind::F32, m: M, n: N, k: M, turned: (false, false), epilogue };
            // SAFETY: blocks of the product's sizes, and of its mask's.
            let computed = unsafe { self.multiply(&product, places, self.0.stream) };
            c.read(bytemuck::cast_slice_mut(&mut numbers))?;
            let (rows, last) = numbers.split_at((M - 1) * N);
            let right = rows.iter().enumerate().all(|(at, y)| *y == if sign(at / N, at % N) { 1.5 } else { 0.0 });
            Ok::<_, crate::Error>((computed.is_ok() && right, last.iter().all(|y| y.is_nan())))
        };
        let (right, plain) = keeps_nan(Epilogue::BiasRelu)?;
        let (masks, with_mask) = keeps_nan(Epilogue::BiasReluMask)?;
        let mut words = [0u32; M * WORDS];
        mask.read(bytemuck::cast_slice_mut(&mut words))?;
        let has_bit = |i: usize, j: usize| words[i * WORDS + j / 32] >> (j % 32) & 1 == 1;
        let mask_is_rows = masks && (0..M - 1).all(|i| (0..N).all(|j| has_bit(i, j) == sign(i, j)));
        let relu = Relu { keeps_nan: right && plain && (!masks || with_mask), mask_is_rows };
        Ok(*self.0.relu.get_or_init(|| relu))
    }
}
