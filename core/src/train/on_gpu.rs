//! Training on a GPU: steps are put one behind the other, and what came of them is read when it is needed.

use super::Evaluation;
use super::trainer::{Inputs, Outputs, Targets, Trainer};
use crate::backend::cuda::{Executor, Memory, Stats, Update};
use crate::data::{Batch, DataLoader, TensorDataset};
use crate::element::{Element, Float};
use crate::error::{Error, Result};
use crate::loss::{DeviceLoss, Loss};
use crate::nn::on_gpu::{input, loss_of};
use crate::nn::{Layer, Model};
use crate::optim::Optimizer;
use crate::shape::{Features, InputOf};
use crate::tensor::{Storage, Tensor};

impl<M: Model, L, O: Optimizer<M::Elem>> Trainer<M, L, O> {
    pub(super) fn is_on_gpu(&self) -> bool {
        self.model.buffer().memory().is_some() || self.is_parallel()
    }

    /// Whether other ranks train along.
    #[cfg(feature = "nccl")]
    fn is_parallel(&self) -> bool {
        self.group.is_some()
    }

    #[cfg(not(feature = "nccl"))]
    fn is_parallel(&self) -> bool {
        false
    }

    /// This rank's part of the rows of a batch.
    fn own<'r>(&self, rows: &'r [usize]) -> &'r [usize] {
        #[cfg(feature = "nccl")]
        let (rank, ranks) = self.ranks();
        #[cfg(not(feature = "nccl"))]
        let (rank, ranks) = (0, 1);
        &rows[rows.len() * rank / ranks..rows.len() * (rank + 1) / ranks]
    }

    /// This rank cannot go on with its data: the others learn it.
    fn refuse(&mut self) -> Result<()> {
        #[cfg(feature = "nccl")]
        if self.is_parallel() {
            self.executor()?.refuse()?;
        }
        Ok(())
    }

    /// [`Trainer::steps`].
    pub(super) fn steps_on_gpu<X, B, T>(
        &mut self,
        x: &Tensor<X, M::Elem, B>,
        target: &T,
        steps: usize,
    ) -> Result<M::Elem>
    where
        X: InputOf<M, Inputs<M>>,
        B: Storage<M::Elem>,
        L: Loss<X::Of<M::Output>, T, M::Elem>,
    {
        let loss = loss_of::<M, X, T, L>(&self.loss, x.shape(), target);
        #[cfg(feature = "nccl")]
        let samples = self.samples_of_all(loss.as_ref().ok().map(|loss| loss.batch))?;
        let loss = loss?;
        #[cfg(feature = "nccl")]
        let loss = part_of(loss, samples.unwrap_or_default(), L::MEAN);
        for _ in 0..steps {
            self.queue(x, &loss, 1.0)?;
        }
        let stats = self.settle(Some(&loss))?;
        Ok(M::Elem::of(stats.loss))
    }

    /// One step behind all others.
    fn queue<X, B>(&mut self, x: &Tensor<X, M::Elem, B>, loss: &DeviceLoss<'_>, weight: f64) -> Result<()>
    where
        X: InputOf<M, Inputs<M>>,
        B: Storage<M::Elem>,
    {
        self.executor()?;
        let parameters = there(&self.model)?;
        if let Some(clip) = self.clip {
            clip.check()?;
        }
        let update = Update { clip: self.clip, ..self.optimizer.on_gpu(parameters.gpu(), M::PARAMS)? };
        let (executor, gradients) = self.workspace.executor(parameters)?;
        let gradients = gradients.buffer().memory().expect("on the GPU");
        let made = executor.step(parameters, gradients, input(x), loss, weight, &update);
        #[cfg(feature = "nccl")]
        if made.is_err() {
            executor.leave();
        }
        made?;
        self.optimizer.stepped(1);
        Ok(())
    }

    fn executor(&mut self) -> Result<&mut Executor> {
        let (executor, _) = self.workspace.executor(there(&self.model)?)?;
        #[cfg(feature = "nccl")]
        if let Some(group) = &self.group {
            executor.join(group)?;
        }
        Ok(executor)
    }

    /// What came of the steps of all ranks since the last time, and how many of them changed nothing.
    fn take_stats(&mut self) -> Result<(Stats, i64)> {
        let executor = self.executor()?;
        let taken = executor.take_stats();
        #[cfg(feature = "nccl")]
        if taken.is_err() {
            executor.leave();
        }
        taken
    }

    /// The error where another rank could not go on.
    #[cfg_attr(not(feature = "nccl"), allow(unused_variables, clippy::unused_self))]
    fn check_others(&self, stats: &Stats) -> Result<()> {
        #[cfg(feature = "nccl")]
        if let (Some(group), Some(rank)) = (&self.group, stats.refused_by) {
            return Err(super::parallel::refused_by(group.control(), rank));
        }
        Ok(())
    }

    /// What came of the steps since the last time. With the last step's loss, an error names what it refused.
    fn settle(&mut self, loss: Option<&DeviceLoss<'_>>) -> Result<Stats> {
        let (stats, not_made) = self.take_stats()?;
        self.optimizer.stepped(-not_made);
        self.check_others(&stats)?;
        if let (Some(loss), Some(position)) = (loss, stats.bad) {
            return Err(self.executor()?.refusal(loss, position)?);
        }
        match stats.diverged {
            0 => Ok(stats),
            Stats::BY_NORM => Err(Error::GradientNorm { norm: stats.loss }),
            _ => Err(Error::Diverged { loss: stats.loss, epoch: self.epochs + 1 }),
        }
    }

    /// [`Trainer::evaluate`] of these rows of the data.
    pub(super) fn evaluate_on_gpu<'o, Y, T>(
        &mut self,
        data: &TensorDataset<<M as Layer>::Input, Y, M::Elem, T>,
        batches: impl Iterator<Item = &'o [usize]>,
    ) -> Result<Evaluation>
    where
        Y: Features,
        T: Element,
        Inputs<M>: InputOf<M, Inputs<M>>,
        L: Loss<Outputs<M>, Targets<Y, T>, M::Elem>,
    {
        let (mut x, mut target) = data.gather(&[])?;
        let mut failed = None;
        for rows in batches {
            let rows = self.own(rows);
            if rows.is_empty() && self.is_parallel() {
                continue;
            }
            data.gather_into(rows, &mut x, &mut target)?;
            let evaluated = loss_of::<M, Inputs<M>, _, L>(&self.loss, x.shape(), &target).and_then(|loss| {
                let parameters = there(&self.model)?;
                let (executor, _) = self.workspace.executor(parameters)?;
                executor.evaluate(parameters, input(&x), &loss, if L::MEAN { rows.len() as f64 } else { 1.0 })?;
                executor.check(&loss, true)
            });
            if let Err(error) = evaluated {
                self.refuse()?;
                failed = Some(error);
                break;
            }
        }
        let (stats, _) = self.take_stats()?;
        if let Some(error) = failed {
            return Err(error);
        }
        self.check_others(&stats)?;
        let loss =
            if stats.diverged != 0 { stats.loss } else { stats.sum / if L::MEAN { data.len() as f64 } else { 1.0 } };
        Ok(Evaluation { loss, accuracy: accuracy(&stats) })
    }

    /// One epoch of [`Trainer::fit`].
    pub(super) fn epoch_on_gpu<Y, T>(
        &mut self,
        train: &TensorDataset<<M as Layer>::Input, Y, M::Elem, T>,
        loader: &DataLoader<'_, <M as Layer>::Input, Y, M::Elem, T>,
        (x, target): &mut Batch<<M as Layer>::Input, Y, M::Elem, T>,
        order: &[usize],
    ) -> Result<Evaluation>
    where
        Y: Features,
        T: Element,
        Inputs<M>: InputOf<M, Inputs<M>>,
        L: Loss<Outputs<M>, Targets<Y, T>, M::Elem>,
    {
        // With an error of its own, a rank goes on without samples: the others wait for it in every step.
        let mut failed = None;
        for rows in loader.chunks(order) {
            let mut own = if failed.is_none() { self.own(rows) } else { &[] };
            let loss = loop {
                // While the GPU computes the step before.
                train.gather_into(own, x, target)?;
                match loss_of::<M, Inputs<M>, _, L>(&self.loss, x.shape(), target) {
                    Ok(loss) => break loss,
                    Err(error) if self.is_parallel() && failed.is_none() => {
                        self.refuse()?;
                        (failed, own) = (Some(error), &[]);
                    }
                    Err(error) => return self.settle(None).and(Err(error)),
                }
            };
            let loss = if self.is_parallel() { part_of(loss, rows.len(), L::MEAN) } else { loss };
            self.queue(x, &loss, if L::MEAN { rows.len() as f64 } else { 1.0 })?;
            if failed.is_none()
                && let Err(error) = self.executor()?.check(&loss, false)
            {
                if self.is_parallel() {
                    failed = Some(error);
                } else {
                    self.settle(Some(&loss))?;
                }
            }
        }
        let stats = self.settle(None)?;
        if let Some(error) = failed {
            return Err(error);
        }
        if let Some(position) = stats.bad {
            // Labels that were on the GPU already. All steps after the first with one that is no class changed nothing.
            let step = usize::try_from(stats.steps).unwrap_or(usize::MAX);
            let rows = loader.chunks(order).nth(step).map_or(&[][..], |rows| self.own(rows));
            train.gather_into(rows, x, target)?;
            let loss = loss_of::<M, Inputs<M>, _, L>(&self.loss, x.shape(), target)?;
            return Err(self.executor()?.refusal(&loss, position)?);
        }
        self.epochs += 1;
        Ok(Evaluation { loss: stats.sum / if L::MEAN { stats.samples } else { 1.0 }, accuracy: accuracy(&stats) })
    }
}

/// The memory of a network that is trained on a GPU.
pub(super) fn there<M: Model>(model: &M) -> Result<&Memory> {
    model.buffer().memory().ok_or_else(|| Error::Devices {
        what: "the network",
        left: model.device().to_string(),
        other: "its training",
        right: "a GPU".to_owned(),
    })
}

/// The loss on a part of a batch of so many samples, such that the sum of all parts is the loss on the batch.
fn part_of(loss: DeviceLoss<'_>, samples: usize, mean: bool) -> DeviceLoss<'_> {
    let divisor = match loss.batch {
        _ if !mean => loss.divisor,
        0 => 1.0,
        own => loss.divisor / own as f64 * samples as f64,
    };
    DeviceLoss { divisor, ..loss }
}

fn accuracy(stats: &Stats) -> Option<f64> {
    (stats.of > 0).then(|| stats.correct as f64 / stats.of as f64)
}
