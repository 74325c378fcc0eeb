//! A network's layers as calls of kernels and products.

use super::backward::bias_parts;
use super::gpu::Gpu;
use super::kernels::{self, Kernel, Program};
use super::matmul::Kind;
use super::memory::Memory;
use super::relu::mask_row;
use super::shapes::{ConvShape, Convolutions, PoolShape, conv_partial};
use crate::backend::cpu::{Conv, Window};
use crate::backend::{Precision, float32_matmul_precision};
use crate::element::DType;
use crate::error::{Error, Result};
use crate::nn::{Formula, LayerInfo, Op};
use core::ffi::c_void;
use cudarc::driver::sys::{CUdeviceptr, CUstream};
use std::sync::OnceLock;

/// Threads of a block, in all kernels.
pub(super) const THREADS: u32 = 256;

/// Arguments of a launch: pointers to the values.
macro_rules! launch {
    ($gpu:expr, $stream:expr, $kernel:expr, $grid:expr, $($argument:expr),*) => {
        launch!(block $crate::backend::cuda::network::THREADS, $gpu, $stream, $kernel, $grid, $($argument),*)
    };
    (block $block:expr, $gpu:expr, $stream:expr, $kernel:expr, $grid:expr, $($argument:expr),*) => {{
        #[allow(unused_parens)]
        let arguments = &mut [$((&raw const $argument).cast_mut().cast::<c_void>()),*];
        // SAFETY: the arguments are those of the kernel by its text, the memory is of the sizes that it is told.
        unsafe { $gpu.launch($stream, $kernel, $grid, $block, arguments) }
    }};
}
pub(super) use launch;

/// A network, ready for a GPU.
pub(crate) struct Network {
    pub(super) gpu: Gpu,
    real: DType,
    pub(super) steps: Vec<Step>,
    /// Elements per sample.
    pub(super) input: usize,
    pub(super) output: usize,
    pub(super) convolutions: Option<Convolutions>,
    pub(super) cast: Option<Kernel>,
}

pub(super) struct Step {
    pub(super) kind: StepKind,
    /// Where its parameters begin.
    pub(super) params: usize,
    /// Elements per sample.
    pub(super) input: usize,
    pub(super) output: usize,
}

/// A layer of one vector a sample: its parameters begin at `params`; `weights` says whether there are biases, too, and is
/// `None` for an activation by itself.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Dense {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) params: usize,
    pub(super) weights: Option<bool>,
    pub(super) formula: Option<Formula>,
    pub(super) from_output: bool,
}

pub(super) enum StepKind {
    Linear { inputs: usize, outputs: usize, bias: bool, act: Act },
    Conv2d { conv: Conv, bias: bool, act: Act },
    MaxPool2d { planes: usize, window: Window, forward: Kernel, backward: Kernel },
    Activation(Act),
    Rows { size: usize, forward: Kernel, backward: Kernel },
}

/// An activation's kernels; that of the identity adds a bias and sums its gradient.
pub(super) struct Act {
    formula: Option<Formula>,
    pub(super) from_output: bool,
    pub(super) identity: bool,
    pub(super) relu: bool,
    bias_act: Kernel,
    pub(super) bias_act_mask: Kernel,
    pub(super) forward: Kernel,
    pub(super) backward: Kernel,
    pub(super) backward_bias: Kernel,
    pub(super) bias_sum: Kernel,
}

impl Act {
    fn new(gpu: &Gpu, real: DType, formula: Option<(Formula, bool)>) -> Result<Self> {
        let program = Program {
            definitions: definitions(formula.map(|(formula, _)| formula)),
            ..Program::new(kernels::ACTIVATION, real)
        };
        let kernel = |name| gpu.kernel(&program, name);
        Ok(Act {
            formula: formula.map(|(formula, _)| formula),
            from_output: formula.is_none_or(|(_, from_output)| from_output),
            identity: formula.is_none(),
            relu: formula.is_some_and(|(formula, _)| Some(formula) == <crate::nn::ReLU as crate::nn::Activation>::CUDA),
            bias_act: kernel("bias_act")?,
            bias_act_mask: kernel("bias_act_mask")?,
            forward: kernel("act_forward")?,
            backward: kernel("act_backward")?,
            backward_bias: kernel("act_backward_bias")?,
            bias_sum: kernel("bias_sum")?,
        })
    }

