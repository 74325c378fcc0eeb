//! Every instruction set of the machine at hand, over sizes around the borders of tiles, vectors and blocks.

use super::isa::{Isa, Kernel};
use super::*;
use crate::generator::Generator;
use std::sync::Mutex;

/// What lies around y, and must stay to the bit: whoever adds zero to it leaves +0.
const GUARD: f64 = -0.0;

/// An operand of `rows × cols` in the middle of NaNs: whoever reads past it has NaN in the result. `values` is row-major.
struct Operand<E> {
    data: Vec<E>,
    row: usize,
    col: usize,
}

const MARGIN: usize = 70;

impl<E: Kernel> Operand<E> {
    fn new(values: &[f64], (rows, cols): (usize, usize), layout: usize) -> Self {
        let (row, col) = match layout {
            0 => (cols, 1),
            1 => (1, rows),
            // Neither direction contiguous, with room between rows.
            _ => (2 * cols + 3, 2),
        };
        let len = if values.is_empty() { 0 } else { (rows - 1) * row + (cols - 1) * col + 1 };
        let mut data = vec![E::nan(); len + 2 * MARGIN];
        for (i, value) in values.iter().enumerate() {
            data[MARGIN + i / cols * row + i % cols * col] = E::from(*value).unwrap();
        }
        Operand { data, row, col }
    }

    fn matrix(&self) -> Matrix<'_, E> {
        Matrix { data: &self.data[MARGIN..self.data.len() - MARGIN], row: self.row, col: self.col }
    }
}

pub(super) type Product<'a, E> = &'a dyn Fn(&mut [E], Matrix<'_, E>, Matrix<'_, E>, (usize, usize, usize));

/// Compares a product with its definition in f64, for all layouts of the operands.
pub(super) fn check_product<E: Kernel>(
    what: &str,
    product: Product<'_, E>,
    (m, k, n): (usize, usize, usize),
    rng: &mut Generator,
) {
    // Small integers: every sum is exact, so a single wrong or missing term shows.
    let mut draw = |len: usize| -> Vec<f64> { (0..len).map(|_| (rng.normal::<f64>() * 3.0).round()).collect() };
    let (a, b) = (draw(m * k), draw(k * n));
    let mut expected = vec![0.5; m * n];
    for (i, expected) in expected.chunks_exact_mut(n.max(1)).enumerate() {
        for p in 0..k {
            expected.iter_mut().zip(&b[p * n..]).for_each(|(y, b)| *y += a[i * k + p] * b);
        }
    }
    for layouts in [(0, 0), (0, 1), (1, 0), (1, 1), (2, 2)] {
        let left = Operand::<E>::new(&a, (m, k), layouts.0);
        let right = Operand::<E>::new(&b, (k, n), layouts.1);
        let mut y = vec![E::from(GUARD).unwrap(); m * n + 2 * MARGIN];
        y[MARGIN..][..m * n].fill(E::from(0.5).unwrap());
        product(&mut y[MARGIN..][..m * n], left.matrix(), right.matrix(), (m, k, n));
        for (i, y) in y.iter().enumerate() {
            let inside = i.checked_sub(MARGIN).and_then(|i| expected.get(i));
            let y = y.to_f64().unwrap();
            assert_eq!(
                y,
                *inside.unwrap_or(&GUARD),
                "{what}, {m} {k} {n}, layouts {layouts:?}, element {i} - {MARGIN}: {y}"
            );
        }
    }
}

/// A product that does not add to y, and its `then`, which makes up for that.
fn over<E: Kernel>(isa: Isa, y: &mut [E], a: Matrix<'_, E>, b: Matrix<'_, E>, (m, k, n): (usize, usize, usize)) {
    let before = y.to_vec();
    y.fill(E::nan());
    let then = |piece: Piece<'_, E>| {
        piece.for_each_row(|i, j, y| y.iter_mut().zip(&before[i * n + j..]).for_each(|(y, before)| *y += *before));
    };
    in_parts(isa, 3, y, a, b, (m, k, n), false, Some(Then::new(&then, Beside::NOTHING)));
}

/// The same, where the sums go to what is beside them, and y may hold anything.
fn instead<E: Kernel>(isa: Isa, y: &mut [E], a: Matrix<'_, E>, b: Matrix<'_, E>, (m, k, n): (usize, usize, usize)) {
    let sums = Mutex::new(y.to_vec());
    y.fill(E::nan());
    let start = sums.lock().expect("no panic").as_ptr();
    let then = |piece: Piece<'_, E>| {
        let mut sums = sums.lock().expect("no panic");
        piece.for_each_row(|i, j, y| sums[i * n + j..].iter_mut().zip(y).for_each(|(sum, y)| *sum += *y));
    };
    in_parts(isa, 3, y, a, b, (m, k, n), false, Some(Then::new(&then, Beside::instead(start))));
    y.copy_from_slice(&sums.into_inner().expect("no panic"));
}

