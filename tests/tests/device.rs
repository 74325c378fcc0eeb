//! `Device::best` in a process of its own, told by the environment where to compute.

use plywood::prelude::*;
use std::process::Command;

/// What `Device::best` gives where `PLYWOOD_DEVICE` is this.
fn best(variable: Option<&str>) -> String {
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command.args(["--exact", "shows_the_best_device", "--ignored", "--nocapture"]).env_remove("PLYWOOD_DEVICE");
    if let Some(device) = variable {
        command.env("PLYWOOD_DEVICE", device);
    }
    let output = command.output().expect("a process");
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().find_map(|line| line.split_once("best: ")).expect("the test's line").1.to_owned()
}

#[test]
#[ignore = "run by the test below, each time in a process of its own"]
fn shows_the_best_device() {
    match Device::best() {
        Ok(device) => println!("best: {device}"),
        Err(error) => println!("best: {error}"),
    }
}

#[test]
fn the_environment_names_the_device() {
    assert_eq!(best(Some("cpu")), "cpu");
    assert!(best(Some("gpu")).starts_with("the environment variable PLYWOOD_DEVICE is `gpu`, but must be "));
    if !Device::cuda_is_available() {
        assert_eq!(best(None), "cpu");
        assert!(best(Some("cuda:0")).starts_with("the device `cuda:0` cannot be used: "));
    }
}

#[test]
fn nothing_is_copied_where_everything_is_there_already() {
    let x: Tensor<Shape![2]> = tensor![1.0, 2.0];
    let place = x.as_slice().as_ptr();
    let x = x.to(&Device::Cpu).unwrap();
    assert_eq!(x.as_slice().as_ptr(), place);
    assert_ne!(x.view().to(&x.device()).unwrap().as_slice().as_ptr(), place);

    let model = sequential![Linear(2, 3)].init(&mut Generator::manual_seed(0));
    let place = model.parameters().as_ptr();
    let trainer = Trainer::new(model.to(&Device::Cpu).unwrap(), MSELoss, SGD::new(0.1)).on(&Device::Cpu).unwrap();
    assert_eq!(trainer.model().parameters().as_ptr(), place);
    assert_eq!(trainer.model().device(), Device::Cpu);
}
