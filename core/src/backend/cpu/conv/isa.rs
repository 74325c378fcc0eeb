//! The kernels of each element type.

use plywood_kernels::Isa;
pub use plywood_kernels::conv::Kernels;
pub(super) use plywood_kernels::conv::Tiles;
use plywood_kernels::conv::{choose_f32, choose_f64};

/// Element types with kernels for convolutions.
pub trait Convolve: Sized + 'static {
    /// The kernels of an instruction set. Running them asks for a machine that has it.
    #[doc(hidden)]
    fn kernels(isa: Isa) -> &'static Kernels<Self>;
}

impl Convolve for f32 {
    #[inline]
    fn kernels(isa: Isa) -> &'static Kernels<f32> {
        choose_f32(isa)
    }
}

impl Convolve for f64 {
    #[inline]
    fn kernels(isa: Isa) -> &'static Kernels<f64> {
        choose_f64(isa)
    }
}
