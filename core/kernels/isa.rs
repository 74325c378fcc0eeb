use core::sync::atomic::{AtomicU8, Ordering};

/// What a processor can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// Plain code, for what the compiler expects of every processor.
    Portable,
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 in the extent that every processor since 2017 has (F, VL, BW and DQ), AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// NEON.
    #[cfg(target_arch = "aarch64")]
    Neon,
}

/// The best that this machine has, as a number; that of none until somebody asks.
static BEST: AtomicU8 = AtomicU8::new(u8::MAX);

impl Isa {
    /// All, the simplest first.
    pub const ALL: &[Isa] = &[
        Isa::Portable,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512,
        #[cfg(target_arch = "aarch64")]
        Isa::Neon,
    ];

    /// Whether this machine has it. The standard library asks the processor once and keeps the answer.
    #[must_use]
    pub fn is_available(self) -> bool {
        match self {
            Isa::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && Isa::Avx2.is_available()
            }
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => std::arch::is_aarch64_feature_detected!("neon"),
        }
    }

    /// The best that this machine has.
    #[inline(always)]
    #[must_use]
    pub fn best() -> Self {
        let best = BEST.load(Ordering::Relaxed);
        Self::ALL.iter().copied().find(|isa| *isa as u8 == best).unwrap_or_else(Self::detect)
    }

    #[cold]
    fn detect() -> Self {
        let isa = Self::ALL.iter().copied().rfind(|isa| isa.is_available()).unwrap_or(Isa::Portable);
        BEST.store(isa as u8, Ordering::Relaxed);
        isa
    }
}
