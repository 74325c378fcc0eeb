//! Checks by name: what each found, and whether all are good.

use plywood::{Device, Float};
use plywood_tests::compare::relative_error;
use serde_json::json;
use std::fs::File;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::Instant;

pub(crate) type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// Where the checks run, which of them, and what came of them.
pub(crate) struct Report {
    pub(crate) device: Device,
    /// Few sizes and few steps: for an emulated GPU, and for a memory checker.
    pub(crate) quick: bool,
    only: Vec<String>,
    json: Option<File>,
    good: usize,
    bad: Vec<String>,
}

/// The last panic's sentence and place.
static PANIC: Mutex<String> = Mutex::new(String::new());

impl Report {
    pub(crate) fn new(device: Device, quick: bool, only: Vec<String>, json: Option<File>) -> Self {
        std::panic::set_hook(Box::new(|panic| {
            *PANIC.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = panic.to_string().replace('\n', " ");
        }));
        Report { device, quick, only, json, good: 0, bad: Vec::new() }
    }

    /// One check; the numbers that it compares are within `bound`. A panic is a failure.
    pub(crate) fn check(&mut self, name: &str, bound: f64, work: impl FnOnce(&Device, &mut Worst) -> Outcome) {
        if !self.only.is_empty() && !self.only.iter().any(|only| name.contains(only.as_str())) {
            return;
        }
        let (start, mut worst) = (Instant::now(), Worst { bound, error: None, note: String::new() });
        let outcome = catch_unwind(AssertUnwindSafe(|| work(&self.device, &mut worst)));
        let seconds = start.elapsed().as_secs_f64();
        let wrong = match outcome {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(PANIC.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()),
        };
        let found = match worst.error {
            Some(error) => format!("{error:.1e} of {bound:.0e}"),
            None => String::new(),
        };
        let note = std::mem::take(&mut worst.note);
        match &wrong {
            None => println!("ok    {name:<72} {found:<16} {seconds:6.2} s  {note}"),
            Some(wrong) => println!("FAIL  {name:<72} {found:<16} {seconds:6.2} s  {wrong}"),
        }
        if let Some(file) = &mut self.json {
            let line = json!({
                "check": name, "ok": wrong.is_none(), "error": worst.error, "bound": bound, "seconds": seconds,
                "note": wrong.as_ref().unwrap_or(&note),
            });
            writeln!(file, "{line}").expect("the file of results can be written");
        }
        match wrong {
            None => self.good += 1,
            Some(_) => self.bad.push(name.to_owned()),
        }
    }

    /// The last line: whether all were good.
    pub(crate) fn summary(&self) -> bool {
        let count = self.good + self.bad.len();
        println!("\n{} of {count} checks are good on {:#}.", self.good, self.device);
        if !self.bad.is_empty() {
            println!("Not good:\n  {}", self.bad.join("\n  "));
        }
        self.bad.is_empty() && count > 0
    }
}

/// The largest error of a check so far.
pub(crate) struct Worst {
    bound: f64,
    error: Option<f64>,
    note: String,
}

impl Worst {
    /// Compares numbers of one tensor. An error is relative to the expected number or, where that is small, to the largest of
    /// the tensor (f32) or to a hundredth of it (f64): sums of terms that cancel are as far off as their terms are large.
    pub(crate) fn compare<E: Float>(&mut self, what: &str, got: &[E], expected: &[E]) -> Outcome {
        if got.len() != expected.len() {
            return Err(format!("{what}: {} numbers instead of {}", got.len(), expected.len()).into());
        }
        let wide = |x: &E| x.to_f64().unwrap_or(f64::NAN);
        let largest = expected.iter().map(wide).filter(|x| x.is_finite()).fold(0.0, |most, x: f64| x.abs().max(most));
        let floor = (largest / if size_of::<E>() == 4 { 1.0 } else { 100.0 }).max(f64::MIN_POSITIVE);
        for (i, (got, expected)) in got.iter().map(wide).zip(expected.iter().map(wide)).enumerate() {
            let error = relative_error(got, expected, floor);
            if self.error.is_none_or(|worst| error > worst) {
                self.error = Some(error);
            }
            if error > self.bound {
                return Err(format!("{what}: number {i} is {got:e} and not {expected:e}").into());
            }
        }
        Ok(())
    }

    /// An error that was computed elsewhere.
    pub(crate) fn found(&mut self, what: &str, error: f64) -> Outcome {
        self.error = Some(self.error.map_or(error, |worst| worst.max(error)));
        ensure(error <= self.bound, || format!("{what} is {error:.2e}"))
    }

    /// What else is to be said.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.note = note.into();
    }
}

/// An error unless the condition holds.
pub(crate) fn ensure(holds: bool, wrong: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(wrong().into()) }
}
