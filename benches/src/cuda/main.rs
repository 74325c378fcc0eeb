//! Plywood on an NVIDIA GPU: whether it is right, and how fast it is.

mod errors;
mod layers;
mod losses;
mod networks;
mod optimizers;
mod parity;
mod precision;
mod report;
mod serve;
mod training;
mod workloads;

use plywood::Device;
use report::{Outcome, Report};
use std::fs::File;
use std::process::ExitCode;

const HELP: &str = "\
Usage: plywood-cuda check [NAME]...  check everything, or what has one of these in its name
       plywood-cuda losses           the losses of a hundred steps of each network, as lines of JSON
       plywood-cuda serve            times steps on request: `time W5 sgd high 0.2` on standard input

  --device D    cuda (as usual), cuda:1 or cpu
  --quick       few sizes and steps, as for an emulated GPU or a memory checker
  --json FILE   also write a line of JSON per check
";

fn run(arguments: &[String]) -> Outcome<bool> {
    let (mut device, mut quick, mut json, mut words) = ("cuda".to_owned(), false, None, Vec::new());
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().cloned().ok_or_else(|| format!("{argument} takes a value"));
        match argument.as_str() {
            "--device" => device = value()?,
            "--quick" => quick = true,
            "--json" => json = Some(File::create(value()?)?),
            option if option.starts_with("--") => return Err(format!("`{option}` is no option\n\n{HELP}").into()),
            word => words.push(word.to_owned()),
        }
    }
    let device: Device = device.parse()?;
    match words.split_first().map(|(command, rest)| (command.as_str(), rest)) {
        Some(("check", only)) => {
            println!("{device:#}\n");
            let mut report = Report::new(device, quick, only.to_vec(), json);
            layers::check(&mut report);
            losses::check(&mut report);
            optimizers::check(&mut report);
            networks::check(&mut report);
            training::check(&mut report);
            precision::check(&mut report);
            errors::check(&mut report);
            Ok(report.summary())
        }
        Some(("losses", [])) => networks::losses(&device).map(|()| true),
        Some(("serve", [])) => serve::serve(&device).map(|()| true),
        _ => Err(HELP.into()),
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(wrong) => {
            eprintln!("{wrong}");
            ExitCode::from(2)
        }
    }
}
