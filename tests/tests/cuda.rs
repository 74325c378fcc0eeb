//! Networks on a GPU against the same on the CPU. Without a GPU nothing is checked, unless `PLYWOOD_REQUIRE_CUDA` is set.
#![cfg(feature = "cuda")]

use core::marker::PhantomData;
use plywood::MoveError;
use plywood::backend::Buffer;
use plywood::nn::{Backward, Forward, Gradients, Layer};
use plywood::prelude::*;
use plywood_tests::gpu::{Square, close, emulated, gpu, in_a_process_of_its_own};

/// A copy on the CPU.
fn here<M: Model>(model: &M) -> M {
    M::from_buffer(model.buffer().clone()).to(&Device::Cpu).unwrap()
}

/// Outputs, loss and gradients of a network on the GPU are those of the CPU.
macro_rules! compare {
    ($gpu:expr, $Net:ty, $E:ident, [$($size:literal),*], $target:expr, $loss:expr, $tolerance:expr) => {
        for batch in [1, 3, 33, 200] {
            let mut rng = Generator::manual_seed(batch as u64);
            let model = <<$Net as Model>::As<$E> as Model>::init(&mut rng);
            let x: Tensor<Shape![_, $($size),*], $E> = Tensor::randn_of((Dyn(batch), $(<D<$size>>::default()),*), &mut rng);
            let target = $target(batch, &mut rng);
            let there = <<$Net as Model>::As<$E> as Model>::from_buffer(model.buffer().clone()).to($gpu).unwrap();
            let x_there = x.clone().to($gpu).unwrap();
            let what = format!("{} in {}, batch {batch}", stringify!($Net), stringify!($E));
            let y = there.forward(&x_there).to(&Device::Cpu).unwrap();
            close(&format!("{what}: outputs"), y.as_slice(), model.forward(&x).as_slice(), $tolerance);
            let (loss, grads) = model.gradients(&x, &target, &$loss).unwrap();
            let (loss_there, grads_there) = there.gradients(&x_there, &target, &$loss).unwrap();
            close(&format!("{what}: loss"), &[loss_there], &[loss], $tolerance);
            close(&format!("{what}: gradients"), here(&*grads_there).parameters(), grads.parameters(), 10.0 * $tolerance);
        }
    };
}

macro_rules! compare_both {
    ($gpu:expr, $Net:ty, $sizes:tt, |$batch:ident, $rng:ident| $target:expr, $loss:expr) => {{
        {
            type E = f32;
            #[allow(unused_variables)]
            let target = |$batch: usize, $rng: &mut Generator| -> Tensor<_, E> { $target };
            compare!($gpu, $Net, f32, $sizes, target, $loss, 1e-5);
        }
        {
            type E = f64;
            #[allow(unused_variables)]
            let target = |$batch: usize, $rng: &mut Generator| -> Tensor<_, E> { $target };
            compare!($gpu, $Net, f64, $sizes, target, $loss, 1e-11);
        }
    }};
}

