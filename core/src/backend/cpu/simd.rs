//! One binary for every processor: code that is compiled once for each instruction set, and the choice between them.
//!
//! Code that is inlined as a whole into a function with wide instructions is compiled to them. So everything below
//! [`dispatch`] is `#[inline(always)]`.

use core::marker::PhantomData;
pub use plywood_kernels::Isa;

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
    /// NEON.
    const NEON: bool = false;
    /// Whether a forward pass keeps what only its backward pass will use.
    const KEEPS: bool = true;
}

/// Plain code, for what the compiler expects of every processor.
#[derive(Debug)]
pub struct Baseline;

/// Not known yet: the next [`dispatch`] asks the processor.
#[derive(Debug)]
pub struct Unknown;

/// The instruction set `S` for a forward pass that no backward pass follows.
#[derive(Debug)]
pub struct Inference<S>(PhantomData<S>);

/// AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
struct Avx2;

/// AVX-512, AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
struct Avx512;

/// NEON.
#[cfg(target_arch = "aarch64")]
struct Neon;

impl sealed::Sealed for Baseline {}
impl sealed::Sealed for Unknown {}
impl<S> sealed::Sealed for Inference<S> {}
#[cfg(target_arch = "x86_64")]
impl sealed::Sealed for Avx2 {}
#[cfg(target_arch = "x86_64")]
impl sealed::Sealed for Avx512 {}
#[cfg(target_arch = "aarch64")]
impl sealed::Sealed for Neon {}

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

#[cfg(target_arch = "aarch64")]
impl Simd for Neon {
    const NEON: bool = true;
}

impl<S: Simd> Simd for Inference<S> {
    const KNOWN: bool = S::KNOWN;
    const AVX2: bool = S::AVX2;
    const AVX512: bool = S::AVX512;
    const NEON: bool = S::NEON;
    const KEEPS: bool = false;
}

/// Something to be done on any instruction set. `run` is `#[inline(always)]`, and so is all that it calls.
pub trait Op {
    /// The result.
    type Out;

    /// Does it.
    fn run<S: Simd>(self) -> Self::Out;
}

/// Does it with the best instructions that this machine has, or with those that are known already.
#[inline(always)]
pub fn dispatch<S: Simd, O: Op>(op: O) -> O::Out {
    // SAFETY: the best that this machine has.
    if S::KNOWN { op.run::<S>() } else { unsafe { compiled_for(Isa::best(), op) } }
}

/// Does it with the instructions of an instruction set, which this machine must have.
#[cfg(feature = "conv")]
#[inline]
pub(super) fn on<O: Op>(isa: Isa, op: O) -> O::Out {
    assert!(isa.is_available(), "{isa:?} on a machine without it");
    // SAFETY: asserted above.
    unsafe { compiled_for(isa, op) }
}

/// Calls `f`, compiled for the widest vectors of this machine: for loops that the compiler vectorises. They keep their
/// bits, because no instruction set changes what an operation gives or puts two into one.
///
/// For what it compiles, `f` must be `#[inline(always)]`, and so must all that it calls.
#[inline(always)]
pub(crate) fn widest<T>(f: impl FnOnce() -> T) -> T {
    dispatch::<Unknown, _>(Closure(f))
}

struct Closure<F>(F);

impl<T, F: FnOnce() -> T> Op for Closure<F> {
    type Out = T;

    #[inline(always)]
    fn run<S: Simd>(self) -> T {
        self.0()
    }
}

/// # Safety
///
/// The machine has the instruction set.
#[inline(always)]
unsafe fn compiled_for<O: Op>(isa: Isa, op: O) -> O::Out {
    // Not inlined where a better one is usual: the registers that it wants would be saved for nothing.
    #[cfg_attr(any(target_arch = "x86_64", target_arch = "aarch64"), inline(never))]
    fn portable<O: Op>(op: O) -> O::Out {
        op.run::<Baseline>()
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
    fn avx512<O: Op>(op: O) -> O::Out {
        op.run::<Avx512>()
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn avx2<O: Op>(op: O) -> O::Out {
        op.run::<Avx2>()
    }

    #[cfg(target_arch = "aarch64")]
    #[target_feature(enable = "neon")]
    fn neon<O: Op>(op: O) -> O::Out {
        op.run::<Neon>()
    }

    match isa {
        Isa::Portable => portable(op),
        // SAFETY: the caller's contract.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { avx2(op) },
        // SAFETY: likewise.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe { avx512(op) },
        // SAFETY: likewise.
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => unsafe { neon(op) },
    }
}

/// Does it on every instruction set that this machine has, the simplest first.
#[cfg(test)]
pub(crate) fn on_each<O: Op>(op: impl Fn() -> O) -> Vec<O::Out> {
    Isa::ALL.iter().filter(|isa| isa.is_available()).map(|isa| on(*isa, op())).collect()
}
