//! Optimizers on a GPU: their settings, as the kernels read them, and their moments.

use super::executor::Real;
use super::gpu::Gpu;
use super::kernels::{self, Kernel, Program};
use super::memory::Memory;
use super::network::{THREADS, launch};
use crate::element::DType;
use crate::error::{Error, Result};
use crate::optim::Clip;
use core::ffi::c_void;
use cudarc::driver::sys::{CUdeviceptr, CUstream};

/// An optimizer with its settings and the number of steps that it has made.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(unreachable_pub)] // in a hidden function of a public trait
pub enum Rule {
    Sgd { lr: f64, momentum: f64, dampening: f64, weight_decay: f64, nesterov: bool, started: bool },
    Adam { lr: f64, betas: (f64, f64), eps: f64, weight_decay: f64, decoupled: bool, steps: u64 },
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
            Rule::Adam { lr, betas, eps, weight_decay, decoupled, steps } => {
                let numbers = [lr, betas.0, betas.1, eps, weight_decay].map(f64::to_ne_bytes);
                numbers.into_iter().chain([u64::from(decoupled), steps, 0, 0, 0].map(u64::to_ne_bytes)).collect()
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
            Rule::Adam { steps, lr, betas, eps, weight_decay, decoupled } => {
                Rule::Adam { steps: steps + more, lr, betas, eps, weight_decay, decoupled }
            }
        }
    }
}

/// Where an optimizer's settings end and what clipping needs begins: the factor with the norm, and part sums.
const CLIP: usize = 128;
const PARTIAL: usize = CLIP + 16;
/// Blocks of a sum, each with a part of it.
const PARTS: usize = 1024;

/// Clips a block of gradients.
pub(crate) struct Clipping {
    pub(crate) clip: Clip,
    pub(crate) real: DType,
    pub(crate) n: usize,
}

impl Clipping {
    fn kernel(&self, gpu: &Gpu, name: &'static str) -> Result<Kernel> {
        gpu.kernel(&Program::new(kernels::OPTIMIZER, self.real), name)
    }

    /// Finds the factor, and where it is: nowhere, if no norm is asked for. `stats` as in `kernels/optimizer.cu`.
    fn factor(
        &self,
        gpu: &Gpu,
        stream: CUstream,
        g: CUdeviceptr,
        settings: CUdeviceptr,
        [own, stats]: [CUdeviceptr; 2],
    ) -> Result<CUdeviceptr> {
        let Clip::Norm(max_norm) = self.clip else { return Ok(0) };
        let (n, clip, partial) = (self.n, settings + CLIP as u64, settings + PARTIAL as u64);
        let parts = n.div_ceil(THREADS as usize * 8).clamp(1, PARTS) as u32;
        launch!(gpu, stream, self.kernel(gpu, "square_sum")?, [parts, 1, 1], g, n, partial, stats)?;
        let finish = self.kernel(gpu, "clip_factor")?;
        launch!(gpu, stream, finish, [1, 1, 1], partial, parts, max_norm, clip, stats, own)?;
        Ok(clip)
    }

    fn limit(&self) -> Real {
        let Clip::Value(limit) = self.clip else { return no_limit(self.real) };
        Real::new(self.real, limit)
    }

    /// Clips gradients where they are, and gives their norm before if that is what was asked for.
    pub(crate) fn run(&self, gradients: &Memory) -> Result<f64> {
        let gpu = gradients.gpu();
        gpu.enter()?;
        let (n, g, stream, room) = (self.n, gradients.pointer(), gpu.0.stream, Memory::new(gpu, Update::ROOM)?);
        let (clip, mut found) = (self.factor(gpu, stream, g, room.pointer(), [0; 2])?, [1.0f64, 0.0]);
        if clip != 0 {
            let words = Memory::new(gpu, 16)?;
            words.write_from(0, clip, 16, stream)?;
            words.read(bytemuck::cast_slice_mut(&mut found))?;
        }
        let ([factor, norm], limit) = (found, self.limit());
        if !norm.is_finite() {
            return Err(Error::GradientNorm { norm });
        }
        if factor < 1.0 || clip == 0 {
            launch!(gpu, stream, self.kernel(gpu, "clip")?, blocks(gpu, n), g, n, clip, limit)?;
        }
        Ok(norm)
    }
}

fn no_limit(real: DType) -> Real {
    Real::new(real, f64::INFINITY)
}

/// A grid for one pass over so many elements.
fn blocks(gpu: &Gpu, n: usize) -> [u32; 3] {
    [n.div_ceil(THREADS as usize * 4).clamp(1, gpu.multiprocessors() as usize * 8) as u32, 1, 1]
}

/// An optimizer's kernels and moments for a block of parameters.
pub struct Update<'a> {
    pub(crate) rule: Rule,
    pub(crate) clip: Option<Clip>,
    pub(crate) moments: [Option<&'a Memory>; 2],
    pub(crate) real: DType,
    pub(crate) parameters: usize,
}

impl Update<'_> {
    /// The bytes of its settings, and of what clipping needs.
    pub(super) const ROOM: usize = PARTIAL + 8 * PARTS;

    pub(super) fn moments(&self) -> [CUdeviceptr; 2] {
        self.moments.map(|moment| moment.map_or(0, Memory::pointer))
    }

    fn clipping(&self) -> Option<Clipping> {
        self.clip.map(|clip| Clipping { clip, real: self.real, n: self.parameters })
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
        [own, stats]: [CUdeviceptr; 2],
    ) -> Result<()> {
        let (count, update) = self.kernels(gpu)?;
        let clipping = self.clipping();
        let clip = clipping.as_ref().map_or(Ok(0), |clip| clip.factor(gpu, stream, g, settings, [own, stats]))?;
        let limit = clipping.map_or_else(|| no_limit(self.real), |clip| clip.limit());
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
        let grid = blocks(gpu, n);
        match self.rule {
            Rule::Sgd { .. } => launch!(gpu, stream, update, grid, p, g, m, n, settings, clip, limit, stats),
            Rule::Adam { .. } => launch!(gpu, stream, update, grid, p, g, m, v, n, settings, clip, limit, stats),
        }
    }

    /// Loads the kernels, which is not to be done while a step is recorded.
    pub(super) fn load(&self, gpu: &Gpu) -> Result<()> {
        self.kernels(gpu)?;
        let Some(clipping) = self.clipping() else { return Ok(()) };
        ["square_sum", "clip_factor"].into_iter().try_for_each(|name| clipping.kernel(gpu, name).map(|_| ()))
    }

    /// One step by itself.
    pub(crate) fn run(&self, gpu: &Gpu, parameters: &Memory, gradients: &Memory) -> Result<()> {
        gpu.enter()?;
        let settings = Memory::new(gpu, Self::ROOM)?;
        settings.write_small(&self.rule.settings())?;
        self.launch(gpu, gpu.0.stream, parameters.pointer(), gradients.pointer(), settings.pointer(), [0; 2])
    }
}
