//! Training by several processes, each with a GPU and a part of each batch.

use super::Fit;
use super::on_gpu::there;
use super::trainer::Trainer;
use crate::backend::cuda::Communicator;
use crate::distributed::{Control, ProcessGroup};
use crate::element::Element;
use crate::error::{Error, MoveError, Result};
use crate::nn::Model;
use crate::optim::Optimizer;
use std::sync::Arc;

impl<M: Model, L, O: Optimizer<M::Elem>> Trainer<M, L, O> {
    /// The same trainer as one of a group, each with a GPU: `torch.nn.parallel.DistributedDataParallel`. All ranks must make
    /// this call, and the same calls of the trainer after it.
    ///
    /// The parameters become those of rank 0. Of each batch of [`fit`](Trainer::fit) and [`evaluate`](Trainer::evaluate),
    /// which are given the whole data set at every rank, rank r of n takes the rows from r/n to (r + 1)/n, rounded down; the
    /// gradients are added up before the optimizer's step, so that a step is that of one GPU on the whole batch. Losses and
    /// accuracies are those of the whole batch, too, and the same at every rank. To [`step`](Trainer::step), each rank gives
    /// rows of its own, which together are one batch. Only rank 0 shows its progress.
    ///
    /// If one rank cannot go on with its data, all stop before the optimizer's next step, and their fit ends with an error at
    /// the end of the epoch. If one is gone, the others notice when they wait for it.
    ///
    /// # Errors
    /// If the network is not on a GPU, differs from that of another rank in its number of parameters or their type, or the
    /// other ranks cannot be reached; the trainer is in the error, see [`MoveError`].
    ///
    /// ```no_run
    /// use plywood::distributed::ProcessGroup;
    /// use plywood::prelude::*;
    ///
    /// let group = ProcessGroup::from_env()?;
    /// let mut rng = Generator::manual_seed(0);
    /// let data: TensorDataset<Shape![2]> = plywood::data::make_moons(10_000).noise(0.1).generate(&mut rng)?;
    /// let model = sequential![Linear(2, 64), ReLU, Linear(64, 2)].init(&mut rng);
    /// let mut trainer = Trainer::new(model, CrossEntropyLoss, Adam::new(1e-3))
    ///     .on(&Device::cuda(group.local_rank())?)?
    ///     .data_parallel(&group)?;
    /// let history = trainer.fit(&data, Fit::epochs(10).batch(1024).shuffle(1))?;
    /// # Ok::<(), plywood::Error>(())
    /// ```
    #[allow(clippy::result_large_err, reason = "the value itself is as large")]
    pub fn data_parallel(mut self, group: &ProcessGroup) -> Result<Self, MoveError<Self>> {
        match self.connected(group) {
            Ok(communicator) => {
                self.group = Some(communicator);
                Ok(self)
            }
            Err(error) => Err(MoveError { value: self, error }),
        }
    }

    /// Connects the network to those of the other ranks, which all get the parameters of rank 0.
    fn connected(&self, group: &ProcessGroup) -> Result<Arc<Communicator>> {
        let parameters = there(&self.model)?;
        let layout = format!("{} parameters of {}", M::PARAMS, <M::Elem as Element>::DTYPE);
        group.control().agree("their networks", &layout)?;
        let communicator = group.communicator(parameters.gpu())?;
        communicator.broadcast(parameters)?;
        Ok(communicator)
    }

    /// Which rank this is, of how many.
    pub(super) fn ranks(&self) -> (usize, usize) {
        self.group.as_ref().map_or((0, 1), |group| (group.control().rank(), group.control().world_size()))
    }

    /// Checks that all ranks are about to do the same.
    pub(super) fn agree(&self, fit: Fit, samples: usize, validation: Option<usize>) -> Result<()> {
        let Some(group) = &self.group else { return Ok(()) };
        let fit = Fit { quiet: true, ..fit };
        let validation = validation.map_or_else(String::new, |samples| format!(" and {samples} to validate"));
        let what = format!("{samples} samples{validation}, {fit:?}, {} epochs before", self.epochs);
        let what = self.clip.map_or(what.clone(), |clip| format!("{what}, gradients clipped to {clip:?}"));
        group.control().agree("what they fit", &what)
    }

    /// How many samples all ranks give to a step; `None` is one that cannot.
    pub(super) fn samples_of_all(&self, own: Option<usize>) -> Result<Option<usize>> {
        let Some(group) = &self.group else { return Ok(own) };
        let samples = own.map_or(u64::MAX, |own| own as u64);
        let mut sum = Some(0);
        for (rank, bytes) in group.control().gather("a step", &samples.to_ne_bytes())?.iter().enumerate() {
            let samples = bytes.as_slice().try_into().map_or(u64::MAX, u64::from_ne_bytes);
            if samples == u64::MAX && own.is_some() {
                return Err(refused_by(group.control(), rank));
            }
            sum = sum.and_then(|sum: usize| sum.checked_add(usize::try_from(samples).ok()?));
        }
        Ok(sum)
    }
}

/// The error at the ranks that could have gone on.
pub(super) fn refused_by(control: &Control, rank: usize) -> Error {
    control.failure(format!("rank {rank} cannot go on with its data; its own error says why"))
}
