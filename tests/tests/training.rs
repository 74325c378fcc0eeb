//! The trainer: the same seeds give the same bits, a training in parts is the training in one, and bad input is an error.

use plywood::nn::Model;
use plywood::prelude::*;
use plywood::train::History;
use plywood_tests::networks::LinearScale;

sequential! {
    #[derive(Clone, Debug, PartialEq)]
    struct Net {
        Linear(3, 8),
        Tanh,
        Linear(8, 2),
    }
}

type Data = TensorDataset<Shape![3]>;

/// Points on either side of a plane, 50 of them: no multiple of the batch.
fn data() -> Data {
    let mut rng = Generator::manual_seed(5);
    let x: Tensor<Shape![50, 3]> = Tensor::randn(&mut rng);
    let labels: Vec<i64> = x.rows().map(|row| i64::from(row.iter().sum::<f32>() > 0.0)).collect();
    TensorDataset::new(x, Tensor::<Shape![_], i64>::from_vec(labels).expect("one label a row"))
        .expect("as many labels as rows")
}

fn trainer() -> Trainer<Net, CrossEntropyLoss, Adam> {
    Trainer::new(Net::init(&mut Generator::manual_seed(1)), CrossEntropyLoss, Adam::new(0.02))
}

fn fit(epochs: u64) -> Fit {
    Fit::epochs(epochs).batch(16).shuffle(7).quiet()
}

fn bits(model: &Net) -> Vec<u32> {
    model.parameters().iter().map(|p| p.to_bits()).collect()
}

/// A seed would not decide everything, or an epoch would depend on more than its number.
#[test]
fn a_training_in_parts_is_the_training_in_one_bit_for_bit() {
    let data = data();
    let (mut whole, mut parts) = (trainer(), trainer());
    let history = whole.fit(&data, fit(12)).expect("a training");
    let mut halves = parts.fit(&data, fit(5)).expect("a training");
    halves.epochs.extend(parts.fit(&data, fit(7)).expect("a training").epochs);
    assert_eq!(bits(whole.model()), bits(parts.model()));
    assert_eq!(history.losses(), halves.losses());
    assert_eq!(halves.epochs.iter().map(|epoch| epoch.number).collect::<Vec<_>>(), (1..=12).collect::<Vec<_>>());
}

/// A sum would be cut where the work is. Every product and pass of this network is large enough for several threads.
#[test]
fn a_training_does_not_depend_on_the_number_of_threads() {
    sequential! {
        struct Wide {
            Linear(300, 400),
            Tanh,
            Linear(_, 350),
            ReLU,
            Linear(_, 400),
            GELU,
            Linear(_, 10),
        }
    }
    fn train(threads: usize) -> Vec<u32> {
        plywood::set_num_threads(threads).expect("a number of threads");
        assert_eq!(plywood::num_threads(), threads);
        let mut rng = Generator::manual_seed(2);
        let mut model = Wide::init(&mut rng);
        let x: Tensor<Shape![70, 300]> = Tensor::randn(&mut rng);
        let y: Tensor<Shape![70, 10]> = Tensor::randn(&mut rng);
        let (mut adam, mut sgd) = (Adam::new(1e-3), SGD::new(1e-2).momentum(0.9));
        for _ in 0..4 {
            let (_, grads) = model.gradients(&x, &y, &MSELoss).expect("gradients");
            adam.step(&mut model, &grads).expect("a step");
            sgd.step(&mut model, &grads).expect("a step");
        }
        let one: Tensor<Shape![300]> = Tensor::randn(&mut rng);
        let y = model.forward(&one);
        model.parameters().iter().chain(y.as_slice()).map(|p| p.to_bits()).collect()
    }
    let one = train(1);
    for threads in [2, 3, 7] {
        assert!(train(threads) == one, "{threads} threads give other bits than one");
    }
}

