//! Sums over several GPUs, by NVIDIA's NCCL.
//!
//! cudarc has NCCL's types, but looks for the library by names that it does not have: it is `libnccl.so.2` wherever NVIDIA
//! ships it. So the few functions are looked up here.

use super::gpu::{Event, Gpu, Handle, lock};
use super::library;
use super::memory::Memory;
use super::statistics::Stats;
use crate::distributed::{Control, left};
use crate::element::DType;
use crate::error::{Error, Result};
use core::ffi::{CStr, c_char, c_int, c_void};
use core::fmt::{self, Debug};
use core::ptr;
use core::time::Duration;
use cudarc::driver::sys::{self, CUdeviceptr, CUstream};
use cudarc::nccl::sys::{ncclComm_t, ncclDataType_t, ncclRedOp_t, ncclUniqueId};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::Instant;

/// By which the ranks of one group know each other.
pub(crate) type UniqueId = [u8; 128];

const SUCCESS: c_int = 0;
const IN_PROGRESS: c_int = 7;

/// The library's functions, each looked up by its name. What they return is no enum: a later version may know more errors.
macro_rules! functions {
    ($($name:ident: fn($($argument:ty),*) -> $result:ty;)*) => {
        #[allow(non_snake_case)]
        struct Nccl {
            $($name: unsafe extern "C" fn($($argument),*) -> $result,)*
        }

        impl Nccl {
            fn open() -> Result<Self, String> {
                let library = library::nccl()?;
                let nccl = Nccl {
                    // SAFETY: the type is the function's in NVIDIA's header nccl.h.
                    $($name: *unsafe { library.get::<unsafe extern "C" fn($($argument),*) -> $result>(stringify!($name)) }
                        .map_err(|error| format!("NCCL is too old, or none: {error}"))?,)*
                };
                // The functions are there as long as the program runs.
                core::mem::forget(library);
                Ok(nccl)
            }
        }
    };
}

functions! {
    ncclGetUniqueId: fn(*mut ncclUniqueId) -> c_int;
    ncclCommInitRank: fn(*mut ncclComm_t, c_int, ncclUniqueId, c_int) -> c_int;
    ncclCommDestroy: fn(ncclComm_t) -> c_int;
    ncclCommAbort: fn(ncclComm_t) -> c_int;
    ncclCommGetAsyncError: fn(ncclComm_t, *mut c_int) -> c_int;
    ncclGetErrorString: fn(c_int) -> *const c_char;
    ncclGetLastError: fn(ncclComm_t) -> *const c_char;
    ncclGroupStart: fn() -> c_int;
    ncclGroupEnd: fn() -> c_int;
    ncclBroadcast: fn(*const c_void, *mut c_void, usize, ncclDataType_t, c_int, ncclComm_t, CUstream) -> c_int;
    ncclAllReduce: fn(*const c_void, *mut c_void, usize, ncclDataType_t, ncclRedOp_t, ncclComm_t, CUstream) -> c_int;
}

impl Nccl {
    /// Looks for the library, once.
    fn get() -> Result<&'static Self, String> {
        static NCCL: OnceLock<Result<Nccl, String>> = OnceLock::new();
        NCCL.get_or_init(Nccl::open).as_ref().map_err(String::clone)
    }

    /// NCCL's own words for a call that failed.
    fn check(&self, result: c_int, doing: &str) -> Result<(), String> {
        // The communicators are such that no call goes on after it returned.
        if result == SUCCESS || result == IN_PROGRESS {
            return Ok(());
        }
        let text = |text: *const c_char| {
            // SAFETY: a text of NCCL's own that ends with a zero, or null.
            if text.is_null() { "" } else { unsafe { CStr::from_ptr(text) }.to_str().unwrap_or_default().trim() }
        };
        // SAFETY: both take any value; no communicator means the last error of all.
        let (what, details) =
            unsafe { (text((self.ncclGetErrorString)(result)), text((self.ncclGetLastError)(ptr::null_mut()))) };
        let details = if details.is_empty() { String::new() } else { format!(": {details}") };
        Err(format!("{doing} failed: NCCL: {what}{details}"))
    }
}

/// Connects a GPU to those of the other ranks.
pub(crate) struct Communicator {
    nccl: &'static Nccl,
    gpu: Gpu,
    control: Arc<Control>,
    /// None, once it was given up.
    handle: Mutex<Option<Handle<ncclComm_t>>>,
}

