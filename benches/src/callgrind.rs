//! Instructions of a training step, counted by valgrind: the same on every run, so that commits can be compared.

use crate::networks;
use plywood_bench_protocol::Task;
use std::collections::BTreeMap;
use std::error::Error;
use std::hint::black_box;
use std::process::Command;

/// More instructions than committed by this share are a mistake, or a decision.
const MORE: f64 = 0.05;

const TASKS: [&str; 2] = ["W1:sgd", "W3:sgd"];

/// Runs `n` steps and nothing else: what valgrind looks at.
pub(crate) fn steps(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let [task, n] = arguments else { return Err("steps takes a task and a number".into()) };
    let task: Task = task.parse()?;
    let mut step = networks::step(&task)?;
    for _ in 0..n.parse()? {
        black_box(step(task.workload.lr));
    }
    Ok(())
}

fn instructions(task: &str, steps: u64) -> Result<u64, Box<dyn Error>> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(["steps", task, &steps.to_string()])
        // Waiting threads would count as well.
        .env("PLYWOOD_NUM_THREADS", "1")
        .output()
        .map_err(|wrong| format!("valgrind does not start: {wrong}"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let count = text.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    count.filter(|_| output.status.success()).ok_or_else(|| format!("valgrind gave no count:\n{text}").into())
}

/// Compares with the committed counts, or writes them. The start of the program is subtracted.
pub(crate) fn run(update: bool) -> Result<bool, Box<dyn Error>> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/callgrind.json");
    let mut counts = BTreeMap::new();
    for task in TASKS {
        let (few, many) = (instructions(task, 10)?, instructions(task, 110)?);
        counts.insert(task, (many - few) / 100);
    }
    if update {
        std::fs::write(file, serde_json::to_string_pretty(&counts)? + "\n")?;
    }
    let committed: BTreeMap<String, u64> = serde_json::from_str(&std::fs::read_to_string(file)?)?;
    let mut good = true;
    for (task, count) in counts {
        let committed = *committed.get(task).ok_or_else(|| format!("{file} lacks {task}"))?;
        let change = count as f64 / committed as f64 - 1.0;
        let verdict = match change {
            _ if change > MORE => "too many; if they are wanted, run again with --update and commit the file",
            _ if change < -MORE => "fewer; run again with --update and commit the file, so that it stays so",
            _ => "as committed",
        };
        good &= change <= MORE;
        println!("{task}: {count} instructions a step, {committed} committed ({:+.1} %): {verdict}", 100.0 * change);
    }
    Ok(good)
}
