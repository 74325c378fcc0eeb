//! Products of rounded and of split operands, by every instruction set of the machine at hand, and with AMX's tiles as its
//! manual describes them.

use super::amx::{Amx, Registers, SIDE};
use super::isa::{Isa, Kernel};
use super::reduced::{self, Reduced, part, rounded};
use super::tests::check_product;
use super::{Matrix, Product, blocked};
use crate::generator::Generator;

/// The tile registers in plain code.
struct Software([[[u32; SIDE]; SIDE]; 8]);

impl Registers for Software {
    unsafe fn zero<const T: usize>(&mut self) {
        self.0[T] = [[0; SIDE]; SIDE];
    }

    unsafe fn load<const T: usize>(&mut self, from: *const f32, row: usize) {
        for (i, words) in self.0[T].iter_mut().enumerate() {
            // SAFETY: the caller's contract.
            *words = core::array::from_fn(|w| unsafe { *from.add(i * row + w) }.to_bits());
        }
    }

    unsafe fn store<const T: usize>(&mut self, to: *mut f32, row: usize) {
        for (i, words) in self.0[T].iter().enumerate() {
            for (w, word) in words.iter().enumerate() {
                // SAFETY: the caller's contract.
                unsafe { *to.add(i * row + w) = f32::from_bits(*word) }
            }
        }
    }

    /// The manual's operation of TDPBF16PS: two sums for each element, of the first and of the second halves of words, by
    /// fused steps that round to nearest and take and give zeros for subnormal numbers.
    unsafe fn multiply<const C: usize, const A: usize, const B: usize>(&mut self) {
        let flushed = |x: f32| if x.is_subnormal() { 0.0f32.copysign(x) } else { x };
        let terms = |word: u32| [word << 16, word & 0xffff_0000].map(|bits| flushed(f32::from_bits(bits)));
        for i in 0..SIDE {
            let mut sums = [[0.0f32; 2]; SIDE];
            for w in 0..SIDE {
                let a = terms(self.0[A][i][w]);
                for (sums, b) in sums.iter_mut().zip(self.0[B][w]) {
                    let b = terms(b);
                    *sums = core::array::from_fn(|half| flushed(a[half].mul_add(b[half], sums[half])));
                }
            }
            for (c, [first, second]) in self.0[C][i].iter_mut().zip(sums) {
                *c = flushed(flushed(f32::from_bits(*c)) + flushed(first + second)).to_bits();
            }
        }
    }
}

/// # Safety
///
/// As [`Reduced`].
unsafe fn in_software<const PARTS: usize>(isa: Isa, part: Product<'_, f32>) {
    let mut tiles = Amx::<_, PARTS>(Software([[[0; SIDE]; SIDE]; 8]));
    // SAFETY: the caller's contract.
    unsafe { reduced::product(f32::kernels(isa), &mut tiles, part) }
}

type Way = (String, Isa, Reduced<f32>);

fn available() -> impl Iterator<Item = Isa> {
    Isa::ALL.iter().copied().filter(|isa| isa.is_available())
}

/// Products of operands split into so many parts by AMX, on a machine that has it.
fn amx<const PARTS: usize>() -> Option<Way> {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    if super::amx::is_available(Isa::Avx512) {
        return Some((format!("AMX, {PARTS}"), Isa::Avx512, super::amx::product::<PARTS>));
    }
    println!("no AMX on this machine: its tiles are tested as software alone");
    None
}

/// Every way of the machine to compute with rounded operands.
fn ways() -> impl Iterator<Item = Way> {
    let plain = available().map(|isa| (format!("{isa:?}"), isa, rounded as Reduced<f32>));
    #[cfg(target_arch = "x86_64")]
    let plain = {
        let has_pairs = available().filter(|isa| reduced::has_pairs(*isa));
        plain.chain(has_pairs.map(|isa| (format!("{isa:?} with pairs"), isa, reduced::pairs as Reduced<f32>)))
    };
    let software = ("tiles in software".to_owned(), Isa::best(), in_software::<1> as Reduced<f32>);
    plain.chain([software]).chain(amx::<1>())
}

/// Every way of the machine to compute with split operands.
fn split_ways() -> impl Iterator<Item = Way> {
    let software = ("split tiles in software".to_owned(), Isa::best(), in_software::<2> as Reduced<f32>);
    [software].into_iter().chain(amx::<2>())
}

