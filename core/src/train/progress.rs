//! What a training shows: a bar on a terminal, a line for every tenth of it elsewhere.

use super::Epoch;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Time between two drawings of the bar: nobody reads faster, and a short epoch should not wait for its terminal.
const REDRAW: Duration = Duration::from_millis(50);
/// Characters of the bar.
const WIDTH: usize = 16;

pub(super) enum Progress {
    Quiet,
    Lines {
        /// The number of the first epoch, less one, and how many there are.
        first: u64,
        epochs: u64,
    },
    Bar {
        first: u64,
        epochs: u64,
        begun: Instant,
        drawn: Option<Instant>,
        /// What the last epoch has to say, if that is not on the terminal yet.
        waiting: Option<String>,
    },
}

impl Progress {
    pub(super) fn new(quiet: bool, first: u64, epochs: u64) -> Self {
        if quiet {
            return Progress::Quiet;
        }
        // A terminal that calls itself dumb cannot go back to the start of a line.
        if std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb") {
            return Progress::Bar { first, epochs, begun: Instant::now(), drawn: None, waiting: None };
        }
        Progress::Lines { first, epochs }
    }

    /// Shows an epoch; `stop` if it is the last because nothing gets better.
    pub(super) fn epoch(&mut self, epoch: &Epoch, stop: bool) {
        let stopped = if stop { " | stopped early" } else { "" };
        match self {
            Progress::Quiet => {}
            Progress::Lines { first, epochs } => {
                let done = epoch.number - *first;
                let before = done - 1;
                let tenth = |done: u64| u128::from(done) * 10 / u128::from(*epochs);
                if stop || done == 1 || done == *epochs || tenth(done) > tenth(before) {
                    let last = first.saturating_add(*epochs);
                    let width = last.to_string().len();
                    print(&format!("epoch {:>width$}/{last}: {epoch}{stopped}\n", epoch.number));
                }
            }
            Progress::Bar { first, epochs, begun, drawn, waiting } => {
                let line = bar(epoch.number - *first, *epochs, &format!("{epoch}{stopped}"), begun.elapsed());
                if drawn.is_some_and(|drawn| drawn.elapsed() < REDRAW) {
                    *waiting = Some(line);
                } else {
                    (*drawn, *waiting) = (Some(Instant::now()), None);
                    print(&line);
                }
            }
        }
    }
}

impl Drop for Progress {
    /// Leaves the bar as it stands, also where an error ends the training.
    fn drop(&mut self) {
        if let Progress::Bar { drawn, waiting, .. } = self {
            if let Some(line) = waiting {
                print(line);
            }
            if drawn.is_some() {
                print("\n");
            }
        }
    }
}

/// The bar, from the start of the line on; what does not fit into the terminal's width is cut off.
fn bar(done: u64, epochs: u64, message: &str, elapsed: Duration) -> String {
    let filled = usize::try_from(u128::from(done) * WIDTH as u128 / u128::from(epochs.max(1))).unwrap_or(WIDTH);
    let (seconds, width) = (elapsed.as_secs(), epochs.to_string().len());
    let bar = "█".repeat(filled.min(WIDTH)) + &"░".repeat(WIDTH.saturating_sub(filled));
    let time = format!("{}:{:02}", seconds / 60, seconds % 60);
    format!("\r\x1b[?7l{bar} {done:>width$}/{epochs}  {message}  {time}\x1b[K\x1b[?7h")
}

fn print(text: &str) {
    // Nobody may be reading any more; that must not end the training.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_says_how_far_it_is() {
        let line = bar(3, 12, "loss 0.5", Duration::from_secs(61));
        assert_eq!(line, "\r\x1b[?7l████░░░░░░░░░░░░  3/12  loss 0.5  1:01\x1b[K\x1b[?7h");
        assert!(bar(u64::MAX, u64::MAX, "", Duration::ZERO).contains(&"█".repeat(WIDTH)));
    }
}
