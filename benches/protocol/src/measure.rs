use crate::noise::Noise;
use crate::{Row, Task};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Checks the first steps against PyTorch's losses, then times steps.
///
/// As many steps make a sample as last half a millisecond, so that the clock costs nothing; samples are taken for
/// `secs` seconds, five at least, after a warm-up. The result is the median.
pub fn measure(by: &str, task: &Task, threads: usize, secs: f64, step: &mut dyn FnMut(f64) -> f32) -> Row {
    let [checked, timed] = task.learning_rates();
    let error = |expected: &f64| (f64::from(step(checked)) - expected).abs() / expected.abs();
    // Not `f64::max`, which would overlook a NaN.
    let loss_error = task.losses().iter().map(error).fold(0.0, |a, b| if b <= a { a } else { b });

    let (warm_up, mut warm) = (Instant::now(), 0);
    while warm < 2 || warm_up.elapsed() < Duration::from_secs_f64(0.2 * secs) {
        black_box(step(timed));
        warm += 1;
    }
    let steps = (0.0005 * f64::from(warm) / warm_up.elapsed().as_secs_f64()).max(1.0) as u32;

    let noise = Noise::start();
    let (start, mut samples) = (Instant::now(), Vec::new());
    while samples.len() < 5 || start.elapsed() < Duration::from_secs_f64(secs) {
        let sample = Instant::now();
        for _ in 0..steps {
            black_box(step(timed));
        }
        samples.push(sample.elapsed().as_secs_f64() * 1e6 / f64::from(steps));
    }
    let other = noise.cores();
    samples.sort_by(f64::total_cmp);
    let us = samples[samples.len() / 2];
    let (w, kind) = (task.workload.name.clone(), task.kind.to_string());
    Row { by: by.to_owned(), w, kind, us, min: us, max: us, threads, floor_us: None, loss_error, other }
}
