//! Products of rounded and of split operands, by every instruction set of the machine at hand. AMX's tiles are those of the
//! machine, or else of its instructions in plain code, or else what the manual says that they do.

use super::amx::{Amx, software::Software};
use super::isa::{Compiled, Isa};
use super::reduced::{self, Reduced, part, rounded};
use super::tests::check_product;
use super::{Matrix, Product, blocked};
use crate::generator::Generator;

/// # Safety
///
/// As [`Reduced`].
unsafe fn in_software<const PARTS: usize>(isa: Isa, part: Product<'_, f32>) {
    let mut tiles = Amx::<_, PARTS>(Software::new());
    // SAFETY: the caller's contract.
    unsafe { reduced::product(f32::for_products(isa), &mut tiles, part) }
}

type Way = (String, Isa, Reduced<f32>);

fn available() -> impl Iterator<Item = Isa> {
    Isa::ALL.iter().copied().filter(|isa| isa.is_available())
}

/// Products of operands split into so many parts by AMX's instructions, on a processor that has them and a system that
/// permits them, or on a processor that has none.
fn amx<const PARTS: usize>() -> Option<Way> {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    {
        use super::amx::{is_available, processor_has_tiles, product, trapped};
        if is_available(Isa::Avx512) {
            return Some((format!("AMX, {PARTS}"), Isa::Avx512, product::<PARTS>));
        }
        if !processor_has_tiles() {
            trapped::install();
            return Some((format!("AMX, trapped, {PARTS}"), Isa::best(), product::<PARTS>));
        }
    }
    None
}

fn software<const PARTS: usize>() -> Way {
    (format!("AMX in software, {PARTS}"), Isa::best(), in_software::<PARTS> as Reduced<f32>)
}

/// Every way of the machine to compute with rounded operands.
fn ways() -> Vec<Way> {
    let mut ways: Vec<_> = available().map(|isa| (format!("{isa:?}"), isa, rounded as Reduced<f32>)).collect();
    #[cfg(target_arch = "x86_64")]
    for isa in available().filter(|isa| reduced::has_pairs(*isa)) {
        ways.push((format!("{isa:?} with pairs"), isa, reduced::pairs));
    }
    ways.push(amx::<1>().unwrap_or_else(software::<1>));
    said(ways)
}

/// Every way of the machine to compute with split operands.
fn split_ways() -> Vec<Way> {
    said(vec![amx::<2>().unwrap_or_else(software::<2>)])
}

fn said(ways: Vec<Way>) -> Vec<Way> {
    ways.iter().for_each(|(what, ..)| println!("by {what}"));
    ways
}

fn run(
    (isa, way): (Isa, Reduced<f32>),
    y: &mut [f32],
    a: Matrix<'_, f32>,
    b: Matrix<'_, f32>,
    sizes: (usize, usize, usize),
) {
    let product = Product { y: y.as_mut_ptr(), y_row: sizes.2, a, b, sizes, whole: sizes, adds: true, then: None };
    // SAFETY: the machine has the way's instructions, and the operands are made for the sizes.
    unsafe { way(isa, product) }
}

/// Of small integers, which bf16 holds, and whose sums `f32` holds.
fn check(ways: &[Way], sizes: (usize, usize, usize), rng: &mut Generator) {
    for (what, isa, way) in ways {
        check_product::<f32>(what, &|y, a, b, sizes| run((*isa, *way), y, a, b, sizes), sizes, rng);
    }
}

#[test]
fn sizes_around_the_borders_of_tiles() {
    let (ways, mut rng) = ([ways(), split_ways()].concat(), Generator::manual_seed(0));
    for m in [1, 5, 6, 7, 13] {
        for n in [1, 7, 8, 17, 33, 64, 65, 130] {
            for k in [1, 2, 3, 8, 15, 17] {
                check(&ways, (m, k, n), &mut rng);
            }
        }
    }
}

#[test]
fn sizes_around_the_borders_of_blocks() {
    let (ways, mut rng) = ([ways(), split_ways()].concat(), Generator::manual_seed(1));
    for k in [blocked::KC, 2 * blocked::KC, 2 * blocked::KC + 2] {
        for k in [k - 1, k, k + 1] {
            check(&ways, (5, k, 19), &mut rng);
        }
    }
    for m in [191, 192, 193, 400] {
        check(&ways, (m, 9, 35), &mut rng);
    }
    for n in [blocked::NC - 1, blocked::NC, blocked::NC + 1] {
        check(&ways, (3, 5, n), &mut rng);
    }
}

