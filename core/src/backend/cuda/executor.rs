//! A network's steps on a GPU: data goes up, the step runs as one graph, and what came of it is read when it is asked for.

use super::gpu::{Event, Gpu, Recording};
use super::kernels::{self, Kernel, Program};
use super::lane::{Lane, lane};
use super::memory::Memory;
#[cfg(feature = "nccl")]
use super::nccl::Communicator;
use super::network::{Network, Space, launch};
use super::optimizer::{Rule, Update};
use super::small::{Known, Operands};
use crate::element::DType;
use crate::error::{Error, Result};
use crate::loss::{DeviceLoss, LossKind, Target};
use crate::nn::LayerInfo;
use crate::optim::Clip;
use core::ffi::c_void;
use core::fmt::{self, Debug};
use cudarc::driver::sys::{CUdeviceptr, CUstream};
#[cfg(feature = "nccl")]
use std::sync::Arc;

/// The numbers of a batch: here, or on the GPU already.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Input<'a> {
    Here(&'a [u8]),
    There(&'a Memory),
}

/// Runs one network on a GPU, with memory for the sizes of batches that it has seen.
pub(crate) struct Executor {
    pub(super) layers: &'static [LayerInfo],
    pub(super) network: Network,
    losses: Losses,
    pub(super) stats: Memory,
    /// The optimizer's settings, as the kernels read them, and what was written there last.
    pub(super) settings: Memory,
    pub(super) written: Option<Rule>,
    /// The steps since the statistics were taken.
    pub(super) queued: i64,
    pub(super) batches: Vec<Batch>,
    used: u64,
    /// The ranks that train together, and what they agree on of their statistics. Recorded steps use them: they go first.
    #[cfg(feature = "nccl")]
    pub(super) group: Option<(Arc<Communicator>, Memory)>,
}

/// The kernels of losses.
struct Losses {
    mse: Kernel,
    bce: Kernel,
    bce_logits: Kernel,
    cross_entropy: Kernel,
    cross_entropy_soft: Kernel,
    finish: Kernel,
}

/// How many sizes of batches keep their memory: the usual one, the last one of an epoch, those of an evaluation.
const KEPT: usize = 4;
/// Blocks of a loss, each with a part sum.
pub(super) const PARTS: u32 = 256;

/// Memory and recordings for batches of one size.
pub(super) struct Batch {
    pub(super) space: Space,
    training: bool,
    slots: [Slot; 2],
    /// The slot for the next batch, while the GPU may still read the other one.
    next: usize,
    /// Part sums of a loss, and counts of right predictions.
    partial: Memory,
    hits: Memory,
    /// Whether a whole step was made, which chose how each product is computed: that cannot be tried while recording.
    pub(super) learned: bool,
    pub(super) small: Option<Known>,
    /// When it was used last.
    pub(super) used: u64,
}

/// Where numbers were that were on the GPU already, and in how many steps of a slot without a break.
#[derive(Default)]
struct Stay {
    at: CUdeviceptr,
    steps: u32,
}

/// After so many steps with numbers in one place, a recording reads them there: until then, copying them to a place of its own
/// costs less than another recording.
const STAYS: u32 = 16;

impl Stay {
    /// Whether it is worth a recording of its own. Such a one reads the place only in steps whose numbers are there: their
    /// memory is borrowed then, whoever had it before.
    fn lasts(&mut self, at: CUdeviceptr) -> bool {
        self.steps = if self.at == at { self.steps.saturating_add(1) } else { 0 };
        self.at = at;
        self.steps >= STAYS
    }
}

/// Where a batch's numbers go up.
#[derive(Default)]
struct Slot {
    x: Option<Lane>,
    target: Option<Lane>,
    /// Behind the last step that read the slot.
    read: Option<Event>,
    recorded: Option<(Recorded, Recording)>,
    x_stays: Stay,
    target_stays: Stay,
}

/// What a recording does; another step needs another one.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Recorded {
    loss: LossKind,
    divisor: f64,
    weight: f64,
    x: CUdeviceptr,
    target: CUdeviceptr,
    parameters: CUdeviceptr,
    gradients: CUdeviceptr,
    moments: [CUdeviceptr; 2],
    rule: &'static str,
    clip: Option<Clip>,
    precision: crate::Precision,
}