/// The trainer would do something else than the loop written out.
#[test]
fn the_trainer_is_the_explicit_loop() {
    let data = data();
    let mut trainer = trainer();
    trainer.fit(&data, fit(3)).expect("a training");

    let mut model = Net::init(&mut Generator::manual_seed(1));
    let mut adam = Adam::new(0.02);
    let loader = DataLoader::new(&data).batch_size(16).expect("a batch size").shuffle(7);
    for epoch in 0..3 {
        for (x, labels) in loader.batches(epoch) {
            let (_, grads) = model.gradients(&x, &labels, &CrossEntropyLoss).expect("gradients");
            adam.step(&mut model, &grads).expect("a step");
        }
    }
    assert_eq!(bits(trainer.model()), bits(&model));
}

sequential! {
    #[derive(Clone, Debug, PartialEq)]
    struct Inner { Linear(144, 160), SiLU, LinearScale(160), Linear(_, 96, bias = false) }
}

sequential! {
    /// More parameters than a network has that is compiled as one piece: weights in large layers and small ones, of layers
    /// that update them piece by piece and others, in a network inside of another.
    #[derive(Clone, Debug, PartialEq)]
    struct Large: (1, 12, 12) => 10 {
        Conv2d(1, 4, 3, padding = 1),
        ReLU,
        MaxPool2d(2),
        Flatten,
        Inner,
        Tanh,
        Linear(_, 300),
        ReLU,
        Linear(_, 10),
    }
}

/// As [`SGD`], by someone else, who knows nothing of updates in pieces.
struct Plain(f64);

impl Optimizer<f32> for Plain {
    fn update(&mut self, parameters: &mut [f32], gradients: &[f32]) -> plywood::Result<()> {
        parameters.iter_mut().zip(gradients).for_each(|(p, g)| *p -= self.0 as f32 * *g);
        Ok(())
    }

    fn learning_rate(&self) -> f64 {
        self.0
    }

    fn set_learning_rate(&mut self, lr: f64) {
        self.0 = lr;
    }
}

/// Weights that are updated as their gradient comes would be others than those updated after all gradients.
#[test]
fn a_step_of_the_trainer_is_the_explicit_one_in_a_large_network() {
    fn check<O: Optimizer<f32>>(what: &str, optimizer: impl Fn() -> O) {
        // The sums of the last are computed in two pieces.
        for batch in [1, 3, 40, 130, 400] {
            let mut rng = Generator::manual_seed(4);
            let mut model = Large::init(&mut rng);
            let x: Tensor<Shape![_, 1, 12, 12]> = Tensor::randn_of((Dyn(batch), D::<1>, D::<12>, D::<12>), &mut rng);
            let y: Tensor<Shape![_, 10]> = Tensor::randn_of((Dyn(batch), D::<10>), &mut rng);
            let mut trainer = Trainer::new(model.clone(), MSELoss, optimizer());
            let mut optimizer = optimizer();
            for step in 0..3 {
                let (loss, gradients) = model.gradients(&x, &y, &MSELoss).expect("gradients");
                optimizer.step(&mut model, &gradients).expect("a step");
                assert_eq!(trainer.step(&x, &y).expect("a step"), loss, "{what}, {batch} samples, step {step}");
                let equal = trainer.model().parameters().iter().zip(model.parameters());
                assert_eq!(
                    equal.filter(|(a, b)| a.to_bits() != b.to_bits()).count(),
                    0,
                    "{what}, {batch}, step {step}"
                );
            }
        }
    }
    check("SGD", || SGD::new(0.05).weight_decay(0.1));
    check("SGD with momentum", || SGD::new(0.01).momentum(0.9).dampening(0.5));
    check("Adam", || Adam::new(1e-3));
    check("AdamW", || AdamW::new(1e-3));
    check("one's own", || Plain(0.05));
}

/// A step that fails would leave parameters or the optimizer half updated.
#[test]
fn a_step_that_fails_changes_nothing() {
    fn check<O: Optimizer<f32>>(optimizer: impl Fn() -> O) {
        let model = Large::init(&mut Generator::manual_seed(4));
        let mut rng = Generator::manual_seed(6);
        let (x, far) =
            (Tensor::<Shape![8, 1, 12, 12]>::randn(&mut rng), Tensor::<Shape![8, 1, 12, 12]>::full(f32::MAX));
        let labels: Tensor<Shape![8], i64> = Tensor::from_vec((0..8).collect()).expect("eight");
        let wrong = Tensor::<Shape![8], i64>::full(10);
        let (mut trainer, mut other) =
            [(), ()].map(|()| Trainer::new(model.clone(), CrossEntropyLoss, optimizer())).into();
        trainer.step(&x, &wrong).expect_err("no class");
        trainer.step(&far, &labels).expect_err("no finite loss");
        assert_eq!(trainer.model(), &model);
        for _ in 0..2 {
            assert_eq!(trainer.step(&x, &labels).expect("a step"), other.step(&x, &labels).expect("a step"));
            trainer.step(&x, &wrong).expect_err("no class");
        }
        assert_eq!(trainer.model(), other.model());
    }
    check(|| SGD::new(0.01).momentum(0.9).dampening(0.5));
    check(|| Adam::new(1e-3));
}

