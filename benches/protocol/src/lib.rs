//! What Plywood and the peers in Rust share: the workloads with their numbers, the clock, and a line of JSON per result.
//!
//! `peers/protocol.py` is the same for the peers in Python.

mod data;
mod line;
mod measure;
mod noise;

pub use data::{Kind, Task, Workload};
pub use line::{Line, Machine, Row};
pub use measure::measure;

/// The largest relative difference of a loss to PyTorch's for the work to count as equal.
pub const EQUAL: f64 = 1e-4;

/// A row is noisy if other processes used more than this share of one core meanwhile.
pub const NOISY: f64 = 0.25;

/// A peer's `main`: measures each task given as argument (`W1:sgd W5:infer1`) for `BENCH_SECS` seconds.
///
/// `step` makes what runs one step with a learning rate and returns the loss (or, in inference, the first output);
/// `None` if the peer cannot do the task.
pub fn main(by: &str, step: impl Fn(&Task) -> Option<Box<dyn FnMut(f64) -> f32>>) {
    let number = |name: &str, default: f64| std::env::var(name).map_or(default, |v| v.parse().expect(name));
    for argument in std::env::args().skip(1) {
        let task: Task = argument.parse().unwrap_or_else(|wrong: String| panic!("{wrong}"));
        if let Some(mut step) = step(&task) {
            let row = measure(by, &task, number("BENCH_THREADS", 1.0) as usize, number("BENCH_SECS", 0.5), &mut *step);
            println!("{}", serde_json::to_string(&row).expect("a row is JSON"));
        }
    }
}
