use super::progress::Progress;
use super::{Epoch, Evaluation, Fit, History};
use crate::backend::Device;
use crate::data::{Batch, DataLoader, TensorDataset};
use crate::dim::Dyn;
use crate::element::Element;
use crate::error::{Error, MoveError, Result};
use crate::loss::Loss;
use crate::nn::{self, Layer, Model, Workspace};
use crate::optim::{Clip, Optimizer};
use crate::shape::{Features, InputOf};
use crate::tensor::{Storage, Tensor};
use std::time::Instant;

/// The largest batch of an evaluation.
const EVALUATED_AT_ONCE: usize = 1024;

type Input<M> = <M as Layer>::Input;
/// A batch of any size of the network's inputs, of its outputs, and of targets of shape `Y`.
pub(super) type Inputs<M> = <Input<M> as Features>::Batched<Dyn>;
pub(super) type Outputs<M> = <Inputs<M> as InputOf<M, Inputs<M>>>::Of<<M as Layer>::Output>;
pub(super) type Targets<Y, T> = Tensor<<Y as Features>::Batched<Dyn>, T>;

/// A network with its loss and its optimizer, and the loop that trains it.
///
/// The same seeds give the same bits, and two `fit`s of 30 epochs are one of 60: the order of an epoch depends on the
/// seed and the number of the epoch alone. After the first epoch, training takes no more memory.
///
/// ```
/// use plywood::prelude::*;
///
/// // y = 2x + 1
/// let x: Tensor<Shape![_, 1]> = Tensor::from_vec((0..20).map(|i| i as f32 / 10.0).collect())?;
/// let y: Tensor<Shape![_, 1]> = &(&x * 2.0) + 1.0;
/// let data: TensorDataset<Shape![1], Shape![1], f32, f32> = TensorDataset::new(x, y)?;
///
/// let model = sequential![line: Linear(1, 1)].init(&mut Generator::manual_seed(0));
/// let mut trainer = Trainer::new(model, MSELoss, SGD::new(0.1));
/// let history = trainer.fit(&data, Fit::epochs(200).batch(5).shuffle(1).quiet())?;
///
/// assert!(history.losses()[199] < 1e-6);
/// assert!((trainer.model().line().bias().as_slice()[0] - 1.0).abs() < 1e-2);
/// # Ok::<(), plywood::Error>(())
/// ```
#[derive(Debug)]
pub struct Trainer<M: Model, L, O> {
    pub(super) model: M,
    pub(super) loss: L,
    pub(super) optimizer: O,
    pub(super) clip: Option<Clip>,
    pub(super) workspace: Workspace<M>,
    pub(super) epochs: u64,
    /// The ranks that train together. A recorded step of the workspace uses them: they go last.
    #[cfg(feature = "nccl")]
    pub(super) group: Option<std::sync::Arc<crate::backend::cuda::Communicator>>,
}

impl<M: Model, L, O: Optimizer<M::Elem>> Trainer<M, L, O> {
    /// A trainer that has seen no data.
    #[must_use]
    pub fn new(model: M, loss: L, optimizer: O) -> Self {
        Trainer {
            model,
            loss,
            optimizer,
            clip: None,
            workspace: Workspace::new(),
            epochs: 0,
            #[cfg(feature = "nccl")]
            group: None,
        }
    }

    /// Every step clips its gradients to this norm before the optimizer takes them, as
    /// [`Gradients::clip_grad_norm`](crate::nn::Gradients::clip_grad_norm) and `torch.nn.utils.clip_grad_norm_`.
    ///
    /// If the norm is no finite number, the step is an error and the parameters are as they were. Several GPUs clip what their
    /// gradients add up to. The last call of this and [`clip_grad_value`](Trainer::clip_grad_value) counts; a norm of infinity
    /// clips nothing.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let model = sequential![Linear(2, 3)].init(&mut Generator::manual_seed(0));
    /// let mut trainer = Trainer::new(model, CrossEntropyLoss, SGD::new(0.5)).clip_grad_norm(1.0);
    /// trainer.step(&tensor![[1.0, 0.0], [0.0, 1.0]], &tensor![2, 0])?;
    ///
    /// let wrong = trainer.clip_grad_norm(-1.0).step(&tensor![[1.0, 0.0]], &tensor![2]).unwrap_err();
    /// assert_eq!(wrong.to_string(), "the largest norm of the gradients is -1, but must be at least 0");
    /// # Ok::<(), plywood::Error>(())
    /// ```
    #[must_use]
    pub fn clip_grad_norm(self, max_norm: f64) -> Self {
        Trainer { clip: Some(Clip::Norm(max_norm)), ..self }
    }

