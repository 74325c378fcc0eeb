//! Plywood's workloads and the limits of the machine, measured now.

mod callgrind;
mod compile;
mod floors;
mod networks;
mod sweep;
mod table;

use plywood::Precision;
use plywood_bench_protocol::{Line, Row, Task, measure};
use std::error::Error;
use std::io::IsTerminal;
use std::process::ExitCode;

const HELP: &str = "\
Usage: plywood-bench [TASK]...             measure tasks (W5, W4:adam, W1:infer1), or all of them
       plywood-bench compile               how long programs take to compile, and how large they are
       plywood-bench callgrind [--update]  count instructions by valgrind, against those of callgrind.json
       plywood-bench sweep SECS THREADS [TEXT]    networks of many shapes, those with this text; peers/sweep.py compares

  --rounds N      measure each task N times, in turn (3)
  --secs S        for S seconds a time (0.5)
  --threads N     on N threads (as many as Plywood takes by itself)
  --precision P   with products of f32 in this precision: highest (as usual), high, bf16
  --json          print a line of JSON per result instead of a table
  --against FILE  show the results of this file as well; can be given more than once
  --saved         measure nothing: show the files alone
";

struct Options {
    tasks: Vec<Task>,
    rounds: usize,
    secs: f64,
    threads: Option<usize>,
    json: bool,
    saved: bool,
    against: Vec<String>,
}

fn options(arguments: &[String]) -> Result<Options, Box<dyn Error>> {
    let mut options =
        Options { tasks: vec![], rounds: 3, secs: 0.5, threads: None, json: false, saved: false, against: vec![] };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} takes a value"));
        match argument.as_str() {
            "--rounds" => options.rounds = value()?.parse()?,
            "--secs" => options.secs = value()?.parse()?,
            "--threads" => options.threads = Some(value()?.parse()?),
            "--precision" => plywood::set_float32_matmul_precision(precision(value()?)?),
            "--json" => options.json = true,
            "--saved" => options.saved = true,
            "--against" => options.against.push(value()?.clone()),
            task => options.tasks.push(task.parse().map_err(|wrong| format!("{wrong}\n\n{HELP}"))?),
        }
    }
    if options.tasks.is_empty() {
        options.tasks = Task::all();
    }
    Ok(options)
}

fn precision(name: &str) -> Result<Precision, String> {
    match name {
        "highest" => Ok(Precision::Highest),
        "high" => Ok(Precision::High),
        "bf16" => Ok(Precision::Bf16),
        _ => Err(format!("the precision is {name}, but must be highest, high or bf16")),
    }
}

/// The lines of a file of results.
fn read(file: &str) -> Result<Vec<Line>, Box<dyn Error>> {
    let text = std::fs::read_to_string(file).map_err(|wrong| format!("{file}: {wrong}"))?;
    let line =
        |(i, line)| serde_json::from_str(line).map_err(|wrong| format!("{file}, line {}: {wrong}", i + 1).into());
    text.lines().enumerate().map(line).collect()
}

/// Every task once a round, and the limits of the machine beside them.
fn rounds(options: &Options) -> Result<Vec<Line>, Box<dyn Error>> {
    let threads = plywood::num_threads();
    let mut lines = Vec::new();
    for round in 1..=options.rounds {
        let machine = floors::machine(threads);
        for task in &options.tasks {
            if std::io::stderr().is_terminal() {
                eprint!("\r\x1b[Kround {round} of {}: {task} ", options.rounds);
            }
            let mut step = networks::step(task)?;
            let row = measure("plywood", task, threads, options.secs, &mut *step);
            lines.push(Line::Row(Row { floor_us: Some(floors::floor_us(task, &machine)), ..row }));
        }
        lines.push(Line::Machine(machine));
    }
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K");
    }
    Ok(lines)
}

fn run(arguments: &[String]) -> Result<bool, Box<dyn Error>> {
    match arguments.split_first().map(|(first, others)| (first.as_str(), others)) {
        Some(("compile", [])) => return compile::run().map(|()| true),
        Some(("callgrind", [])) => return callgrind::run(false),
        Some(("callgrind", [update])) if update == "--update" => return callgrind::run(true),
        Some(("sweep", [secs, threads, with @ ..])) => {
            plywood::set_num_threads(threads.parse()?)?;
            return sweep::run(secs.parse()?, with.first().map_or("", |with| with)).map(|()| true);
        }
        Some(("steps", arguments)) => return callgrind::steps(arguments).map(|()| true),
        _ => {}
    }
    let options = options(arguments)?;
    if let Some(n) = options.threads {
        plywood::set_num_threads(n)?;
    }
    let own = if options.saved { vec![] } else { rounds(&options)? };
    let mut lines = own.clone();
    for file in &options.against {
        lines.extend(read(file)?);
    }
    if options.json {
        for line in table::summary(&lines) {
            println!("{}", serde_json::to_string(&line)?);
        }
    } else {
        print!("{}", table::print(&lines));
    }
    let equal = own.iter().all(|line| if let Line::Row(row) = line { table::equal(row) } else { true });
    if !equal {
        eprintln!("a row is marked ≠: its losses are not PyTorch's");
    }
    Ok(equal)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        print!("{HELP}");
        return ExitCode::SUCCESS;
    }
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(wrong) => {
            eprintln!("{wrong}");
            ExitCode::FAILURE
        }
    }
}
