//! Convolutions by cuDNN, each planned once.

use super::cudnn::{
    ALLOW_CONVERSION, Convolution, DEFAULT_MATH, DETERMINISTIC, Descriptors, Direction, FMA_MATH, Functions, Object,
    Proposal, SUCCESS, functions, good,
};
use super::gpu::{Event, Gpu, lock};
use super::matmul::{Kind, RUNS};
use super::memory::Memory;
use crate::error::Result;
use core::ffi::{c_int, c_void};
use core::ptr;
use cudarc::driver::sys::{CUdeviceptr, CUstream};
use std::collections::HashMap;
use std::sync::Mutex;

/// More memory than this is not taken for an algorithm.
const WORKSPACE: usize = 1 << 30;
/// How many of the algorithms that cuDNN proposes are tried, and how many it may propose.
const TRIED: usize = 4;
const PROPOSED: usize = 10;

/// cuDNN on one GPU.
pub(super) struct Cudnn {
    functions: &'static Functions,
    handle: Object,
    /// `None` where it has no way.
    planned: HashMap<Convolution, Option<Planned>>,
}

struct Planned {
    descriptors: Descriptors,
    algorithm: c_int,
    workspace: usize,
}

impl Cudnn {
    /// The context is current.
    fn new() -> Result<Self, String> {
        let (functions, mut handle) = (functions()?, ptr::null_mut());
        // SAFETY: the library writes a handle, which is kept as long as the program runs.
        good(functions, unsafe { (functions.cudnnCreate)(&mut handle) })?;
        Ok(Cudnn { functions, handle, planned: HashMap::new() })
    }

    /// The fastest of the algorithms that cuDNN proposes and that give the same bits every time.
    unsafe fn plan(
        &self,
        gpu: &Gpu,
        convolution: &Convolution,
        places: [CUdeviceptr; 3],
    ) -> Result<Option<Planned>, String> {
        let (propose, ask, _) = self.functions.of_direction(convolution.direction);
        let descriptors = Descriptors::new(self.functions, convolution)?;
        let exact = convolution.kind != Kind::Tf32;
        descriptors.set_math(if exact { FMA_MATH } else { DEFAULT_MATH })?;
        let [a, b, how, to] = descriptors.ordered(convolution.direction);
        let (mut proposals, mut count) = ([Proposal::default(); PROPOSED], 0);
        // SAFETY: descriptors of this call; room for as many proposals as cuDNN is told.
        let status =
            unsafe { propose(self.handle, a, b, how, to, PROPOSED as c_int, &mut count, proposals.as_mut_ptr()) };
        good(self.functions, status)?;
        let free = gpu.mem_get_info().map_err(|error| error.to_string())?.0;
        let proposals = &proposals[..usize::try_from(count).unwrap_or(0).min(PROPOSED)];
        let fits = |proposal: &&Proposal| {
            let Proposal { algorithm, status, determinism, .. } = **proposal;
            status == SUCCESS && determinism == DETERMINISTIC && (!exact || convolution.is_plain(algorithm))
        };
        let mut best: Option<(f32, c_int, c_int, usize)> = None;
        let mut planned = Planned { descriptors, algorithm: 0, workspace: 0 };
        for proposal in proposals.iter().filter(fits).take(TRIED) {
            let math = match proposal.math {
                _ if exact => FMA_MATH,
                ALLOW_CONVERSION => DEFAULT_MATH,
                math => math,
            };
            planned.descriptors.set_math(math)?;
            planned.algorithm = proposal.algorithm;
            // SAFETY: as above; one number is written.
            let status = unsafe { ask(self.handle, a, b, how, to, proposal.algorithm, &mut planned.workspace) };
            if status != SUCCESS || planned.workspace > WORKSPACE.min(free / 2) {
                continue;
            }
            // SAFETY: as the caller's.
            let Ok(time) = (unsafe { self.time(gpu, convolution, &planned, places) }) else { continue };
            if best.is_none_or(|(shortest, ..)| time < shortest) {
                best = Some((time, math, planned.algorithm, planned.workspace));
            }
        }
        let Some((_, math, algorithm, workspace)) = best else { return Ok(None) };
        planned.descriptors.set_math(math)?;
        Ok(Some(Planned { algorithm, workspace, ..planned }))
    }