    /// Every step brings each gradient into [−clip_value, clip_value] before the optimizer takes it, as
    /// [`Gradients::clip_grad_value`](crate::nn::Gradients::clip_grad_value) and `torch.nn.utils.clip_grad_value_`.
    ///
    /// The last call of this and [`clip_grad_norm`](Trainer::clip_grad_norm) counts.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let model = sequential![line: Linear(1, 1)].init(&mut Generator::manual_seed(0));
    /// let before = model.line().bias().as_slice()[0];
    /// let mut trainer = Trainer::new(model, MSELoss, SGD::new(1.0)).clip_grad_value(0.5);
    /// trainer.step(&tensor![[1.0]], &tensor![[1e6]])?;
    /// assert_eq!(trainer.model().line().bias().as_slice()[0], before + 0.5);
    /// # Ok::<(), plywood::Error>(())
    /// ```
    #[must_use]
    pub fn clip_grad_value(self, clip_value: f64) -> Self {
        Trainer { clip: Some(Clip::Value(clip_value)), ..self }
    }

    /// The same trainer on this device; the network goes there with it.
    ///
    /// # Errors
    /// If the device's memory does not suffice, or it fails; the trainer is in the error, see [`MoveError`].
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let model = sequential![Linear(2, 3)].init(&mut Generator::manual_seed(0));
    /// let trainer = Trainer::new(model, CrossEntropyLoss, Adam::new(1e-3)).on(&Device::best()?)?;
    /// assert_eq!(trainer.model().device(), Device::best()?);
    /// # Ok::<(), plywood::Error>(())
    /// ```
    #[allow(clippy::result_large_err, reason = "the value itself is as large")]
    pub fn on(self, device: &Device) -> Result<Self, MoveError<Self>> {
        match self.model.to(device) {
            Ok(model) => Ok(Trainer { model, ..self }),
            Err(wrong) => Err(wrong.map(|model| Trainer { model, ..self })),
        }
    }

    /// The network as trained so far.
    #[must_use]
    pub fn model(&self) -> &M {
        &self.model
    }

    /// The network as trained so far.
    pub fn model_mut(&mut self) -> &mut M {
        &mut self.model
    }

    /// The network as trained so far, the trainer given up.
    #[must_use]
    pub fn into_model(self) -> M {
        self.model
    }

    /// The optimizer, to change its learning rate.
    pub fn optimizer_mut(&mut self) -> &mut O {
        &mut self.optimizer
    }

    /// How many epochs it has trained.
    #[must_use]
    pub fn epochs(&self) -> u64 {
        self.epochs
    }

    /// One step on one batch; gives the loss before it. Nothing is allocated after the first of the largest batch.
    ///
    /// # Errors
    /// If the loss cannot be computed or is not finite, or so is the norm of gradients that are to be clipped to one, or a
    /// setting of the optimizer or the clipping makes no sense. The parameters are as they were.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let model = sequential![Linear(2, 3)].init(&mut Generator::manual_seed(0));
    /// let mut trainer = Trainer::new(model, CrossEntropyLoss, SGD::new(0.5));
    /// let (x, labels) = (tensor![[1.0, 0.0], [0.0, 1.0]], tensor![2, 0]);
    /// let first = trainer.step(&x, &labels)?;
    /// trainer.optimizer_mut().set_learning_rate(0.1);
    /// assert!(trainer.step(&x, &labels)? < first);
    ///
    /// trainer.model_mut().parameters_mut().fill(0.0);
    /// let model = trainer.into_model();
    /// assert_eq!(model.forward(&x), Tensor::zeros());
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn step<X, B, T>(&mut self, x: &Tensor<X, M::Elem, B>, target: &T) -> Result<M::Elem>
    where
        X: InputOf<M, Inputs<M>>,
        B: Storage<M::Elem>,
        L: Loss<X::Of<M::Output>, T, M::Elem>,
    {
        #[cfg(feature = "cuda")]
        if self.is_on_gpu() {
            return self.steps_on_gpu(x, target, 1);
        }
        let Trainer { model, loss, optimizer, workspace, .. } = self;
        let epoch = self.epochs + 1;
        let check = |loss| match number(loss) {
            loss if loss.is_finite() => Ok(()),
            loss => Err(Error::Diverged { loss, epoch }),
        };
        // All gradients of a small network are still in a near cache after its backward pass.
        if !const { nn::is_small::<M>() }
            && self.clip.is_none()
            && let Some(value) =
                optimizer.descend(M::PARAMS, |descent| nn::step(model, workspace, x, target, loss, descent, check))?
        {
            return Ok(value);
        }
        let (value, gradients) = model.gradients_with(workspace, x, target, loss)?;
        check(value)?;
        if let Some(clip) = self.clip {
            clip.apply(gradients)?;
        }
        optimizer.step(model, gradients)?;
        Ok(value)
    }