    /// Whether its backward pass needs its input, which is then kept.
    pub(super) fn keeps(&self) -> bool {
        !self.from_output
    }
}

/// What the file of activations wants before it.
pub(super) fn definitions(formula: Option<Formula>) -> String {
    format!("#define ACT_IDENTITY {}\n{}", u8::from(formula.is_none()), functions(formula))
}

/// An activation and its derivative.
pub(super) fn functions(formula: Option<Formula>) -> String {
    let Formula { forward, derivative, constants: [a, b] } =
        formula.unwrap_or(Formula { forward: "x", derivative: "REAL(1)", constants: [0.0; 2] });
    let number = |x: f64| match x {
        x if x.is_nan() => "(0.0 / 0.0)".to_owned(),
        x if x.is_infinite() => format!("({}1.0 / 0.0)", if x < 0.0 { "-" } else { "" }),
        x => format!("{x:e}"),
    };
    let constants = format!("const REAL a = REAL({}), b = REAL({}); (void)a; (void)b;", number(a), number(b));
    format!(
        "__device__ __forceinline__ REAL sigmoid(REAL x) {{ return 1 / (1 + exp(-x)); }}\n\
         __device__ __forceinline__ REAL act(REAL x) {{ {constants} return {forward}; }}\n\
         __device__ __forceinline__ REAL act_derivative(REAL v) {{ {constants} return {derivative}; }}\n",
    )
}

/// A network's memory for batches of one size.
#[derive(Debug)]
pub(super) struct Space {
    memory: Memory,
    pub(super) batch: usize,
    /// Of each step: its output, the input of its activation, and where each output of a pooling came from.
    pub(super) y: Vec<usize>,
    pub(super) saved: Vec<usize>,
    pub(super) index: Vec<usize>,
    /// The bits of a ReLU's outputs that are greater than zero, and whether they are used: which its first pass backwards
    /// decides.
    pub(super) mask: Vec<usize>,
    pub(super) masked: Vec<OnceLock<bool>>,
    /// The gradients of outputs, by turns; only for training.
    pub(super) gradients: Option<[usize; 2]>,
    /// Part sums.
    pub(super) partial: usize,
    /// Operands of a product in bf16.
    pub(super) halves: [usize; 2],
    /// How products were to be computed when it was made.
    pub(super) precision: Precision,
}

/// Blocks of one memory, one after another, each where any vector may begin.
#[derive(Default)]
struct Layout(usize);

impl Layout {
    fn take(&mut self, bytes: usize) -> usize {
        let start = self.0;
        self.0 = (start + bytes).next_multiple_of(256);
        start
    }
}

impl Space {
    /// The output of the last step.
    pub(super) fn output(&self) -> CUdeviceptr {
        self.at(*self.y.last().expect("one step or more"))
    }

    /// Where the loss writes the gradient of the output.
    pub(super) fn output_gradient(&self) -> CUdeviceptr {
        self.at(self.output_gradient_offset())
    }

    fn output_gradient_offset(&self) -> usize {
        let slots = self.gradients.expect("memory for training");
        slots[(self.y.len() - 1) % 2]
    }

    /// The gradient of the output comes from elsewhere.
    pub(super) fn set_output_gradient(&self, from: &Memory, bytes: usize, stream: CUstream) -> Result<()> {
        self.memory.write_from(self.output_gradient_offset(), from.pointer(), bytes, stream)
    }

    /// No ReLU is taken back by its mask: memory that is used once does not try what is faster.
    pub(super) fn without_masks(self) -> Self {
        self.masked.iter().for_each(|masked| {
            let _ = masked.set(false);
        });
        self
    }

    /// Whether the step's ReLU is taken back by its mask.
    pub(super) fn is_masked(&self, i: usize) -> bool {
        self.masked[i].get() == Some(&true)
    }

