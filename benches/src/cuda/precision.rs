//! Products of `f32` matrices in less than `f32`: within what is promised, and no less exact where nothing was promised.

use crate::parity::{output, parameters};
use crate::report::{Outcome, Report, ensure};
use plywood::prelude::*;
use plywood::{Precision, set_float32_matmul_precision};

sequential! { struct Product<I: StaticDim, O: StaticDim> { Linear(I, O, bias = false) } }

/// The share of Σ |a| |b| that an entry may be off by, the rounding of its sum included.
fn promised(precision: Precision, terms: usize) -> f64 {
    let operands = match precision {
        Precision::Highest => 0.0,
        Precision::High => (-10f64).exp2(),
        Precision::Bf16 => (-8f64).exp2(),
    };
    operands + terms as f64 * (-24f64).exp2()
}

/// y = a · bᵀ with `k` terms, in f64 with the sums of the terms' sizes.
fn exact(a: &[f32], b: &[f32], k: usize) -> Vec<(f64, f64)> {
    let entry = |a: &[f32], b: &[f32]| {
        let terms = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b));
        terms.fold((0.0, 0.0), |(sum, sizes), term| (sum + term, sizes + term.abs()))
    };
    a.chunks_exact(k).flat_map(|a| b.chunks_exact(k).map(move |b| entry(a, b))).collect()
}

fn transposed(a: &[f32], columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|j| a.iter().skip(j).step_by(columns).copied()).collect()
}

/// The largest error as a share of what is promised.
fn share(what: &str, got: &[f32], exact: &[(f64, f64)], promised: f64) -> Outcome<f64> {
    ensure(got.len() == exact.len(), || format!("{what}: another number of entries"))?;
    let mut worst = 0.0f64;
    for (i, (got, (y, sizes))) in got.iter().zip(exact).enumerate() {
        let error = (f64::from(*got) - y).abs() / (promised * sizes).max(f64::MIN_POSITIVE);
        ensure(error <= 1.0, || format!("{what}: entry {i} is {got}, {error:.2} times as far from {y} as promised"))?;
        worst = worst.max(error);
    }
    Ok(worst)
}

/// The forward product, and that of the weight's gradient, of `Linear(I, O)`.
fn product<I: StaticDim, O: StaticDim>(device: &Device, precision: Precision, batch: usize) -> Outcome<f64> {
    let mut rng = Generator::manual_seed(12);
    let model = Product::<I, O>::init(&mut rng);
    let x: Tensor<(Dyn, I)> = Tensor::randn_of((Dyn(batch), I::default()), &mut rng);
    let target: Tensor<(Dyn, O)> = Tensor::zeros_of((Dyn(batch), O::default()));
    let there = Product::<I, O>::from_parameters(model.parameters())?.to(device)?;
    let x_there = x.clone().to(device)?;
    set_float32_matmul_precision(precision);
    let y = output(&there, &x_there);
    let gradients = there.gradients(&x_there, &target, &MSELoss.sum());
    set_float32_matmul_precision(Precision::Highest);
    let (y, (_, gradients)) = (y?, gradients?);
    let worst = share("x · Wᵀ", &y, &exact(x.as_slice(), model.parameters(), I::SIZE), promised(precision, I::SIZE))?;
    // dW = dyᵀ · x, where dy = 2 y as it was computed.
    let dy: Vec<f32> = transposed(&y, O::SIZE).iter().map(|y| 2.0 * y).collect();
    let dw = exact(&dy, &transposed(x.as_slice(), I::SIZE), batch);
    Ok(worst.max(share("dyᵀ · x", &parameters(&*gradients)?, &dw, promised(precision, batch))?))
}

pub(crate) fn check(report: &mut Report) {
    for (name, precision) in [("Highest", Precision::Highest), ("High", Precision::High), ("Bf16", Precision::Bf16)] {
        report.check(&format!("precision: {name} is as exact as it promises"), 1.0, |device, worst| {
            let mut most = product::<D<256>, D<96>>(device, precision, 64)?;
            most = most.max(product::<D<33>, D<47>>(device, precision, 35)?);
            most = most.max(product::<D<784>, D<128>>(device, precision, 64)?);
            worst.found("the share of what is promised", most)
        });
        report.check(
            &format!("precision: {name} leaves products of fewer than 32 as they were"),
            0.0,
            |device, worst| {
                let of = |precision| {
                    set_float32_matmul_precision(precision);
                    let mut rng = Generator::manual_seed(12);
                    let there = Product::<D<31>, D<64>>::init(&mut rng).to(device)?;
                    let y = output(&there, &Tensor::<Shape![64, 31]>::randn(&mut rng).to(device)?);
                    set_float32_matmul_precision(Precision::Highest);
                    y
                };
                worst.compare("the output", &of(precision)?, &of(Precision::Highest)?)
            },
        );
        let bound = if precision == Precision::Highest { 1e-5 } else { 1e-2 };
        report.check(&format!("precision: {name} trains, and changes between steps"), bound, |device, worst| {
            sequential! { struct Net { Linear(64, 256), ReLU, Linear(256, 64) } }
            let mut rng = Generator::manual_seed(12);
            let start = Net::init(&mut rng);
            let x: Tensor<Shape![128, 64]> = Tensor::randn(&mut rng);
            let y: Tensor<Shape![128, 64]> = Tensor::randn(&mut rng);
            let mut here = Trainer::new(Net::from_parameters(start.parameters())?, MSELoss, SGD::new(0.5));
            let mut there = Trainer::new(start, MSELoss, SGD::new(0.5)).on(device)?;
            for step in 0..30 {
                set_float32_matmul_precision(if step % 3 == 0 { Precision::Highest } else { precision });
                let got = there.step(&x, &y);
                set_float32_matmul_precision(Precision::Highest);
                let (got, expected) = (got?, here.step(&x, &y)?);
                worst.compare(&format!("the loss of step {step}"), &[got], &[expected])?;
            }
            Ok(())
        });
    }
}
