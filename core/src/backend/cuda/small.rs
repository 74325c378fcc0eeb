//! Small networks: a whole training step as one kernel, or as two where the samples are shared by several blocks.
//!
//! Of a network of at most 128 outputs a layer, most of a step's time is the starting of its dozen kernels. `kernels/small.cu`
//! does the step at once, compiled for the network's sizes as `plan` decides; here it is launched, and compared with the step
//! as it was recorded.

use super::executor::{Executor, Real};
use super::gpu::{Gpu, Recording, lock};
use super::kernels::Kernel;
use super::memory::Memory;
use super::network::Network;
use super::optimizer::Update;
use super::plan::{Limits, Plan, THREADS};
use crate::backend::{Precision, float32_matmul_precision};
use crate::element::DType;
use crate::error::Result;
use crate::loss::{DeviceLoss, LossKind};
use core::ffi::c_void;
use cudarc::driver::sys::{CUdeviceptr, CUstream};

/// Who asks for a step: by this it is remembered which way is the faster one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Asked {
    /// Where the list of layers is, which lives as long as the program.
    pub(super) layers: usize,
    pub(super) real: DType,
    pub(super) batch: usize,
    pub(super) loss: LossKind,
    pub(super) rule: &'static str,
    pub(super) moments: usize,
    pub(super) precision: Precision,
}

/// A step of a small network, ready to be launched.
#[derive(Debug)]
pub(super) struct Small {
    gpu: Gpu,
    real: DType,
    parameters: usize,
    kernels: Kernels,
    /// Bytes of shared memory.
    shared: u32,
}

#[derive(Debug)]
enum Kernels {
    Alone(Kernel),
    /// The two halves, and between them: each block's part of the gradients, and the settings.
    Shared {
        part: Kernel,
        update: Kernel,
        blocks: u32,
        gradients: Memory,
        counted: Memory,
    },
}

/// What a step works on.
#[derive(Clone, Copy)]
pub(super) struct Operands<'a> {
    pub(super) parameters: &'a Memory,
    pub(super) moments: [CUdeviceptr; 2],
    pub(super) x: CUdeviceptr,
    pub(super) target: CUdeviceptr,
    /// Takes the outputs.
    pub(super) y: CUdeviceptr,
    /// Part sums of the loss, and counts.
    pub(super) partial: CUdeviceptr,
    pub(super) hits: CUdeviceptr,
    pub(super) settings: CUdeviceptr,
    pub(super) stats: CUdeviceptr,
    pub(super) loss: &'a DeviceLoss<'a>,
    pub(super) weight: f64,
}

impl Small {
    /// The step of a network, if it is small enough.
    pub(super) fn new(network: &Network, loss: &DeviceLoss<'_>, update: &Update<'_>) -> Result<Option<Self>> {
        let (gpu, real, parameters) = (network.gpu(), network.real(), update.parameters);
        // Cross-entropy has one row of classes a sample.
        let by_rows = matches!(loss.kind, LossKind::CrossEntropy | LossKind::CrossEntropyOfProbabilities);
        let Some(layers) = network.dense().filter(|_| !by_rows || loss.classes == network.output) else {
            return Ok(None);
        };
        let size = network.bytes_of(1);
        let limits = Limits {
            batch: loss.batch,
            size,
            shared: gpu.shared_memory(),
            multiprocessors: gpu.multiprocessors() as usize,
        };
        let Some(plan) = Plan::new(&layers, parameters, loss.kind, limits) else { return Ok(None) };
        let program = plan.program(&layers, parameters, real, loss.kind, &update.rule);
        let shared = (plan.room * size) as u32;
        let kernels = if plan.alone {
            let step = gpu.kernel(&program, "small_step")?;
            gpu.allow_shared(step, shared)?;
            Kernels::Alone(step)
        } else {
            let part = gpu.kernel(&program, "small_part")?;
            gpu.allow_shared(part, shared)?;
            Kernels::Shared {
                part,
                update: gpu.kernel(&program, "small_update")?,
                blocks: plan.blocks as u32,
                gradients: Memory::new(gpu, plan.blocks * parameters * size)?,
                counted: Memory::new(gpu, 256)?,
            }
        };
        Ok(Some(Small { gpu: gpu.clone(), real, parameters, kernels, shared }))
    }

