//! What came of a network's steps on a GPU.

use super::executor::{Batch, Executor};
use super::memory::Memory;
use crate::error::{Error, Result};
use crate::loss::{DeviceLoss, LossKind, Target};
use cudarc::driver::sys::CUdeviceptr;

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

    /// Whether the last step's predictions were such that the loss could be computed, where that is not known before.
    ///
    /// # Errors
    /// If one was not; the steps after it would change nothing.
    pub(crate) fn check(&self, loss: &DeviceLoss<'_>) -> Result<()> {
        if loss.kind == LossKind::Bce
            && let Some(position) = self.stats()?.bad
        {
            return Err(self.refusal(loss, position)?);
        }
        Ok(())
    }

    /// The error for the target or prediction of the last step that is none.
    pub(crate) fn refusal(&self, loss: &DeviceLoss<'_>, position: u64) -> Result<Error> {
        let position = usize::try_from(position).unwrap_or(usize::MAX);
        let n = loss.batch * self.network.output;
        let place = |target: &Target<'_>, at: usize, size: usize| {
            target.there().map(|memory| memory.pointer() + (at * size) as u64)
        };
        if loss.kind == LossKind::CrossEntropy {
            let label = place(&loss.target, position, 4).map(|at| self.bytes(at, 4)).transpose()?;
            let label = label.map_or_else(
                || "none".to_owned(),
                |bytes| i32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]).to_string(),
            );
            return Ok(Error::Label { sample: position, label, classes: loss.classes });
        }
        let size = self.network.bytes_of(1);
        let of_batch = |batch: &&Batch| batch.space.batch == loss.batch;
        let output =
            self.batches.iter().filter(of_batch).max_by_key(|batch| batch.used).map(|batch| batch.space.output());
        let at = if position < n {
            output.map(|output| output + (position * size) as u64)
        } else {
            place(&loss.target, position - n, size)
        };
        let value = match at.map(|at| self.bytes(at, size)).transpose()? {
            Some(bytes) if size == 8 => f64::from_ne_bytes(bytes),
            Some(bytes) => f64::from(f32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])),
            None => f64::NAN,
        };
        Ok(crate::loss::no_probability(position < n, if position < n { position } else { position - n }, value))
    }

    /// Up to eight bytes of the GPU's memory.
    fn bytes(&self, at: CUdeviceptr, size: usize) -> Result<[u8; 8]> {
        let copy = Memory::new(self.gpu(), size)?;
        copy.write_from(0, at, size, self.gpu().0.stream)?;
        let mut bytes = [0; 8];
        copy.read(&mut bytes[..size])?;
        Ok(bytes)
    }
}