    pub(super) fn at(&self, offset: usize) -> CUdeviceptr {
        self.memory.pointer() + offset as u64
    }
}

impl Network {
    /// The network of these layers.
    pub(crate) fn new(gpu: &Gpu, layers: &[LayerInfo], real: DType) -> Result<Self> {
        let mut network =
            Network { gpu: gpu.clone(), real, steps: Vec::new(), input: 0, output: 0, convolutions: None, cast: None };
        let (Some(first), Some(last)) = (layers.first(), layers.last()) else {
            unreachable!("a network has layers");
        };
        network.input = first.input.iter().product();
        network.output = last.output.iter().product();
        network.add(layers, 0, "")?;
        if network.steps.is_empty() {
            // Nothing computes, but something must carry the input to the output.
            let (input, output) = (network.input, network.output);
            network.steps.push(Step {
                kind: StepKind::Activation(Act::new(gpu, real, None)?),
                params: 0,
                input,
                output,
            });
        }
        if real == DType::F32 {
            network.cast = Some(gpu.kernel(&Program::new(kernels::CAST, real), "to_bf16")?);
        }
        Ok(network)
    }

    fn add(&mut self, layers: &[LayerInfo], offset: usize, path: &str) -> Result<()> {
        let (gpu, real) = (self.gpu.clone(), self.real);
        for layer in layers {
            let name = format!("{path}{}", layer.name);
            let params = offset + layer.offset;
            if !layer.layers.is_empty() {
                self.add(layer.layers, params, &format!("{name}."))?;
                continue;
            }
            let kernel = |file, name| gpu.kernel(&Program::new(file, real), name);
            let kind = match layer.op {
                Op::Same => continue,
                Op::Own | Op::Activation { formula: None, .. } => {
                    return Err(Error::NoKernel {
                        what: format!("layer `{name}`, {},", layer.kind),
                        device: gpu.to_string(),
                        hint: "; train this network on the CPU",
                    });
                }
                Op::Activation { formula: Some(formula), from_output } => {
                    let act = Act::new(&gpu, real, Some((formula, from_output)))?;
                    match self.steps.last_mut().map(|step| &mut step.kind) {
                        Some(StepKind::Linear { act: before, .. } | StepKind::Conv2d { act: before, .. })
                            if before.identity =>
                        {
                            *before = act;
                            continue;
                        }
                        _ => StepKind::Activation(act),
                    }
                }
                Op::Linear { inputs, outputs, bias } => {
                    StepKind::Linear { inputs, outputs, bias, act: Act::new(&gpu, real, None)? }
                }
                Op::Conv2d { conv, bias } => {
                    if self.convolutions.is_none() {
                        self.convolutions = Some(Convolutions::new(&gpu, real)?);
                    }
                    StepKind::Conv2d { conv, bias, act: Act::new(&gpu, real, None)? }
                }
                Op::MaxPool2d { planes, window } => StepKind::MaxPool2d {
                    planes,
                    window,
                    forward: kernel(kernels::POOL, "max_pool_forward")?,
                    backward: kernel(kernels::POOL, "max_pool_backward")?,
                },
                Op::Softmax { size } => StepKind::Rows {
                    size,
                    forward: kernel(kernels::ROWS, "softmax_forward")?,
                    backward: kernel(kernels::ROWS, "softmax_backward")?,
                },
                Op::LogSoftmax { size } => StepKind::Rows {
                    size,
                    forward: kernel(kernels::ROWS, "log_softmax_forward")?,
                    backward: kernel(kernels::ROWS, "log_softmax_backward")?,
                },
            };
            let [input, output] = [layer.input, layer.output].map(|sizes| sizes.iter().product());
            self.steps.push(Step { kind, params, input, output });
        }
        Ok(())
    }