impl Executor {
    /// For the network of these layers.
    pub(crate) fn new(gpu: &Gpu, layers: &'static [LayerInfo], real: DType) -> Result<Self> {
        let losses = Program::new(kernels::LOSS, real);
        let kernel = |name| gpu.kernel(&losses, name);
        Ok(Executor {
            layers,
            network: Network::new(gpu, layers, real)?,
            losses: Losses {
                mse: kernel("mse")?,
                bce: kernel("bce")?,
                bce_logits: kernel("bce_logits")?,
                cross_entropy: kernel("cross_entropy")?,
                cross_entropy_soft: kernel("cross_entropy_soft")?,
                finish: kernel("loss_finish")?,
            },
            stats: Memory::zeros(gpu, 64)?,
            settings: Memory::zeros(gpu, Update::ROOM)?,
            written: None,
            queued: 0,
            batches: Vec::new(),
            used: 0,
            #[cfg(feature = "nccl")]
            group: None,
        })
    }

    /// Whether it is for the network of these layers.
    pub(super) fn runs(&self, layers: &[LayerInfo], real: DType) -> bool {
        core::ptr::eq(self.layers, layers) && self.network.real() == real
    }

    pub(crate) fn gpu(&self) -> &Gpu {
        self.network.gpu()
    }

    pub(super) fn network(&self) -> &Network {
        &self.network
    }

    /// The memory for batches of this size.
    fn batch(&mut self, batch: usize, training: bool) -> Result<usize> {
        self.used += 1;
        let used = self.used;
        let precision = crate::float32_matmul_precision();
        let fits = |kept: &Batch| {
            kept.space.batch == batch && kept.space.precision == precision && (kept.training || !training)
        };
        let kept = self.batches.iter().position(fits);
        if let Some(i) = kept {
            self.batches[i].used = used;
            return Ok(i);
        }
        self.batches.retain(|kept| kept.space.batch != batch);
        if self.batches.len() == KEPT {
            let oldest = (0..KEPT).min_by_key(|i| self.batches[*i].used).expect("some are kept");
            self.batches.swap_remove(oldest);
        }
        let gpu = self.network.gpu();
        let made = Batch {
            space: self.network.space(batch, training)?,
            training,
            slots: Default::default(),
            next: 0,
            partial: Memory::new(gpu, PARTS as usize * 8)?,
            hits: Memory::new(gpu, PARTS as usize * 8)?,
            learned: false,
            small: None,
            used,
        };
        self.batches.push(made);
        Ok(self.batches.len() - 1)
    }

