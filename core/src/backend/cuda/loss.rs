//! A loss of predictions that are on a GPU, by itself: outside of a network's training.

use super::executor::Real;
use super::kernels::{self, Program};
use super::memory::Memory;
use super::network::launch;
use crate::element::DType;
use crate::error::Result;
use crate::loss::{DeviceLoss, LossKind, Target};
use core::ffi::c_void;
use cudarc::driver::sys::CUdeviceptr;

/// Blocks, each with a part sum.
const PARTS: usize = 256;

/// The loss of `n` predictions; its gradient is written into `dy`, and its terms into `terms`, where there are any. Or the
/// position of a target, or a prediction, that is none, as in `kernels/loss.cu`.
pub(crate) fn loss(
    y: &Memory,
    real: DType,
    n: usize,
    loss: &DeviceLoss<'_>,
    dy: Option<&Memory>,
    terms: Option<&Memory>,
) -> Result<Result<f64, usize>> {
    let gpu = y.gpu();
    gpu.enter()?;
    let sent = match &loss.target {
        Target::There(..) | Target::Made { .. } => None,
        Target::Reals(bytes) => Some(Memory::of(gpu, bytes)?),
        Target::Labels { len, of } => {
            let labels: Vec<i32> = (0..*len).map(of).collect();
            Some(Memory::of(gpu, bytemuck::cast_slice(&labels))?)
        }
    };
    let target = loss.target.there().map(|(memory, _)| memory).or(sent.as_ref()).map_or(0, Memory::pointer);
    let stats = Memory::zeros(gpu, 64)?;
    let (partial, hits) = (Memory::new(gpu, PARTS * 8)?, Memory::new(gpu, PARTS * 8)?);
    let (y, stream, program) = (y.pointer(), gpu.0.stream, Program::new(kernels::LOSS, real));
    let (parts, stats_at) = (n.div_ceil(1024).clamp(1, PARTS) as u32, stats.pointer());
    let [dy, terms] = [dy, terms].map(|memory| memory.map_or(0 as CUdeviceptr, Memory::pointer));
    let (partial_at, hits_at) = (partial.pointer(), hits.pointer());
    let (grid, scale) = ([parts, 1, 1], Real::new(real, 1.0 / loss.divisor));
    let (rows, classes) = (n / loss.classes.max(1), loss.classes as u32);
    let name = match loss.kind {
        LossKind::Mse => "mse",
        LossKind::Bce => "bce",
        LossKind::BceWithLogits => "bce_logits",
        LossKind::CrossEntropy => "cross_entropy",
        LossKind::CrossEntropyOfProbabilities => "cross_entropy_soft",
    };
    let kernel = gpu.kernel(&program, name)?;
    match loss.kind {
        LossKind::CrossEntropy | LossKind::CrossEntropyOfProbabilities => launch!(
            gpu, stream, kernel, grid, y, target, dy, rows, classes, scale, partial_at, hits_at, stats_at, terms
        )?,
        _ => launch!(gpu, stream, kernel, grid, y, target, dy, n, scale, partial_at, hits_at, stats_at, terms)?,
    }
    let (divisor, weight, of) = (loss.divisor, 1.0f64, loss.predictions as f64);
    let finish = gpu.kernel(&program, "loss_finish")?;
    launch!(gpu, stream, finish, [1, 1, 1], partial_at, parts, divisor, weight, stats_at, hits_at, of)?;
    let mut words = [0u64; 8];
    stats.read(bytemuck::cast_slice_mut(&mut words))?;
    Ok(match words[7].checked_sub(1) {
        Some(position) => Err(usize::try_from(position).unwrap_or(usize::MAX)),
        None => Ok(f64::from_bits(words[0])),
    })
}
