//! Clipped gradients: PyTorch's numbers (`parity/clip.py`), on the CPU and, if there is one, on a GPU; and what is refused.

use plywood::nn::Gradients;
use plywood::prelude::*;
use plywood_tests::compare::{assert_close, floor_of};
use plywood_tests::fixture::Fixture;
use plywood_tests::gpu::gpu;

sequential! { struct Net { Linear(6, 40), ReLU, Linear(_, 33, bias = false), ReLU, Linear(_, 3) } }

/// The CPU, and the first GPU: without one only the CPU is checked, unless `PLYWOOD_REQUIRE_CUDA` is set.
fn devices() -> Vec<Device> {
    let gpu = if cfg!(feature = "cuda") { gpu() } else { None };
    core::iter::once(Device::Cpu).chain(gpu).collect()
}

fn bits<M: Model<Elem = f32>>(model: &M) -> Vec<u32> {
    let here = M::from_buffer(model.buffer().clone()).to(&Device::Cpu).unwrap();
    here.parameters().iter().map(|p| p.to_bits()).collect()
}

/// Gradients clipped once, then five steps of a loop written out and of a trainer.
macro_rules! parity {
    ($device:ident, $E:ident, $tolerance:literal, $name:literal, |$grads:ident| $clip:expr, $setting:ident($limit:expr), $optimizer:expr) => {{
        type Of = <Net as Model>::As<$E>;
        let fixture = Fixture::open("clip");
        let close = |what: &str, got: &[$E]| {
            let expected = fixture.numbers(what);
            assert_close(
                &format!("{what} in {} on {}", stringify!($E), $device),
                got,
                &expected,
                floor_of(&expected),
                $tolerance,
            );
        };
        let x: Tensor<Shape![7, 6], $E> = fixture.tensor("x");
        let target: Tensor<Shape![7, 3], $E> = fixture.tensor("target");
        let (x, target) = (x.to($device).unwrap(), target.to($device).unwrap());
        let initial: Vec<$E> = fixture.numbers("initial").iter().map(|x| $E::of(*x)).collect();
        let initial = || Of::from_parameters(&initial).unwrap().to($device).unwrap();
        let here = |model: &Of| Of::from_buffer(model.buffer().clone()).to(&Device::Cpu).unwrap();

        let (mut model, mut optimizer, mut workspace) = (initial(), $optimizer, Workspace::new());
        for step in 0..5 {
            let (_, $grads) = model.gradients_with(&mut workspace, &x, &target, &MSELoss).unwrap();
            let norm: Option<$E> = $clip;
            if let Some(norm) = norm {
                let expected = fixture.numbers(concat!($name, "/norms"))[step];
                assert_close("the norm before", &[norm], &[expected], 0.0, $tolerance);
            }
            if step == 0 {
                close(concat!($name, "/clipped"), here(&*$grads).parameters());
            }
            optimizer.step(&mut model, $grads).unwrap();
        }
        close(concat!($name, "/after"), here(&model).parameters());

        let mut trainer = Trainer::new(initial(), MSELoss, $optimizer).$setting($limit);
        for _ in 0..5 {
            trainer.step(&x, &target).unwrap();
        }
        close(concat!($name, "/after"), here(trainer.model()).parameters());
        // The same arithmetic, in another place: on the CPU to the bit.
        if *$device == Device::Cpu {
            assert_eq!(trainer.model().parameters(), model.parameters(), "{}", $name);
        }
    }};
}

