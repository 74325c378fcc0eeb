//! What a training shows: a bar on a terminal, a line for every tenth of it elsewhere.

use super::Epoch;
#[cfg(feature = "progress")]
use std::io::IsTerminal;
use std::io::Write;

pub(super) enum Progress {
    Quiet,
    Lines {
        /// The number of the first epoch, less one, and how many there are.
        first: u64,
        epochs: u64,
    },
    #[cfg(feature = "progress")]
    Bar(indicatif::ProgressBar),
}

impl Progress {
    pub(super) fn new(quiet: bool, first: u64, epochs: u64) -> Self {
        if quiet {
            return Progress::Quiet;
        }
        #[cfg(feature = "progress")]
        if std::io::stderr().is_terminal() {
            let bar = indicatif::ProgressBar::new(epochs);
            let style = "{bar:16} {pos}/{len}  {wide_msg}  {elapsed}";
            if let Ok(style) = indicatif::ProgressStyle::with_template(style) {
                bar.set_style(style);
            }
            return Progress::Bar(bar);
        }
        Progress::Lines { first, epochs }
    }

    /// Shows an epoch; `stop` if it is the last because nothing gets better.
    pub(super) fn epoch(&self, epoch: &Epoch, stop: bool) {
        let stopped = if stop { " | stopped early" } else { "" };
        match self {
            Progress::Quiet => {}
            Progress::Lines { first, epochs } => {
                let done = epoch.number - first;
                let before = done - 1;
                let tenth = |done: u64| u128::from(done) * 10 / u128::from(*epochs);
                if stop || done == 1 || done == *epochs || tenth(done) > tenth(before) {
                    let width = (first.saturating_add(*epochs)).to_string().len();
                    let line =
                        format!("epoch {:>width$}/{}: {epoch}{stopped}\n", epoch.number, first.saturating_add(*epochs));
                    // Nobody may be reading any more; that must not end the training.
                    let _ = std::io::stderr().write_all(line.as_bytes());
                }
            }
            #[cfg(feature = "progress")]
            Progress::Bar(bar) => {
                bar.set_message(format!("{epoch}{stopped}"));
                bar.inc(1);
            }
        }
    }
}

impl Drop for Progress {
    /// Leaves the bar as it stands, also where an error ends the training.
    fn drop(&mut self) {
        #[cfg(feature = "progress")]
        if let Progress::Bar(bar) = self {
            bar.abandon();
            let _ = std::io::stderr().write_all(b"\n");
        }
    }
}