impl Communicator {
    /// Looks for the library.
    pub(crate) fn load() -> Result<(), String> {
        Nccl::get().map(|_| ())
    }

    pub(crate) fn unique_id() -> Result<UniqueId, String> {
        let nccl = Nccl::get()?;
        let mut id = ncclUniqueId { internal: [0; 128] };
        // SAFETY: NCCL writes an identifier.
        nccl.check(unsafe { (nccl.ncclGetUniqueId)(&mut id) }, "making an identifier for the group")?;
        Ok(bytemuck::cast(id.internal))
    }

    /// Waits until all ranks are there.
    pub(crate) fn new(gpu: &Gpu, control: Arc<Control>, id: &UniqueId) -> Result<Self> {
        let nccl = Nccl::get().map_err(|reason| control.failure(reason))?;
        gpu.enter()?;
        let number = |n: usize| c_int::try_from(n).map_err(|_| control.failure("too many ranks"));
        let (world_size, rank) = (number(control.world_size())?, number(control.rank())?);
        let (id, mut handle) = (ncclUniqueId { internal: bytemuck::cast(*id) }, ptr::null_mut());
        // SAFETY: NCCL writes a handle; the GPU's context is this thread's.
        let result = unsafe { (nccl.ncclCommInitRank)(&mut handle, world_size, id, rank) };
        nccl.check(result, &format!("connecting {gpu} to the other ranks"))
            .map_err(|reason| control.failure(reason))?;
        Ok(Communicator { nccl, gpu: gpu.clone(), control, handle: Mutex::new(Some(Handle(handle))) })
    }

    /// # Errors
    /// If it is for another GPU.
    pub(crate) fn check_gpu(&self, gpu: &Gpu) -> Result<()> {
        if self.gpu == *gpu {
            return Ok(());
        }
        Err(Error::Devices {
            what: "the network",
            left: gpu.to_string(),
            other: "its process group",
            right: self.gpu.to_string(),
        })
    }

    pub(crate) fn control(&self) -> &Control {
        &self.control
    }

    /// Calls NCCL with the handle.
    fn call(&self, doing: &str, call: impl FnOnce(ncclComm_t) -> c_int) -> Result<()> {
        let handle = lock(&self.handle);
        let Some(Handle(handle)) = *handle else {
            return Err(self.control.failure("it has left the group after an earlier error"));
        };
        self.gpu.enter()?;
        self.nccl.check(call(handle), doing).map_err(|reason| self.control.failure(reason))
    }

    /// The numbers of rank 0 for all.
    pub(crate) fn broadcast(&self, memory: &Memory) -> Result<()> {
        let (at, stream) = (memory.pointer() as *mut c_void, self.gpu.0.stream);
        self.call("sending the parameters of rank 0", |handle| {
            // SAFETY: the memory has this many bytes at each rank, as they have agreed.
            unsafe { (self.nccl.ncclBroadcast)(at, at, memory.len(), ncclDataType_t::ncclUint8, 0, handle, stream) }
        })?;
        self.wait_all()
    }

    /// Makes `n` gradients the sum of all ranks' own, and `agreed`, of eight words like `stats`, the largest of each word: so
    /// that if one rank has to stop, all do in the same step. Without `own` gradients there is nothing to add at this rank.
    pub(super) fn reduce(
        &self,
        (gradients, n, real): (CUdeviceptr, usize, DType),
        own: bool,
        (stats, agreed): (CUdeviceptr, CUdeviceptr),
        stream: CUstream,
    ) -> Result<()> {
        let (kind, size) = match real {
            DType::F64 => (ncclDataType_t::ncclFloat64, 8),
            _ => (ncclDataType_t::ncclFloat32, 4),
        };
        if !own && n > 0 {
            self.gpu.enter()?;
            // SAFETY: the block has `n` numbers of this size.
            let result = unsafe { sys::cuMemsetD8Async(gradients, 0, n * size, stream) };
            self.gpu.check(result, "clearing memory")?;
        }
        let [gradients, stats, agreed] = [gradients, stats, agreed].map(|at| at as *mut c_void);
        self.call("adding up the gradients of all ranks", |handle| {
            // SAFETY: the memory is of these sizes at each rank, and this GPU's; a group that was begun is ended.
            unsafe {
                let begun = (self.nccl.ncclGroupStart)();
                if begun != SUCCESS {
                    return begun;
                }
                let reduce = self.nccl.ncclAllReduce;
                let sum = reduce(gradients, gradients, n, kind, ncclRedOp_t::ncclSum, handle, stream);
                let max = reduce(stats, agreed, 8, ncclDataType_t::ncclUint64, ncclRedOp_t::ncclMax, handle, stream);
                let ended = (self.nccl.ncclGroupEnd)();
                [sum, max, ended].into_iter().find(|result| *result != SUCCESS).unwrap_or(SUCCESS)
            }
        })
    }