    /// So many steps on the same batch, as one trains on a data set as a whole; gives the loss before the last.
    ///
    /// The same as that many times [`step`](Trainer::step), but on a GPU nothing waits for a loss until all are done.
    ///
    /// # Errors
    /// As [`step`](Trainer::step), or if there are no steps. The parameters are those before the step that failed.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let device = Device::best()?;
    /// let model = sequential![Linear(2, 3)].init(&mut Generator::manual_seed(0));
    /// let mut trainer = Trainer::new(model, CrossEntropyLoss, SGD::new(0.5)).on(&device)?;
    /// let x: Tensor<Shape![2, 2]> = tensor![[1.0, 0.0], [0.0, 1.0]].to(&device)?;
    /// let last = trainer.steps(&x, &tensor![2, 0], 100)?;
    /// assert!(last < 0.1);
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn steps<X, B, T>(&mut self, x: &Tensor<X, M::Elem, B>, target: &T, steps: usize) -> Result<M::Elem>
    where
        X: InputOf<M, Inputs<M>>,
        B: Storage<M::Elem>,
        L: Loss<X::Of<M::Output>, T, M::Elem>,
    {
        if steps == 0 {
            return Err(Error::Setting { what: "the number of steps", given: "0".to_owned(), expected: "at least 1" });
        }
        #[cfg(feature = "cuda")]
        if self.is_on_gpu() {
            return self.steps_on_gpu(x, target, steps);
        }
        for _ in 1..steps {
            self.step(x, target)?;
        }
        self.step(x, target)
    }

    /// Trains on a data set. Shows a progress bar on a terminal and plain lines otherwise, on standard error.
    ///
    /// # Errors
    /// If the data set is empty, the batch size is 0, the loss cannot be computed, or it is no longer finite: then the
    /// parameters are those that gave it.
    pub fn fit<Y, T>(&mut self, train: &TensorDataset<Input<M>, Y, M::Elem, T>, fit: Fit) -> Result<History>
    where
        Y: Features,
        T: Element,
        Inputs<M>: InputOf<M, Inputs<M>>,
        L: Loss<Outputs<M>, Targets<Y, T>, M::Elem>,
    {
        self.run(train, None, fit)
    }

    /// [`fit`](Trainer::fit) with a look at a second data set, which is not learned from, after each epoch. See
    /// [`History`].
    ///
    /// # Errors
    /// As [`fit`](Trainer::fit).
    pub fn fit_validated<Y, T>(
        &mut self,
        train: &TensorDataset<Input<M>, Y, M::Elem, T>,
        validation: &TensorDataset<Input<M>, Y, M::Elem, T>,
        fit: Fit,
    ) -> Result<History>
    where
        Y: Features,
        T: Element,
        Inputs<M>: InputOf<M, Inputs<M>>,
        L: Loss<Outputs<M>, Targets<Y, T>, M::Elem>,
    {
        self.run(train, Some(validation), fit)
    }

    /// The loss on a data set, and the accuracy where the loss is about classes. Nothing is learned. See [`History`].
    ///
    /// # Errors
    /// If the data set is empty or the loss cannot be computed.
    pub fn evaluate<Y, T>(&mut self, data: &TensorDataset<Input<M>, Y, M::Elem, T>) -> Result<Evaluation>
    where
        Y: Features,
        T: Element,
        Inputs<M>: InputOf<M, Inputs<M>>,
        L: Loss<Outputs<M>, Targets<Y, T>, M::Elem>,
    {
        not_empty("the data set of an evaluation", data)?;
        // In parts, so that the memory of a large set is not the memory of all its activations.
        let order: Vec<usize> = (0..data.len()).collect();
        #[cfg(feature = "cuda")]
        if self.is_on_gpu() {
            return self.evaluate_on_gpu(data, order.chunks(EVALUATED_AT_ONCE));
        }
        if data.device() != Device::Cpu {
            return Err(Error::Devices {
                what: "the network",
                left: self.model.device().to_string(),
                other: "its input",
                right: data.device().to_string(),
            });
        }
        let (mut x, mut target) = data.gather(&[])?;
        let (mut sum, mut correct) = (0.0, None);
        for rows in order.chunks(EVALUATED_AT_ONCE) {
            data.gather_into(rows, &mut x, &mut target)?;
            let y = self.model.forward_with(&mut self.workspace, &x);
            let loss = number(self.loss.forward(&y, &target)?);
            sum += if L::MEAN { loss * rows.len() as f64 } else { loss };
            correct = plus(correct, self.loss.correct(y, &target));
        }
        let loss = if L::MEAN { sum / data.len() as f64 } else { sum };
        Ok(Evaluation { loss, accuracy: correct.map(share) })
    }