    /// The shortest of a few runs, in milliseconds, of an algorithm that can be recorded.
    unsafe fn time(
        &self,
        gpu: &Gpu,
        convolution: &Convolution,
        planned: &Planned,
        places: [CUdeviceptr; 3],
    ) -> Result<f32> {
        let (start, end) = (Event::new(gpu, true)?, Event::new(gpu, true)?);
        let workspace = Memory::new(gpu, planned.workspace)?;
        let mut shortest = f32::INFINITY;
        for run in 0..=RUNS {
            start.record(gpu.0.stream)?;
            // SAFETY: as the caller's; the memory is as large as the algorithm wants it.
            let status = unsafe { self.run(convolution, planned, places, workspace.pointer(), gpu.0.stream) };
            status.map_err(|status| gpu.failure(convolution.doing(), status))?;
            end.record(gpu.0.stream)?;
            end.synchronize()?;
            if run > 0 {
                shortest = shortest.min(end.since(&start)?);
            }
        }
        // A training step is recorded: an algorithm that cannot be is none.
        let recorded = gpu.can_record(|stream| {
            // SAFETY: as above.
            let status = unsafe { self.run(convolution, planned, places, workspace.pointer(), stream) };
            status.map_err(|status| gpu.failure(convolution.doing(), status))
        });
        // SAFETY: the handle and the stream live as long as the program; the one before is gone.
        let status = unsafe { (self.functions.cudnnSetStream)(self.handle, gpu.0.stream) };
        good(self.functions, status).map_err(|status| gpu.failure(convolution.doing(), status))?;
        recorded?;
        Ok(shortest)
    }

    unsafe fn run(
        &self,
        convolution: &Convolution,
        planned: &Planned,
        [first, second, result]: [CUdeviceptr; 3],
        workspace: CUdeviceptr,
        stream: CUstream,
    ) -> Result<(), String> {
        let (direction, (.., run)) = (convolution.direction, self.functions.of_direction(convolution.direction));
        let (single, double) = ([1.0f32, 0.0], [1.0f64, 0.0]);
        let [one, zero]: [*const c_void; 2] = match convolution.kind {
            Kind::F64 => [0, 1].map(|i| (&raw const double[i]).cast()),
            _ => [0, 1].map(|i| (&raw const single[i]).cast()),
        };
        let [of_a, of_b, how, to] = planned.descriptors.ordered(direction);
        // The gradients' functions take dy second.
        let (a, b) = if direction == Direction::Forward { (first, second) } else { (second, first) };
        let (a, b, result) = (a as *const c_void, b as *const c_void, result as *mut c_void);
        let (memory, bytes) = (workspace as *mut c_void, planned.workspace);
        // SAFETY: the descriptors are those of the convolution, of which the caller gives the memory.
        unsafe {
            good(self.functions, (self.functions.cudnnSetStream)(self.handle, stream))?;
            let status =
                run(self.handle, one, of_a, a, of_b, b, how, planned.algorithm, memory, bytes, zero, to, result);
            good(self.functions, status)
        }
    }
}

/// Memory that cuDNN works with. When more is wanted, what was there stays, since recorded steps use it.
#[derive(Default)]
pub(super) struct Workspaces(Mutex<Vec<Memory>>);

impl Workspaces {
    fn with(&self, gpu: &Gpu, bytes: usize) -> Result<CUdeviceptr> {
        let mut all = lock(&self.0);
        if all.last().is_none_or(|last| last.len() < bytes) {
            all.push(Memory::new(gpu, bytes)?);
        }
        Ok(all.last().expect("just made").pointer())
    }
}

impl Gpu {
    /// cuDNN, started when it is asked for first.
    pub(super) fn cudnn(&self) -> Option<&Mutex<Cudnn>> {
        let start = || {
            let entered = self.enter();
            entered.map_err(|error| error.to_string()).and_then(|()| Cudnn::new()).map(Mutex::new)
        };
        self.0.cudnn.get_or_init(start).as_ref().ok()
    }

    /// Computes a convolution by cuDNN. The first of its kind chooses the fastest algorithm by trying.
    ///
    /// # Safety
    /// The places are memory of this GPU, of the convolution's sizes; the result overlaps no operand.
    pub(super) unsafe fn convolve(
        &self,
        convolution: &Convolution,
        places: [CUdeviceptr; 3],
        workspaces: &Workspaces,
        stream: CUstream,
    ) -> Result<()> {
        self.enter()?;
        let failed = |reason: String| self.failure(convolution.doing(), reason);
        let cudnn = self.cudnn().ok_or_else(|| failed("cuDNN did not start".into()))?;
        let cudnn = &mut *lock(cudnn);
        if !cudnn.planned.contains_key(convolution) {
            // SAFETY: as the caller's; the result may be overwritten, as it will be.
            let planned = unsafe { cudnn.plan(self, convolution, places) }.map_err(failed)?;
            cudnn.planned.insert(*convolution, planned);
        }
        let planned = cudnn.planned[convolution].as_ref();
        let planned =
            planned.ok_or_else(|| failed("it has no algorithm that gives the same bits every time".into()))?;
        let workspace = workspaces.with(self, planned.workspace)?;
        // SAFETY: as the caller's; the memory is as large as the algorithm wants it.
        unsafe { cudnn.run(convolution, planned, places, workspace, stream) }.map_err(failed)
    }
}