/// Every product function over the same sizes: all instruction sets, the tiles even where a product would not take
/// them, and the plain loops.
fn check_all<E: Kernel + Gemm>(sizes: (usize, usize, usize), rng: &mut Generator) {
    for isa in Isa::ALL.iter().copied().filter(|isa| isa.is_available()) {
        check_product::<E>(&format!("{isa:?}"), &|y, a, b, sizes| large(isa, y, a, b, sizes, true, None), sizes, rng);
        let tiles: Product<'_, E> = &|y, a, b, (m, k, n)| {
            let (whole, y_row, adds) = ((m, k, n), n, true);
            let product = super::Product { y: y.as_mut_ptr(), y_row, a, b, sizes: whole, whole, adds, then: None };
            // SAFETY: `isa` is available, and the operands are made for the sizes.
            unsafe { blocked::product(E::for_products(isa), product) }
        };
        if sizes.0 * sizes.1 * sizes.2 > 0 {
            check_product::<E>(&format!("{isa:?} in tiles"), tiles, sizes, rng);
        }
        check_product::<E>(&format!("{isa:?}, no sum before"), &|y, a, b, sizes| over(isa, y, a, b, sizes), sizes, rng);
        let product: Product<'_, E> = &|y, a, b, sizes| instead(isa, y, a, b, sizes);
        check_product::<E>(&format!("{isa:?}, sums elsewhere"), product, sizes, rng);
    }
    check_product::<E>("plain loops", &small::product, sizes, rng);
    check_product::<E>("gemm", &E::gemm, sizes, rng);
}

fn check_both(sizes: (usize, usize, usize), rng: &mut Generator) {
    check_all::<f32>(sizes, rng);
    check_all::<f64>(sizes, rng);
}

#[test]
fn sizes_around_the_borders_of_tiles() {
    let mut rng = Generator::manual_seed(0);
    for m in [0, 1, 2, 5, 6, 7, 12, 13, 25] {
        for n in [0, 1, 4, 7, 8, 15, 16, 17, 31, 32, 33, 65] {
            for k in [0, 1, 2, 7, 8, 9, 17] {
                check_both((m, k, n), &mut rng);
            }
        }
    }
}

#[test]
fn sums_around_the_lengths_of_vectors() {
    let mut rng = Generator::manual_seed(1);
    for m in 1..=9 {
        for n in 1..=5 {
            for k in [15, 16, 31, 32, 33, 63, 64, 65, 127, 128, 130] {
                check_both((m, k, n), &mut rng);
            }
        }
    }
}

#[test]
fn sizes_around_the_borders_of_blocks() {
    let mut rng = Generator::manual_seed(2);
    let borders = [(100, 3, 33), (3, blocked::KC, 17), (2, 3, blocked::NC), (2, 2 * blocked::KC, 5)];
    for (m, k, n) in borders {
        for sizes in [(m - 1, k - 1, n - 1), (m, k, n), (m + 1, k + 1, n + 1)] {
            check_both(sizes, &mut rng);
        }
    }
    check_both((105, blocked::KC + 7, 50), &mut rng);
    // Rows of a are packed, in more than one piece.
    for sizes in [(105, blocked::KC + 7, 70), (blocked::MC, 3, 65), (blocked::MC + 1, 3, 65)] {
        check_both(sizes, &mut rng);
    }
    // b is so large that the product is computed transposed.
    for sizes in [(48, 100, 200), (47, 97, 333)] {
        check_both(sizes, &mut rng);
    }
    // b does not stay in the second cache; is packed for many rows; is packed because its rows compete for cache lines.
    for sizes in [(8, blocked::KC, 400), (257, 3, 40), (33, 3, 256)] {
        check_both(sizes, &mut rng);
    }
}

#[test]
fn random_sizes() {
    let mut rng = Generator::manual_seed(3);
    for _ in 0..40 {
        let mut size = || (rng.normal::<f64>().abs() * 30.0) as usize;
        let sizes = (size(), size(), size());
        check_both(sizes, &mut rng);
    }
}