fn run(
    (isa, way): (Isa, Reduced<f32>),
    y: &mut [f32],
    a: Matrix<'_, f32>,
    b: Matrix<'_, f32>,
    sizes: (usize, usize, usize),
) {
    let product = Product { y: y.as_mut_ptr(), y_row: sizes.2, a, b, sizes, whole: sizes, adds: true };
    // SAFETY: the machine has the way's instructions, and the operands are made for the sizes.
    unsafe { way(isa, product) }
}

/// Of small integers, which bf16 holds, and whose sums `f32` holds.
fn check(sizes: (usize, usize, usize), rng: &mut Generator) {
    for (what, isa, way) in ways().chain(split_ways()) {
        check_product::<f32>(&what, &|y, a, b, sizes| run((isa, way), y, a, b, sizes), sizes, rng);
    }
}

#[test]
fn sizes_around_the_borders_of_tiles() {
    let mut rng = Generator::manual_seed(0);
    for m in [1, 5, 6, 7, 13] {
        for n in [1, 7, 8, 17, 33, 64, 65, 130] {
            for k in [1, 2, 3, 8, 15, 17] {
                check((m, k, n), &mut rng);
            }
        }
    }
}

#[test]
fn sizes_around_the_borders_of_blocks() {
    let mut rng = Generator::manual_seed(1);
    for k in [blocked::KC, 2 * blocked::KC, 2 * blocked::KC + 2] {
        for k in [k - 1, k, k + 1] {
            check((5, k, 19), &mut rng);
        }
    }
    for m in [191, 192, 193, 400] {
        check((m, 9, 35), &mut rng);
    }
    for n in [blocked::NC - 1, blocked::NC, blocked::NC + 1] {
        check((3, 5, n), &mut rng);
    }
}

/// The operands are rounded once, to nearest, and nothing else is: so all ways agree as sums of `f32` do.
#[test]
fn products_of_real_numbers_are_those_of_rounded_operands() {
    let mut rng = Generator::manual_seed(2);
    let nearest = |x: f32| f64::from(f32::from_bits(part::<0>(x)));
    for (m, k, n) in [(32, 32, 32), (40, 301, 70), (33, 900, 65), (200, 64, 100)] {
        let [a, b] = [m * k, k * n].map(|len| (0..len).map(|_| rng.normal::<f32>()).collect::<Vec<_>>());
        for (what, isa, way) in ways() {
            let mut y = vec![0.0; m * n];
            run((isa, way), &mut y, Matrix::new(&a, k), Matrix::transposed(&b, k), (m, k, n));
            let mut differs = false;
            for (i, y) in y.iter().enumerate() {
                let terms = || (0..k).map(|p| (a[i / n * k + p], b[i % n * k + p]));
                let size: f64 = terms().map(|(a, b)| f64::from(a * b).abs()).sum();
                let sum: f64 = terms().map(|(a, b)| nearest(a) * nearest(b)).sum();
                let exact: f64 = terms().map(|(a, b)| f64::from(a) * f64::from(b)).sum();
                let y = f64::from(*y);
                assert!((y - sum).abs() < 1e-6 * size, "{what}, {m} {k} {n}: {y}, not {sum}");
                assert!((y - exact).abs() < size / 128.0, "{what}, {m} {k} {n}: {y}, not {exact}");
                differs |= (y - exact).abs() > 1e-5 * size;
            }
            assert!(differs, "{what}, {m} {k} {n}: nothing is rounded");
        }
    }
}