#[test]
fn it_learns_and_its_evaluation_is_that_of_the_metrics() {
    let data = data();
    let mut trainer = trainer();
    let history: History = trainer.fit_validated(&data, &data, fit(60)).expect("a training");
    let evaluation = trainer.evaluate(&data).expect("an evaluation");
    assert!(evaluation.accuracy > Some(0.95), "{evaluation}");
    assert_eq!(history.last().and_then(|epoch| epoch.validation), Some(evaluation));
    assert_eq!(history.validation_losses().len(), 60);
    let logits = trainer.model().forward(data.inputs());
    assert_eq!(evaluation.accuracy, Some(accuracy(&logits, data.targets()).expect("an accuracy")));
    let loss = CrossEntropyLoss.forward(&logits, data.targets()).expect("a loss");
    assert_eq!(evaluation.loss, f64::from(loss));
}

/// The mean of a training set would weigh a small last batch like the others.
#[test]
fn the_loss_of_an_epoch_is_the_mean_over_its_samples() {
    let data = data();
    let model = Net::init(&mut Generator::manual_seed(1));
    let whole = CrossEntropyLoss.forward(&model.forward(data.inputs()), data.targets()).expect("a loss");
    let mut trainer = Trainer::new(model, CrossEntropyLoss, SGD::new(0.0));
    let history = trainer.fit(&data, Fit::epochs(1).batch(16).quiet()).expect("a training");
    assert!((history.losses()[0] - f64::from(whole)).abs() < 1e-6);
}

#[test]
fn early_stop_waits_as_long_as_it_says() {
    let data = data();
    let mut still = Trainer::new(Net::init(&mut Generator::manual_seed(1)), CrossEntropyLoss, SGD::new(0.0));
    let history = still.fit_validated(&data, &data, fit(100).early_stop(4)).expect("a training");
    assert_eq!(history.epochs.len(), 5, "the first epoch is the best, four more are not better");
}

#[test]
fn bad_input_is_an_error_that_names_it() {
    let data = data();
    let empty = data.subset(&[]).expect("a subset");
    let message = |error: plywood::Result<History>| error.expect_err("this cannot be trained").to_string();
    assert_eq!(message(trainer().fit(&empty, fit(1))), "the training set is empty, but must be one sample or more");
    assert_eq!(message(trainer().fit(&data, fit(1).batch(0))), "the batch of a fit is 0, but must be at least 1");
    assert_eq!(
        message(trainer().fit(&data, fit(1).batch(51).drop_last(true))),
        "the batch size of a training that drops the last batch is 51, but must be no more than the number of samples"
    );
    let mut wild = Trainer::new(Net::init(&mut Generator::manual_seed(1)), CrossEntropyLoss, SGD::new(f64::MAX));
    let diverged = message(wild.fit(&data, fit(3)));
    assert!(diverged.contains("in epoch 1; a smaller learning rate"), "{diverged}");
    let mut negative = Trainer::new(Net::init(&mut Generator::manual_seed(1)), CrossEntropyLoss, Adam::new(-1.0));
    let before = bits(negative.model());
    assert_eq!(message(negative.fit(&data, fit(1))), "the learning rate of Adam is -1, but must be at least 0");
    let decay = AdamW::<f32>::new(1e-3).weight_decay(-0.1).update(&mut [1.0], &[1.0]);
    assert_eq!(decay.unwrap_err().to_string(), "the weight decay of AdamW is -0.1, but must be at least 0");
    assert_eq!(bits(negative.model()), before);
}
