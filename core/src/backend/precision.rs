use core::sync::atomic::{AtomicU8, Ordering};

/// How exactly products of `f32` matrices are computed; see [`set_float32_matmul_precision`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// With `f32` throughout.
    #[default]
    Highest,
    /// At least as exactly as with TF32, whose operands have 11 significant bits: of operands split into two bf16 each.
    /// PyTorch's `"high"`.
    High,
    /// With operands rounded to bf16, which has 8 significant bits, and sums in `f32`. PyTorch's `"medium"`.
    Bf16,
}

static PRECISION: AtomicU8 = AtomicU8::new(Precision::Highest as u8);

/// How exactly products of `f32` matrices are computed: [`Precision::Highest`], or what
/// [`set_float32_matmul_precision`] last said; as `torch.get_float32_matmul_precision`.
///
/// ```
/// assert_eq!(plywood::float32_matmul_precision(), plywood::Precision::Highest);
/// ```
#[must_use]
pub fn float32_matmul_precision() -> Precision {
    let precision = PRECISION.load(Ordering::Relaxed);
    [Precision::High, Precision::Bf16].into_iter().find(|it| *it as u8 == precision).unwrap_or_default()
}

/// Changes [`float32_matmul_precision`], for the whole program; as `torch.set_float32_matmul_precision`.
///
/// It is about the products in linear layers, forward and backward, and in `matmul`, where `y[m, n] = a[m, k] · b[k, n]`
/// has m, k and n of 32 or more: smaller products gain nothing and stay `f32`, and so do `f64` and convolutions,
/// except that those of cuDNN on a GPU are computed in TF32 with `High` and `Bf16`.
/// Parameters, gradients and everything between two products stay `f32` in any case. No loss needs to be scaled: bf16 and
/// TF32 have the exponents of `f32`, so that small gradients do not become zero.
///
/// # Precision
///
/// An entry `y` is off by at most so much, with `s = Σ |a| |b|` over its terms:
///
/// - [`Highest`](Precision::Highest): `k · 2⁻²⁴ · s`, the rounding of `f32` sums, and in practice far less.
/// - [`High`](Precision::High): `3 · 2⁻¹⁶ · s` for the operands, where TF32 promises `2⁻¹⁰ · s`, besides the rounding of the
///   sums. Where operands are split, infinity and numbers above 3.39 · 10³⁸ may become NaN, and what numbers below
///   3 · 10⁻³⁶ have after the first eight bits is taken for zero.
/// - [`Bf16`](Precision::Bf16): `2⁻⁷ · s` for the operands, each rounded to nearest, ties to even, besides the rounding of
///   the sums. Numbers above 3.39 · 10³⁸ become infinite.
///
/// The same program has the same bits in every run and on any number of threads.
///
/// # Where it is faster
///
/// `Bf16` is up to twice as fast on x86-64 processors with AVX-512-BF16, as measured on AMD's Zen 4. Its instruction adds
/// two products at a time to a sum, with roundings of its own, and takes numbers below 1.2 · 10⁻³⁸ for zero. So do the tiles
/// of AMX, which Intel's Xeons have since 2023 and Linux lends to programs: they run there instead. Their arithmetic is
/// tested; how fast they are here, nobody has measured yet. Elsewhere operands are rounded to bf16 all the same, so that a
/// program is as exact on one machine as on another, but this takes a little longer than `f32`.
///
/// `High` splits operands where there is AMX: each into the nearest bf16 and that of the rest, and of their four products
/// the three large ones are added. On other processors it is the same as `Highest`, to the bit: three times the
/// instructions of `Bf16` are more time than `f32` takes.
///
/// ```
/// use plywood::{Precision, Tensor, Shape};
///
/// plywood::set_float32_matmul_precision(Precision::Bf16);
/// let a: Tensor<Shape![64, 64]> = Tensor::full(1.0 + 1.0 / 512.0); // rounded to 1
/// let y = a.matmul(&a);
/// assert_eq!(y.get([0, 0]), Some(64.0));
/// ```
pub fn set_float32_matmul_precision(precision: Precision) {
    PRECISION.store(precision as u8, Ordering::Relaxed);
}
