//! Data that is on a GPU: the same batches, trainings and errors as of data on the CPU. Without a GPU nothing is checked, unless
//! `PLYWOOD_REQUIRE_CUDA` is set.
#![cfg(feature = "cuda")]

use plywood::nn::Layer;
use plywood::prelude::*;
use plywood_tests::gpu::{emulated, gpu};

sequential! { #[derive(Debug)] struct Net { Linear(6, 20), Tanh, Linear(_, 3) } }
// Networks of their own for what is compared to the bit: how they are computed may be measured, and is remembered.
sequential! { #[derive(Debug)] struct Three { Linear(6, 21), Tanh, Linear(_, 3) } }
sequential! { #[derive(Debug)] struct Four { Linear(6, 22), Tanh, Linear(_, 3) } }
sequential! { #[derive(Debug)] struct Yes { Linear(6, 5), Tanh, Linear(_, 1), Sigmoid } }

type Classes<L = i64> = TensorDataset<Shape![6], Shape![], f32, L>;

fn inputs(rows: usize) -> Tensor<Shape![_, 6]> {
    Tensor::randn_of((Dyn(rows), D), &mut Generator::manual_seed(3))
}

fn classes() -> Classes {
    let x = inputs(50);
    let labels = x.rows().map(|row| i64::from(row.sum() > 0.0) + i64::from(row.max() > 1.0)).collect();
    TensorDataset::new(x, Tensor::<Shape![_], i64>::from_vec(labels).unwrap()).unwrap()
}

fn bits<M: Model<Elem = f32>>(model: &M) -> Vec<u32> {
    let here = M::from_buffer(model.buffer().clone()).to(&Device::Cpu).unwrap();
    here.parameters().iter().map(|p| p.to_bits()).collect()
}

#[test]
fn the_same_batches_and_parts() {
    let Some(gpu) = gpu() else { return };
    let here = classes();
    let there = here.clone().to(&gpu).unwrap();
    assert_eq!((there.device(), there.inputs().device(), there.targets().device()), (gpu.clone(), gpu.clone(), gpu));
    assert_eq!(there, here);
    assert_eq!(there.clone().to(&Device::Cpu).unwrap(), here);
    let parts = |data: &Classes| {
        let mut rng = Generator::manual_seed(5);
        let ((a, b), (c, d)) = (data.split(0.7, &mut rng).unwrap(), data.stratified_split(0.7, &mut rng).unwrap());
        [a, b, c, d, data.subset(&[49, 0, 0, 7]).unwrap(), data.subset(&[]).unwrap()]
    };
    assert_eq!(parts(&there), parts(&here));
    let loader = |data| DataLoader::new(data).batch_size(16).unwrap().shuffle(3);
    assert!(loader(&there).batches(2).eq(loader(&here).batches(2)));
    let wrong = there.gather(&[0, 50]).unwrap_err().to_string();
    assert_eq!(wrong, here.gather(&[0, 50]).unwrap_err().to_string());

    // In memory that is used again, smaller and larger, and that was for data elsewhere.
    let (mut x, mut y) = here.gather(&[0, 1]).unwrap();
    for rows in [&[3, 2, 1][..], &[], &[9; 40], &[4, 3]] {
        there.gather_into(rows, &mut x, &mut y).unwrap();
        assert_eq!((&x, &y), (&here.gather(rows).unwrap().0, &here.gather(rows).unwrap().1));
        assert_eq!((x.device(), y.device()), (there.device(), there.device()));
    }
    here.gather_into(&[5], &mut x, &mut y).unwrap();
    assert_eq!((x.device(), x), (Device::Cpu, here.gather(&[5]).unwrap().0));
}

/// Rows of 1 to 80 bytes, whatever their alignment.
#[test]
fn rows_of_every_width() {
    let Some(gpu) = gpu() else { return };
    macro_rules! check {
        ($($E:ident [$($size:literal),*];)*) => {$({
            let numel = 30 $(* $size)*;
            let x: Tensor<Shape![_, $($size),*], $E> = Tensor::from_vec((0..numel).map(|i| (i % 120) as $E).collect()).unwrap();
            let here = TensorDataset::new(x, Tensor::<Shape![30], u8>::arange().unwrap()).unwrap();
            let rows = [29, 0, 13, 13, 7];
            let what = concat!(stringify!($E), " ", stringify!([$($size),*]));
            assert_eq!(here.clone().to(&gpu).unwrap().gather(&rows).unwrap(), here.gather(&rows).unwrap(), "{what}");
        })*};
    }
    check! { u8 [1]; u8 [3]; i16 [1]; i16 [5]; f32 [1]; f32 [3]; f32 [4]; f32 [2, 10]; f64 [1]; f64 [3]; i64 [2]; }
}

/// Epochs with a last batch that is smaller, and an evaluation.
fn trained<M, Y, T, L>(device: &Device, loss: L, data: &TensorDataset<Shape![6], Y, f32, T>) -> (Vec<f64>, Vec<u32>)
where
    M: Model<Elem = f32, Input = Shape![6]>,
    Y: Features,
    T: Element,
    L: Loss<
            <Shape![_, 6] as plywood::shape::InputOf<M, Shape![_, 6]>>::Of<<M as Layer>::Output>,
            Tensor<Y::Batched<Dyn>, T>,
            f32,
        > + 'static,
    Shape![_, 6]: plywood::shape::InputOf<M, Shape![_, 6]>,
{
    let model = M::init(&mut Generator::manual_seed(2));
    let mut trainer = Trainer::new(model, loss, Adam::new(0.01)).on(device).unwrap();
    let mut epochs = trainer.fit(data, Fit::epochs(20).batch(16).shuffle(3).quiet()).unwrap().epochs;
    epochs.extend(trainer.fit_validated(data, data, Fit::epochs(2).batch(8).quiet()).unwrap().epochs);
    let evaluations = epochs.iter().flat_map(|epoch| [Some(epoch.train), epoch.validation]).flatten();
    let numbers = evaluations.flat_map(|evaluation| [evaluation.loss, evaluation.accuracy.unwrap_or(-1.0)]).collect();
    (numbers, bits(trainer.model()))
}

#[test]
fn the_same_training() {
    let Some(gpu) = gpu() else { return };
    let x = inputs(50);
    let yes = Tensor::<Shape![_, 1]>::from_vec(x.rows().map(|row| f32::from(u8::from(row.sum() > 0.0))).collect());
    let reals = Tensor::<Shape![_, 3]>::randn_of((Dyn(50), D), &mut Generator::manual_seed(4));
    macro_rules! check {
        ($($Net:ident, $loss:expr, $data:expr;)*) => {$({
            let here = $data;
            let expected = trained::<$Net, _, _, _>(&gpu, $loss, &here);
            let there = trained::<$Net, _, _, _>(&gpu, $loss, &here.to(&gpu).unwrap());
            assert!(there == expected, "{}: {there:?}, not {expected:?}", stringify!($loss, $data));
        })*};
    }
    let small = classes().targets().cast::<u8>().unwrap();
    let right = classes().targets().cast::<i32>().unwrap();
    check! {
        Three, CrossEntropyLoss, classes();
        Three, CrossEntropyLoss, Classes::<u8>::new(x.clone(), small).unwrap();
        Three, CrossEntropyLoss.sum(), Classes::<i32>::new(x.clone(), right).unwrap();
        Three, MSELoss, TensorDataset::new(x.clone(), reals.clone()).unwrap();
        Yes, BCELoss, TensorDataset::new(x.clone(), yes.unwrap()).unwrap();
    }
}

/// A label that is none would be trained with, or ignored.
#[test]
fn labels_that_are_none() {
    let Some(gpu) = gpu() else { return };
    let model = || Net::init(&mut Generator::manual_seed(2));
    for label in [9, -1, 1 << 40] {
        let labels = classes().targets().to_vec().into_iter().enumerate();
        let labels = labels.map(|(i, right)| if i == 26 { label } else { right }).collect();
        let wrong = Classes::new(inputs(50), Tensor::<Shape![_], i64>::from_vec(labels).unwrap()).unwrap();
        let wrong = wrong.to(&gpu).unwrap();
        let good = classes().to(&gpu).unwrap();
        let mut trainer = Trainer::new(model(), CrossEntropyLoss, Adam::new(0.01)).on(&gpu).unwrap();
        let expected = format!("the label of sample 10 is {label}, but the network has 3 classes (0 to 2)");
        let error = trainer.fit(&wrong, Fit::epochs(2).batch(16).quiet()).unwrap_err();
        assert_eq!((error.to_string(), trainer.epochs()), (expected, 0));
        let expected = format!("the label of sample 26 is {label}, but the network has 3 classes (0 to 2)");
        assert_eq!(trainer.evaluate(&wrong).unwrap_err().to_string(), expected);
        let (x, y) = wrong.gather(&[0, 26]).unwrap();
        let expected = format!("the label of sample 1 is {label}, but the network has 3 classes (0 to 2)");
        assert_eq!(trainer.step(&x, &y).unwrap_err().to_string(), expected);
        assert_eq!(CrossEntropyLoss.forward(&trainer.model().forward(&x), &y).unwrap_err().to_string(), expected);

        // One step was made, and it goes on from there.
        let mut other = Trainer::new(model(), CrossEntropyLoss, Adam::new(0.01)).on(&gpu).unwrap();
        let (x, y) = good.gather(&(0..16).collect::<Vec<_>>()).unwrap();
        other.step(&x, &y).unwrap();
        for trainer in [&mut trainer, &mut other] {
            trainer.fit(&good, Fit::epochs(2).batch(16).quiet()).unwrap();
            trainer.evaluate(&good).unwrap();
        }
        assert_eq!(bits(trainer.model()), bits(other.model()));
    }
}

/// An evaluation that fails would leave its failure to the next step.
#[test]
fn an_evaluation_that_fails_changes_nothing() {
    let Some(gpu) = gpu() else { return };
    sequential! { struct NoSigmoid { Linear(6, 1) } }
    let mut model = NoSigmoid::init(&mut Generator::manual_seed(0));
    model.parameters_mut().copy_from_slice(&[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5]);
    let mut trainer = Trainer::new(model, BCELoss, SGD::new(1e-3)).on(&gpu).unwrap();
    let data = |x: f32, target: f32| -> TensorDataset<Shape![6], Shape![1], f32, f32> {
        TensorDataset::new(Tensor::<Shape![4, 6]>::full(x), Tensor::<Shape![4, 1]>::full(target))
            .unwrap()
            .to(&gpu)
            .unwrap()
    };
    let good = data(0.1, 1.0);
    trainer.fit(&good, Fit::epochs(1).quiet()).unwrap();
    let error = trainer.evaluate(&data(1e6, 1.0)).unwrap_err().to_string();
    assert!(error.starts_with("the prediction at index 0 is "), "{error}");
    let error = trainer.evaluate(&data(0.1, 2.0)).unwrap_err().to_string();
    assert!(error.starts_with("the target at index 0 is 2"), "{error}");
    let before = bits(trainer.model());
    trainer.fit(&good, Fit::epochs(1).quiet()).unwrap();
    assert_ne!(bits(trainer.model()), before);
}

#[test]
fn data_that_is_elsewhere_is_refused() {
    let Some(gpu) = gpu() else { return };
    let data = classes().to(&gpu).unwrap();
    let mut trainer = Trainer::new(Net::init(&mut Generator::manual_seed(2)), CrossEntropyLoss, SGD::new(0.1));
    let expected = "the network is on cpu, but its input on cuda:0; `.to(&device)` moves either";
    assert_eq!(trainer.fit(&data, Fit::epochs(1).quiet()).unwrap_err().to_string(), expected);
    assert_eq!(trainer.evaluate(&data).unwrap_err().to_string(), expected);
    let (x, y) = data.gather(&[1, 2]).unwrap();
    assert_eq!(trainer.step(&x, &y).unwrap_err().to_string(), expected);
    let x = x.to(&Device::Cpu).unwrap();
    let error = trainer.step(&x, &y).unwrap_err().to_string();
    assert_eq!(error, "the prediction is on cpu, but its target on cuda:0; `.to(&device)` moves either");
}

/// Memory of one GPU would be read by another.
#[test]
fn data_on_another_gpu_is_refused() {
    let Some(first) = emulated("data_on_another_gpu_is_refused", &[("PLYWOOD_EMULATOR_DEVICES", "2")]) else { return };
    let second = Device::cuda(1).unwrap();
    let data = classes().to(&second).unwrap();
    let mut trainer =
        Trainer::new(Net::init(&mut Generator::manual_seed(2)), CrossEntropyLoss, SGD::new(0.1)).on(&first).unwrap();
    let expected = "the network is on cuda:0, but its batch on cuda:1; `.to(&device)` moves either";
    assert_eq!(trainer.fit(&data, Fit::epochs(1).quiet()).unwrap_err().to_string(), expected);
    assert_eq!(trainer.evaluate(&data).unwrap_err().to_string(), expected);
    let (x, y) = data.gather(&[1, 2]).unwrap();
    assert_eq!(trainer.step(&x, &y).unwrap_err().to_string(), expected);
    let here = x.to(&first).unwrap();
    assert_eq!(trainer.step(&here, &y).unwrap_err().to_string(), expected);
    trainer.step(&here, &y.to(&first).unwrap()).unwrap();
}

/// So many steps on each of some batches, by turns, that are on the GPU: in one place, in two by turns, or in new memory.
fn steps(device: &Device, data: &Classes, each: usize, turns: usize, anew: bool) -> Vec<u32> {
    let mut trainer =
        Trainer::new(Four::init(&mut Generator::manual_seed(2)), CrossEntropyLoss, Adam::new(0.01)).on(device).unwrap();
    let rows = |turn: usize| [[0, 1, 2, 3], [9, 8, 7, 6], [30, 20, 10, 40]][turn % 3];
    let kept: Vec<_> = (0..3).map(|turn| data.gather(&rows(turn)).unwrap()).collect();
    for turn in 0..turns {
        if anew {
            let (x, y) = data.gather(&rows(turn)).unwrap();
            trainer.steps(&x, &y, each).unwrap();
        } else {
            trainer.steps(&kept[turn % 3].0, &kept[turn % 3].1, each).unwrap();
        }
    }
    bits(trainer.model())
}

/// A recorded step would read the numbers of an earlier one, or memory that somebody else has.
#[test]
fn steps_on_batches_wherever_they_are() {
    let Some(gpu) = gpu() else { return };
    let (here, there) = (classes(), classes().to(&gpu).unwrap());
    for (each, turns) in [(100, 1), (50, 4), (40, 3), (1, 60), (2, 40)] {
        for anew in [false, true] {
            let expected = steps(&gpu, &here, each, turns, anew);
            assert!(steps(&gpu, &there, each, turns, anew) == expected, "{turns} · {each} steps, anew: {anew}");
        }
    }
}

/// Steps on numbers that stay in one place would go on copying them, and so would the epochs of a data set.
#[test]
fn what_stays_in_its_place_is_not_copied() {
    let name = "what_stays_in_its_place_is_not_copied";
    let Some(gpu) = emulated(name, &[("PLYWOOD_EMULATOR_FAIL", "cuMemcpyDtoDAsync:150=719")]) else { return };
    let data = classes().to(&gpu).unwrap();
    steps(&gpu, &data, 300, 1, false);
    let mut trainer =
        Trainer::new(Net::init(&mut Generator::manual_seed(2)), CrossEntropyLoss, Adam::new(0.01)).on(&gpu).unwrap();
    trainer.fit(&data, Fit::epochs(150).batch(25).shuffle(1).quiet()).unwrap();
}

/// What gives numbers gives those of the CPU; what cannot says so.
#[test]
fn what_takes_numbers_takes_them_from_a_gpu() {
    let Some(gpu) = gpu() else { return };
    let (here, there) = (classes(), classes().to(&gpu).unwrap());
    let model = Net::init(&mut Generator::manual_seed(2));
    let model_there = Net::from_parameters(model.parameters()).unwrap().to(&gpu).unwrap();
    let (y, y_there) = (model.forward(here.inputs()), model_there.forward(there.inputs()));
    assert_eq!(accuracy(&y_there, there.targets()).unwrap(), accuracy(&y, here.targets()).unwrap());
    assert_eq!(accuracy(&y_there, here.targets()).unwrap(), accuracy(&y, here.targets()).unwrap());
    let matrix = ConfusionMatrix::<D<3>>::new(&y_there, there.targets()).unwrap();
    assert_eq!(matrix, ConfusionMatrix::new(&y, here.targets()).unwrap());

    let scaler = StandardScaler::fit(there.inputs()).unwrap();
    assert_eq!(scaler, StandardScaler::fit(here.inputs()).unwrap());
    let scaled = there.map_inputs(|x| scaler.transform(x)).unwrap();
    assert_eq!(scaled.device(), gpu);
    let expected = here.map_inputs(|x| scaler.transform(x)).unwrap();
    let close =
        |a: &Tensor<_>, b: &Tensor<_>| a.clone().to(&Device::Cpu).unwrap().try_sub(b).unwrap().abs().max() < 1e-6;
    assert!(close(scaled.inputs(), expected.inputs()));
    assert!(close(&scaler.inverse_transform(scaled.inputs()), here.inputs()));

    assert_eq!(plywood::io::to_npy(there.inputs()), plywood::io::to_npy(here.inputs()));
    assert_eq!(tensor![1.0, 2.0].to(&gpu).unwrap().to_array(), [1.0, 2.0]);
    assert_eq!(model_there.buffer(), model.buffer());

    let mut workspace = Workspace::new();
    let run = std::panic::AssertUnwindSafe(|| model_there.forward_with(&mut workspace, there.inputs()).numel());
    let panic = std::panic::catch_unwind(run).unwrap_err();
    let expected = "`forward_with` borrows its output, which cannot be on cuda:0; `forward` gives it there";
    assert_eq!(panic.downcast_ref::<String>().unwrap(), expected);
    let labels = there.targets();
    let expected = "the prediction is on cpu, but its target on cuda:0; `.to(&device)` moves either";
    assert_eq!(CrossEntropyLoss.forward(&y, labels).unwrap_err().to_string(), expected);
    assert_eq!(MSELoss.forward(&y, &y_there).unwrap_err().to_string(), expected);
    assert_eq!(BCEWithLogitsLoss.forward(&y, &y_there).unwrap_err().to_string(), expected);
    assert_eq!(BCELoss.forward(&y.sigmoid(), &y_there).unwrap_err().to_string(), expected);
    assert_eq!(CrossEntropyLoss.forward(&y, &y_there).unwrap_err().to_string(), expected);
}