    /// Brings a batch to the GPU: where its input and its target are, and the slot that they are in. What is there already
    /// is copied into the slot only if its place is to be `recorded` and changes from step to step.
    fn send(
        &mut self,
        i: usize,
        x: Input<'_>,
        target: Option<&Target<'_>>,
        recorded: bool,
    ) -> Result<(CUdeviceptr, CUdeviceptr, usize)> {
        let gpu = self.network.gpu().clone();
        gpu.enter()?;
        let bytes = self.network.bytes_of(self.batches[i].space.batch * self.network.input);
        let batch = &mut self.batches[i];
        let slot = batch.next;
        batch.next = 1 - slot;
        let Slot { x: x_lane, target: target_lane, read, x_stays, target_stays, .. } = &mut batch.slots[slot];
        let there = |to: &mut Option<Lane>, stays: &mut Stay, memory: &Memory, bytes| {
            if *memory.gpu() != gpu {
                return Err(Error::Devices {
                    what: "the network",
                    left: gpu.to_string(),
                    other: "its batch",
                    right: memory.gpu().to_string(),
                });
            }
            if !recorded || stays.lasts(memory.pointer()) {
                return Ok(memory.pointer());
            }
            let lane = lane(to, &gpu, bytes)?;
            lane.memory.write_from(0, memory.pointer(), bytes, gpu.0.stream)?;
            Ok::<_, Error>(lane.memory.pointer())
        };
        let here = |to: &mut Option<Lane>, bytes, write: &dyn Fn(&mut [u8])| {
            let lane = lane(to, &gpu, bytes)?;
            lane.send(&gpu, bytes, read.as_ref(), write)?;
            Ok::<_, Error>(lane.memory.pointer())
        };
        let x = match x {
            Input::Here(from) => here(x_lane, bytes, &|to| to.copy_from_slice(&from[..bytes]))?,
            Input::There(memory) => there(x_lane, x_stays, memory, bytes)?,
        };
        let target = match target {
            None => 0,
            Some(target) if target.there().is_some() => {
                let (memory, bytes) = target.there().expect("looked at just now");
                there(target_lane, target_stays, memory, bytes)?
            }
            Some(Target::Reals(from)) => here(target_lane, from.len(), &|to| to.copy_from_slice(from))?,
            Some(Target::Labels { len, of }) => here(target_lane, 4 * len, &|to| {
                to.chunks_exact_mut(4).enumerate().for_each(|(i, to)| to.copy_from_slice(&of(i).to_ne_bytes()));
            })?,
            Some(Target::There(..) | Target::Made { .. }) => unreachable!("it is on the GPU"),
        };
        Ok((x, target, slot))
    }

    /// The slot may be written again when what is on the stream now is done.
    fn read(&mut self, i: usize, slot: usize) -> Result<()> {
        let gpu = self.network.gpu().clone();
        let read = &mut self.batches[i].slots[slot].read;
        if read.is_none() {
            *read = Some(Event::new(&gpu, false)?);
        }
        read.as_ref().expect("just made").record(gpu.0.stream)
    }

    /// The output for a batch, into memory of its own.
    pub(crate) fn forward(&mut self, parameters: &Memory, x: Input<'_>, batch: usize) -> Result<Memory> {
        let gpu = self.network.gpu().clone();
        let bytes = self.network.bytes_of(batch * self.network.output);
        let y = Memory::new(&gpu, bytes)?;
        if batch == 0 {
            return Ok(y);
        }
        let i = self.batch(batch, false)?;
        let (x, _, slot) = self.send(i, x, None, false)?;
        let space = &self.batches[i].space;
        self.network.forward(space, parameters.pointer(), x, gpu.0.stream)?;
        y.write_from(0, space.output(), bytes, gpu.0.stream)?;
        self.read(i, slot)?;
        Ok(y)
    }

    /// The loss on a batch is added to the statistics; nothing is learned.
    pub(crate) fn evaluate(
        &mut self,
        parameters: &Memory,
        x: Input<'_>,
        loss: &DeviceLoss<'_>,
        weight: f64,
    ) -> Result<()> {
        let i = self.batch(loss.batch, false)?;
        let (x, target, slot) = self.send(i, x, Some(&loss.target), false)?;
        let (batch, stream) = (&self.batches[i], self.gpu().0.stream);
        self.network.forward(&batch.space, parameters.pointer(), x, stream)?;
        self.loss(batch, loss, target, 0, weight, stream)?;
        self.read(i, slot)
    }

    /// The loss on a batch goes into the statistics, its gradient into `gradients`.
    pub(crate) fn gradients(
        &mut self,
        parameters: &Memory,
        gradients: &Memory,
        x: Input<'_>,
        loss: &DeviceLoss<'_>,
    ) -> Result<()> {
        if loss.batch == 0 {
            gradients.clear(self.gpu().0.stream)?;
        }
        let i = self.batch(loss.batch, true)?;
        let (x, target, slot) = self.send(i, x, Some(&loss.target), false)?;
        self.learn(i, (parameters.pointer(), gradients.pointer()), (x, target), loss, 1.0, None, self.gpu().0.stream)?;
        self.read(i, slot)
    }

