//! The same numbers as PyTorch; `parity/networks.py` and `parity/layers.py` made the expected ones.
//!
//! The expected numbers are PyTorch's in f64, for f32 as well. An error is relative to the expected number. Numbers of
//! networks are sums whose terms cancel, so there a number below a hundredth of the largest of its tensor counts as that
//! large; functions of one number are compared one by one, with 10⁻³ (f32: 10⁻²) as the smallest size.

use plywood::loss::Loss;
use plywood::nn::activation::bits;
use plywood::nn::{
    Activate, Activation, Backward, Conv2d, ELU, Forward, GELU, GELUTanh, Hardtanh, LeakyReLU, Linear, LogSoftmax,
    MaxPool2d, ReLU, SiLU, Sigmoid, Softmax, Softplus, Tanh, Then, activation::Pass,
};
use plywood::prelude::*;
use plywood::tensor::FromNumel;
use plywood_tests::compare::{assert_close, floor_of};
use plywood_tests::fixture::Fixture;
use plywood_tests::networks::*;

const STEPS: usize = 5;

/// Networks: f64 agrees to 10⁻⁶ and f32 to 10⁻⁴. Layers and losses by themselves have no excuse in f64.
const F64: f64 = 1e-6;
const F32: f64 = 1e-4;
const EXACT: f64 = 1e-12;

/// The floor of functions of one number.
fn pointwise<E: Float>(_: &[f64]) -> f64 {
    if size_of::<E>() == 4 { 1e-2 } else { 1e-3 }
}

/// Every parameter tensor of a network against those of the fixture; gives the largest relative error.
fn compare_state<M: Model>(fixture: &Fixture, prefix: &str, model: &M, tolerance: f64) -> f64 {
    let errors = model.state_dict().map(|tensor| {
        let name = format!("{prefix}/{}", tensor.name);
        let expected = fixture.numbers(&name);
        assert_close(&name, tensor.data, &expected, floor_of(&expected), tolerance)
    });
    errors.fold(0.0, f64::max)
}

/// One network: output, loss, gradients, and parameters after five steps, in both element types.
macro_rules! parity {
    ($name:ident: $Net:ident $(<$($size:ty),*>)?, $x:ty, $target:ty $(, $label:ty)?; $loss:expr, $optimizer:expr) => {
        #[test]
        fn $name() {
            parity!(@ $name, $Net<$($($size,)*)? f64>, f64, F64, $x, $target, [$($label,)? f64]; $loss, $optimizer);
            parity!(@ $name, $Net<$($($size,)*)? f32>, f32, F32, $x, $target, [$($label,)? f32]; $loss, $optimizer);
        }
    };
    (@ $name:ident, $Net:ty, $E:ty, $tolerance:expr, $x:ty, $target:ty, [$T:ty $(, $unused:ty)?];
        $loss:expr, $optimizer:expr) => {{
        let (name, tolerance) = (stringify!($name), $tolerance);
        let fixture = Fixture::open("networks");
        let close = |what: &str, got: &[$E]| {
            let expected = fixture.numbers(&format!("{name}/{what}"));
            assert_close(&format!("{name}/{what}"), got, &expected, floor_of(&expected), tolerance)
        };
        let mut model = <$Net as Model>::init(&mut Generator::manual_seed(0));
        fixture.load(&format!("{name}/initial"), &mut model);
        let x: Tensor<$x, $E> = fixture.tensor(&format!("{name}/x"));
        let target: Tensor<$target, $T> = fixture.tensor(&format!("{name}/target"));

        let output = close("y", model.forward(&x).as_slice());
        let (value, gradients) = model.gradients(&x, &target, &$loss).unwrap();
        let loss = close("loss", &[value]);
        let gradient = compare_state(&fixture, &format!("{name}/gradient"), &*gradients, tolerance);

        let mut optimizer = $optimizer;
        let mut workspace = Workspace::new();
        for _ in 0..STEPS {
            let (_, gradients) = model.gradients_with(&mut workspace, &x, &target, &$loss).unwrap();
            optimizer.step(&mut model, gradients).unwrap();
        }
        let after = compare_state(&fixture, &format!("{name}/after"), &model, tolerance);
        println!(
            "{name} {}: y {output:.1e}, loss {loss:.1e}, gradients {gradient:.1e}, after {STEPS} steps {after:.1e}",
            stringify!($E)
        );
    }};
}