#[test]
fn as_pytorch() {
    for device in &devices() {
        macro_rules! all {
            ($E:ident, $tolerance:literal) => {
                parity!(
                    device,
                    $E,
                    $tolerance,
                    "norm",
                    |g| Some(g.clip_grad_norm(0.5).unwrap()),
                    clip_grad_norm(0.5),
                    SGD::new(0.5).momentum(0.9)
                );
                parity!(
                    device,
                    $E,
                    $tolerance,
                    "large_norm",
                    |g| Some(g.clip_grad_norm(1e3).unwrap()),
                    clip_grad_norm(1e3),
                    SGD::new(0.1)
                );
                parity!(
                    device,
                    $E,
                    $tolerance,
                    "zero_norm",
                    |g| Some(g.clip_grad_norm(0.0).unwrap()),
                    clip_grad_norm(0.0),
                    SGD::new(0.1).weight_decay(0.1)
                );
                parity!(
                    device,
                    $E,
                    $tolerance,
                    "any_norm",
                    |g| Some(g.clip_grad_norm(f64::INFINITY).unwrap()),
                    clip_grad_norm(f64::INFINITY),
                    SGD::new(0.1)
                );
                parity!(
                    device,
                    $E,
                    $tolerance,
                    "norm_adam",
                    |g| Some(g.clip_grad_norm(0.1).unwrap()),
                    clip_grad_norm(0.1),
                    Adam::new(0.01)
                );
                parity!(
                    device,
                    $E,
                    $tolerance,
                    "value",
                    |g| {
                        g.clip_grad_value(0.02).unwrap();
                        None
                    },
                    clip_grad_value(0.02),
                    SGD::new(0.5)
                );
                parity!(
                    device,
                    $E,
                    $tolerance,
                    "value_adam",
                    |g| {
                        g.clip_grad_value(0.01).unwrap();
                        None
                    },
                    clip_grad_value(0.01),
                    Adam::new(0.01)
                );
            };
        }
        all!(f64, 1e-9);
        all!(f32, 1e-4);
    }
}

fn data() -> TensorDataset<Shape![6], Shape![3], f32, f32> {
    let mut rng = Generator::manual_seed(3);
    let (x, y) = (Tensor::<Shape![50, 6]>::randn(&mut rng), Tensor::<Shape![50, 3]>::randn(&mut rng) * 10.0);
    TensorDataset::new(x, y).unwrap()
}

fn trainer(device: &Device) -> Trainer<Net, MSELoss, Adam> {
    Trainer::new(Net::init(&mut Generator::manual_seed(1)), MSELoss, Adam::new(0.02)).on(device).unwrap()
}

fn fit(epochs: u64) -> Fit {
    Fit::epochs(epochs).batch(16).shuffle(7).quiet()
}

/// Two halves would not be the whole; and clipping would do nothing, or not what the CPU does.
#[test]
fn a_training_in_parts_is_the_training_in_one() {
    let mut on_cpu = None;
    for device in &devices() {
        let train = |parts: &[u64]| {
            let mut trainer = trainer(device).clip_grad_norm(0.5);
            for part in parts {
                trainer.fit(&data(), fit(*part)).unwrap();
            }
            trainer.into_model()
        };
        let whole = train(&[8]);
        assert_eq!(bits(&whole), bits(&train(&[3, 5])), "{device}");
        let mut plain = trainer(device);
        plain.fit(&data(), fit(8)).unwrap();
        assert_ne!(bits(plain.model()), bits(&whole), "{device}");
        let here = whole.to(&Device::Cpu).unwrap();
        let expected: Vec<f64> = here.parameters().iter().map(|p| f64::from(*p)).collect();
        let on_cpu: &Vec<f64> = on_cpu.get_or_insert(expected);
        assert_close("parameters", here.parameters(), on_cpu, floor_of(on_cpu), 1e-2);
    }
}

/// A recorded step would go on with the setting that it was recorded with.
#[test]
fn another_setting_counts_from_the_next_step_on() {
    let (x, y) = data().gather(&(0..16).collect::<Vec<_>>()).unwrap();
    let run = |device: &Device| {
        let mut trainer = trainer(device);
        for i in 0..5 {
            trainer = match i {
                1 => trainer.clip_grad_norm(0.5),
                2 => trainer.clip_grad_norm(0.1),
                3 => trainer.clip_grad_value(0.01),
                4 => trainer.clip_grad_norm(f64::INFINITY),
                _ => trainer,
            };
            trainer.steps(&x, &y, 4).unwrap();
        }
        trainer.into_model().to(&Device::Cpu).unwrap()
    };
    let expected: Vec<f64> = run(&Device::Cpu).parameters().iter().map(|p| f64::from(*p)).collect();
    for device in &devices()[1..] {
        assert_close("parameters", run(device).parameters(), &expected, floor_of(&expected), 1e-2);
    }
}

