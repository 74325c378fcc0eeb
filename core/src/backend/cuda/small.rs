//! Small networks: a whole training step as one kernel, or as two where the samples are shared by several blocks.
//!
//! Of a network of at most 128 outputs a layer, most of a step's time is the starting of its dozen kernels. `kernels/small.cu`
//! does the step at once, compiled for the network's sizes; here is decided how, and whether there is reason to try it.

use super::executor::{Executor, PARTS, Real};
use super::gpu::{Gpu, Recording, lock};
use super::kernels::{self, Kernel, Program};
use super::memory::Memory;
use super::network::{Dense, Network, functions};
use super::optimizer::{Rule, Update};
use crate::backend::{Precision, float32_matmul_precision};
use crate::element::DType;
use crate::error::Result;
use crate::loss::{DeviceLoss, LossKind};
use core::ffi::c_void;
use cudarc::driver::sys::{CUdeviceptr, CUstream};

/// The most outputs of a layer, numbers of a sample, and samples of a batch.
const OUTPUTS: usize = 128;
const INPUTS: usize = 1024;
const SAMPLES: usize = 1024;
/// Threads of a block.
const THREADS: u32 = 512;
/// Of a block's shared memory, what the kernels use besides.
const BESIDES: usize = 4 << 10;

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

/// How a block goes about a network.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Plan {
    /// Samples of a block, a power of two, and how many blocks that makes.
    rows: usize,
    blocks: usize,
    /// Whether the only block updates the parameters, too: then it is one kernel.
    alone: bool,
    /// Whether the parameters have room in shared memory.
    near: bool,
    /// Elements of shared memory.
    room: usize,
}

/// What a plan depends on besides the network.
#[derive(Clone, Copy, Debug)]
struct Limits {
    batch: usize,
    /// Bytes of an element.
    size: usize,
    /// Bytes of a block's shared memory.
    shared: usize,
    multiprocessors: usize,
}

impl Plan {
    /// The plan that should take the shortest time; `None` if the network or the batch is too large for any.
    fn new(layers: &[Dense], parameters: usize, loss: LossKind, limits: Limits) -> Option<Self> {
        let Limits { batch, size, shared, multiprocessors } = limits;
        let inputs = layers.first()?.inputs;
        let small = inputs <= INPUTS && layers.iter().all(|layer| (1..=OUTPUTS).contains(&layer.outputs));
        if !small || inputs == 0 || parameters == 0 || batch == 0 || batch > SAMPLES {
            return None;
        }
        let padded = |n: usize| n.next_multiple_of(16 / size);
        let kept = |layer: &Dense| padded(layer.outputs) * (1 + usize::from(layer.keeps()));
        let widest = layers.iter().map(|layer| padded(layer.outputs)).max()?;
        let targets = if loss == LossKind::CrossEntropy { 1 } else { layers.last()?.outputs };
        let of_row = padded(inputs) + layers.iter().map(kept).sum::<usize>() + 2 * widest + targets;
        let plans = (0..).map(|power| 1 << power).take_while(|rows| *rows < 2 * batch).flat_map(|rows| {
            let blocks = batch.div_ceil(rows);
            [(true, true), (true, false), (false, true), (false, false)].map(|(near, alone)| {
                let room = rows * of_row + if near { padded(parameters) } else { 0 };
                Plan { rows, blocks, alone: alone && blocks == 1, near, room }
            })
        });
        let fits =
            |plan: &Plan| plan.room * size + BESIDES <= shared && plan.blocks <= multiprocessors.min(PARTS as usize);
        plans.filter(fits).min_by_key(|plan| plan.cycles(layers, parameters, limits))
    }