    fn run<Y, T>(
        &mut self,
        train: &TensorDataset<Input<M>, Y, M::Elem, T>,
        validation: Option<&TensorDataset<Input<M>, Y, M::Elem, T>>,
        fit: Fit,
    ) -> Result<History>
    where
        Y: Features,
        T: Element,
        Inputs<M>: InputOf<M, Inputs<M>>,
        L: Loss<Outputs<M>, Targets<Y, T>, M::Elem>,
    {
        #[cfg(feature = "nccl")]
        self.agree(fit, train.len(), validation.map(TensorDataset::len))?;
        not_empty("the training set", train)?;
        if fit.batch == 0 {
            return Err(Error::Setting { what: "the batch of a fit", given: "0".to_owned(), expected: "at least 1" });
        }
        let mut loader = DataLoader::new(train).batch_size(fit.batch)?.drop_last(fit.drop_last);
        if let Some(seed) = fit.seed {
            loader = loader.shuffle(seed);
        }
        if loader.is_empty() {
            return Err(Error::Setting {
                what: "the batch size of a training that drops the last batch",
                given: fit.batch.to_string(),
                expected: "no more than the number of samples",
            });
        }
        let mut history = History::default();
        history.epochs.reserve(usize::try_from(fit.epochs).unwrap_or(0).min(1 << 16));
        let mut batch = train.gather(&[])?;
        let mut order = Vec::with_capacity(train.len());
        #[cfg(feature = "nccl")]
        let fit = Fit { quiet: fit.quiet || self.ranks().0 > 0, ..fit };
        let mut progress = Progress::new(fit.quiet, self.epochs, fit.epochs);
        let (mut best, mut waited) = (f64::INFINITY, 0);
        for _ in 0..fit.epochs {
            let start = Instant::now();
            let evaluation = self.epoch(train, &loader, &mut batch, &mut order)?;
            let validation = validation.map(|data| self.evaluate(data)).transpose()?;
            let epoch =
                Epoch { number: self.epochs, train: evaluation, validation, seconds: start.elapsed().as_secs_f64() };
            history.epochs.push(epoch);
            let loss = validation.unwrap_or(evaluation).loss;
            if loss < best {
                (best, waited) = (loss, 0);
            } else {
                waited += 1;
            }
            let stop = fit.patience.is_some_and(|patience| waited >= patience.max(1));
            progress.epoch(&epoch, stop);
            if stop {
                break;
            }
        }
        Ok(history)
    }

    fn epoch<Y, T>(
        &mut self,
        train: &TensorDataset<Input<M>, Y, M::Elem, T>,
        loader: &DataLoader<'_, Input<M>, Y, M::Elem, T>,
        batch: &mut Batch<Input<M>, Y, M::Elem, T>,
        order: &mut Vec<usize>,
    ) -> Result<Evaluation>
    where
        Y: Features,
        T: Element,
        Inputs<M>: InputOf<M, Inputs<M>>,
        L: Loss<Outputs<M>, Targets<Y, T>, M::Elem>,
    {
        loader.order_into(self.epochs, order);
        #[cfg(feature = "cuda")]
        if self.is_on_gpu() {
            return self.epoch_on_gpu(train, loader, batch, order);
        }
        let (x, target) = batch;
        let (mut sum, mut weight, mut correct) = (0.0, 0.0, None);
        for rows in loader.chunks(order) {
            train.gather_into(rows, x, target)?;
            let loss = number(self.step(x, target)?);
            // A mean is over the samples of its batch, of which the last may have fewer.
            let samples = if L::MEAN { rows.len() as f64 } else { 1.0 };
            sum += loss * samples;
            weight += samples;
            let y = self.workspace.output::<Inputs<M>>(x.shape());
            correct = plus(correct, self.loss.correct(y, target));
        }
        self.epochs += 1;
        Ok(Evaluation { loss: if L::MEAN { sum / weight } else { sum }, accuracy: correct.map(share) })
    }
}

/// Adds up (right, of); `None` is the beginning, or a loss that is not about classes.
fn plus(before: Option<(usize, usize)>, more: Option<(usize, usize)>) -> Option<(usize, usize)> {
    let (right, of) = before.unwrap_or_default();
    more.map(|more| (right + more.0, of + more.1))
}

fn share((right, of): (usize, usize)) -> f64 {
    right as f64 / of as f64
}

fn number<E: Element>(value: E) -> f64 {
    value.cast_to().unwrap_or(f64::NAN)
}

fn not_empty<X: Features, Y: Features, E: Element, T: Element>(
    what: &'static str,
    data: &TensorDataset<X, Y, E, T>,
) -> Result<()> {
    if data.is_empty() {
        return Err(Error::Setting { what, given: "empty".to_owned(), expected: "one sample or more" });
    }
    Ok(())
}