/// A sum would be cut where the threads are.
#[test]
fn the_norm_does_not_depend_on_the_number_of_threads() {
    sequential! { struct Large { Linear(700, 900), Linear(_, 600) } }
    let mut rng = Generator::manual_seed(0);
    let values: Vec<f32> = (0..Large::PARAMS).map(|_| rng.normal()).collect();
    let clipped = |threads: usize| {
        plywood::set_num_threads(threads).unwrap();
        let mut gradients = Gradients::<Large>::zeros();
        gradients.parameters_mut().copy_from_slice(&values);
        let norm = gradients.clip_grad_norm(1.0).unwrap();
        (norm.to_bits(), bits(&*gradients))
    };
    let one = clipped(1);
    for threads in [2, 3, 7] {
        assert!(clipped(threads) == one, "{threads} threads give other bits than one");
    }
    let norm: f64 = values.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
    assert_eq!(f32::from_bits(one.0), norm as f32);
}

/// Gradients that are not finite would become parameters, and the network would be lost.
#[test]
fn a_norm_that_is_no_number_changes_nothing() {
    sequential! { struct Line { Linear(1, 1) } }
    // With a weight of 0, the loss is about 10³⁴, but its derivative 10⁴⁷: none of f32's numbers. Inputs of 0 leave the weight.
    let (x, y) = (Tensor::<Shape![2, 1]>::full(1e30), Tensor::<Shape![2, 1]>::full(1e17));
    let (x_good, y_good) = (Tensor::<Shape![2, 1]>::zeros(), Tensor::<Shape![2, 1]>::ones());
    for device in &devices() {
        let model = || Line::from_parameters(&[0.0, 0.5]).unwrap().to(device).unwrap();
        let mut trainer = Trainer::new(model(), MSELoss, Adam::new(0.01)).clip_grad_norm(1.0);
        let mut other = Trainer::new(model(), MSELoss, Adam::new(0.01)).clip_grad_norm(1.0);
        for _ in 0..4 {
            trainer.step(&x_good, &y_good).unwrap();
            other.step(&x_good, &y_good).unwrap();
        }
        let before = bits(trainer.model());
        for _ in 0..2 {
            let wrong = trainer.step(&x, &y).unwrap_err().to_string();
            assert!(wrong.starts_with("the norm of the gradients is "), "{device}: {wrong}");
            assert_eq!(bits(trainer.model()), before, "{device}");
        }
        // It goes on as if those steps had not been.
        for _ in 0..3 {
            trainer.step(&x_good, &y_good).unwrap();
            other.step(&x_good, &y_good).unwrap();
        }
        assert_eq!(bits(trainer.model()), bits(other.model()), "{device}");

        let mut gradients = Gradients::<Net>::zeros();
        gradients.parameters_mut()[7] = f32::INFINITY;
        let mut gradients = there(gradients, device);
        let as_they_were = bits(&*gradients);
        let wrong = gradients.clip_grad_norm(1.0).unwrap_err().to_string();
        assert!(wrong.starts_with("the norm of the gradients is inf"), "{device}: {wrong}");
        assert_eq!(bits(&*gradients), as_they_were, "{device}");
        gradients.clip_grad_value(2.0).unwrap();
        assert_eq!(gradients.clip_grad_norm(1.0).unwrap(), 2.0, "{device}");
    }
}

fn there(mut gradients: Gradients<Net>, device: &Device) -> Gradients<Net> {
    let buffer = gradients.buffer().clone().to(device).unwrap();
    *gradients.buffer_mut() = buffer;
    gradients
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let (x, y) = (Tensor::<Shape![2, 6]>::ones(), Tensor::<Shape![2, 3]>::ones());
    for device in &devices() {
        for limit in [-1.0, f64::NAN] {
            let norm = format!("the largest norm of the gradients is {limit}, but must be at least 0");
            let value = format!("the largest value of a gradient is {limit}, but must be at least 0");
            let mut gradients = there(Gradients::zeros(), device);
            assert_eq!(gradients.clip_grad_norm(limit).unwrap_err().to_string(), norm);
            assert_eq!(gradients.clip_grad_value(limit).unwrap_err().to_string(), value);
            let mut of_norm = trainer(device).clip_grad_norm(limit);
            let before = bits(of_norm.model());
            assert_eq!(of_norm.step(&x, &y).unwrap_err().to_string(), norm);
            assert_eq!(bits(of_norm.model()), before);
            assert_eq!(trainer(device).clip_grad_value(limit).fit(&data(), fit(1)).unwrap_err().to_string(), value);
        }
    }
}
