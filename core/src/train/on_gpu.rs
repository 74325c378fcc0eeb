//! Training on a GPU: steps are put one behind the other, and what came of them is read when it is needed.

use super::Evaluation;
use super::trainer::{Inputs, Outputs, Targets, Trainer};
use crate::backend::cuda::{Executor, Stats};
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
        self.model.buffer().memory().is_some()
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
        let loss = loss_of::<M, X, T, L>(&self.loss, x.shape(), target)?;
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
        let parameters = self.model.buffer().memory().expect("on a GPU");
        let update = self.optimizer.on_gpu(parameters.gpu(), M::PARAMS)?;
        let (executor, gradients) = self.workspace.executor(parameters)?;
        let gradients = gradients.buffer().memory().expect("on the GPU");
        executor.step(parameters, gradients, input(x), loss, weight, &update)?;
        self.optimizer.stepped(1);
        Ok(())
    }

    fn executor(&mut self) -> Result<&mut Executor> {
        let parameters = self.model.buffer().memory().expect("on a GPU");
        Ok(self.workspace.executor(parameters)?.0)
    }

    /// What came of the steps since the last time. With the last step's loss, an error names what it refused.
    fn settle(&mut self, loss: Option<&DeviceLoss<'_>>) -> Result<Stats> {
        let (stats, not_made) = self.executor()?.take_stats()?;
        self.optimizer.stepped(-not_made);
        if let (Some(loss), Some(position)) = (loss, stats.bad) {
            return Err(self.executor()?.refusal(loss, position)?);
        }
        if stats.diverged != 0 {
            return Err(Error::Diverged { loss: stats.loss, epoch: self.epochs + 1 });
        }
        Ok(stats)
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
        for rows in batches {
            data.gather_into(rows, &mut x, &mut target)?;
            let loss = loss_of::<M, Inputs<M>, _, L>(&self.loss, x.shape(), &target)?;
            let parameters = self.model.buffer().memory().expect("on a GPU");
            let (executor, _) = self.workspace.executor(parameters)?;
            executor.evaluate(parameters, input(&x), &loss, if L::MEAN { rows.len() as f64 } else { 1.0 })?;
            executor.check(&loss)?;
        }
        let (stats, _) = self.executor()?.take_stats()?;
        let loss = if stats.diverged != 0 { stats.loss } else { stats.sum / if L::MEAN { stats.samples } else { 1.0 } };
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
        for rows in loader.chunks(order) {
            // While the GPU computes the step before.
            train.gather_into(rows, x, target)?;
            let loss = loss_of::<M, Inputs<M>, _, L>(&self.loss, x.shape(), target);
            let loss = match loss {
                Ok(loss) => loss,
                Err(error) => return self.settle(None).and(Err(error)),
            };
            self.queue(x, &loss, if L::MEAN { rows.len() as f64 } else { 1.0 })?;
            if self.executor()?.check(&loss).is_err() {
                self.settle(Some(&loss))?;
            }
        }
        let stats = self.settle(None)?;
        self.epochs += 1;
        Ok(Evaluation { loss: stats.sum / if L::MEAN { stats.samples } else { 1.0 }, accuracy: accuracy(&stats) })
    }
}

fn accuracy(stats: &Stats) -> Option<f64> {
    (stats.of > 0).then(|| stats.correct as f64 / stats.of as f64)
}