    fn launch(&self, operands: &Operands<'_>, stream: CUstream) -> Result<()> {
        let Operands { moments: [m, v], x, target, y, partial, hits, settings, stats, loss, weight, .. } = *operands;
        let p = operands.parameters.pointer();
        let (batch, scale) = (loss.batch as u32, Real::new(self.real, 1.0 / loss.divisor));
        let (divisor, of) = (loss.divisor, loss.predictions as f64);
        macro_rules! start {
            ($kernel:expr, $grid:expr, $shared:expr, $($argument:expr),*) => {{
                let arguments = &mut [$((&raw const $argument).cast_mut().cast::<c_void>()),*];
                // SAFETY: the arguments are those of the kernel by its text, the memory is of the sizes that it was compiled
                // for, or is told.
                unsafe { self.gpu.launch_with($shared, stream, $kernel, [$grid, 1, 1], THREADS, arguments) }
            }};
        }
        match &self.kernels {
            Kernels::Alone(step) => {
                start!(*step, 1, self.shared, p, m, v, x, target, y, batch, scale, divisor, weight, of, settings, stats)
            }
            Kernels::Shared { part, update, blocks, gradients, counted } => {
                let (gradients, counted) = (gradients.pointer(), counted.pointer());
                start!(
                    *part,
                    *blocks,
                    self.shared,
                    p,
                    x,
                    target,
                    y,
                    batch,
                    scale,
                    gradients,
                    partial,
                    hits,
                    settings,
                    counted,
                    stats
                )?;
                let grid = self.parameters.div_ceil(THREADS as usize).clamp(1, 2 * self.gpu.multiprocessors() as usize);
                start!(
                    *update,
                    grid as u32,
                    0,
                    p,
                    m,
                    v,
                    gradients,
                    *blocks,
                    partial,
                    hits,
                    divisor,
                    weight,
                    of,
                    settings,
                    counted,
                    stats
                )
            }
        }
    }
}

/// What is known of a batch's steps: the kernels, and whether they are faster than the recorded step.
#[derive(Debug)]
pub(super) struct Known {
    asked: Asked,
    small: Option<Small>,
    faster: Option<bool>,
}

impl Executor {
    /// Whether a batch's steps are made by the kernels of small networks, which are ready then; `None` if that is still to
    /// be measured.
    pub(super) fn small(&mut self, i: usize, loss: &DeviceLoss<'_>, update: &Update<'_>) -> Result<Option<bool>> {
        // Between backward and update the ranks of a group meet, or the norm of all gradients is needed.
        #[cfg(feature = "nccl")]
        let together = self.group.is_some();
        #[cfg(not(feature = "nccl"))]
        let together = false;
        if together || update.clip.is_some() || !self.batches[i].learned {
            return Ok(Some(false));
        }
        let asked = Asked {
            layers: self.layers.as_ptr() as usize,
            real: self.network.real(),
            batch: loss.batch,
            loss: loss.kind,
            rule: update.rule.name(),
            moments: update.moments.iter().flatten().count(),
            precision: float32_matmul_precision(),
        };
        if self.batches[i].small.as_ref().is_none_or(|known| known.asked != asked) {
            let faster = lock(&self.gpu().0.small).get(&asked).copied();
            let small = if faster == Some(false) { None } else { Small::new(&self.network, loss, update)? };
            let faster = if small.is_none() { Some(false) } else { faster };
            self.batches[i].small = Some(Known { asked, small, faster });
        }
        Ok(self.batches[i].small.as_ref().and_then(|known| known.faster))
    }

    /// A step by the kernels of small networks.
    pub(super) fn step_small(&self, i: usize, operands: &Operands<'_>, stream: CUstream) -> Result<()> {
        let small = self.batches[i].small.as_ref().and_then(|known| known.small.as_ref());
        small.expect("the kernels are ready").launch(operands, stream)
    }

    /// Measures whether the kernels of small networks are faster than the recorded step. Everything that steps change is
    /// afterwards as it was before.
    pub(super) fn try_small(
        &mut self,
        i: usize,
        recorded: &Recording,
        operands: &Operands<'_>,
        update: &Update<'_>,
    ) -> Result<bool> {
        /// Steps of a measurement, so that it sees how fast they follow each other.
        const STEPS: usize = 8;
        let gpu = self.gpu().clone();
        let changed =
            [Some(operands.parameters), update.moments[0], update.moments[1], Some(&self.settings), Some(&self.stats)];
        let copies =
            changed.into_iter().flatten().map(|memory| Ok((memory, memory.copy()?))).collect::<Result<Vec<_>>>()?;
        // The parameters stay, or with them the loss might go anywhere.
        self.settings.write_small(&update.rule.standing_still().settings())?;
        let own = |stream| (0..STEPS).try_for_each(|_| self.step_small(i, operands, stream));
        let recorded = |_| (0..STEPS).try_for_each(|_| recorded.launch());
        let (faster, stats) = (gpu.measured_faster(&own, &recorded), self.stats());
        for (memory, copy) in &copies {
            memory.write_from(0, copy.pointer(), copy.len(), gpu.0.stream)?;
        }
        let (faster, stats) = (faster?, stats?);
        // A step that is refused takes no time: nothing was measured.
        if stats.diverged != 0 || stats.bad.is_some() {
            return Ok(false);
        }
        let known = self.batches[i].small.as_mut().expect("the kernels are ready");
        known.faster = Some(faster);
        lock(&gpu.0.small).insert(known.asked, faster);
        Ok(faster)
    }
}
