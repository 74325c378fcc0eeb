//! One binary for every processor: code that is compiled once for each instruction set, and the choice between them.
//!
//! Code that is inlined as a whole into a function with wide instructions is compiled to them. So everything below
//! [`dispatch`] is `#[inline(always)]`.

use core::sync::atomic::{AtomicU8, Ordering};

mod sealed {
    /// Who names an instruction set says that the machine has it, so only [`dispatch`](super::dispatch) does.
    pub trait Sealed {}
}

/// An instruction set that this machine has.
pub trait Simd: sealed::Sealed + 'static {
    /// Whether the code around is compiled for it. Otherwise, whoever wants it asks the processor.
    const KNOWN: bool = true;
    /// AVX2 and FMA.
    const AVX2: bool = false;
    /// AVX-512 in the extent that every processor since 2017 has: F, VL, BW and DQ.
    const AVX512: bool = false;
}

/// What the compiler expects of every processor: SSE2 on x86-64, NEON on aarch64.
#[derive(Debug)]
pub struct Baseline;

/// Not known yet: the next [`dispatch`] asks the processor.
#[derive(Debug)]
pub struct Unknown;

/// AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
struct Avx2;

/// AVX-512, AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
struct Avx512;

impl sealed::Sealed for Baseline {}
impl sealed::Sealed for Unknown {}
#[cfg(target_arch = "x86_64")]
impl sealed::Sealed for Avx2 {}
#[cfg(target_arch = "x86_64")]
impl sealed::Sealed for Avx512 {}

impl Simd for Baseline {}

impl Simd for Unknown {
    const KNOWN: bool = false;
}

#[cfg(target_arch = "x86_64")]
impl Simd for Avx2 {
    const AVX2: bool = true;
}

#[cfg(target_arch = "x86_64")]
impl Simd for Avx512 {
    const AVX2: bool = true;
    const AVX512: bool = true;
}

/// Something to be done on any instruction set. `run` is `#[inline(always)]`, and so is all that it calls.
pub trait Op {
    /// The result.
    type Out;

    /// Does it.
    fn run<S: Simd>(self) -> Self::Out;
}

const BASELINE: u8 = 1;
const AVX2: u8 = 2;
const AVX512: u8 = 3;

/// The best that this machine has; 0 until somebody asks.
static BEST: AtomicU8 = AtomicU8::new(0);

/// The best that this machine has.
#[inline(always)]
pub(super) fn best() -> u8 {
    match BEST.load(Ordering::Relaxed) {
        0 => detect(),
        best => best,
    }
}

#[cold]
fn detect() -> u8 {
    #[cfg(target_arch = "x86_64")]
    let best = {
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        let avx512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq");
        match (avx2, avx512) {
            (true, true) => AVX512,
            (true, false) => AVX2,
            _ => BASELINE,
        }
    };
    #[cfg(not(target_arch = "x86_64"))]
    let best = BASELINE;
    BEST.store(best, Ordering::Relaxed);
    best
}

/// Does it with the best instructions that this machine has, or with those that are known already.
#[inline(always)]
pub fn dispatch<S: Simd, O: Op>(op: O) -> O::Out {
    if S::KNOWN { op.run::<S>() } else { on(best(), op) }
}

#[inline(always)]
fn on<O: Op>(best: u8, op: O) -> O::Out {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
        unsafe fn avx512<O: Op>(op: O) -> O::Out {
            op.run::<Avx512>()
        }

        #[target_feature(enable = "avx2,fma")]
        unsafe fn avx2<O: Op>(op: O) -> O::Out {
            op.run::<Avx2>()
        }

        match best {
            // SAFETY: the processor has said that it has them.
            AVX512 => return unsafe { avx512(op) },
            // SAFETY: likewise.
            AVX2 => return unsafe { avx2(op) },
            _ => {}
        }
    }
    let _ = (best, AVX2, AVX512);
    op.run::<Baseline>()
}

/// Does it on every instruction set that this machine has, the simplest first.
#[cfg(test)]
pub(crate) fn on_each<O: Op>(op: impl Fn() -> O) -> Vec<O::Out> {
    (BASELINE..=best()).map(|isa| on(isa, op())).collect()
}
