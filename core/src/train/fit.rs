/// How to go through the data: epochs, batches, order, output.
///
/// ```
/// use plywood::prelude::*;
///
/// let fit = Fit::epochs(60).batch(16).shuffle(42).quiet();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fit {
    pub(super) epochs: u64,
    pub(super) batch: usize,
    pub(super) seed: Option<u64>,
    pub(super) drop_last: bool,
    pub(super) quiet: bool,
    pub(super) patience: Option<u64>,
}

impl Fit {
    /// This many times through the data, in batches of 32, in the order of the data.
    #[must_use]
    pub fn epochs(epochs: u64) -> Self {
        Fit { epochs, batch: 32, seed: None, drop_last: false, quiet: false, patience: None }
    }

    /// Batches of this many samples; the last may have fewer.
    #[must_use]
    pub fn batch(self, samples: usize) -> Self {
        Fit { batch: samples, ..self }
    }

    /// In each epoch another random order, which this seed and the number of the epoch decide.
    #[must_use]
    pub fn shuffle(self, seed: u64) -> Self {
        Fit { seed: Some(seed), ..self }
    }

    /// Whether to leave out the last batch if it has fewer samples than the others. See [`History`](super::History).
    #[must_use]
    pub fn drop_last(self, drop_last: bool) -> Self {
        Fit { drop_last, ..self }
    }

    /// Stop when the loss (on the validation set, if there is one) has not been lower for this many epochs. The network
    /// stays as the last epoch left it. See [`History`](super::History).
    #[must_use]
    pub fn early_stop(self, patience: u64) -> Self {
        Fit { patience: Some(patience), ..self }
    }

    /// No progress bar and no lines.
    #[must_use]
    pub fn quiet(self) -> Self {
        Fit { quiet: true, ..self }
    }
}
