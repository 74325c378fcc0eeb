//! The kernels of each element type.

use super::reduced::{self, Reduced};
pub(in crate::backend::cpu) use plywood_kernels::Isa;
pub(super) use plywood_kernels::gemm::{COMBINED, DOTS, Kernels, Run};
use plywood_kernels::gemm::{choose_f32, choose_f64};

/// Element types with kernels.
pub(super) trait Kernel: num_traits::Float + core::ops::AddAssign + Send + Sync + 'static {
    /// The kernels of an instruction set. Running them asks for a machine that has it.
    fn kernels(isa: Isa) -> &'static Kernels<Self>;

    /// How to compute a product of these sizes, if it is to be less exact than its type.
    #[inline]
    fn reduced(_: Isa, _: (usize, usize, usize)) -> Option<Reduced<Self>> {
        None
    }
}

impl Kernel for f32 {
    #[inline]
    fn kernels(isa: Isa) -> &'static Kernels<f32> {
        choose_f32(isa)
    }

    #[inline]
    fn reduced(isa: Isa, sizes: (usize, usize, usize)) -> Option<Reduced<f32>> {
        reduced::reduced(isa, sizes)
    }
}

impl Kernel for f64 {
    #[inline]
    fn kernels(isa: Isa) -> &'static Kernels<f64> {
        choose_f64(isa)
    }
}
