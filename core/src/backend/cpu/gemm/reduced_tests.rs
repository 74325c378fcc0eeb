//! Rounded products of every instruction set of the machine at hand.

use super::isa::Isa;
use super::reduced::{Reduced, bf16, round, rounded};
use super::tests::check_product;
use super::{Matrix, Product, blocked};
use crate::generator::Generator;

/// Every way of the machine: with `f32` instructions, and with those for bf16 where there are any.
fn ways() -> impl Iterator<Item = (String, Isa, Reduced<f32>)> {
    let available = || Isa::ALL.iter().copied().filter(|isa| isa.is_available());
    let plain = available().map(|isa| (format!("{isa:?}"), isa, rounded as Reduced<f32>));
    plain.chain(available().map(|isa| (format!("the best of {isa:?}"), isa, bf16(isa))))
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
    for (what, isa, way) in ways() {
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
    let nearest = |x: f32| f64::from(f32::from_bits(round(x)));
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
                assert!((y - exact).abs() < size / 256.0, "{what}, {m} {k} {n}: {y}, not {exact}");
                differs |= (y - exact).abs() > 1e-5 * size;
            }
            assert!(differs, "{what}, {m} {k} {n}: nothing is rounded");
        }
    }
}

#[test]
fn numbers_are_rounded_to_nearest_with_ties_to_even() {
    let to_bf16 = |x: f32| f32::from_bits(round(x));
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
