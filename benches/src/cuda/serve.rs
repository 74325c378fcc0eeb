//! Timings on request, so that another program can be timed by turns with this one.
//!
//! A line of standard input asks for something, a line of JSON answers: `losses W5 sgd high` for the losses of the first steps
//! from the initial parameters (or, of `infer`, for the first output), `time W5 sgd high 0.2` for microseconds a step, measured
//! for so many seconds.

use crate::report::Outcome;
use crate::workloads::{self, Run};
use plywood::prelude::*;
use plywood::{Precision, set_float32_matmul_precision};
use plywood_bench_protocol::Task;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::time::Instant;

/// The checked steps.
const CHECKED: usize = 20;
/// Samples of a timing.
const SAMPLES: usize = 5;

pub(crate) fn serve(device: &Device) -> Outcome {
    let mut runs = HashMap::new();
    println!("{}", json!({ "device": format!("{device:#}") }));
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let answer = answer(device, &mut runs, &words).unwrap_or_else(|wrong| json!({ "error": wrong.to_string() }));
        println!("{answer}");
        std::io::stdout().flush()?;
    }
    Ok(())
}

fn answer(device: &Device, runs: &mut HashMap<String, Box<dyn Run>>, words: &[&str]) -> Outcome<Value> {
    let [what, name, kind, precision, ..] = *words else { return Err("four words, or five, are a request".into()) };
    set_float32_matmul_precision(match precision {
        "highest" => Precision::Highest,
        "high" => Precision::High,
        "bf16" => Precision::Bf16,
        _ => return Err(format!("`{precision}` is no precision").into()),
    });
    let task: Task = format!("{name}:{}", if kind == "adam" { "adam" } else { "sgd" }).parse()?;
    let new = || workloads::run(&task.workload, kind == "adam", device);
    let [checked, timed] = task.learning_rates();
    if what == "losses" {
        let mut run = new()?;
        let losses = match kind {
            "infer" => vec![run.infer(1)?],
            _ => (0..CHECKED).map(|_| run.train(checked, 1)).collect::<Outcome<_>>()?,
        };
        return Ok(json!({ "losses": losses }));
    }
    let (what, secs) = match words {
        ["time", _, _, _, secs] => ("time", secs.parse::<f64>()?),
        _ => return Err(format!("`{what}` is no request").into()),
    };
    let key = format!("{what} {name} {kind} {precision}");
    if !runs.contains_key(&key) {
        runs.insert(key.clone(), new()?);
    }
    let run = runs.get_mut(&key).expect("just made");
    let mut steps = |n: usize| -> Outcome<f64> {
        let start = Instant::now();
        if kind == "infer" {
            run.infer(n)?
        } else {
            run.train(timed, n)?
        };
        Ok(start.elapsed().as_secs_f64())
    };
    // The first steps choose how products are computed, and are recorded.
    steps(3)?;
    let (mut n, mut time) = (1, steps(1)?);
    while time < 0.02 * secs {
        n *= 2;
        time = steps(n)?;
    }
    let n = ((secs / SAMPLES as f64 / time * n as f64) as usize).max(1);
    let mut samples = (0..SAMPLES).map(|_| Ok(steps(n)? * 1e6 / n as f64)).collect::<Outcome<Vec<f64>>>()?;
    samples.sort_by(f64::total_cmp);
    Ok(json!({ "us": samples[SAMPLES / 2], "steps": n }))
}
