//! How much of the machine others used, from Linux's `/proc`; 0 where there is none.

use std::fs::read_to_string;
use std::time::Instant;

pub(crate) struct Noise {
    start: Instant,
    others: f64,
}

impl Noise {
    pub(crate) fn start() -> Self {
        Noise { start: Instant::now(), others: others().unwrap_or(0.0) }
    }

    /// Cores used by other processes, or taken by the host, since the start.
    pub(crate) fn cores(&self) -> f64 {
        let used = others().unwrap_or(0.0) - self.others;
        (used / self.start.elapsed().as_secs_f64()).max(0.0)
    }
}

/// Seconds of processor time that are not this process's.
fn others() -> Option<f64> {
    let ticks = |text: &str, fields: &[usize]| -> Option<f64> {
        let all: Vec<f64> = text.split_whitespace().map(|field| field.parse().unwrap_or(0.0)).collect();
        fields.iter().map(|field| all.get(*field)).sum()
    };
    // user, nice, system, irq, softirq, steal
    let machine = ticks(read_to_string("/proc/stat").ok()?.lines().next()?, &[1, 2, 3, 6, 7, 8])?;
    // utime and stime, counted after the name, which may hold spaces
    let own = ticks(read_to_string("/proc/self/stat").ok()?.rsplit(')').next()?, &[11, 12])?;
    Some((machine - own) / 100.0)
}
