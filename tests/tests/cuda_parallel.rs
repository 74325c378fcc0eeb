//! Training by several processes, each with a GPU, against training by one. Without GPUs and NCCL nothing is checked, unless
//! `PLYWOOD_REQUIRE_CUDA` is set and the first GPU is an emulated one.
#![cfg(feature = "nccl")]

use core::time::Duration;
use plywood::distributed::{ProcessGroup, Rendezvous};
use plywood::prelude::*;
use plywood_tests::gpu::is_emulated;
use std::net::TcpListener;
use std::process::{Command, Stdio};

/// In the process of a rank, the name of the test that it is for.
const TEST: &str = "PLYWOOD_TEST_OF_RANKS";

/// What a test's ranks said, each in a process of its own that runs the test again.
struct Said(Vec<String>);

impl Said {
    /// The lines of a rank that begin so, without that.
    fn lines<'a>(&'a self, rank: usize, beginning: &'a str) -> impl Iterator<Item = &'a str> {
        self.0[rank].lines().filter_map(move |line| line.strip_prefix(beginning)?.strip_prefix(": "))
    }

    fn line<'a>(&'a self, rank: usize, beginning: &'a str) -> &'a str {
        let mut lines = self.lines(rank, beginning);
        lines.next().unwrap_or_else(|| panic!("rank {rank} says nothing of {beginning}:\n{}", self.0[rank]))
    }

    fn numbers(&self, rank: usize, beginning: &str) -> Vec<f64> {
        self.line(rank, beginning).split_whitespace().map(|number| number.parse().unwrap()).collect()
    }
}

/// Whether this is the process of a rank.
fn is_rank(test: &str) -> bool {
    std::env::var(TEST).is_ok_and(|of| of == test)
}

/// Runs the test as so many ranks; `None` where there are not as many GPUs. Each rank gets some more variables.
fn ranks(test: &str, world_size: usize, variables: impl Fn(usize) -> Vec<(&'static str, String)>) -> Option<Said> {
    let required = std::env::var_os("PLYWOOD_REQUIRE_CUDA").is_some();
    let gpu = Device::cuda(0).inspect_err(|error| assert!(!required, "{error}"));
    let emulated = gpu.as_ref().is_ok_and(is_emulated);
    let usable = gpu.and_then(|_| if emulated { Ok(()) } else { Device::cuda(world_size - 1).map(|_| ()) });
    let alone =
        Rendezvous { rank: 0, world_size: 1, local_rank: 0, address: String::new(), timeout: Duration::from_secs(60) };
    if let Err(error) = usable.and_then(|()| ProcessGroup::new(&alone)) {
        assert!(!(required && emulated), "{error}");
        eprintln!("not checked: {error}");
        return None;
    }
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let run = |rank: usize| {
        Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture"])
            .env(TEST, test)
            .env("PLYWOOD_EMULATOR_DEVICES", world_size.to_string())
            .env("RANK", rank.to_string())
            .env("LOCAL_RANK", rank.to_string())
            .env("WORLD_SIZE", world_size.to_string())
            .env("MASTER_ADDR", "127.0.0.1")
            .env("MASTER_PORT", port.to_string())
            .env_remove("TORCHELASTIC_USE_AGENT_STORE")
            .envs(variables(rank))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let running: Vec<_> = (0..world_size).map(run).collect();
    let outputs = running.into_iter().enumerate().map(|(rank, process)| {
        let output = process.wait_with_output().unwrap();
        let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
        assert!(output.status.success(), "rank {rank}:\n{out}\n{err}");
        // The first line of a test begins behind its name.
        format!("{}\n{err}", out.replace(" ... ", " ...\n"))
    });
    Some(Said(outputs.collect()))
}

fn join() -> ProcessGroup {
    let timeout = Duration::from_secs(60);
    ProcessGroup::new(&Rendezvous { timeout, ..Rendezvous::from_env().unwrap() }).unwrap()
}

fn close(what: &str, got: &[f64], expected: &[f64]) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        let error = (got - expected).abs() / expected.abs().max(0.1);
        assert!(error < 1e-5, "{what}: number {i} is {got}, not {expected}");
    }
}