/// Of split operands nothing is lost but the products of both second parts, and what is left after two: 3 · 2⁻¹⁶ of a
/// term. TF32 would lose up to 2⁻¹⁰.
#[test]
fn products_of_split_operands_are_more_exact_than_tf32() {
    let mut rng = Generator::manual_seed(3);
    for (m, k, n) in [(32, 32, 32), (40, 301, 70), (33, 900, 65), (100, 64, 50)] {
        let [a, b] = [m * k, k * n].map(|len| (0..len).map(|_| rng.normal::<f32>()).collect::<Vec<_>>());
        for (what, isa, way) in split_ways() {
            let mut y = vec![0.0; m * n];
            run((isa, way), &mut y, Matrix::new(&a, k), Matrix::transposed(&b, k), (m, k, n));
            let mut worst = 0.0f64;
            for (i, y) in y.iter().enumerate() {
                let terms = || (0..k).map(|p| f64::from(a[i / n * k + p]) * f64::from(b[i % n * k + p]));
                let (sum, size) = terms().fold((0.0, 0.0), |(sum, size), x| (sum + x, size + x.abs()));
                // The rounding of the sums is less than in the test of rounded operands.
                assert!((f64::from(*y) - sum).abs() < (3.0 / 65536.0 + 1e-6) * size, "{what}: {y}, not {sum}");
                worst = worst.max((f64::from(*y) - sum).abs() / size);
            }
            println!("{what}, {m} {k} {n}: 2^{:.1}", worst.log2());
        }
    }
    // Close to the worst operands: nearly half a step of the first part is left, and of that half a step of the second.
    let x = 1.0 + 1.0 / 256.0 - 1.0 / 65536.0 + 1.0 / 131072.0 / 2.0;
    for (what, isa, way) in split_ways() {
        let (a, mut y) = (vec![x; 32 * 32], vec![0.0; 32 * 32]);
        run((isa, way), &mut y, Matrix::new(&a, 32), Matrix::new(&a, 32), (32, 32, 32));
        let error = (f64::from(y[0]) / (32.0 * f64::from(x) * f64::from(x)) - 1.0).abs();
        assert!((0.5 / 65536.0..3.0 / 65536.0).contains(&error), "{what}: {error}");
    }
}

/// The bits of AMX are those that its manual promises, of subnormal sums and operands, too.
#[test]
fn tiles_and_their_description_agree_to_the_bit() {
    let Some((_, isa, hardware)) = amx::<1>() else { return };
    let mut rng = Generator::manual_seed(4);
    for scale in [1.0, 1e-19, 1e-20, 1e-38, 1e19] {
        let (m, k, n) = (48, 70, 40);
        let [a, b] = [m * k, k * n].map(|len| (0..len).map(|_| rng.normal::<f32>() * scale).collect::<Vec<_>>());
        let products = [in_software::<1> as Reduced<f32>, hardware].map(|way| {
            let mut y = vec![1e-38; m * n];
            run((isa, way), &mut y, Matrix::new(&a, k), Matrix::new(&b, n), (m, k, n));
            y.iter().map(|y| y.to_bits()).collect::<Vec<_>>()
        });
        assert_eq!(products[0], products[1], "scale {scale}");
    }
}

/// A first part of every number, and a second of what is left, if it is a number.
#[test]
fn parts_of_numbers() {
    let parts = |x: f32| [part::<0>(x), part::<1>(x)].map(f32::from_bits);
    let mut rng = Generator::manual_seed(5);
    for _ in 0..10_000 {
        let x = rng.normal::<f32>();
        let [first, second] = parts(x).map(f64::from);
        assert!((f64::from(x) - first).abs() <= f64::from(x).abs() / 256.0);
        assert!((f64::from(x) - first - second).abs() <= f64::from(x).abs() / 65_536.0, "{x}");
    }
    assert_eq!([f32::INFINITY, f32::MIN].map(parts), [[f32::INFINITY, 0.0], [f32::NEG_INFINITY, 0.0]]);
    assert!(parts(f32::NAN).iter().all(|x| x.is_nan()));
}

#[test]
fn numbers_are_rounded_to_nearest_with_ties_to_even() {
    let to_bf16 = |x: f32| f32::from_bits(part::<0>(x));
    let step = 1.0 / 128.0;
    for (x, expected) in [
        (1.0, 1.0),
        (1.0 + 0.49 * step, 1.0),
        (1.0 + 0.5 * step, 1.0),
        (1.0 + 0.51 * step, 1.0 + step),
        (1.0 + 1.5 * step, 1.0 + 2.0 * step),
        (-1.0 - 1.5 * step, -1.0 - 2.0 * step),
        (2.0 - 0.5 * step, 2.0),
        (0.0, 0.0),
        (f32::INFINITY, f32::INFINITY),
        (f32::MIN, f32::NEG_INFINITY),
    ] {
        assert_eq!(to_bf16(x), expected, "{x}");
    }
    for bits in [0x7f80_0001, 0x7fff_ffff, 0xff80_0001, 0xffff_ffff] {
        assert!(to_bf16(f32::from_bits(bits)).is_nan(), "{bits:x}");
    }
}
