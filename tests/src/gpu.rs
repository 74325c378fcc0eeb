//! The GPU that tests run on: a real one, or the emulated one, which can be told to fail.

use crate::compare::assert_close;
use plywood::nn::{Activate, Activation, Formula};
use plywood::{Device, Float};
use std::process::Command;

/// The first GPU; `None`, said aloud, where there is none.
///
/// # Panics
/// Where there is none, but `PLYWOOD_REQUIRE_CUDA` is set.
#[must_use]
pub fn gpu() -> Option<Device> {
    match Device::cuda(0) {
        Ok(gpu) => Some(gpu),
        Err(error) => {
            assert!(std::env::var_os("PLYWOOD_REQUIRE_CUDA").is_none(), "{error}");
            eprintln!("not checked: {error}");
            None
        }
    }
}

/// Whether it is an emulated one.
#[must_use]
pub fn is_emulated(gpu: &Device) -> bool {
    format!("{gpu:#}").contains("emulator")
}

/// The emulated GPU, told so by these variables, in a process that is for this test alone: that is started first, and this one
/// waits for it and gets `None`.
#[must_use]
pub fn emulated(test: &str, variables: &[(&str, &str)]) -> Option<Device> {
    gpu().filter(|gpu| is_emulated(gpu) && in_a_process_of_its_own(test, variables))
}

/// Whether this is a process started for one test, with these variables; otherwise starts it and waits for it.
///
/// # Panics
/// If that fails.
#[must_use]
pub fn in_a_process_of_its_own(test: &str, variables: &[(&str, &str)]) -> bool {
    output_of_a_process(test, variables).is_none()
}

/// Every number is the other, up to a share of itself or, where it is small, of a tenth of the largest.
///
/// # Panics
/// Where one is not.
pub fn close<E: Float>(what: &str, got: &[E], expected: &[E], tolerance: f64) {
    let expected: Vec<f64> = expected.iter().map(|x| x.to_f64().unwrap_or(f64::NAN)).collect();
    let largest = expected.iter().fold(1e-3, |largest: f64, x| largest.max(x.abs()));
    assert_close(what, got, &expected, largest * 0.1, tolerance);
}

/// x², with a formula for GPUs.
#[derive(Debug)]
pub struct SquareFn;

impl Activation for SquareFn {
    const KIND: &'static str = "Square";
    const FROM_OUTPUT: bool = false;
    const CUDA: Option<Formula> = Some(Formula { forward: "x * x", derivative: "a * v", constants: [2.0, 0.0] });
    fn forward<E: Float>(x: E) -> E {
        x * x
    }
    fn derivative<E: Float>(x: E) -> E {
        x + x
    }
}

/// A user's activation.
pub type Square<S> = Activate<SquareFn, S>;

/// What a process that is started for one test, with these variables, says; `None` if this is it.
///
/// # Panics
/// If it fails.
#[must_use]
pub fn output_of_a_process(test: &str, variables: &[(&str, &str)]) -> Option<String> {
    const CHILD: &str = "PLYWOOD_TEST_CHILD";
    if std::env::var(CHILD).is_ok_and(|child| child == test) {
        return None;
    }
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args([test, "--exact", "--nocapture"]).env(CHILD, test).envs(variables.iter().copied());
    let output = command.output().expect("a process");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    Some(text)
}

/// How often the emulated GPU ran a kernel or a library's function, as `PLYWOOD_EMULATOR_RUNS` makes it say.
///
/// # Panics
/// If that is no number.
#[must_use]
pub fn runs(text: &str, name: &str) -> usize {
    let line = format!("plywood emulator: {name} ran ");
    let count = text.lines().find_map(|said| said.strip_prefix(&line)?.strip_suffix(" times"));
    count.map_or(0, |count| count.parse().expect("a number"))
}
