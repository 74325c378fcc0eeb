//! Every gradient against central differences in f64.

use core::cell::Cell;
use plywood::loss::{Loss, TargetFor};
use plywood::nn::activation::bits;
use plywood::nn::{
    Activate, Activation, Conv2d, ELU, Flatten, GELU, GELUTanh, Hardtanh, Identity, LeakyReLU, Linear, LogSoftmax,
    MaxPool2d, ReLU, SiLU, Sigmoid, Softmax, Softplus, Tanh, Then,
};
use plywood::prelude::*;
use plywood_tests::{each_network, gradcheck, samples};

const BATCHES: [usize; 3] = [1, 3, 5];

/// The largest relative error of a test, printed with `--nocapture`.
struct Worst(&'static str, Cell<f64>);

impl Worst {
    fn of(what: &'static str) -> Self {
        Worst(what, Cell::new(0.0))
    }

    fn add(&self, error: f64) {
        self.1.set(self.1.get().max(error));
    }
}

impl Drop for Worst {
    fn drop(&mut self) {
        println!("{}: largest relative error {:.1e}", self.0, self.1.get());
    }
}

fn layer<L: Layer>(what: &str, worst: &Worst) {
    for batch in BATCHES {
        worst.add(gradcheck::layer::<L>(what, batch, 7));
    }
}

#[test]
fn linear() {
    let worst = Worst::of("Linear");
    layer::<Linear<D<1>, D<1>>>("Linear(1, 1)", &worst);
    layer::<Linear<D<1>, D<13>>>("Linear(1, 13)", &worst);
    layer::<Linear<D<7>, D<1>>>("Linear(7, 1)", &worst);
    layer::<Linear<D<13>, D<17>>>("Linear(13, 17)", &worst);
    layer::<Linear<D<33>, D<17>>>("Linear(33, 17)", &worst);
    layer::<Linear<D<1>, D<1>, false>>("Linear(1, 1, bias = false)", &worst);
    layer::<Linear<D<7>, D<13>, false>>("Linear(7, 13, bias = false)", &worst);
    layer::<Linear<D<33>, D<7>, false>>("Linear(33, 7, bias = false)", &worst);
}

/// The sizes before the last are more rows for the same weight: its gradient is a sum over them, too.
#[test]
fn linear_on_samples_with_leading_dimensions() {
    let worst = Worst::of("Linear with leading dimensions");
    layer::<Linear<D<5>, D<7>, true, (D<3>,)>>("Linear(5, 7) on (3, 5)", &worst);
    layer::<Linear<D<5>, D<7>, false, (D<3>,)>>("Linear(5, 7, bias = false) on (3, 5)", &worst);
    layer::<Linear<D<13>, D<1>, true, (D<2>, D<1>)>>("Linear(13, 1) on (2, 1, 13)", &worst);
    layer::<Then<Linear<D<5>, D<7>, true, (D<3>,)>, SiLU>>("Linear(5, 7) and SiLU on (3, 5)", &worst);
    layer::<Then<Linear<D<5>, D<7>, false, (D<3>,)>, Tanh>>("Linear(5, 7) and Tanh on (3, 5)", &worst);
}

/// No number within a thousandth of a kink.
fn clear(numbers: &[f64], kinks: &[f64]) -> bool {
    numbers.iter().all(|x| kinks.iter().all(|kink| (x - kink).abs() > 1e-3))
}

/// The activation by itself.
fn alone<A: Activation, S: Features>(what: &str, kinks: &[f64], worst: &Worst) {
    for batch in BATCHES {
        let inputs = (0..).map(|seed| samples::<S, f64>(batch, &mut Generator::manual_seed(seed)));
        let x = inputs.map(|x| x.iter().map(|x| 2.0 * x).collect::<Vec<_>>()).find(|x| clear(x, kinks));
        let x = x.expect("one of the seeds");
        worst.add(gradcheck::layer_at::<Activate<A, S>>(&format!("{what} on {:?}", S::SIZES), &[], &x, batch));
    }
}

/// The activation taken in by the `Linear` before it.
fn fused<A: Activation, I: StaticDim, O: StaticDim>(what: &str, kinks: &[f64], worst: &Worst) {
    for batch in BATCHES {
        let points = (0..).map(|seed| {
            let mut rng = Generator::manual_seed(seed);
            let params: Vec<f64> = (0..Linear::<I, O>::PARAMS).map(|_| rng.normal()).collect();
            (params, samples::<(I,), f64>(batch, &mut rng))
        });
        let mut clear_points = points.filter(|(params, x)| {
            let sums = x.chunks_exact(I::SIZE).flat_map(|x| {
                let (weight, bias) = params.split_at(O::SIZE * I::SIZE);
                let dot = |w: &[f64]| w.iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
                weight.chunks_exact(I::SIZE).map(dot).zip(bias).map(|(dot, b)| dot + b).collect::<Vec<_>>()
            });
            clear(&sums.collect::<Vec<_>>(), kinks)
        });
        let (params, x) = clear_points.next().expect("one of the seeds");
        let what = format!("Linear({}, {}) and {what}", I::SIZE, O::SIZE);
        worst.add(gradcheck::layer_at::<Then<Linear<I, O>, A>>(&what, &params, &x, batch));
    }
}

fn activation<A: Activation>(what: &'static str, kinks: &[f64]) {
    let worst = Worst::of(what);
    alone::<A, (D<1>,)>(what, kinks, &worst);
    alone::<A, (D<13>,)>(what, kinks, &worst);
    alone::<A, (D<3>, D<5>)>(what, kinks, &worst);
    fused::<A, D<1>, D<1>>(what, kinks, &worst);
    fused::<A, D<7>, D<13>>(what, kinks, &worst);
    fused::<A, D<17>, D<7>>(what, kinks, &worst);
}

#[test]
fn activations() {
    activation::<ReLU>("ReLU", &[0.0]);
    activation::<LeakyReLU>("LeakyReLU", &[0.0]);
    activation::<LeakyReLU<{ bits(0.0) }>>("LeakyReLU(0)", &[0.0]);
    activation::<LeakyReLU<{ bits(0.2) }>>("LeakyReLU(0.2)", &[0.0]);
    activation::<LeakyReLU<{ bits(2.0) }>>("LeakyReLU(2)", &[0.0]);
    activation::<LeakyReLU<{ bits(-0.3) }>>("LeakyReLU(-0.3)", &[0.0]);
    activation::<ELU>("ELU", &[0.0]);
    activation::<ELU<{ bits(0.5) }>>("ELU(0.5)", &[0.0]);
    activation::<ELU<{ bits(2.0) }>>("ELU(2)", &[0.0]);
    activation::<ELU<{ bits(-0.5) }>>("ELU(-0.5)", &[0.0]);
    activation::<GELU>("GELU", &[]);
    activation::<GELUTanh>("GELU(approximate = \"tanh\")", &[]);
    activation::<SiLU>("SiLU", &[]);
    activation::<Sigmoid>("Sigmoid", &[]);
    activation::<Tanh>("Tanh", &[]);
    activation::<Softplus>("Softplus", &[20.0]);
    activation::<Softplus<{ bits(2.0) }, { bits(1.0) }>>("Softplus(2, 1)", &[0.5]);
    activation::<Softplus<{ bits(0.5) }>>("Softplus(0.5)", &[40.0]);
    activation::<Hardtanh>("Hardtanh", &[-1.0, 1.0]);
    activation::<Hardtanh<{ bits(-0.5) }, { bits(2.0) }>>("Hardtanh(-0.5, 2)", &[-0.5, 2.0]);
}

#[test]
fn softmax_and_log_softmax() {
    let worst = Worst::of("Softmax and LogSoftmax");
    layer::<Softmax<(D<1>,)>>("Softmax on 1", &worst);
    layer::<Softmax<(D<7>,)>>("Softmax on 7", &worst);
    layer::<Softmax<(D<33>,)>>("Softmax on 33", &worst);
    layer::<Softmax<(D<3>, D<5>)>>("Softmax on (3, 5)", &worst);
    layer::<LogSoftmax<(D<1>,)>>("LogSoftmax on 1", &worst);
    layer::<LogSoftmax<(D<7>,)>>("LogSoftmax on 7", &worst);
    layer::<LogSoftmax<(D<33>,)>>("LogSoftmax on 33", &worst);
    layer::<LogSoftmax<(D<3>, D<5>)>>("LogSoftmax on (3, 5)", &worst);
}

/// Shapes in and out, kernel, stride, padding, dilation.
#[test]
fn conv2d() {
    let worst = Worst::of("Conv2d");
    layer::<Conv2d<Shape![1, 1, 1], Shape![1, 1, 1], Shape![1, 1]>>("one pixel", &worst);
    layer::<Conv2d<Shape![3, 5, 7], Shape![4, 3, 5], Shape![3, 3]>>("Conv2d(3, 4, 3)", &worst);
    layer::<Conv2d<Shape![2, 5, 4], Shape![3, 5, 4], Shape![3, 3], Shape![1, 1], Shape![1, 1]>>("padded", &worst);
    layer::<Conv2d<Shape![3, 2, 5], Shape![2, 2, 5], Shape![1, 1]>>("Conv2d(3, 2, 1)", &worst);
    type Uneven = Conv2d<Shape![2, 9, 11], Shape![3, 4, 4], Shape![3, 5], Shape![2, 3], Shape![1, 2], Shape![2, 1]>;
    layer::<Uneven>("two of each", &worst);
    type Wide = Conv2d<Shape![1, 2, 1], Shape![2, 7, 6], Shape![2, 2], Shape![1, 1], Shape![3, 3], Shape![1, 1], false>;
    layer::<Wide>("more padding than kernel, without a bias", &worst);
    type Skips = Conv2d<Shape![2, 8, 8], Shape![2, 2, 2], Shape![2, 2], Shape![5, 5], Shape![0, 0], Shape![1, 1], false>;
    layer::<Skips>("a stride over pixels that no window meets", &worst);
    layer::<Then<Conv2d<Shape![2, 5, 4], Shape![3, 4, 2], Shape![2, 3]>, SiLU>>("Conv2d and SiLU", &worst);
    layer::<Then<Uneven, Tanh>>("two of each and Tanh", &worst);
    layer::<Then<Wide, GELU>>("more padding than kernel, without a bias, and GELU", &worst);
}

#[test]
fn max_pool2d() {
    let worst = Worst::of("MaxPool2d");
    layer::<MaxPool2d<Shape![1, 1, 1], Shape![1, 1, 1], Shape![1, 1]>>("one pixel", &worst);
    layer::<MaxPool2d<Shape![3, 4, 6], Shape![3, 2, 3], Shape![2, 2]>>("MaxPool2d(2)", &worst);
    layer::<MaxPool2d<Shape![2, 5, 7], Shape![2, 2, 3], Shape![2, 2]>>("a row and a column left over", &worst);
    type Overlaps = MaxPool2d<Shape![2, 5, 7], Shape![2, 5, 4], Shape![3, 4], Shape![1, 2], Shape![1, 2]>;
    layer::<Overlaps>("windows that overlap, padded", &worst);
    layer::<MaxPool2d<Shape![1, 7, 5], Shape![1, 2, 2], Shape![1, 2], Shape![4, 3]>>("windows with gaps", &worst);
}

#[test]
fn identity_and_flatten() {
    let worst = Worst::of("Identity and Flatten");
    layer::<Identity<(D<7>,)>>("Identity on 7", &worst);
    layer::<Identity<(D<3>, D<5>)>>("Identity on (3, 5)", &worst);
    layer::<Flatten<(D<3>, D<5>), D<15>>>("Flatten on (3, 5)", &worst);
}

sequential! {
    /// Nothing that computes: something must still carry the gradient through.
    struct Nothing: (3, 5) => 15 {
        Identity,
        Flatten,
        Identity,
    }
}

sequential! {
    /// Activations after `Softmax` and after another activation.
    struct Stacked<N: StaticDim>: N => N {
        Softmax,
        GELU,
        Tanh,
        Softplus,
        SiLU,
        LogSoftmax,
        Sigmoid,
    }
}

/// A network is a layer: the same check, through what the macro wrote.
#[test]
fn networks_as_layers() {
    let worst = Worst::of("networks as layers");
    layer::<Nothing>("Nothing", &worst);
    layer::<Stacked<D<1>>>("Stacked<1>", &worst);
    layer::<Stacked<D<13>>>("Stacked<13>", &worst);
    macro_rules! check {
        ($name:ident, $Net:ty, [$($input:tt),*] => [$($output:tt),*]) => {
            layer::<$Net>(stringify!($name), &worst);
        };
    }
    each_network!(check);
}

/// `Model::gradients` as a whole: the loss, its gradient, and every parameter's.
#[test]
fn losses_of_networks() {
    let worst = Worst::of("networks with a loss");
    macro_rules! check {
        ($name:ident, $Net:ty, [$($input:tt),*] => [$($output:tt),*]) => {
            for batch in [1, 5] {
                let mut rng = Generator::manual_seed(11);
                let mut model = <<$Net as Model>::As<f64> as Model>::init(&mut rng);
                let x: Tensor<Shape![_, $($input),*], f64> = Tensor::from_vec(samples::<Shape![$($input),*], f64>(batch, &mut rng)).unwrap();
                let target: Tensor<Shape![_, $($output),*], f64> =
                    Tensor::from_vec(samples::<Shape![$($output),*], f64>(batch, &mut rng)).unwrap();
                let (_, gradients) = model.gradients(&x, &target, &MSELoss).unwrap();
                let params = model.parameters().to_vec();
                worst.add(gradcheck::network::<$Net>(stringify!($name), &params, gradients.parameters(), |params| {
                    model.parameters_mut().copy_from_slice(params);
                    MSELoss.forward(&model.forward(&x), &target).unwrap()
                }));
            }
        };
    }
    each_network!(check);
}

fn normal<S: Shape>(shape: S) -> Tensor<S, f64> {
    Tensor::randn_of(shape, &mut Generator::manual_seed(3))
}

/// Probabilities well inside (0, 1), where logarithms are no steeper than differences can follow.
fn probabilities<S: Shape>(shape: S) -> Tensor<S, f64> {
    Tensor::rand_of(shape, &mut Generator::manual_seed(4)).map(|p: &f64| 0.1 + 0.8 * p)
}

fn elementwise<S: Shape + TargetFor<S>>(shape: S, worst: &Worst) {
    let sizes = shape.sizes();
    let (y, z, p, t) = (normal(shape), normal(shape).map(|z| 3.0 * z), probabilities(shape), probabilities(shape));
    let t = t.map(|t| 1.0 - t);
    let target = z.map(|z| z.sin());
    let what = |loss: &str| format!("{loss} on {sizes:?}");
    worst.add(gradcheck::loss(&what("MSELoss"), &MSELoss, &y, &target));
    worst.add(gradcheck::loss(&what("MSELoss.sum()"), &MSELoss.sum(), &y, &target));
    worst.add(gradcheck::loss(&what("BCELoss"), &BCELoss, &p, &t));
    worst.add(gradcheck::loss(&what("BCELoss.sum()"), &BCELoss.sum(), &p, &t));
    worst.add(gradcheck::loss(&what("BCEWithLogitsLoss"), &BCEWithLogitsLoss, &z, &t));
    worst.add(gradcheck::loss(&what("BCEWithLogitsLoss.sum()"), &BCEWithLogitsLoss.sum(), &z, &t));
}

#[test]
fn losses_of_elements() {
    let worst = Worst::of("MSELoss, BCELoss, BCEWithLogitsLoss");
    elementwise::<Shape![]>((), &worst);
    elementwise::<Shape![1, 1]>(Default::default(), &worst);
    elementwise::<Shape![7]>(Default::default(), &worst);
    elementwise::<Shape![_, 13]>((Dyn(5), D), &worst);
    elementwise::<Shape![3, 2, 17]>(Default::default(), &worst);
}

fn classified<B: Dim, C: StaticDim>(batch: B, worst: &Worst)
where
    CrossEntropyLoss: Loss<(B, C), Tensor<(B,), i64>, f64> + Loss<(B, C), Tensor<(B, C), f64>, f64>,
{
    let shape = (batch, C::default());
    let z = normal(shape).map(|z| 3.0 * z);
    let mut rng = Generator::manual_seed(5);
    let labels: Vec<i64> = (0..batch.size()).map(|_| rng.below(C::SIZE) as i64).collect();
    let labels = Tensor::from_slice_of((batch,), &labels).unwrap();
    let shares = probabilities(shape); // they need not add up to 1
    let what = |loss: &str| format!("{loss} on {} × {}", batch.size(), C::SIZE);
    worst.add(gradcheck::loss(&what("CrossEntropyLoss with labels"), &CrossEntropyLoss, &z, &labels));
    worst.add(gradcheck::loss(&what("CrossEntropyLoss.sum() with labels"), &CrossEntropyLoss.sum(), &z, &labels));
    worst.add(gradcheck::loss(&what("CrossEntropyLoss with probabilities"), &CrossEntropyLoss, &z, &shares));
    worst.add(gradcheck::loss(
        &what("CrossEntropyLoss.sum() with probabilities"),
        &CrossEntropyLoss.sum(),
        &z,
        &shares,
    ));
}

#[test]
fn losses_of_classes() {
    let worst = Worst::of("CrossEntropyLoss");
    classified::<D<1>, D<1>>(D, &worst);
    classified::<D<1>, D<7>>(D, &worst);
    classified::<Dyn, D<13>>(Dyn(3), &worst);
    classified::<D<5>, D<33>>(D, &worst);
}
