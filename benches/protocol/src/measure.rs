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
    // JSON has neither NaN nor infinity.
    let finite = |error: f64| if error.is_finite() { error } else { f64::MAX };
    let loss_error = task.losses().iter().map(error).map(finite).fold(0.0, f64::max);

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EQUAL;

    #[test]
    fn losses_are_compared_step_by_step() {
        let task: Task = "W2:sgd".parse().expect("a task");
        let error_of = |wrong: Option<(usize, f32)>| {
            let (losses, mut steps) = (task.losses(), 0..);
            let mut step = |_| {
                let at: usize = steps.next().expect("no end");
                let right = losses.get(at).map_or(0.0, |loss| *loss as f32);
                wrong.filter(|(step, _)| *step == at).map_or(right, |(_, factor)| right * factor)
            };
            let row = measure("nobody", &task, 1, 0.0, &mut step);
            assert!(serde_json::to_string(&row).expect("a row").contains("loss_error"));
            row.loss_error
        };
        assert!(error_of(None) < 1e-6);
        for wrong in [1.001, 0.999, f32::NAN, f32::INFINITY] {
            for at in [0, 10, 19] {
                let error = error_of(Some((at, wrong)));
                assert!(error > EQUAL && error.is_finite(), "{wrong} in step {at} gives {error}");
            }
        }
    }
}