    /// Waits for a point in the GPU's work, as long as no other rank is lost: what waits for one that is lost never ends.
    pub(super) fn wait(&self, event: &Event) -> Result<()> {
        const EAGER: Duration = Duration::from_millis(1);
        let begun = Instant::now();
        let mut next_look = EAGER;
        while !event.reached()? {
            let waited = begun.elapsed();
            if waited < next_look {
                thread::yield_now();
                continue;
            }
            self.check_work()?;
            if let Some(rank) = self.control.gone() {
                return Err(self.control.failure(left(rank)));
            }
            if waited >= self.control.timeout() {
                let reason = format!("the other ranks did not take part in a step within {:?}", self.control.timeout());
                return Err(self.control.failure(reason));
            }
            thread::sleep(Duration::from_micros(100));
            next_look = begun.elapsed() + EAGER;
        }
        Ok(())
    }

    /// Waits for all of the GPU's work.
    pub(super) fn wait_all(&self) -> Result<()> {
        let event = Event::new(&self.gpu, false)?;
        event.record(self.gpu.0.stream)?;
        self.wait(&event)?;
        self.check_work()
    }

    /// What went wrong in the work that was asked for earlier.
    fn check_work(&self) -> Result<()> {
        let mut failure = SUCCESS;
        self.call("asking for errors of the group", |handle| {
            // SAFETY: NCCL writes a result.
            unsafe { (self.nccl.ncclCommGetAsyncError)(handle, &mut failure) }
        })?;
        let checked = self.nccl.check(failure, "adding up the gradients of all ranks");
        checked.map_err(|reason| self.control.failure(reason))
    }

    /// The statistics of all ranks as those of one that has seen all of the batches. The samples are: each rank counts all of
    /// those of a batch.
    pub(super) fn combined(&self, own: Stats) -> Result<Stats> {
        let words = [
            own.loss.to_bits(),
            own.sum.to_bits(),
            own.correct,
            own.of,
            own.diverged,
            own.steps,
            own.bad.map_or(0, |bad| bad.saturating_add(1)),
        ];
        let all = self.control.gather("the statistics of its steps", bytemuck::cast_slice(&words))?;
        let mut of_all = Stats { loss: 0.0, sum: 0.0, correct: 0, of: 0, steps: u64::MAX, ..own };
        for (rank, bytes) in all.iter().enumerate() {
            let Ok(words) = bytemuck::try_pod_read_unaligned::<[u64; 7]>(bytes) else {
                return Err(self.control.failure(format!("rank {rank} is of another version of Plywood")));
            };
            let [loss, sum, correct, of, diverged, steps, bad] = words;
            of_all.loss += f64::from_bits(loss);
            of_all.sum += f64::from_bits(sum);
            of_all.correct += correct;
            of_all.of += of;
            of_all.diverged |= diverged;
            of_all.steps = of_all.steps.min(steps);
            if bad != 0 && own.bad.is_none() && of_all.refused_by.is_none() {
                of_all.refused_by = Some(rank);
            }
        }
        Ok(of_all)
    }

    /// Gives the group up; what waits for the others ends. No recorded step may use it any more, as NCCL waits for those.
    pub(super) fn abort(&self) {
        self.control.leave();
        if let Some(Handle(handle)) = lock(&self.handle).take() {
            let _ = self.gpu.enter();
            // SAFETY: the handle is used no more.
            unsafe { (self.nccl.ncclCommAbort)(handle) };
        }
    }
}

impl Drop for Communicator {
    fn drop(&mut self) {
        if let Some(Handle(handle)) = lock(&self.handle).take() {
            let _ = self.gpu.enter();
            // SAFETY: the handle is used no more, also by no recorded step: an executor has its steps no longer than this.
            unsafe { (self.nccl.ncclCommDestroy)(handle) };
        }
    }
}

impl Debug for Communicator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Communicator: rank {} of {} on {}", self.control.rank(), self.control.world_size(), self.gpu)
    }
}