    /// About how many cycles a step takes, to choose among plans. Nothing depends on its being right: whether the best plan
    /// is used is measured.
    fn cycles(&self, layers: &[Dense], parameters: usize, limits: Limits) -> usize {
        /// Bytes a cycle, from or to the memory that all multiprocessors share: of one of them, and written by all.
        const OF_ONE: usize = 32;
        const WRITTEN: usize = 1500;
        /// Multiplications with an addition in a cycle, as far as they come in a kernel that waits a lot.
        const PRODUCTS: usize = 48;
        const SECOND_LAUNCH: usize = 5000;
        let passes = |(i, layer): (usize, &Dense)| layer.inputs * layer.outputs * if i == 0 { 2 } else { 3 };
        let products: usize = layers.iter().filter(|layer| layer.weights.is_some()).enumerate().map(passes).sum();
        let bytes = parameters * limits.size;
        let weights = bytes / OF_ONE * if self.near { 1 } else { 2 };
        let compute = (self.rows + 2) * products * limits.size / 4 / PRODUCTS;
        let update = if self.alone {
            3 * bytes / OF_ONE
        } else {
            let written = (bytes / OF_ONE).max(self.blocks * bytes / WRITTEN);
            written + SECOND_LAUNCH + (self.blocks + 3) * bytes / OF_ONE / limits.multiprocessors
        };
        weights + compute + update
    }

    /// The program for a network of this plan.
    fn program(&self, layers: &[Dense], parameters: usize, real: DType, loss: LossKind, rule: &Rule) -> Program {
        let structs = layers.iter().enumerate().map(|(i, layer)| {
            format!(
                "struct Act{i} {{\nstatic constexpr bool IDENTITY = {}, FROM_OUTPUT = {};\n{}}};\n",
                layer.formula.is_none(),
                layer.from_output,
                functions(layer.formula)
            )
        });
        let network = layers.iter().enumerate().map(|(i, layer)| match layer {
            Dense { inputs, outputs, params, weights: Some(bias), .. } => {
                format!("Linear<Act{i}, {inputs}, {outputs}, {bias}, {params}>")
            }
            Dense { outputs, weights: None, .. } => format!("Pointwise<Act{i}, {outputs}>"),
        });
        let criterion = match loss {
            LossKind::Mse => "Each<Mse>",
            LossKind::Bce => "Each<Bce>",
            LossKind::BceWithLogits => "Each<BceLogits>",
            LossKind::CrossEntropy => "CrossEntropy<Labels>",
            LossKind::CrossEntropyOfProbabilities => "CrossEntropy<Soft>",
        };
        let rule = match rule {
            Rule::Sgd { .. } => "Sgd",
            Rule::Adam { .. } => "Adam",
        };
        let Plan { rows, near, room, alone, .. } = *self;
        let numbers = [
            ("INPUTS", layers[0].inputs),
            ("PARAMS", parameters),
            ("ROWS", rows),
            ("NEAR", usize::from(near)),
            ("ALONE", usize::from(alone)),
            ("ROOM", room),
        ];
        let words = [("NETWORK", network.collect::<Vec<_>>().join(", "))]
            .into_iter()
            .chain([("CRITERION", criterion.to_owned()), ("RULE", rule.to_owned())])
            .chain(numbers.map(|(name, number)| (name, number.to_string())));
        let definitions = structs.chain(words.map(|(name, value)| format!("#define {name} {value}\n"))).collect();
        Program { definitions, threads: THREADS, ..Program::new(kernels::SMALL, real) }
    }
}

impl Dense {
    /// Whether the input of its activation is kept.
    fn keeps(&self) -> bool {
        self.weights.is_some() && !self.from_output
    }
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

/// Programs of a few networks, batches, losses and optimizers.
#[cfg(test)]
pub(super) fn examples() -> Vec<Program> {
    tests::examples()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Activation, Formula, GELU, ReLU, Sigmoid, Tanh};

    const NONE: Option<(Formula, bool)> = None;
    const H100: (usize, usize) = (227 << 10, 132);

    fn from<A: Activation>() -> Option<(Formula, bool)> {
        A::CUDA.map(|formula| (formula, A::FROM_OUTPUT))
    }

