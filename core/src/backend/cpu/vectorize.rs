//! Plain loops, compiled for each instruction set.

use super::gemm::Isa;

/// A loop over elements that the compiler turns into vectors by itself.
pub(super) trait Loop {
    /// The loop; to be `#[inline(always)]`, or it is compiled for the least of machines.
    fn run(self);
}

/// Runs a loop with the vectors of an instruction set, which this machine must have.
#[inline]
pub(super) fn vectorize(isa: Isa, body: impl Loop) {
    assert!(isa.is_available(), "{isa:?} on a machine without it");
    match isa {
        Isa::Portable => body.run(),
        // SAFETY: asserted above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { avx2(body) },
        // SAFETY: asserted above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe { avx512(body) },
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2(body: impl Loop) {
    body.run();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2,fma")]
fn avx512(body: impl Loop) {
    body.run();
}