    /// A whole training step. The first of a size of batches runs call by call, the next is recorded for each of the two
    /// slots, and from then on the recordings run, or the kernels of a small network if they are faster.
    pub(crate) fn step(
        &mut self,
        parameters: &Memory,
        gradients: &Memory,
        x: Input<'_>,
        loss: &DeviceLoss<'_>,
        weight: f64,
        update: &Update<'_>,
    ) -> Result<()> {
        let gpu = self.gpu().clone();
        if self.written.as_ref() != Some(&update.rule) {
            self.settings.write_small(&update.rule.settings())?;
            self.written = Some(update.rule);
        }
        let i = self.batch(loss.batch, true)?;
        #[cfg(feature = "nccl")]
        if let (Some((group, _)), Some(read)) = (&self.group, &self.batches[i].slots[self.batches[i].next].read) {
            group.wait(read)?;
        }
        let small = self.small(i, loss, update)?;
        let (x, target, slot) = self.send(i, x, Some(&loss.target), small != Some(true))?;
        let own = Operands {
            parameters,
            moments: update.moments(),
            x,
            target,
            y: self.batches[i].space.output(),
            partial: self.batches[i].partial.pointer(),
            hits: self.batches[i].hits.pointer(),
            settings: self.settings.pointer(),
            stats: self.stats.pointer(),
            loss,
            weight,
        };
        let (parameters, gradients) = (parameters.pointer(), gradients.pointer());
        let recorded = Recorded {
            loss: loss.kind,
            divisor: loss.divisor,
            weight,
            x,
            target,
            parameters,
            gradients,
            moments: update.moments(),
            rule: update.rule.name(),
            clip: update.clip,
            precision: crate::float32_matmul_precision(),
        };
        let all = |this: &Self, stream| {
            this.learn(i, (parameters, gradients), (x, target), loss, weight, Some(update), stream)
        };
        if small == Some(true) {
            self.step_small(i, &own, gpu.0.stream)?;
        } else if !self.batches[i].learned {
            all(self, gpu.0.stream)?;
            self.batches[i].learned = loss.batch > 0;
        } else {
            let kept = self.batches[i].slots[slot].recorded.take();
            let recording = match kept.filter(|(of, _)| *of == recorded) {
                Some((_, recording)) => recording,
                None => {
                    update.load(&gpu)?;
                    gpu.record(|stream| all(self, stream))?
                }
            };
            if small.is_none() && self.try_small(i, &recording, &own, update)? {
                self.step_small(i, &own, gpu.0.stream)?;
            } else {
                recording.launch()?;
            }
            self.batches[i].slots[slot].recorded = Some((recorded, recording));
        }
        self.written = Some(update.rule.after(1));
        self.queued += 1;
        self.read(i, slot)
    }

    #[allow(clippy::too_many_arguments)]
    fn learn(
        &self,
        i: usize,
        (parameters, gradients): (CUdeviceptr, CUdeviceptr),
        (x, target): (CUdeviceptr, CUdeviceptr),
        loss: &DeviceLoss<'_>,
        weight: f64,
        update: Option<&Update<'_>>,
        stream: CUstream,
    ) -> Result<()> {
        let batch = &self.batches[i];
        if loss.batch > 0 {
            self.network.forward(&batch.space, parameters, x, stream)?;
        }
        self.loss(batch, loss, target, batch.space.output_gradient(), weight, stream)?;
        if loss.batch > 0 {
            self.network.backward(&batch.space, parameters, x, (gradients, None), stream)?;
        }
        if let Some(update) = update {
            let own = self.stats.pointer();
            #[cfg(not(feature = "nccl"))]
            let stats = own;
            #[cfg(feature = "nccl")]
            let stats = self.reduce(gradients, loss.batch > 0, update, stream)?;
            update.launch(self.gpu(), stream, parameters, gradients, self.settings.pointer(), [own, stats])?;
        }
        Ok(())
    }

