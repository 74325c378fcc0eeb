//! What came of a network's steps on a GPU.

use super::executor::{Batch, Executor};
use super::tensor::element_at;
use crate::element::DType;
use crate::error::{Error, Result};
use crate::loss::{DeviceLoss, LossKind};

/// What the kernels keep of the losses: eight words, as `Stats` in their text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stats {
    /// Of the last step.
    pub(crate) loss: f64,
    /// Of all steps, each as often as it has samples, and how many these were.
    pub(crate) sum: f64,
    pub(crate) samples: f64,
    /// Right predictions, out of how many.
    pub(crate) correct: u64,
    pub(crate) of: u64,
    /// Not 0 if a loss was no finite number: then nothing was changed since.
    pub(crate) diverged: u64,
    pub(crate) steps: u64,
    /// The position of a target, or prediction, that is none.
    pub(crate) bad: Option<u64>,
    /// Another rank that had such a one.
    pub(crate) refused_by: Option<usize>,
}

impl Stats {
    /// `diverged`, where it is the norm of gradients to be clipped that was no finite number: `loss` is that norm.
    pub(crate) const BY_NORM: u64 = 2;
}

impl Executor {
    /// What came of the steps since the last time, once they are done, and how many of them changed nothing, because one
    /// before went wrong. Then it begins anew.
    pub(crate) fn take_stats(&mut self) -> Result<(Stats, i64)> {
        let stats = self.stats()?;
        #[cfg(feature = "nccl")]
        let stats = match &self.group {
            Some((group, _)) => group.combined(stats)?,
            None => stats,
        };
        self.stats.clear(self.gpu().0.stream)?;
        let queued = core::mem::take(&mut self.queued);
        if stats.diverged == 0 && stats.bad.is_none() && stats.refused_by.is_none() {
            return Ok((stats, 0));
        }
        // The counters of the settings stand still since then.
        self.written = None;
        Ok((stats, queued - i64::try_from(stats.steps).unwrap_or(queued)))
    }

    pub(super) fn stats(&self) -> Result<Stats> {
        let words = self.words()?;
        let [loss, sum, samples] = [0, 1, 2].map(|i| f64::from_bits(words[i]));
        let [.., correct, of, diverged, steps, bad] = words;
        Ok(Stats { loss, sum, samples, correct, of, diverged, steps, bad: bad.checked_sub(1), refused_by: None })
    }

    /// The statistics as they stand in memory.
    pub(super) fn words(&self) -> Result<[u64; 8]> {
        #[cfg(feature = "nccl")]
        if let Some((group, _)) = &self.group {
            group.wait_all()?;
        }
        let mut words = [0; 8];
        self.stats.read(bytemuck::cast_slice_mut(&mut words))?;
        Ok(words)
    }

    /// Whether the loss of the last step could be computed, where that depends on its predictions, or, if `labels` are asked for,
    /// on labels that were on the GPU already. Waits for the step.
    ///
    /// # Errors
    /// If it could not; the steps after it would change nothing.
    pub(crate) fn check(&self, loss: &DeviceLoss<'_>, labels: bool) -> Result<()> {
        let unseen = match loss.kind {
            LossKind::Bce => true,
            LossKind::CrossEntropy => labels && loss.target.there().is_some(),
            LossKind::Mse | LossKind::BceWithLogits | LossKind::CrossEntropyOfProbabilities => false,
        };
        if unseen && let Some(position) = self.stats()?.bad {
            return Err(self.refusal(loss, position)?);
        }
        Ok(())
    }

    /// The error for the target or prediction of the last step that is none.
    pub(crate) fn refusal(&self, loss: &DeviceLoss<'_>, position: u64) -> Result<Error> {
        let position = usize::try_from(position).unwrap_or(usize::MAX);
        let n = loss.batch * self.network.output;
        let of_batch = |batch: &&Batch| batch.space.batch == loss.batch;
        let output = || {
            let batch = self.batches.iter().filter(of_batch).max_by_key(|batch| batch.used);
            batch.expect("its predictions are there").space.output()
        };
        match self.network.real() {
            DType::F64 => loss.refusal(position, n, |index| element_at::<f64>(self.gpu(), output(), index)),
            _ => loss.refusal(position, n, |index| element_at::<f32>(self.gpu(), output(), index)),
        }
    }
}
