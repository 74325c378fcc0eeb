//! Products of `f32` in less than its precision: how much less, where, and that it is nobody's unless it is asked for.

use plywood::prelude::*;
use plywood::{Precision, float32_matmul_precision, set_float32_matmul_precision};
use std::sync::{Mutex, PoisonError};

/// The precision is the whole program's, and so is the number of threads: one test at a time.
static SETTING: Mutex<()> = Mutex::new(());

/// What `f` gives in a precision, with the usual one before and after.
fn with<T>(precision: Precision, f: impl FnOnce() -> T) -> T {
    struct Restore;
    impl Drop for Restore {
        fn drop(&mut self) {
            set_float32_matmul_precision(Precision::Highest);
        }
    }
    let _one = SETTING.lock().unwrap_or_else(PoisonError::into_inner);
    let _restore = Restore;
    assert_eq!(float32_matmul_precision(), Precision::Highest);
    set_float32_matmul_precision(precision);
    assert_eq!(float32_matmul_precision(), precision);
    f()
}

/// Whether `High` may give other bits than `Highest`: where there is AMX.
fn splits_operands() -> bool {
    #[cfg(target_arch = "x86_64")]
    const AMX_BF16: u32 = 1 << 22;
    #[cfg(target_arch = "x86_64")]
    return core::arch::x86_64::__cpuid_count(7, 0).edx & AMX_BF16 != 0;
    #[cfg(not(target_arch = "x86_64"))]
    false
}

fn bits<S: Shape>(x: &Tensor<S>) -> Vec<u32> {
    x.as_slice().iter().map(|x| x.to_bits()).collect()
}

/// The largest error of a product, relative to the sum of its terms without their signs.
fn error(precision: Precision, (m, k, n): (usize, usize, usize), rng: &mut Generator) -> f64 {
    let a: Tensor<Shape![_, _]> = Tensor::randn_of((Dyn(m), Dyn(k)), rng);
    let b: Tensor<Shape![_, _]> = Tensor::randn_of((Dyn(k), Dyn(n)), rng);
    let y = with(precision, || a.try_matmul(&b).unwrap());
    let [a, b, y] = [a.as_slice(), b.as_slice(), y.as_slice()];
    let error = |i: usize| {
        let terms = || (0..k).map(|p| f64::from(a[i / n * k + p]) * f64::from(b[p * n + i % n]));
        (f64::from(y[i]) - terms().sum::<f64>()).abs() / terms().map(f64::abs).sum::<f64>()
    };
    (0..m * n).map(error).fold(0.0, f64::max)
}

#[test]
fn errors_are_within_what_is_promised() {
    let mut rng = Generator::manual_seed(0);
    let rounding = 2f64.powi(-21);
    for sizes in [(32, 32, 32), (40, 784, 64), (33, 77, 95), (200, 90, 50), (32, 33, 2100)] {
        let mut error = |precision| error(precision, sizes, &mut rng);
        assert!(error(Precision::Highest) < rounding, "{sizes:?}");
        assert!(error(Precision::High) < 3.0 * 2f64.powi(-16) + rounding, "{sizes:?}");
        let bf16 = error(Precision::Bf16);
        assert!(bf16 < 2f64.powi(-8) + rounding, "{sizes:?}: {bf16}");
        assert!(bf16 > 2f64.powi(-14), "{sizes:?}: {bf16} is not that of bf16");
    }
}

/// The usual precision, and `High` where it has nothing to gain from less, would have lost bits.
#[test]
fn only_bf16_changes_bits() {
    let mut rng = Generator::manual_seed(1);
    let a: Tensor<Shape![64, 300]> = Tensor::randn(&mut rng);
    let b: Tensor<Shape![300, 80]> = Tensor::randn(&mut rng);
    let product = |precision| with(precision, || bits(&a.matmul(&b)));
    let highest = product(Precision::Highest);
    assert!(highest != product(Precision::Bf16));
    assert!(splits_operands() || highest == product(Precision::High));
    assert!(highest == product(Precision::Highest));
}