    fn loss(
        &self,
        batch: &Batch,
        loss: &DeviceLoss<'_>,
        target: CUdeviceptr,
        dy: CUdeviceptr,
        weight: f64,
        stream: CUstream,
    ) -> Result<()> {
        let (gpu, y) = (self.gpu(), batch.space.output());
        gpu.enter()?;
        let n = loss.batch * self.network.output;
        let (rows, classes) = (n / loss.classes.max(1), loss.classes as u32);
        let (partial, hits, stats) = (batch.partial.pointer(), batch.hits.pointer(), self.stats.pointer());
        let terms: CUdeviceptr = 0;
        let parts = n.div_ceil(1024).clamp(1, PARTS as usize) as u32;
        let grid = [parts, 1, 1];
        let scale = Real::new(self.network.real(), 1.0 / loss.divisor);
        let pointwise =
            |kernel: Kernel| launch!(gpu, stream, kernel, grid, y, target, dy, n, scale, partial, hits, stats, terms);
        let by_rows = |kernel: Kernel| {
            launch!(gpu, stream, kernel, grid, y, target, dy, rows, classes, scale, partial, hits, stats, terms)
        };
        match loss.kind {
            LossKind::Mse => pointwise(self.losses.mse)?,
            LossKind::Bce => pointwise(self.losses.bce)?,
            LossKind::BceWithLogits => pointwise(self.losses.bce_logits)?,
            LossKind::CrossEntropy => by_rows(self.losses.cross_entropy)?,
            LossKind::CrossEntropyOfProbabilities => by_rows(self.losses.cross_entropy_soft)?,
        }
        let (divisor, of) = (loss.divisor, loss.predictions as f64);
        launch!(gpu, stream, self.losses.finish, [1, 1, 1], partial, parts, divisor, weight, stats, hits, of)
    }
}

#[cfg(feature = "nccl")]
impl Executor {
    /// Its steps are now those of all ranks together, each with a part of the batch.
    pub(crate) fn join(&mut self, group: &Arc<Communicator>) -> Result<()> {
        group.check_gpu(self.gpu())?;
        if self.group.as_ref().is_none_or(|(joined, _)| !Arc::ptr_eq(joined, group)) {
            self.forget_recordings();
            self.group = Some((Arc::clone(group), Memory::zeros(self.gpu(), 64)?));
        }
        Ok(())
    }

    /// Adds up the gradients of all ranks; `own` says whether this one has any. Where the statistics are that say whether
    /// training has stopped.
    fn reduce(&self, gradients: CUdeviceptr, own: bool, update: &Update<'_>, stream: CUstream) -> Result<CUdeviceptr> {
        let stats = self.stats.pointer();
        let Some((group, agreed)) = &self.group else { return Ok(stats) };
        let agreed = agreed.pointer();
        group.reduce((gradients, update.parameters, update.real), own, (stats, agreed), stream)?;
        Ok(agreed)
    }

    /// This rank cannot go on with its data: in the next step all stop.
    pub(crate) fn refuse(&mut self) -> Result<()> {
        let mut words = self.words()?;
        words[7] = words[7].max(1);
        self.stats.write_small(bytemuck::cast_slice(&words))
    }

    /// Leaves the group after an error: the other ranks notice.
    pub(crate) fn leave(&mut self) {
        self.forget_recordings();
        if let Some((group, _)) = &self.group {
            group.abort();
        }
    }

    fn forget_recordings(&mut self) {
        self.batches.iter_mut().flat_map(|batch| &mut batch.slots).for_each(|slot| slot.recorded = None);
    }
}

impl Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Executor on {}", self.gpu())
    }
}

/// A number as a kernel's argument of type `REAL`: the first bytes are those of the type.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Real([u8; 8]);

impl Real {
    pub(super) fn new(real: DType, value: f64) -> Self {
        let mut bytes = [0; 8];
        match real {
            DType::F64 => bytes = value.to_ne_bytes(),
            _ => bytes[..4].copy_from_slice(&(value as f32).to_ne_bytes()),
        }
        Real(bytes)
    }
}