sequential! { #[derive(Debug)] struct ReLUs { Linear(6, 40), ReLU, Linear(_, 33, bias = false), ReLU, Linear(_, 3) } }
sequential! { struct LeakyReLUs: 6 => 3 { LeakyReLU(negative_slope = 0.2), Linear(6, 4), LeakyReLU(negative_slope = -0.1), Linear(_, 3) } }
sequential! { struct ELUs: 6 => 3 { ELU(alpha = 0.7), Linear(6, 4), ELU(alpha = -0.5), Linear(_, 3) } }
sequential! { struct GELUs: 6 => 3 { GELU, Linear(6, 4), GELU, Linear(_, 5), GELU(approximate = "tanh"), Linear(_, 3) } }
sequential! { struct Smooth { Linear(6, 5), SiLU, Linear(_, 4), Softplus(beta = 2.0, threshold = 3.0), Linear(_, 3), Tanh, Square(..) } }
sequential! { struct Bounded { Linear(6, 5), Hardtanh(min_val = -0.5, max_val = 0.7), Linear(_, 3), Sigmoid } }
sequential! { struct Rows { Linear(6, 40), Softmax, Linear(_, 2000), LogSoftmax, Linear(_, 3) } }
sequential! { struct Inner { Linear(6, 8), Tanh, Linear(_, 4) } }
sequential! { struct Nested { inner: Inner, ReLU, Linear(4, 3) } }
sequential! { struct Nothing: 3 => 3 { Identity } }
sequential! { struct Images: (2, 9, 7) => 3 {
    Conv2d(2, 20, kernel = 3, padding = 1), ReLU, MaxPool2d(2),
    Conv2d(20, 40, kernel = (3, 2), stride = (1, 2), bias = false), SiLU,
    Conv2d(40, 5, kernel = 1), Flatten, Linear(10, 3),
} }
sequential! { struct Strides: (3, 11, 12) => 3 {
    Conv2d(3, 4, kernel = 3, stride = 2, dilation = 2, padding = 2), Tanh,
    MaxPool2d(3, stride = 2, padding = 1), Conv2d(4, 6, kernel = 2), Flatten, Linear(24, 3), Sigmoid,
} }

#[test]
fn every_layer() {
    let Some(gpu) = gpu() else { return };
    let gpu = &gpu;
    println!("{gpu:#}");
    macro_rules! all {
        ($($Net:ident $sizes:tt)*) => {
            $(compare_both!(gpu, $Net, $sizes, |batch, rng| Tensor::<Shape![_, 3], E>::randn_of((Dyn(batch), D), rng), MSELoss);)*
        };
    }
    all! {
        ReLUs [6] LeakyReLUs [6] ELUs [6] GELUs [6] Smooth [6] Bounded [6] Rows [6] Nested [6] Nothing [3]
        Images [2, 9, 7] Strides [3, 11, 12]
    }
}

#[test]
fn every_loss() {
    let Some(gpu) = gpu() else { return };
    let gpu = &gpu;
    compare_both!(
        gpu,
        ReLUs,
        [6],
        |batch, rng| Tensor::<Shape![_, 3], E>::randn_of((Dyn(batch), D), rng),
        MSELoss.sum()
    );
    let probabilities = |batch| (Dyn(batch), D);
    compare_both!(
        gpu,
        Bounded,
        [6],
        |batch, rng| Tensor::<Shape![_, 3], E>::rand_of(probabilities(batch), rng),
        BCELoss
    );
    compare_both!(
        gpu,
        ReLUs,
        [6],
        |batch, rng| Tensor::<Shape![_, 3], E>::rand_of(probabilities(batch), rng),
        BCEWithLogitsLoss
    );
    compare_both!(
        gpu,
        ReLUs,
        [6],
        |batch, rng| Tensor::<Shape![_, 3], E>::rand_of(probabilities(batch), rng),
        CrossEntropyLoss
    );
    let labels = |batch: usize, _: &mut Generator| -> Tensor<Shape![_], u8> {
        Tensor::from_vec((0..batch).map(|i| (i % 3) as u8).collect()).unwrap()
    };
    compare!(gpu, ReLUs, f32, [6], labels, CrossEntropyLoss, 1e-5);
    compare!(gpu, ReLUs, f64, [6], labels, CrossEntropyLoss.sum(), 1e-11);
}

fn data() -> TensorDataset<Shape![6], Shape![], f32, i64> {
    let mut rng = Generator::manual_seed(3);
    let x: Tensor<Shape![_, 6]> = Tensor::randn_of((Dyn(50), D), &mut rng);
    let labels = x.rows().map(|row| i64::from(row.sum() > 0.0) + i64::from(row.max() > 1.0)).collect();
    TensorDataset::new(x, Tensor::<Shape![_], i64>::from_vec(labels).unwrap()).unwrap()
}

/// Some epochs with a last batch that is smaller, another learning rate, and some more.
fn trained<O: Optimizer<f32>>(device: &Device, optimizer: O) -> (Vec<f64>, Option<f64>, ReLUs) {
    let model = ReLUs::init(&mut Generator::manual_seed(2));
    let mut trainer = Trainer::new(model, CrossEntropyLoss, optimizer).on(device).unwrap();
    let mut losses = trainer.fit(&data(), Fit::epochs(4).batch(16).shuffle(3).quiet()).unwrap().losses();
    let lr = trainer.optimizer_mut().learning_rate();
    trainer.optimizer_mut().set_learning_rate(lr / 3.0);
    losses.extend(trainer.fit(&data(), Fit::epochs(3).batch(16).shuffle(3).quiet()).unwrap().losses());
    let evaluation = trainer.evaluate(&data()).unwrap();
    losses.push(evaluation.loss);
    (losses, evaluation.accuracy, trainer.into_model().to(&Device::Cpu).unwrap())
}

#[test]
fn every_optimizer() {
    let Some(gpu) = gpu() else { return };
    macro_rules! check {
        ($($optimizer:expr;)*) => {$(
            let (losses, accuracy, model) = trained(&Device::Cpu, $optimizer);
            let (losses_there, accuracy_there, there) = trained(&gpu, $optimizer);
            let what = stringify!($optimizer);
            assert_eq!(accuracy_there, accuracy, "{what}");
            close(&format!("{what}: losses"), &losses_there, &losses, 1e-4);
            close(&format!("{what}: parameters"), there.parameters(), model.parameters(), 1e-3);
        )*};
    }
    check! {
        SGD::new(0.1);
        SGD::new(0.05).momentum(0.9).weight_decay(0.01);
        SGD::new(0.05).momentum(0.8).dampening(0.3);
        SGD::new(0.05).momentum(0.9).nesterov(true);
        Adam::new(0.01);
        Adam::new(0.01).betas(0.8, 0.99).eps(1e-6).weight_decay(0.1);
        AdamW::new(0.01).weight_decay(0.5);
    }
}

#[test]
fn saved_and_loaded_where_it_is() {
    let Some(gpu) = gpu() else { return };
    let model = ReLUs::init(&mut Generator::manual_seed(2));
    let bytes = plywood::io::to_bytes(&model).unwrap();
    let mut there = ReLUs::init(&mut Generator::manual_seed(3)).to(&gpu).unwrap();
    plywood::io::load_bytes(&mut there, &bytes).unwrap();
    assert_eq!(there.device(), gpu);
    assert_eq!(plywood::io::to_bytes(&there).unwrap(), bytes);
    assert!(plywood::io::load_bytes(&mut there, &bytes[..100]).is_err());
    assert_eq!(here(&there).parameters(), model.parameters());
}

/// The moments go with the parameters.
#[test]
fn to_the_gpu_and_back() {
    let Some(gpu) = gpu() else { return };
    let (x, labels) = data().gather(&(0..50).collect::<Vec<_>>()).unwrap();
    let run = |devices: [&Device; 4]| {
        let mut model = ReLUs::init(&mut Generator::manual_seed(2));
        let mut adam = Adam::new(0.01);
        for device in devices {
            model = model.to(device).unwrap();
            let x = x.clone().to(device).unwrap();
            for _ in 0..3 {
                let (_, gradients) = model.gradients(&x, &labels, &CrossEntropyLoss).unwrap();
                adam.step(&mut model, &gradients).unwrap();
            }
        }
        model.to(&Device::Cpu).unwrap()
    };
    let cpu = &Device::Cpu;
    close("parameters", run([cpu, &gpu, cpu, &gpu]).parameters(), run([cpu; 4]).parameters(), 1e-4);
}

#[test]
fn a_loss_that_is_no_number_changes_nothing() {
    let Some(gpu) = gpu() else { return };
    let model = ReLUs::init(&mut Generator::manual_seed(2));
    let mut trainer = Trainer::new(model, MSELoss, Adam::new(0.01)).on(&gpu).unwrap();
    let (x, y) = (Tensor::<Shape![4, 6]>::ones(), Tensor::<Shape![4, 3]>::ones());
    for _ in 0..4 {
        trainer.step(&x, &y).unwrap();
    }
    let before = here(trainer.model());
    let wrong = trainer.step(&Tensor::<Shape![4, 6]>::full(f32::NAN), &y).unwrap_err();
    assert!(wrong.to_string().starts_with("the loss became NaN in epoch 1"), "{wrong}");
    assert_eq!(here(trainer.model()).parameters(), before.parameters());

    // It goes on as if that step had not been.
    let mut other =
        Trainer::new(ReLUs::init(&mut Generator::manual_seed(2)), MSELoss, Adam::new(0.01)).on(&gpu).unwrap();
    for _ in 0..6 {
        other.step(&x, &y).unwrap();
    }
    for _ in 0..2 {
        trainer.step(&x, &y).unwrap();
    }
    assert_eq!(here(trainer.model()).parameters(), here(other.model()).parameters());
}

#[test]
fn what_is_wrong_is_said() {
    let Some(gpu) = gpu() else { return };
    let model = ReLUs::init(&mut Generator::manual_seed(2)).to(&gpu).unwrap();
    let x: Tensor<Shape![2, 6]> = Tensor::ones();
    let there = x.clone().to(&gpu).unwrap();
    let says = |error: plywood::Error, expected: &str| assert_eq!(error.to_string(), expected);
    says(
        model.try_forward(&x).unwrap_err(),
        "the network is on cuda:0, but its input on cpu; `.to(&device)` moves either",
    );
    says(
        ReLUs::init(&mut Generator::manual_seed(2)).try_forward(&there).unwrap_err(),
        "the network is on cpu, but its input on cuda:0; `.to(&device)` moves either",
    );
    let no_class = "the label of sample 1 is 7, but the network has 3 classes (0 to 2)";
    says(model.gradients(&there, &tensor![2, 7], &CrossEntropyLoss).unwrap_err(), no_class);
    let labels: Tensor<Shape![2], i64> = tensor![2, 7];
    let labels_there = labels.cast::<i32>().unwrap().to(&gpu).unwrap();
    says(model.gradients(&there, &labels_there, &CrossEntropyLoss).unwrap_err(), no_class);
    let labels_there = labels.to(&gpu).unwrap();
    says(model.gradients(&there, &labels_there, &CrossEntropyLoss).unwrap_err(), no_class);
    let t: Tensor<Shape![2, 3]> = Tensor::ones();
    let error = model.gradients(&there, &t, &BCELoss).unwrap_err().to_string();
    assert!(error.starts_with("the prediction at index ") && error.contains("which is not in [0, 1]"), "{error}");
    let data: Result<TensorDataset<Shape![6], Shape![3], f32, f32>, _> = TensorDataset::new(there.clone(), t);
    says(data.unwrap_err(), "the input of a data set is on cuda:0, but its target on cpu; `.to(&device)` moves either");
    let mut cpu = ReLUs::init(&mut Generator::manual_seed(2));
    let gradients = Gradients::<ReLUs>::zeros();
    let mut there = model;
    says(
        SGD::new(0.1).step(&mut there, &gradients).unwrap_err(),
        "the network is on cuda:0, but its gradients on cpu; `.to(&device)` moves either",
    );
    SGD::new(0.1).step(&mut cpu, &gradients).unwrap();
    let panic = std::panic::catch_unwind(|| there.parameters().len()).unwrap_err();
    assert!(panic.downcast_ref::<String>().unwrap().starts_with("these elements are on cuda:0"));
    assert_eq!(format!("{:?}", there.buffer()), format!("{} elements on cuda:0", ReLUs::PARAMS));
}

/// A layer that only Rust knows.
struct Twice<N>(PhantomData<N>);

impl<N: StaticDim> Layer for Twice<N> {
    type Input = (N,);
    type Output = (N,);
    type View<'a, E: Float> = ();
    const KIND: &'static str = "Twice";
    fn view<E: Float>(_: &[E]) {}
    fn forward_pass<E: Float>(pass: Forward<'_, E>) {
        pass.y.iter_mut().zip(pass.x).for_each(|(y, x)| *y = *x + *x);
    }
    fn backward_pass<E: Float>(pass: Backward<'_, E>) {
        if let Some(dx) = pass.dx {
            dx.iter_mut().zip(&*pass.dy).for_each(|(dx, dy)| *dx = *dy + *dy);
        }
    }
}

sequential! { struct Own { first: Linear(6, 3), own: Twice(3) } }

#[test]
fn a_layer_without_kernels_is_named() {
    let Some(gpu) = gpu() else { return };
    let model = Own::init(&mut Generator::manual_seed(0)).to(&gpu).unwrap();
    let x = Tensor::<Shape![2, 6]>::ones().to(&gpu).unwrap();
    assert_eq!(
        model.try_forward(&x).unwrap_err().to_string(),
        "layer `own`, Twice, has no kernel on cuda:0; train this network on the CPU"
    );
}

#[test]
fn precisions_of_products() {
    let Some(gpu) = gpu() else { return };
    // It is for the whole process: in one of its own.
    if !in_a_process_of_its_own("precisions_of_products", &[]) {
        return;
    }
    sequential! { struct Wide { Linear(300, 200), Tanh, Linear(200, 100) } }
    let mut rng = Generator::manual_seed(0);
    let model = Wide::init(&mut rng);
    let x: Tensor<Shape![64, 300]> = Tensor::randn(&mut rng);
    let t: Tensor<Shape![64, 100]> = Tensor::randn(&mut rng);
    let (_, expected) = model.gradients(&x, &t, &MSELoss).unwrap();
    let there = Wide::from_parameters(model.parameters()).unwrap().to(&gpu).unwrap();
    let x = x.to(&gpu).unwrap();
    // As shares of the length of the whole gradient.
    for (precision, tolerance) in
        [(plywood::Precision::High, 1e-3), (plywood::Precision::Bf16, 1e-2), (plywood::Precision::Highest, 1e-6)]
    {
        plywood::set_float32_matmul_precision(precision);
        let (_, gradients) = there.gradients(&x, &t, &MSELoss).unwrap();
        let length = |x: &[f32]| x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        let gradients = here(&*gradients);
        let errors: Vec<_> = gradients.parameters().iter().zip(expected.parameters()).map(|(x, y)| x - y).collect();
        let error = length(&errors) / length(expected.parameters());
        assert!(error < tolerance, "{precision:?}: {error}");
    }
}

#[test]
fn memory_that_does_not_suffice() {
    let Some(gpu) = emulated("memory_that_does_not_suffice", &[("PLYWOOD_EMULATOR_MEMORY", "100000000")]) else {
        return;
    };
    let model = ReLUs::init(&mut Generator::manual_seed(2)).to(&gpu).unwrap();
    let x: Tensor<Shape![_, 6]> = Tensor::zeros_of((Dyn(300_000), D));
    let x = x.to(&gpu).unwrap();
    let error = model.try_forward(&x).unwrap_err().to_string();
    assert!(error.starts_with("cuda:0: taking ") && error.contains("of memory failed: out of memory"), "{error}");
    // What is smaller still works, and the parameters are there.
    let small = Tensor::<Shape![2, 6]>::ones().to(&gpu).unwrap();
    model.try_forward(&small).unwrap();
    model.to(&Device::Cpu).unwrap();
}

/// What cannot go to the GPU would be lost.
#[test]
fn what_does_not_fit_stays_where_it_was() {
    let Some(gpu) = emulated("what_does_not_fit_stays_where_it_was", &[("PLYWOOD_EMULATOR_MEMORY", "6000000")]) else {
        return;
    };
    sequential! { struct Large { Linear(1000, 2000), Linear(_, 3) } }
    fn kept<T>(result: Result<T, MoveError<T>>) -> T {
        let MoveError { value, error } = result.err().expect("there is too little memory");
        assert!(error.to_string().contains("out of memory"), "{error}");
        value
    }
    let buffer = kept(Buffer::copy_of(&vec![1.5f64; 1_000_000]).to(&gpu));
    assert_eq!((buffer.device(), buffer.as_slice()), (Device::Cpu, &[1.5; 1_000_000][..]));
    let x: Tensor<Shape![2000, 1000]> = kept(Tensor::full(2.5).to(&gpu));
    assert_eq!(x, Tensor::full(2.5));
    let copy = kept(x.view().to(&gpu));
    assert_eq!(copy, x);
    let init = || Large::init(&mut Generator::manual_seed(1));
    assert_eq!(kept(init().to(&gpu)).parameters(), init().parameters());
    let error: plywood::Error = init().to(&gpu).map(|_| ()).unwrap_err().into();
    assert!(error.to_string().starts_with("cuda:0: taking "), "{error}");

    // A trainer goes on as if nobody had tried.
    let (x, labels) = (Tensor::<Shape![2, 1000]>::ones(), tensor![0, 2]);
    let run = |interrupted: bool| {
        let mut trainer = Trainer::new(init(), CrossEntropyLoss, Adam::new(0.01)).clip_grad_norm(1.0);
        for _ in 0..2 {
            trainer.step(&x, &labels).unwrap();
            if interrupted {
                trainer = kept(trainer.on(&gpu));
            }
        }
        trainer.into_model()
    };
    assert_eq!(run(true).parameters(), run(false).parameters());
}

#[test]
fn a_gpu_that_fails() {
    let Some(gpu) = emulated("a_gpu_that_fails", &[("PLYWOOD_EMULATOR_FAIL", "cuLaunchKernel:40=719")]) else { return };
    let model = ReLUs::init(&mut Generator::manual_seed(2));
    let mut trainer = Trainer::new(model, CrossEntropyLoss, SGD::new(0.1)).on(&gpu).unwrap();
    let mut run = || trainer.fit(&data(), Fit::epochs(5).batch(16).quiet());
    let error = run().unwrap_err().to_string();
    assert!(error.starts_with("cuda:0: ") && error.contains("CUDA_ERROR_LAUNCH_FAILED"), "{error}");
    assert!(run().is_err() && gpu.synchronize().is_err());
}

#[path = "cuda/ways.rs"]
mod ways;