    /// Layers of these sizes, all but the last one with the activation, and the number of their parameters.
    fn network(sizes: &[usize], bias: bool, act: Option<(Formula, bool)>) -> (Vec<Dense>, usize) {
        let mut params = 0;
        let layers = sizes.windows(2).enumerate().map(|(i, pair)| {
            let act = act.filter(|_| i + 2 < sizes.len());
            let (formula, from_output) = (act.map(|(formula, _)| formula), act.is_none_or(|(_, from)| from));
            let layer = Dense { inputs: pair[0], outputs: pair[1], params, weights: Some(bias), formula, from_output };
            params += pair[0] * pair[1] + if bias { pair[1] } else { 0 };
            layer
        });
        let layers = layers.collect();
        (layers, params)
    }

    fn limits(batch: usize, size: usize) -> Limits {
        let (shared, multiprocessors) = H100;
        Limits { batch, size, shared, multiprocessors }
    }

    pub(super) fn examples() -> Vec<Program> {
        let sgd =
            Rule::Sgd { lr: 0.1, momentum: 0.9, dampening: 0.0, weight_decay: 0.0, nesterov: false, started: false };
        let adam = Rule::Adam { lr: 0.1, betas: (0.9, 0.999), eps: 1e-8, weight_decay: 0.0, steps: 0 };
        let mut examples = Vec::new();
        for (sizes, act, batch, loss, rule) in [
            (&[6, 4, 1][..], from::<Sigmoid>(), 5, LossKind::BceWithLogits, sgd),
            (&[2, 10, 1], from::<Sigmoid>(), 40, LossKind::Mse, sgd),
            (&[4, 64, 64, 3], from::<ReLU>(), 32, LossKind::CrossEntropy, adam),
            (&[64, 128, 128, 128, 16], from::<GELU>(), 256, LossKind::CrossEntropyOfProbabilities, adam),
            (&[784, 128, 10], from::<ReLU>(), 64, LossKind::CrossEntropy, sgd),
            (&[1023, 127, 127], from::<Tanh>(), 1, LossKind::Bce, adam),
        ] {
            for (bias, real) in [(true, DType::F32), (false, DType::F32), (true, DType::F64)] {
                let (layers, params) = network(sizes, bias, act);
                let plan =
                    Plan::new(&layers, params, loss, limits(batch, if real == DType::F64 { 8 } else { 4 })).unwrap();
                examples.push(plan.program(&layers, params, real, loss, &rule));
            }
        }
        examples
    }

    /// Tiny ones are one kernel; where there is more to do, or much to read, several blocks, or at least several for the update.
    #[test]
    fn plans_of_an_h100() {
        let plan = |sizes: &[usize], batch| {
            let (layers, params) = network(sizes, true, NONE);
            let plan = Plan::new(&layers, params, LossKind::CrossEntropy, limits(batch, 4))?;
            assert!(4 * plan.room + BESIDES <= H100.0 && plan.rows * plan.blocks >= batch && plan.blocks <= H100.1);
            Some((plan.rows, plan.blocks, plan.alone, plan.near))
        };
        assert_eq!(plan(&[6, 4, 1], 5), Some((8, 1, true, true)));
        assert_eq!(plan(&[2, 10, 1], 40), Some((64, 1, true, true)));
        assert_eq!(plan(&[784, 128, 10], 64), Some((2, 32, false, false)));
        assert_eq!(plan(&[784, 128, 10], 1), Some((1, 1, false, false)));
        for (sizes, batch) in [(&[4, 64, 64, 3][..], 32), (&[64, 64, 64, 64, 16], 128), (&[64, 128, 128, 16], 1024)] {
            let (_, blocks, alone, near) = plan(sizes, batch).unwrap();
            assert!(blocks > 1 && !alone && near, "{sizes:?}, {batch}");
        }
        for (sizes, batch) in [(&[6, 129][..], 5), (&[1025, 10], 5), (&[6, 4], 1025), (&[6, 4], 0)] {
            assert_eq!(plan(sizes, batch), None, "{sizes:?}, {batch}");
        }
        // Nothing has room.
        let (layers, params) = network(&[64; 3], true, NONE);
        assert_eq!(Plan::new(&layers, params, LossKind::Mse, Limits { shared: 5000, ..limits(4, 8) }), None);
    }
}
