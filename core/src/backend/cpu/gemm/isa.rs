//! The kernels of each element type.

use super::reduced::{self, Reduced};
pub(super) use plywood_kernels::Compiled;
pub(in crate::backend::cpu) use plywood_kernels::Isa;
pub(super) use plywood_kernels::gemm::{COMBINED, Kernels, Run};

/// Element types with products.
pub(super) trait Kernel: Compiled + num_traits::Float + core::ops::AddAssign + Send + Sync {
    /// How to compute a product of these sizes, if it is to be less exact than its type.
    #[inline]
    fn reduced(_: Isa, _: (usize, usize, usize)) -> Option<Reduced<Self>> {
        None
    }
}

impl Kernel for f32 {
    #[inline]
    fn reduced(isa: Isa, sizes: (usize, usize, usize)) -> Option<Reduced<f32>> {
        reduced::reduced(isa, sizes)
    }
}

impl Kernel for f64 {}