sequential! { #[derive(Debug)] struct Net { Linear(6, 20), Tanh, Linear(_, 3) } }
sequential! { #[derive(Debug)] struct Other { Linear(6, 21), Tanh, Linear(_, 3) } }
sequential! { struct Line { Linear(1, 1) } }
sequential! { #[derive(Debug)] struct Yes { Linear(6, 5), Tanh, Linear(_, 1), Sigmoid } }

fn inputs() -> Tensor<Shape![_, 6]> {
    Tensor::randn_of((Dyn(50), D), &mut Generator::manual_seed(3))
}

fn classes() -> TensorDataset<Shape![6], Shape![], f32, i64> {
    let x = inputs();
    let labels = x.rows().map(|row| i64::from(row.sum() > 0.0) + i64::from(row.max() > 1.0)).collect();
    TensorDataset::new(x, Tensor::<Shape![_], i64>::from_vec(labels).unwrap()).unwrap()
}

/// Batches of 16, of which the last has two samples: one for each of two ranks, and none for one of three.
const FIT: fn(u64) -> Fit = |epochs| Fit::epochs(epochs).batch(16).shuffle(3).quiet();

/// Trains a network on a GPU, alone or in a group, with another learning rate for the second fit: the losses and accuracies,
/// then the parameters.
macro_rules! train {
    ($Net:ident, $loss:expr, $optimizer:expr, $data:expr, $group:expr $(, $clip:ident($limit:literal))?) => {{
        let group: Option<&ProcessGroup> = $group;
        let (rank, device) = group.map_or((0, 0), |group| (group.rank(), group.local_rank()));
        // The other ranks begin elsewhere; they get what rank 0 has.
        let model = <$Net as Model>::init(&mut Generator::manual_seed(2 + rank as u64));
        let mut trainer = Trainer::new(model, $loss, $optimizer)$(.$clip($limit))?;
        trainer = trainer.on(&Device::cuda(device).unwrap()).unwrap();
        if let Some(group) = group {
            trainer = trainer.data_parallel(group).unwrap();
        }
        let data = $data;
        let mut epochs = trainer.fit(&data, FIT(3)).unwrap().epochs;
        let lr = trainer.optimizer_mut().learning_rate();
        trainer.optimizer_mut().set_learning_rate(lr / 3.0);
        epochs.extend(trainer.fit_validated(&data, &data, FIT(2)).unwrap().epochs);
        let mut numbers = Vec::new();
        for epoch in epochs {
            for evaluation in [Some(epoch.train), epoch.validation].into_iter().flatten() {
                numbers.extend([evaluation.loss, evaluation.accuracy.unwrap_or(-1.0)]);
            }
        }
        let model = trainer.into_model().to(&Device::Cpu).unwrap();
        numbers.extend(model.parameters().iter().map(|x| f64::from(*x)));
        numbers
    }};
}

/// Each training, by its name.
fn trainings(group: Option<&ProcessGroup>) -> Vec<(&'static str, Vec<f64>)> {
    let reals = || -> TensorDataset<Shape![6], Shape![3], f32, f32> {
        TensorDataset::new(inputs(), Tensor::<Shape![_, 3]>::randn_of((Dyn(50), D), &mut Generator::manual_seed(4)))
            .unwrap()
    };
    let yes_or_no = || -> TensorDataset<Shape![6], Shape![1], f32, f32> {
        let x = inputs();
        let yes = x.rows().map(|row| f32::from(u8::from(row.sum() > 0.0))).collect();
        TensorDataset::new(x, Tensor::<Shape![_, 1]>::from_vec(yes).unwrap()).unwrap()
    };
    vec![
        ("sgd", train!(Net, CrossEntropyLoss, SGD::new(0.1).momentum(0.9), classes(), group)),
        ("adam", train!(Net, CrossEntropyLoss, Adam::new(0.01), classes(), group)),
        ("a mean of numbers", train!(Net, MSELoss, SGD::new(0.1), reals(), group)),
        ("clipped", train!(Net, CrossEntropyLoss, SGD::new(0.5), classes(), group, clip_grad_norm(0.05))),
        ("a sum", train!(Net, MSELoss.sum(), SGD::new(0.001), reals(), group)),
        ("probabilities", train!(Yes, BCELoss, Adam::new(0.01), yes_or_no(), group)),
    ]
}

#[test]
fn several_ranks_are_one_gpu_with_the_whole_batch() {
    const TEST: &str = "several_ranks_are_one_gpu_with_the_whole_batch";
    if is_rank(TEST) {
        for (name, numbers) in trainings(Some(&join())) {
            let numbers: Vec<_> = numbers.iter().map(f64::to_string).collect();
            println!("{name}: {}", numbers.join(" "));
        }
        return;
    }
    let mut expected = None;
    for world_size in [1, 2, 3] {
        let Some(said) = ranks(TEST, world_size, |_| vec![]) else { return };
        for (name, expected) in expected.get_or_insert_with(|| trainings(None)) {
            let numbers = said.numbers(0, name);
            close(&format!("{name} of {world_size} ranks"), &numbers, expected);
            for rank in 1..world_size {
                assert_eq!(said.numbers(rank, name), numbers, "{name} of rank {rank}");
            }
        }
    }
}

#[test]
fn steps_are_of_the_samples_of_all_ranks() {
    const TEST: &str = "steps_are_of_the_samples_of_all_ranks";
    let data = classes();
    let parts = |rows: &[usize]| data.gather(rows).unwrap();
    let model = || Net::init(&mut Generator::manual_seed(2));
    if is_rank(TEST) {
        let group = join();
        let gpu = Device::cuda(group.local_rank()).unwrap();
        let mut trainer = Trainer::new(model(), CrossEntropyLoss, SGD::new(0.1)).on(&gpu).unwrap();
        trainer = trainer.data_parallel(&group).unwrap();
        let (x, labels) = if group.rank() == 0 { parts(&[0, 1, 2, 3, 4]) } else { parts(&[5, 6]) };
        let losses: Vec<_> = (0..6).map(|_| trainer.step(&x, &labels).unwrap().to_string()).collect();
        println!("losses: {}", losses.join(" "));
        // A label that is none, at one of them: both learn it, and can go on.
        let wrong: Tensor<Shape![_], i64> = labels.map(|label| if group.rank() == 0 { *label } else { 7 });
        println!("error: {}", trainer.step(&x, &wrong).unwrap_err());
        println!("after: {}", trainer.step(&x, &labels).unwrap());
        let line = Line::from_parameters(&[0.0, 0.5]).unwrap();
        let trainer = Trainer::new(line, MSELoss, SGD::new(0.1)).clip_grad_norm(1.0).on(&gpu).unwrap();
        let mut trainer = trainer.data_parallel(&group).unwrap();
        let zeros: Tensor<Shape![2, 1]> = Tensor::zeros();
        let y: Tensor<Shape![2, 1]> = Tensor::ones();
        let losses: Vec<_> = (0..4).map(|_| trainer.step(&zeros, &y).unwrap().to_string()).collect();
        println!("losses of a line: {}", losses.join(" "));
        // Of one rank: in f32 the loss is a number, but not its derivative.
        let wrong = (Tensor::full(1e30), Tensor::full(1e17));
        let (x, target) = if group.rank() == 0 { (zeros.clone(), y.clone()) } else { wrong };
        println!("norm: {}", trainer.step(&x, &target).unwrap_err());
        println!("line: {}", trainer.step(&zeros, &y).unwrap());
        return;
    }
    let Some(said) = ranks(TEST, 2, |_| vec![]) else { return };
    let mut trainer = Trainer::new(model(), CrossEntropyLoss, SGD::new(0.1));
    let (x, labels) = parts(&[0, 1, 2, 3, 4, 5, 6]);
    let mut step = || f64::from(trainer.step(&x, &labels).unwrap());
    let expected: Vec<f64> = (0..6).map(|_| step()).collect();
    let after = step();
    for rank in 0..2 {
        close("losses of steps", &said.numbers(rank, "losses"), &expected);
        close("the loss after an error", &said.numbers(rank, "after"), &[after]);
    }
    let mut line =
        Trainer::new(Line::from_parameters(&[0.0, 0.5]).unwrap(), MSELoss, SGD::new(0.1)).clip_grad_norm(1.0);
    let mut step = || f64::from(line.step(&Tensor::<Shape![4, 1]>::zeros(), &Tensor::<Shape![4, 1]>::ones()).unwrap());
    let expected: Vec<f64> = (0..4).map(|_| step()).collect();
    let after = step();
    for rank in 0..2 {
        close("losses of a line", &said.numbers(rank, "losses of a line"), &expected);
        let norm = said.line(rank, "norm");
        assert!(norm.starts_with("the norm of the gradients is "), "{norm}");
        close("the loss after the error", &said.numbers(rank, "line"), &[after]);
    }
    assert_eq!(said.line(0, "error"), "rank 0 of 2: rank 1 cannot go on with its data; its own error says why");
    assert_eq!(said.line(1, "error"), "the label of sample 0 is 7, but the network has 3 classes (0 to 2)");
}

#[test]
fn one_rank_that_cannot_go_on_stops_all() {
    const TEST: &str = "one_rank_that_cannot_go_on_stops_all";
    if is_rank(TEST) {
        let group = join();
        let (good, gpu) = (classes(), Device::cuda(group.local_rank()).unwrap());
        let wrong = good.targets().iter().enumerate().map(|(i, label)| if i == 26 { 9 } else { *label }).collect();
        let wrong: Tensor<Shape![_], i64> = Tensor::from_vec(wrong).unwrap();
        let wrong = TensorDataset::new(inputs(), wrong).unwrap();
        let trainer = |lr: f64| {
            let model = Net::init(&mut Generator::manual_seed(2));
            Trainer::new(model, CrossEntropyLoss, SGD::new(lr)).on(&gpu).unwrap().data_parallel(&group).unwrap()
        };
        let mut trainer_of_wrong = trainer(0.1);
        // Row 26 is in the second batch of 16, in the half of rank 1.
        let error = trainer_of_wrong.fit(&wrong, Fit::epochs(2).batch(16).quiet()).unwrap_err();
        println!("label: {error}");
        println!("evaluation: {}", trainer_of_wrong.evaluate(&wrong).unwrap_err());
        let loss = trainer_of_wrong.evaluate(&good).unwrap().loss;
        println!("loss: {loss}");
        println!("good: {:?}", trainer_of_wrong.fit(&good, FIT(2)).unwrap().losses());
        let model = trainer_of_wrong.into_model().to(&Device::Cpu).unwrap();
        println!("parameters: {:?}", model.parameters());
        println!("diverged: {}", trainer(1e38).fit(&good, FIT(5)).unwrap_err());
        return;
    }
    let Some(said) = ranks(TEST, 2, |_| vec![]) else { return };
    // One step was made.
    let mut alone = Trainer::new(Net::init(&mut Generator::manual_seed(2)), CrossEntropyLoss, SGD::new(0.1));
    let (x, labels) = classes().gather(&(0..16).collect::<Vec<_>>()).unwrap();
    alone.step(&x, &labels).unwrap();
    close("the loss after one step", &said.numbers(0, "loss"), &[alone.evaluate(&classes()).unwrap().loss]);
    let refused = "rank 0 of 2: rank 1 cannot go on with its data; its own error says why";
    assert_eq!([said.line(0, "label"), said.line(0, "evaluation")], [refused; 2]);
    assert_eq!(said.line(1, "label"), "the label of sample 2 is 9, but the network has 3 classes (0 to 2)");
    assert_eq!(said.line(1, "evaluation"), "the label of sample 1 is 9, but the network has 3 classes (0 to 2)");
    for line in ["loss", "good", "parameters", "diverged"] {
        assert_eq!(said.line(0, line), said.line(1, line));
    }
    assert!(said.line(0, "diverged").contains("loss"), "{}", said.line(0, "diverged"));
}

#[test]
fn what_ranks_do_not_agree_on_is_named() {
    const TEST: &str = "what_ranks_do_not_agree_on_is_named";
    if is_rank(TEST) {
        let group = join();
        let gpu = Device::cuda(group.local_rank()).unwrap();
        let rng = &mut Generator::manual_seed(2);
        let error = if group.rank() == 0 {
            let trainer = Trainer::new(Net::init(rng), CrossEntropyLoss, SGD::new(0.1));
            println!("cpu: {}", trainer.data_parallel(&group).unwrap_err());
            let trainer = Trainer::new(Net::init(rng), CrossEntropyLoss, SGD::new(0.1)).on(&gpu).unwrap();
            trainer.data_parallel(&group).unwrap_err().error
        } else {
            let trainer = Trainer::new(Other::init(rng), CrossEntropyLoss, SGD::new(0.1)).on(&gpu).unwrap();
            trainer.data_parallel(&group).unwrap_err().error
        };
        println!("networks: {error}");
        let trainer = Trainer::new(Net::init(rng), CrossEntropyLoss, SGD::new(0.1)).on(&gpu).unwrap();
        let mut trainer = trainer.data_parallel(&group).unwrap();
        let fit = Fit::epochs(2).batch(16 + group.rank()).quiet();
        println!("fits: {}", trainer.fit(&classes(), fit).unwrap_err());
        trainer = trainer.clip_grad_norm(1.0 + group.rank() as f64);
        println!("clips: {}", trainer.fit(&classes(), FIT(1)).unwrap_err());
        trainer = trainer.clip_grad_norm(1.0);
        *trainer.model_mut() = Net::init(rng);
        println!("moved: {}", trainer.fit(&classes(), FIT(1)).unwrap_err());
        return;
    }
    let Some(said) = ranks(TEST, 2, |_| vec![]) else { return };
    assert_eq!(said.line(0, "cpu"), "the network is on cpu, but its training on a GPU; `.to(&device)` moves either");
    for rank in 0..2 {
        assert_eq!(
            said.line(rank, "networks"),
            format!(
                "rank {rank} of 2: the ranks differ in their networks: rank 0 has 203 parameters of f32, but rank 1 has 213 parameters of f32"
            )
        );
        let fits = said.line(rank, "fits");
        assert!(
            fits.starts_with(&format!("rank {rank} of 2: the ranks differ in what they fit: rank 0 has 50 samples, ")),
            "{fits}"
        );
        assert!(fits.contains("batch: 16,") && fits.contains("batch: 17,"), "{fits}");
        let clips = said.line(rank, "clips");
        assert!(clips.contains("clipped to Norm(1.0)") && clips.contains("clipped to Norm(2.0)"), "{clips}");
        assert!(said.line(rank, "moved").starts_with("the network is on cpu"), "{}", said.line(rank, "moved"));
    }
}

#[test]
fn a_rank_that_fails_or_ends_is_noticed() {
    const TEST: &str = "a_rank_that_fails_or_ends_is_noticed";
    if is_rank(TEST) {
        let group = join();
        let gpu = Device::cuda(group.local_rank()).unwrap();
        let model = Net::init(&mut Generator::manual_seed(2));
        let trainer = Trainer::new(model, CrossEntropyLoss, SGD::new(0.1)).on(&gpu).unwrap();
        let mut trainer = trainer.data_parallel(&group).unwrap();
        if std::env::var_os("PLYWOOD_EMULATOR_FAIL").is_none() && group.rank() == 1 {
            std::process::exit(0);
        }
        println!("error: {}", trainer.fit(&classes(), FIT(20)).unwrap_err());
        println!("again: {}", trainer.fit(&classes(), FIT(1)).unwrap_err());
        return;
    }
    let Some(said) = ranks(TEST, 2, |_| vec![]) else { return };
    let left = "rank 0 of 2: rank 1 has ended or left the group; its own output says why";
    assert_eq!(said.line(0, "error"), left);
    // At rank 1 the third sum fails: that of the second step, which is recorded.
    let fails = |rank| if rank == 1 { "ncclAllReduce:3=3" } else { "ncclAllReduce:1000000=3" };
    let said = ranks(TEST, 2, |rank| vec![("PLYWOOD_EMULATOR_FAIL", fails(rank).to_owned())]).expect("as before");
    assert!(
        said.line(1, "error").starts_with("rank 1 of 2: adding up the gradients of all ranks failed: NCCL: "),
        "{}",
        said.line(1, "error")
    );
    let error = said.line(0, "error");
    let remote = "rank 0 of 2: adding up the gradients of all ranks failed: NCCL: remote process exited or there was a network error";
    assert!(error == left || error.starts_with(remote), "{error}");
    for rank in 0..2 {
        assert_eq!(said.line(rank, "again"), format!("rank {rank} of 2: it has left the group after an earlier error"));
    }
}

#[test]
fn a_library_that_is_missing_is_named() {
    const TEST: &str = "a_library_that_is_missing_is_named";
    if is_rank(TEST) {
        let address = "127.0.0.1:1".to_owned();
        let alone = Rendezvous { rank: 0, world_size: 1, local_rank: 0, address, timeout: Duration::from_secs(1) };
        if let Err(error) = ProcessGroup::new(&alone) {
            let error = error.to_string();
            let beginning = "rank 0 of 1: NCCL was not found: libnccl.so.2 was looked for where the system's loader looks and in /nowhere";
            assert!(error.starts_with(beginning), "{error}");
        }
        return;
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args([TEST, "--exact", "--nocapture"]).env(self::TEST, TEST).env("PLYWOOD_CUDA_LIBS", "/nowhere");
    assert!(child.env_remove("LD_LIBRARY_PATH").status().unwrap().success());
}