parity!(shallow: Shallow, Shape![5, 4], Shape![5, 3]; MSELoss, SGD::new(0.1));
parity!(single: Single, Shape![1, 1], Shape![1, 1]; MSELoss, Adam::new(0.05));
parity!(zoo: Zoo, Shape![5, 16], Shape![5], i64; CrossEntropyLoss, Adam::new(1e-2));
parity!(deep: Deep, Shape![3, 7], Shape![3, 1]; MSELoss.sum(), SGD::new(0.01).momentum(0.9));
parity!(chance: Chance, Shape![_, 6], Shape![_, 1]; BCELoss, SGD::new(0.1).momentum(0.8).nesterov(true));
parity!(unbiased: Unbiased, Shape![7, 13], Shape![7, 3];
    BCEWithLogitsLoss, Adam::new(0.02).betas(0.8, 0.95).eps(1e-6));
parity!(picture: Picture, Shape![_, 3, 5], Shape![5, 4]; CrossEntropyLoss, SGD::new(0.1).weight_decay(0.1));
parity!(rows: Rows, Shape![3, 3, 5], Shape![3, 3, 2]; MSELoss, SGD::new(0.1).momentum(0.9).dampening(0.3));
parity!(nested: Nested, Shape![5, 7], Shape![5, 7]; MSELoss, Adam::new(0.01).weight_decay(0.1));
parity!(autoencoder: Autoencoder<D<17>, D<3>>, Shape![7, 17], Shape![7, 17];
    MSELoss, SGD::new(0.5).momentum(0.5).weight_decay(0.01));
parity!(attention: Attention, Shape![3, 5], Shape![3, 3];
    MSELoss, SGD::new(0.1).momentum(0.9).weight_decay(0.05).nesterov(true));
parity!(sandwich: Sandwich, Shape![5, 7], Shape![5, 7]; MSELoss, AdamW::new(0.01).betas(0.5, 0.9));
parity!(scaled: Scaled, Shape![5, 7], Shape![5], i64; CrossEntropyLoss.sum(), SGD::new(0.05));
parity!(wide: Wide, Shape![17, 33], Shape![17, 17]; BCEWithLogitsLoss.sum(), Adam::new(1e-3));
parity!(hourglass: Hourglass, Shape![_, 13], Shape![7], i64;
    CrossEntropyLoss, SGD::new(0.1).momentum(0.8).dampening(0.1).weight_decay(0.02));
parity!(images: Images, Shape![_, 2, 9, 7], Shape![5], i64; CrossEntropyLoss, Adam::new(0.01));
parity!(filter: Filter, Shape![3, 1, 6, 8], Shape![3, 2, 2, 2]; MSELoss, SGD::new(0.1).momentum(0.9));

/// One layer by itself: output and gradients; `params` are the fixture's tensors in the layer's order.
fn layer<L: Layer, E: Float>(name: &str, params: &[&str], floor: impl Fn(&[f64]) -> f64, tolerance: f64) {
    let fixture = Fixture::open("layers");
    let numbers = |what: &str| fixture.numbers(&format!("{name}/{what}"));
    let read = |what: &str| numbers(what).into_iter().map(E::of).collect::<Vec<_>>();
    let (x, mut dy) = (read("x"), read("dy"));
    let params_of: Vec<E> = params.iter().flat_map(|tensor| read(tensor)).collect();
    assert_eq!(params_of.len(), L::PARAMS, "{name}");
    let batch = x.len() / L::Input::NUMEL;
    let nan = |len: usize| vec![E::nan(); len];
    let (mut y, mut saved) = (nan(batch * L::Output::NUMEL), nan(batch * L::SAVED));
    L::forward_pass(Forward { params: &params_of, x: &x, y: &mut y, saved: &mut saved, batch });
    let (mut dx, mut dparams, mut scratch) = (nan(x.len()), nan(L::PARAMS), nan(batch * L::SCRATCH));
    L::backward_pass(Backward {
        params: &params_of,
        x: &x,
        y: &y,
        saved: &saved,
        dy: &mut dy,
        dx: Some(&mut dx),
        dparams: &mut dparams,
        scratch: &mut scratch,
        batch,
    });
    let expected: Vec<f64> = params.iter().flat_map(|tensor| numbers(&format!("d{tensor}"))).collect();
    let mut worst = 0.0f64;
    for (what, got, expected) in [("y", y, numbers("y")), ("dx", dx, numbers("dx")), ("dparams", dparams, expected)] {
        let what = format!("{name}, {}: {what}", E::DTYPE);
        worst = worst.max(assert_close(&what, &got, &expected, floor(&expected), tolerance));
    }
    println!("{name} {}: {worst:.1e}", E::DTYPE);
}