/// The operands are rounded once, to nearest, and nothing else is: so all ways agree as sums of `f32` do.
#[test]
fn products_of_real_numbers_are_those_of_rounded_operands() {
    let (ways, mut rng) = (ways(), Generator::manual_seed(2));
    let nearest = |x: f32| f64::from(f32::from_bits(part::<0>(x)));
    for (m, k, n) in [(32, 32, 32), (40, 301, 70), (33, 900, 65), (200, 64, 100)] {
        let [a, b] = [m * k, k * n].map(|len| (0..len).map(|_| rng.normal::<f32>()).collect::<Vec<_>>());
        for (what, isa, way) in &ways {
            let mut y = vec![0.0; m * n];
            run((*isa, *way), &mut y, Matrix::new(&a, k), Matrix::transposed(&b, k), (m, k, n));
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
    let (ways, mut rng) = (split_ways(), Generator::manual_seed(3));
    for (m, k, n) in [(32, 32, 32), (40, 301, 70), (33, 900, 65), (100, 64, 50)] {
        let [a, b] = [m * k, k * n].map(|len| (0..len).map(|_| rng.normal::<f32>()).collect::<Vec<_>>());
        for (what, isa, way) in &ways {
            let mut y = vec![0.0; m * n];
            run((*isa, *way), &mut y, Matrix::new(&a, k), Matrix::transposed(&b, k), (m, k, n));
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
    for (what, isa, way) in &ways {
        let (a, mut y) = (vec![x; 32 * 32], vec![0.0; 32 * 32]);
        run((*isa, *way), &mut y, Matrix::new(&a, 32), Matrix::new(&a, 32), (32, 32, 32));
        let error = (f64::from(y[0]) / (32.0 * f64::from(x) * f64::from(x)) - 1.0).abs();
        assert!((0.5 / 65536.0..3.0 / 65536.0).contains(&error), "{what}: {error}");
    }
}

/// The bits are those that the manual promises, of subnormal sums and operands, too.
#[test]
fn tiles_and_their_description_agree_to_the_bit() {
    let Some((what, isa, tiles)) = amx::<1>() else { return };
    let mut rng = Generator::manual_seed(4);
    for scale in [1.0, 1e-19, 1e-20, 1e-38, 1e19] {
        let sizes = (48, 70, 40);
        let [a, b] = operands(sizes, scale, &mut rng);
        assert!(bits((isa, tiles), &a, &b, sizes) == bits((isa, in_software::<1>), &a, &b, sizes), "{what}, {scale}");
    }
}

fn operands((m, k, n): (usize, usize, usize), scale: f32, rng: &mut Generator) -> [Vec<f32>; 2] {
    [m * k, k * n].map(|len| (0..len).map(|_| rng.normal::<f32>() * scale).collect())
}

fn bits(way: (Isa, Reduced<f32>), a: &[f32], b: &[f32], (m, k, n): (usize, usize, usize)) -> Vec<u32> {
    let mut y = vec![1e-38; m * n];
    run(way, &mut y, Matrix::new(a, k), Matrix::new(b, n), (m, k, n));
    y.into_iter().map(f32::to_bits).collect()
}

/// The system permits tiles to a program, and keeps those of a thread while another runs: also of threads that begin after
/// it was asked.
#[test]
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn threads_have_tiles_of_their_own_and_leave_none_behind() {
    let Some((what, isa, tiles)) = amx::<1>() else { return };
    std::thread::scope(|scope| {
        for seed in 0..4 {
            let what = &what;
            scope.spawn(move || {
                let (sizes, mut rng) = ((70, 300, 50), Generator::manual_seed(seed));
                let [a, b] = operands(sizes, 1.0, &mut rng);
                let expected = bits((isa, in_software::<1>), &a, &b, sizes);
                for _ in 0..5 {
                    assert!(bits((isa, tiles), &a, &b, sizes) == expected, "{what}, thread {seed}");
                    // SAFETY: a way of AMX: its instructions are available or trapped.
                    assert_eq!(unsafe { super::amx::configuration() }, [0; 64], "{what}, thread {seed}");
                }
            });
        }
    });
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