/// Numbers that do not add exactly: the kernels round, but not more than the sums of their type do.
/// A product of one term whose y is stored past the caches, in rows that begin anywhere.
fn check_streams<E: Kernel + crate::element::Float>(n: usize) {
    let (m, mut rng) = (STREAMED / size_of::<E>() / n + 1, Generator::manual_seed(3));
    let [a, b] = [m, n].map(|len| (0..len).map(|_| rng.normal::<E>()).collect::<Vec<_>>());
    for isa in Isa::ALL.iter().copied().filter(|isa| isa.is_available()) {
        let mut y = vec![E::nan(); m * n];
        in_parts(isa, 3, &mut y, Matrix::transposed(&a, m), Matrix::new(&b, n), (m, 1, n), false, None);
        let wrong = y.chunks_exact(n).zip(&a).position(|(row, a)| row.iter().zip(&b).any(|(y, b)| *y != *a * *b));
        assert_eq!(wrong, None, "{isa:?}: the first wrong row of {m}, {n} long");
    }
}

#[test]
fn large_outer_products() {
    check_streams::<f32>(2048);
    check_streams::<f32>(2051);
    check_streams::<f64>(1023);
}

#[test]
fn real_numbers_agree_with_the_definition() {
    let mut rng = Generator::manual_seed(4);
    for (m, k, n) in [(1, 300, 20), (5, 300, 20), (33, 500, 65)] {
        let a: Vec<f32> = (0..m * k).map(|_| rng.normal::<f32>()).collect();
        let b: Vec<f32> = (0..k * n).map(|_| rng.normal::<f32>()).collect();
        for isa in Isa::ALL.iter().copied().filter(|isa| isa.is_available()) {
            let mut y = vec![0.0; m * n];
            large(isa, &mut y, Matrix::new(&a, k), Matrix::transposed(&b, k), (m, k, n), true, None);
            for (i, y) in y.iter().enumerate() {
                let terms = (0..k).map(|p| f64::from(a[i / n * k + p]) * f64::from(b[i % n * k + p]));
                let (sum, size) = terms.fold((0.0, 0.0), |(sum, size), x| (sum + x, size + x.abs()));
                assert!((f64::from(*y) - sum).abs() < 1e-6 * size, "{isa:?}, {m} {k} {n}: {y}, not {sum}");
            }
        }
    }
}

/// The same bits from another thread, whose panels are new.
#[test]
fn products_do_not_depend_on_the_thread() {
    let product = || {
        let mut rng = Generator::manual_seed(5);
        let (a, b): (Vec<f32>, Vec<f32>) = (0..70 * 90).map(|_| (rng.normal::<f32>(), rng.normal::<f32>())).unzip();
        let mut y = vec![0.0; 70 * 70];
        f32::gemm(&mut y, Matrix::new(&a, 90), Matrix::transposed(&b, 90), (70, 90, 70));
        y
    };
    assert_eq!(product(), std::thread::spawn(product).join().unwrap());
}

/// The same bits however a product is cut: along the sums, in tiles, in combinations; of few rows and of few columns.
fn check_parts<E: Kernel + crate::element::Float>(bits: impl Fn(&E) -> u64) {
    let mut rng = Generator::manual_seed(6);
    let sizes = [
        (1, 300, 500),
        (7, 130, 150),
        (70, 400, 150),
        (500, 70, 3),
        (90, 3, 400),
        (130, 500, 20),
        (64, 784, 128),
        (48, 400, 333),
    ];
    for (m, k, n) in sizes {
        let [a, b] = [m * k, k * n].map(|len| (0..len).map(|_| rng.normal::<E>()).collect::<Vec<_>>());
        let layouts = [
            (Matrix::new(&a, k), Matrix::new(&b, n)),
            (Matrix::new(&a, k), Matrix::transposed(&b, k)),
            (Matrix::transposed(&a, m), Matrix::new(&b, n)),
        ];
        for isa in Isa::ALL.iter().copied().filter(|isa| isa.is_available()) {
            for (which, (a, b)) in layouts.into_iter().enumerate() {
                let product = |parts| {
                    let mut y = vec![E::nan(); m * n];
                    let then = |piece: Piece<'_, E>| {
                        piece.for_each_row(|_, _, y| y.iter_mut().for_each(|y| *y += E::one()));
                    };
                    in_parts(isa, parts, &mut y, a, b, (m, k, n), false, Some(Then::new(&then, Beside::NOTHING)));
                    y.iter().map(&bits).collect::<Vec<_>>()
                };
                let whole = product(1);
                for parts in [2, 3, 7] {
                    assert!(product(parts) == whole, "{isa:?}, {m} {k} {n}, layouts {which}, {parts} parts");
                }
            }
        }
    }
}

#[test]
fn products_do_not_depend_on_the_number_of_parts() {
    check_parts::<f32>(|x| x.to_bits().into());
    check_parts::<f64>(|x| x.to_bits());
}

#[test]
#[should_panic(expected = "too short")]
fn an_operand_too_short_panics() {
    f32::gemm(&mut [0.0; 4], Matrix::new(&[1.0; 5], 3), Matrix::new(&[1.0; 6], 2), (2, 3, 2));
}