/// 0, the kinks, ±100 and ±10⁴ are among the inputs: the layer alone, and taken in by a `Linear` before it that
/// passes its input on.
fn activation<A: Activation>(name: &str) {
    layer::<Activate<A, (D<1>,)>, f64>(name, &[], pointwise::<f64>, EXACT);
    layer::<Activate<A, (D<1>,)>, f32>(name, &[], pointwise::<f32>, F32);
    let fixture = Fixture::open("layers");
    let numbers = |what: &str| fixture.numbers(&format!("{name}/{what}"));
    let (x, mut dy) = (numbers("x"), numbers("dy"));
    let (mut y, mut dx, batch) = (vec![f64::NAN; x.len()], vec![f64::NAN; x.len()], x.len());
    let mut saved = vec![f64::NAN; batch * <Then<Linear<D<1>, D<1>>, A>>::SAVED];
    let params = &[1.0, 0.0];
    <Then<Linear<D<1>, D<1>>, A>>::forward_pass(Forward { params, x: &x, y: &mut y, saved: &mut saved, batch });
    <Then<Linear<D<1>, D<1>>, A>>::backward_pass(Backward {
        params,
        x: &x,
        y: &y,
        saved: &saved,
        dy: &mut dy,
        dx: Some(&mut dx),
        dparams: &mut [f64::NAN; 2],
        scratch: &mut [],
        batch,
    });
    assert_close(&format!("{name} after Linear: y"), &y, &numbers("y"), 1e-3, EXACT);
    assert_close(&format!("{name} after Linear: dx"), &dx, &numbers("dx"), 1e-3, EXACT);
}

#[test]
fn activations() {
    activation::<ReLU>("relu");
    activation::<LeakyReLU>("leaky_relu");
    activation::<LeakyReLU<{ bits(0.2) }>>("leaky_relu_0.2");
    activation::<LeakyReLU<{ bits(0.0) }>>("leaky_relu_0");
    activation::<LeakyReLU<{ bits(2.0) }>>("leaky_relu_2");
    activation::<LeakyReLU<{ bits(-0.3) }>>("leaky_relu_-0.3");
    activation::<ELU>("elu");
    activation::<ELU<{ bits(0.5) }>>("elu_0.5");
    activation::<ELU<{ bits(2.0) }>>("elu_2");
    activation::<ELU<{ bits(-0.5) }>>("elu_-0.5");
    activation::<GELU>("gelu");
    activation::<GELUTanh>("gelu_tanh");
    activation::<SiLU>("silu");
    activation::<Sigmoid>("sigmoid");
    activation::<Tanh>("tanh");
    activation::<Softplus>("softplus");
    activation::<Softplus<{ bits(2.0) }, { bits(5.0) }>>("softplus_2_5");
    activation::<Softplus<{ bits(0.5) }>>("softplus_0.5");
    activation::<Hardtanh>("hardtanh");
    activation::<Hardtanh<{ bits(-0.5) }, { bits(2.0) }>>("hardtanh_-0.5_2");
    activation::<Pass>("identity");
}

fn sums<L: Layer>(name: &str, params: &[&str]) {
    layer::<L, f64>(name, params, floor_of, EXACT);
    layer::<L, f32>(name, params, floor_of, F32);
}

#[test]
fn linear() {
    sums::<Linear<D<13>, D<7>>>("linear", &["weight", "bias"]);
    sums::<Linear<D<13>, D<7>, false>>("linear_unbiased", &["weight"]);
    sums::<Linear<D<5>, D<7>, true, (D<3>,)>>("linear_rows", &["weight", "bias"]);
    sums::<Linear<D<33>, D<65>>>("linear_wide", &["weight", "bias"]);
}

#[test]
fn conv2d() {
    let params = ["weight", "bias"];
    sums::<Conv2d<Shape![3, 8, 9], Shape![5, 6, 7], Shape![3, 3]>>("conv2d", &params);
    type Padded = Conv2d<Shape![2, 7, 7], Shape![7, 7, 7], Shape![5, 5], Shape![1, 1], Shape![2, 2]>;
    sums::<Padded>("conv2d_padded", &params);
    type Uneven = Conv2d<Shape![2, 9, 11], Shape![4, 4, 4], Shape![3, 5], Shape![2, 3], Shape![1, 2], Shape![2, 1]>;
    sums::<Uneven>("conv2d_uneven", &params);
    type Same = Conv2d<Shape![3, 6, 5], Shape![4, 6, 5], Shape![3, 5], Shape![1, 1], Shape![2, 4], Shape![2, 2], false>;
    sums::<Same>("conv2d_same", &["weight"]);
    type Strided = Conv2d<Shape![16, 13, 12], Shape![33, 7, 6], Shape![3, 3], Shape![2, 2], Shape![1, 1]>;
    sums::<Strided>("conv2d_strided", &params);
    sums::<Conv2d<Shape![17, 5, 3], Shape![9, 5, 3], Shape![1, 1]>>("conv2d_pixels", &params);
    type Overhang = Conv2d<Shape![1, 1, 2], Shape![2, 6, 7], Shape![2, 2], Shape![1, 1], Shape![3, 3]>;
    sums::<Overhang>("conv2d_overhang", &params);
}