    /// The layers, where all are such that one kernel can do them one after another.
    pub(super) fn dense(&self) -> Option<Vec<Dense>> {
        let dense = |step: &Step| {
            let (act, weights) = match &step.kind {
                // Of one vector a sample.
                StepKind::Linear { outputs, bias, act, .. } if step.output == *outputs => (act, Some(*bias)),
                StepKind::Activation(act) => (act, None),
                _ => return None,
            };
            let Act { formula, from_output, .. } = *act;
            Some(Dense { inputs: step.input, outputs: step.output, params: step.params, weights, formula, from_output })
        };
        self.steps.iter().map(dense).collect()
    }

    pub(super) fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    pub(super) fn real(&self) -> DType {
        self.real
    }

    pub(super) fn bytes_of(&self, elements: usize) -> usize {
        elements.checked_mul(if self.real == DType::F64 { 8 } else { 4 }).expect("capacity overflow")
    }

    /// Memory for batches of this size.
    pub(super) fn space(&self, batch: usize, training: bool) -> Result<Space> {
        // The kernels of images count in 32 bits.
        let images =
            self.steps.iter().filter(|step| matches!(step.kind, StepKind::Conv2d { .. } | StepKind::MaxPool2d { .. }));
        let largest = images.map(|step| step.input.max(step.output)).max().unwrap_or(0);
        if largest.checked_mul(batch).is_none_or(|elements| elements > i32::MAX as usize) {
            let doing = format!("a batch of {batch} images with up to {largest} elements each");
            return Err(self
                .gpu
                .failure(doing, "a convolution or pooling has fewer than 2³¹ elements; take smaller batches"));
        }
        let mut layout = Layout::default();
        let of = |elements: usize| self.bytes_of(elements.checked_mul(batch).expect("capacity overflow"));
        let y = self.steps.iter().map(|step| layout.take(of(step.output))).collect();
        let saved =
            self.steps.iter().map(|step| layout.take(if training && step.keeps() { of(step.output) } else { 0 }));
        let saved = saved.collect();
        let index = self.steps.iter().map(|step| match step.kind {
            StepKind::MaxPool2d { .. } => layout.take(batch * step.output),
            _ => 0,
        });
        let index = index.collect();
        let mask = (0..self.steps.len()).map(|i| match &self.steps[i].kind {
            StepKind::Linear { outputs, .. } if training && self.takes_mask(i) => {
                layout.take(batch * self.steps[i].output / outputs * (mask_row(*outputs) / 8))
            }
            _ => 0,
        });
        let mask = mask.collect();
        let masked = self.steps.iter().map(|_| OnceLock::new()).collect();
        let largest = |sizes: &mut dyn Iterator<Item = usize>| sizes.max().unwrap_or(0);
        let gradients = training.then(|| {
            let size = |turn| largest(&mut self.steps.iter().skip(turn).step_by(2).map(|step| of(step.output)));
            [0, 1].map(|turn| layout.take(size(turn)))
        });
        let partial =
            layout.take(largest(&mut self.steps.iter().map(|step| self.bytes_of(step.partial(&self.gpu, batch)))));
        let halves = if self.real == DType::F32 && float32_matmul_precision() == Precision::Bf16 {
            let operand = |second: bool| largest(&mut self.steps.iter().map(|step| 2 * step.operand(batch, second)));
            [layout.take(operand(false)), layout.take(operand(true))]
        } else {
            [0; 2]
        };
        let (memory, precision) = (Memory::new(&self.gpu, layout.0)?, float32_matmul_precision());
        Ok(Space { memory, batch, y, saved, index, mask, masked, gradients, partial, halves, precision })
    }

    /// How a product is computed with this memory. One with a size below 32 stays as exact as it is, on every device.
    pub(super) fn precision(&self, space: &Space, sizes: [usize; 3]) -> Kind {
        match (self.real, space.precision) {
            (DType::F64, _) => Kind::F64,
            (_, Precision::Highest) => Kind::F32,
            _ if sizes.iter().any(|size| *size < 32) => Kind::F32,
            (_, Precision::High) => Kind::Tf32,
            (_, Precision::Bf16) => Kind::Bf16,
        }
    }