sequential! {
    struct Convolution: (8, 16, 16) => 6272 {
        Conv2d(8, 32, kernel = 3),
        Flatten,
    }
}

#[test]
fn small_products_and_f64_and_convolutions_stay() {
    let mut rng = Generator::manual_seed(2);
    let a: Tensor<Shape![31, 300]> = Tensor::randn(&mut rng);
    let b: Tensor<Shape![300, 80]> = Tensor::randn(&mut rng);
    let c: Tensor<Shape![80, 31]> = Tensor::randn(&mut rng);
    let wide: Tensor<Shape![64, 300], f64> = Tensor::randn(&mut rng);
    let wide_b: Tensor<Shape![300, 80], f64> = Tensor::randn(&mut rng);
    let convolution = Convolution::init(&mut rng);
    let images: Tensor<Shape![4, 8, 16, 16]> = Tensor::randn(&mut rng);
    let all = |precision| {
        with(precision, || {
            let wide: Vec<u64> = wide.matmul(&wide_b).as_slice().iter().map(|y| y.to_bits()).collect();
            (bits(&a.matmul(&b)), bits(&b.matmul(&c)), wide, bits(&convolution.forward(&images)))
        })
    };
    assert!(all(Precision::Highest) == all(Precision::Bf16));
}

/// All three products of a layer, each large enough to be cut.
#[test]
fn the_bits_do_not_depend_on_the_number_of_threads() {
    let mut rng = Generator::manual_seed(4);
    let x: Tensor<Shape![70, 300]> = Tensor::randn(&mut rng);
    let w: Tensor<Shape![400, 300]> = Tensor::randn(&mut rng);
    let dy: Tensor<Shape![70, 400]> = Tensor::randn(&mut rng);
    sequential! {
        struct Layer { layer: Linear(300, 400) }
    }
    let model = Layer::init(&mut rng);
    let products = || {
        let before = plywood::num_threads();
        let [one, two, three] = [1, 2, 3].map(|threads| {
            plywood::set_num_threads(threads).unwrap();
            let (_, gradients) = model.gradients(&x, &dy, &MSELoss).unwrap();
            let gradients: Vec<u32> = gradients.parameters().iter().map(|g| g.to_bits()).collect();
            (bits(&x.matmul(&w.transpose())), bits(&dy.matmul(&w)), gradients)
        });
        plywood::set_num_threads(before).unwrap();
        assert!(one == two && one == three);
    };
    with(Precision::High, products);
    with(Precision::Bf16, products);
}

sequential! {
    struct Net {
        Linear(100, 128),
        Tanh,
        Linear(_, 96),
        ReLU,
        Linear(_, 40),
    }
}

/// Losses and parameters of a training that the network learns by heart.
fn train() -> (Vec<f32>, Vec<u32>) {
    let mut rng = Generator::manual_seed(3);
    let mut model = Net::init(&mut rng);
    let x: Tensor<Shape![40, 100]> = Tensor::randn(&mut rng);
    let y: Tensor<Shape![40, 40]> = Tensor::randn(&mut rng);
    let mut adam = Adam::new(3e-3);
    let losses = (0..60)
        .map(|_| {
            let (loss, gradients) = model.gradients(&x, &y, &MSELoss).unwrap();
            adam.step(&mut model, &gradients).unwrap();
            loss
        })
        .collect();
    (losses, model.parameters().iter().map(|p| p.to_bits()).collect())
}

#[test]
fn a_network_learns_in_every_precision() {
    let [highest, high, bf16] =
        [Precision::Highest, Precision::High, Precision::Bf16].map(|precision| with(precision, train));
    assert!(splits_operands() || highest == high);
    assert!(highest.1 != bf16.1, "the products of a training step are in bf16");
    assert!((highest.0[0] - bf16.0[0]).abs() < 1e-2 * highest.0[0], "{} {}", highest.0[0], bf16.0[0]);
    for (losses, _) in [highest, high, bf16] {
        assert!(losses[0] > 0.5 && losses[59] < 0.5 * losses[0], "from {} to {}", losses[0], losses[59]);
    }
}