/// Equal numbers, infinities and NaN among them: which one of a window gets the gradient shows.
#[test]
fn max_pool2d() {
    sums::<MaxPool2d<Shape![3, 7, 8], Shape![3, 3, 4], Shape![2, 2]>>("max_pool2d", &[]);
    type Uneven = MaxPool2d<Shape![2, 5, 7], Shape![2, 5, 4], Shape![3, 4], Shape![1, 2], Shape![1, 2]>;
    sums::<Uneven>("max_pool2d_uneven", &[]);
    type Special = MaxPool2d<Shape![2, 9, 8], Shape![2, 5, 4], Shape![3, 3], Shape![2, 2], Shape![1, 1]>;
    layer::<Special, f64>("max_pool2d_special", &[], pointwise::<f64>, EXACT);
    layer::<Special, f32>("max_pool2d_special", &[], pointwise::<f32>, F32);
}

/// Rows with ±10⁴, with equal and with nearly equal large numbers are among them.
#[test]
fn softmax_and_log_softmax() {
    layer::<Softmax<(D<5>,)>, f64>("softmax", &[], pointwise::<f64>, EXACT);
    layer::<Softmax<(D<5>,)>, f32>("softmax", &[], pointwise::<f32>, F32);
    layer::<LogSoftmax<(D<5>,)>, f64>("log_softmax", &[], pointwise::<f64>, EXACT);
    layer::<LogSoftmax<(D<5>,)>, f32>("log_softmax", &[], pointwise::<f32>, F32);
}

/// A loss by itself: mean, sum, each term, and both gradients.
macro_rules! loss {
    ($name:literal, $Loss:ident, $tolerance:expr, $Y:ty, $Target:ty $(, $label:ty)?) => {
        loss!(@ $name, $Loss, f64, $tolerance, $Y, $Target, [$($label,)? f64]);
        loss!(@ $name, $Loss, f32, F32, $Y, $Target, [$($label,)? f32]);
    };
    (@ $name:literal, $Loss:ident, $E:ty, $tolerance:expr, $Y:ty, $Target:ty, [$T:ty $(, $unused:ty)?]) => {{
        let fixture = Fixture::open("layers");
        let y: Tensor<$Y, $E> = fixture.tensor(concat!($name, "/y"));
        let target: Tensor<$Target, $T> = fixture.tensor(concat!($name, "/target"));
        let mut worst = reduced(&fixture, $name, "mean", &$Loss, &y, &target, $tolerance);
        worst = worst.max(reduced(&fixture, $name, "sum", &$Loss.sum(), &y, &target, $tolerance));
        let terms = $Loss.none().forward(&y, &target).unwrap();
        let what = format!("{}, {}: none", $name, stringify!($E));
        let expected = fixture.numbers(concat!($name, "/none"));
        worst = worst.max(assert_close(&what, terms.as_slice(), &expected, pointwise::<$E>(&expected), $tolerance));
        println!("{} {}: {worst:.1e}", $name, stringify!($E));
    }};
}

fn reduced<Y: FromNumel, T, E: Float, L: Loss<Y, T, E>>(
    fixture: &Fixture,
    name: &str,
    reduction: &str,
    loss: &L,
    y: &Tensor<Y, E>,
    target: &T,
    tolerance: f64,
) -> f64 {
    let mut dy = vec![E::nan(); y.numel()];
    let value = loss.value_and_gradient(y.view(), target, &mut dy).unwrap();
    let what = format!("{name}, {}: {reduction}", E::DTYPE);
    let close = |what: &str, got: &[E], tensor: String| {
        let expected = fixture.numbers(&tensor);
        assert_close(what, got, &expected, pointwise::<E>(&expected), tolerance)
    };
    let of_value = close(&what, &[value], format!("{name}/{reduction}"));
    of_value.max(close(&format!("gradient of {what}"), &dy, format!("{name}/d{reduction}")))
}

/// With logits of ±10⁴: a value that is not finite would be a wrong one.
#[test]
fn losses() {
    loss!("mse", MSELoss, EXACT, Shape![5, 3], Shape![5, 3]);
    loss!("mse_large", MSELoss, EXACT, Shape![2, 3], Shape![_, 3]);
    loss!("cross_entropy", CrossEntropyLoss, EXACT, Shape![_, 5], Shape![8], i64);
    loss!("cross_entropy_shares", CrossEntropyLoss, EXACT, Shape![8, 5], Shape![8, 5]);
    loss!("bce", BCELoss, EXACT, Shape![5, 3], Shape![5, 3]);
    // PyTorch bounds the derivative by 10⁻¹² as f32 has it, also in f64.
    loss!("bce_certain", BCELoss, F64, Shape![3, 3], Shape![3, 3]);
    loss!("bce_with_logits", BCEWithLogitsLoss, EXACT, Shape![_, 3], Shape![_, 3]);
}
