//! Optimizers on a GPU: their settings, as the kernels read them, and their moments.

use super::gpu::Gpu;
use super::kernels::{self, Kernel, Program};
use super::memory::Memory;
use super::network::{THREADS, launch};
use crate::element::DType;
use crate::error::Result;
use core::ffi::c_void;
use cudarc::driver::sys::{CUdeviceptr, CUstream};

/// An optimizer with its settings and the number of steps that it has made.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(unreachable_pub)] // in a hidden function of a public trait
pub enum Rule {
    Sgd { lr: f64, momentum: f64, dampening: f64, weight_decay: f64, nesterov: bool, started: bool },
    Adam { lr: f64, betas: (f64, f64), eps: f64, weight_decay: f64, steps: u64 },
}

impl Rule {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Rule::Sgd { .. } => "sgd",
            Rule::Adam { .. } => "adam",
        }
    }

    /// `Sgd` or `Adam` in the kernels' text.
    pub(super) fn settings(&self) -> Vec<u8> {
        let words: Vec<[u8; 8]> = match *self {
            Rule::Sgd { lr, momentum, dampening, weight_decay, nesterov, started } => {
                let numbers = [lr, momentum, dampening, weight_decay].map(f64::to_ne_bytes);
                let counts = [u64::from(nesterov), u64::from(started), 0].map(u64::to_ne_bytes);
                numbers.into_iter().chain(counts).collect()
            }
            Rule::Adam { lr, betas, eps, weight_decay, steps } => {
                let numbers = [lr, betas.0, betas.1, eps, weight_decay].map(f64::to_ne_bytes);
                numbers.into_iter().chain([steps, 0, 0].map(u64::to_ne_bytes)).collect()
            }
        };
        words.concat()
    }

    /// The rule that leaves the parameters as they are.
    pub(super) fn standing_still(mut self) -> Self {
        let (Rule::Sgd { lr, .. } | Rule::Adam { lr, .. }) = &mut self;
        *lr = 0.0;
        self
    }

    /// The rule after so many more steps.
    pub(super) fn after(self, more: u64) -> Self {
        match self {
            Rule::Sgd { started, lr, momentum, dampening, weight_decay, nesterov } => Rule::Sgd {
                started: started || more > 0 && momentum != 0.0,
                lr,
                momentum,
                dampening,
                weight_decay,
                nesterov,
            },
            Rule::Adam { steps, lr, betas, eps, weight_decay } => {
                Rule::Adam { steps: steps + more, lr, betas, eps, weight_decay }
            }
        }
    }
}

/// An optimizer's kernels and moments for a block of parameters.
pub struct Update<'a> {
    pub(crate) rule: Rule,
    pub(crate) moments: [Option<&'a Memory>; 2],
    pub(crate) real: DType,
    pub(crate) parameters: usize,
}

impl Update<'_> {
    pub(super) fn moments(&self) -> [CUdeviceptr; 2] {
        self.moments.map(|moment| moment.map_or(0, Memory::pointer))
    }

    fn kernels(&self, gpu: &Gpu) -> Result<(Kernel, Kernel)> {
        let program = Program::new(kernels::OPTIMIZER, self.real);
        let (count, update) = match self.rule {
            Rule::Sgd { .. } => ("sgd_count", "sgd"),
            Rule::Adam { .. } => ("adam_count", "adam"),
        };
        Ok((gpu.kernel(&program, count)?, gpu.kernel(&program, update)?))
    }

    pub(super) fn launch(
        &self,
        gpu: &Gpu,
        stream: CUstream,
        p: CUdeviceptr,
        g: CUdeviceptr,
        settings: CUdeviceptr,
        stats: CUdeviceptr,
    ) -> Result<()> {
        let (count, update) = self.kernels(gpu)?;
        let ([m, v], n) = (self.moments(), self.parameters);
        // Without a velocity, nothing of SGD depends on the number of the step.
        let counts = m != 0 || matches!(self.rule, Rule::Adam { .. });
        // SAFETY: one thread, which reads and writes the settings and reads the statistics.
        unsafe {
            let arguments = &mut [&raw const settings, &raw const stats].map(|value| value.cast_mut().cast::<c_void>());
            if counts {
                gpu.launch(stream, count, [1, 1, 1], 1, arguments)?;
            }
        }
        let blocks = n.div_ceil(THREADS as usize * 4).clamp(1, gpu.multiprocessors() as usize * 8) as u32;
        match self.rule {
            Rule::Sgd { .. } => launch!(gpu, stream, update, [blocks, 1, 1], p, g, m, n, settings, stats),
            Rule::Adam { .. } => launch!(gpu, stream, update, [blocks, 1, 1], p, g, m, v, n, settings, stats),
        }
    }

    /// One step by itself.
    pub(crate) fn run(&self, gpu: &Gpu, parameters: &Memory, gradients: &Memory) -> Result<()> {
        gpu.enter()?;
        let settings = Memory::new(gpu, 256)?;
        settings.write_small(&self.rule.settings())?;
        self.launch(gpu, gpu.0.stream, parameters.pointer(), gradients.pointer(), settings.pointer(), 0)
    }
}