    /// A 1-D grid for this many elements.
    pub(super) fn grid(&self, elements: usize) -> [u32; 3] {
        let most = (self.gpu.multiprocessors() * 8) as usize;
        [elements.div_ceil(THREADS as usize * 4).clamp(1, most) as u32, 1, 1]
    }

    /// Computes all outputs.
    pub(super) fn forward(&self, space: &Space, all: CUdeviceptr, x: CUdeviceptr, stream: CUstream) -> Result<()> {
        self.gpu.enter()?;
        let mut x = x;
        for (i, step) in self.steps.iter().enumerate() {
            let y = space.at(space.y[i]);
            let n = space.batch * step.output;
            let params = all + self.bytes_of(step.params) as u64;
            // Without training nothing is kept.
            let keep = |act: &Act| if act.keeps() && space.gradients.is_some() { space.at(space.saved[i]) } else { 0 };
            match &step.kind {
                StepKind::Linear { .. } => self.linear(i, all, x, space, stream)?,
                StepKind::Conv2d { conv, bias, act } => {
                    let kernels = self.convolutions.as_ref().expect("there is a convolution");
                    let shape = ConvShape::of(conv, space.batch);
                    let kind = self.precision(space, shape.product());
                    kernels.forward(shape, kind, [x, params, y], stream)?;
                    let bias = if *bias { params + self.bytes_of(shape.weights()) as u64 } else { 0 };
                    self.bias_act(
                        act,
                        y,
                        bias,
                        keep(act),
                        n,
                        conv.out_channels,
                        step.output / conv.out_channels,
                        stream,
                    )?;
                }
                StepKind::MaxPool2d { planes, window, forward, .. } => {
                    let (index, shape) = (space.at(space.index[i]), PoolShape::of(window, planes * space.batch));
                    launch!(self.gpu, stream, *forward, self.grid(n), x, y, index, shape)?;
                }
                StepKind::Activation(act) => launch!(self.gpu, stream, act.forward, self.grid(n), x, y, n)?,
                StepKind::Rows { size, forward, .. } => {
                    let (rows, columns) = (n / size.max(&1), *size as u32);
                    launch!(self.gpu, stream, *forward, self.grid(n), x, y, rows, columns)?;
                }
            }
            x = y;
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments)]
    pub(super) fn bias_act(
        &self,
        act: &Act,
        y: CUdeviceptr,
        bias: CUdeviceptr,
        saved: CUdeviceptr,
        n: usize,
        channels: usize,
        inner: usize,
        stream: CUstream,
    ) -> Result<()> {
        if act.identity && bias == 0 {
            return Ok(());
        }
        let (channels, inner) = (channels as u32, inner as u32);
        launch!(self.gpu, stream, act.bias_act, self.grid(n), y, bias, saved, n, channels, inner)
    }
}

impl Step {
    fn keeps(&self) -> bool {
        match &self.kind {
            StepKind::Linear { act, .. } | StepKind::Conv2d { act, .. } => act.keeps(),
            _ => false,
        }
    }

    /// The part sums of its backward pass, in elements.
    fn partial(&self, gpu: &Gpu, batch: usize) -> usize {
        match &self.kind {
            StepKind::Linear { outputs, .. } => {
                outputs * bias_parts(gpu, batch * self.output / outputs, *outputs, 1) as usize
            }
            StepKind::Conv2d { conv, .. } => {
                let channels = conv.out_channels;
                let shape = ConvShape::of(conv, batch);
                let bias = channels * bias_parts(gpu, batch, channels, self.output / channels) as usize;
                bias.max(conv_partial(gpu, &shape))
            }
            _ => 0,
        }
    }

    /// The elements of the larger first or second operand of its products.
    fn operand(&self, batch: usize, second: bool) -> usize {
        let StepKind::Linear { inputs, outputs, .. } = &self.kind else { return 0 };
        let (x, dy, w) = (batch * self.input, batch * self.output, inputs * outputs);
        // x · Wᵀ, dyᵀ · x and dy · W.
        if second { w.max(x) } else { x.max(dy) }
    }
}
