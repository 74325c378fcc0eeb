//! A GPU: its context, its streams, and what is kept of it for the whole life of the program.

use super::convolve::Cudnn;
use super::cudnn;
use super::driver::{check, described, failure};
use super::executor::Executor;
use super::kernels::{Kernel, Kernels};
use super::library;
use super::matmul::Products;
use super::memory::Pool;
use super::relu::Relu;
use super::small::Asked;
use crate::element::DType;
use crate::error::{Error, Result};
use crate::nn::LayerInfo;
use core::ffi::{CStr, c_int, c_void};
use core::fmt::{self, Debug, Display};
use core::hash::{Hash, Hasher};
use core::ptr;
use cudarc::driver::sys::{self, CUcontext, CUdevice_attribute, CUevent, CUgraph, CUgraphExec, CUresult, CUstream};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// An NVIDIA GPU, as [`Device::cuda`](crate::Device::cuda) gives it.
///
/// It prints as `cuda:0`; in the alternate form, `{:#}`, with its name, memory and compute capability, and
/// whether there is cuDNN.
#[derive(Clone)]
pub struct Gpu(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) index: usize,
    context: CUcontext,
    name: String,
    memory: usize,
    capability: (u32, u32),
    multiprocessors: u32,
    /// Bytes of shared memory that a block may have.
    shared: u32,
    /// Everything is computed here, in order.
    pub(super) stream: CUstream,
    /// Data goes up here while the other stream computes.
    pub(super) upload: CUstream,
    /// Steps are recorded here; nothing else runs on it.
    recording: Mutex<Handle<CUstream>>,
    pub(super) pool: Mutex<Pool>,
    pub(super) kernels: Mutex<Kernels>,
    pub(super) products: Mutex<Products>,
    pub(super) cudnn: OnceLock<Result<Mutex<Cudnn>, String>>,
    pub(super) relu: OnceLock<Relu>,
    /// Whether a step of a small network is faster in its own kernels.
    pub(super) small: Mutex<HashMap<Asked, bool>>,
    /// What runs networks for calls that keep nothing.
    pub(super) executors: Mutex<Vec<Executor>>,
}

/// A handle of the driver's, which any thread may use.
pub(super) struct Handle<T>(pub(super) T);

// SAFETY: the driver's handles may be used by any thread of the process that has made their context current.
unsafe impl<T> Send for Handle<T> {}

// SAFETY: as above; what is changed is behind a `Mutex`.
unsafe impl Send for Inner {}
// SAFETY: as above.
unsafe impl Sync for Inner {}

/// The GPUs that were asked for, for the whole life of the program.
static GPUS: Mutex<Vec<Gpu>> = Mutex::new(Vec::new());

/// For how many networks what runs them is kept.
const NETWORKS: usize = 8;

/// What a panic of another thread left is whole: every change is one assignment or one insertion.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gpu {
    /// The GPU of this number.
    pub(crate) fn new(index: usize) -> Result<Self> {
        let unusable = |reason: String| Error::Device { device: format!("cuda:{index}"), reason };
        library::load().map_err(|reason| unusable(reason.to_owned()))?;
        let mut gpus = lock(&GPUS);
        if let Some(gpu) = gpus.iter().find(|gpu| gpu.0.index == index) {
            return Ok(gpu.clone());
        }
        let gpu = Gpu(Arc::new(Inner::new(index).map_err(unusable)?));
        gpus.push(gpu.clone());
        Ok(gpu)
    }

    /// How many there are.
    pub(crate) fn count() -> Result<usize, String> {
        library::load()?;
        let mut count = 0;
        // SAFETY: the driver is there; it writes one number.
        unsafe {
            good(sys::cuInit(0), "starting the driver")?;
            good(sys::cuDeviceGetCount(&mut count), "counting the GPUs")?;
        }
        Ok(usize::try_from(count).unwrap_or(0))
    }

    pub(super) fn multiprocessors(&self) -> u32 {
        self.0.multiprocessors
    }

    /// Bytes of shared memory that a block may have.
    pub(super) fn shared_memory(&self) -> usize {
        self.0.shared as usize
    }

    /// `sm_90`.
    pub(super) fn architecture(&self) -> String {
        format!("sm_{}{}", self.0.capability.0, self.0.capability.1)
    }

    pub(super) fn name(&self) -> &str {
        &self.0.name
    }

    /// Makes this thread's calls go to this GPU.
    pub(super) fn enter(&self) -> Result<()> {
        // SAFETY: the context lives as long as the program.
        self.check(unsafe { sys::cuCtxSetCurrent(self.0.context) }, "choosing the GPU")
    }

    pub(super) fn check(&self, result: CUresult, doing: impl Display) -> Result<()> {
        check(result, self.0.index, doing)
    }

    pub(super) fn failure(&self, doing: impl Display, reason: impl Into<String>) -> Error {
        failure(self.0.index, doing, reason.into())
    }

    /// Does something with what runs the network of these layers, which is kept for the next time.
    pub(crate) fn with_executor<T>(
        &self,
        layers: &'static [LayerInfo],
        real: DType,
        f: impl FnOnce(&mut Executor) -> Result<T>,
    ) -> Result<T> {
        let kept = {
            let mut executors = lock(&self.0.executors);
            let place = executors.iter().position(|executor| executor.runs(layers, real));
            place.map(|place| executors.remove(place))
        };
        let mut executor = match kept {
            Some(executor) => executor,
            None => Executor::new(self, layers, real)?,
        };
        let result = f(&mut executor);
        let mut executors = lock(&self.0.executors);
        executors.push(executor);
        let oldest = (executors.len() > NETWORKS).then(|| executors.remove(0));
        // Its memory goes back when nobody waits for the lock.
        drop(executors);
        drop(oldest);
        result
    }

    /// Waits until everything is computed.
    ///
    /// # Errors
    /// If something failed that was asked for earlier.
    pub(crate) fn synchronize(&self) -> Result<()> {
        self.enter()?;
        // SAFETY: a stream of this context.
        self.check(unsafe { sys::cuStreamSynchronize(self.0.stream) }, "waiting for the GPU")
    }

    /// The free and the whole memory, in bytes.
    pub(crate) fn mem_get_info(&self) -> Result<(usize, usize)> {
        self.enter()?;
        let (mut free, mut total) = (0, 0);
        // SAFETY: the driver writes two numbers.
        self.check(unsafe { sys::cuMemGetInfo_v2(&mut free, &mut total) }, "asking for the free memory")?;
        Ok((free, total))
    }

    /// Launches a kernel. Each argument is a pointer to a value of the kernel's parameter.
    ///
    /// # Safety
    /// The arguments are those of the kernel, and the memory that it reads and writes is the GPU's.
    pub(super) unsafe fn launch(
        &self,
        stream: CUstream,
        kernel: Kernel,
        grid: [u32; 3],
        block: u32,
        arguments: &mut [*mut c_void],
    ) -> Result<()> {
        // SAFETY: as the caller's.
        unsafe { self.launch_with(0, stream, kernel, grid, block, arguments) }
    }

    /// [`launch`](Gpu::launch) with so many bytes of shared memory besides the kernel's own.
    ///
    /// # Safety
    /// As there.
    pub(super) unsafe fn launch_with(
        &self,
        shared: u32,
        stream: CUstream,
        (kernel, name): Kernel,
        [x, y, z]: [u32; 3],
        block: u32,
        arguments: &mut [*mut c_void],
    ) -> Result<()> {
        // SAFETY: a function of a module that is never unloaded; the caller vouches for the arguments.
        let result = unsafe {
            sys::cuLaunchKernel(kernel, x, y, z, block, 1, 1, shared, stream, arguments.as_mut_ptr(), ptr::null_mut())
        };
        self.check(result, format_args!("launching the kernel `{name}`"))
    }

    /// Lets a kernel be launched with so many bytes of shared memory.
    pub(super) fn allow_shared(&self, (kernel, name): Kernel, shared: u32) -> Result<()> {
        let attribute = sys::CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        // SAFETY: a function of a module that is never unloaded.
        let result = unsafe { sys::cuFuncSetAttribute(kernel, attribute, shared.cast_signed()) };
        self.check(result, format_args!("asking for shared memory for the kernel `{name}`"))
    }

    /// Records what `work` puts on the stream that it is given, as one graph.
    pub(super) fn record(&self, work: impl FnOnce(CUstream) -> Result<()>) -> Result<Recording> {
        self.enter()?;
        let stream = lock(&self.0.recording);
        // SAFETY: the stream is this context's own and, behind its lock, nobody else's now; the graph is destroyed once and
        // not used after.
        unsafe {
            let graph = self.capture(stream.0, work)?;
            let mut executable = ptr::null_mut();
            let made = sys::cuGraphInstantiateWithFlags(&mut executable, graph, 0);
            sys::cuGraphDestroy(graph);
            self.check(made, "preparing a recorded step")?;
            Ok(Recording { gpu: self.clone(), graph: executable })
        }
    }

    /// Whether `work` can be recorded: nothing waits for who records now, and nothing runs.
    pub(super) fn can_record(&self, work: impl FnOnce(CUstream) -> Result<()>) -> Result<()> {
        self.enter()?;
        let mut stream = ptr::null_mut();
        // SAFETY: a stream of this call, and a graph that is not used; each is destroyed once.
        unsafe {
            self.check(sys::cuStreamCreate(&mut stream, 1), "making a stream")?;
            let graph = self.capture(stream, work);
            sys::cuStreamDestroy_v2(stream);
            sys::cuGraphDestroy(graph?);
        }
        Ok(())
    }

    /// # Safety
    /// The stream is this context's, and nobody else uses it now.
    unsafe fn capture(&self, stream: CUstream, work: impl FnOnce(CUstream) -> Result<()>) -> Result<CUgraph> {
        let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        let mut graph = ptr::null_mut();
        // SAFETY: as the caller's; the driver writes a graph.
        unsafe {
            self.check(sys::cuStreamBeginCapture_v2(stream, mode), "beginning to record a step")?;
            let worked = work(stream);
            let ended = sys::cuStreamEndCapture(stream, &mut graph);
            worked?;
            self.check(ended, "recording a step")?;
        }
        Ok(graph)
    }

    /// Makes the work that follows on `later` wait for all that is on `earlier` now.
    pub(super) fn after(&self, later: CUstream, earlier: CUstream, event: &Event) -> Result<()> {
        event.record(earlier)?;
        event.wait(later)
    }
}

/// A call's outcome while there is no device to name yet.
fn good(result: CUresult, doing: &str) -> Result<(), String> {
    match result {
        CUresult::CUDA_SUCCESS => Ok(()),
        code => Err(format!("{doing} failed: {}", described(code))),
    }
}

impl Inner {
    fn new(index: usize) -> Result<Self, String> {
        let count = Gpu::count()?;
        if index >= count {
            let gpus = if count == 1 { "GPU" } else { "GPUs" };
            return Err(format!("this machine has {count} {gpus}, numbered from 0"));
        }
        let ordinal = c_int::try_from(index).expect("below the number of GPUs");
        let (mut device, mut context, mut bytes, mut name) = (0, ptr::null_mut(), 0, [0; 256]);
        // SAFETY: the driver is there and has started; each call writes to a place of the right type, the name into as many
        // bytes as it is told.
        unsafe {
            good(sys::cuDeviceGet(&mut device, ordinal), "getting the GPU")?;
            good(sys::cuDeviceGetName(name.as_mut_ptr(), 255, device), "asking for the GPU's name")?;
            good(sys::cuDeviceTotalMem_v2(&mut bytes, device), "asking for the GPU's memory")?;
            good(sys::cuDevicePrimaryCtxRetain(&mut context, device), "opening the GPU")?;
            good(sys::cuCtxSetCurrent(context), "choosing the GPU")?;
        }
        let attribute = |attribute| {
            let mut value = 0;
            // SAFETY: as above.
            good(unsafe { sys::cuDeviceGetAttribute(&mut value, attribute, device) }, "asking the GPU what it can do")?;
            Ok::<_, String>(u32::try_from(value).unwrap_or(0))
        };
        let major = attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?;
        let minor = attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?;
        let multiprocessors = attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?;
        let shared = attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)?;
        let stream = || {
            let mut stream = ptr::null_mut();
            // SAFETY: as above; 1 is a stream that does not wait for the default one, which could not be recorded.
            good(unsafe { sys::cuStreamCreate(&mut stream, 1) }, "making a stream")?;
            Ok::<_, String>(stream)
        };
        // SAFETY: the driver ends the name with a zero.
        let name = unsafe { CStr::from_ptr(name.as_ptr()) }.to_string_lossy().into_owned();
        Ok(Inner {
            index,
            context,
            name,
            memory: bytes,
            capability: (major, minor),
            multiprocessors,
            shared,
            stream: stream()?,
            upload: stream()?,
            recording: Mutex::new(Handle(stream()?)),
            pool: Mutex::default(),
            kernels: Mutex::default(),
            products: Mutex::new(Products::new()?),
            cudnn: OnceLock::new(),
            relu: OnceLock::new(),
            small: Mutex::default(),
            executors: Mutex::default(),
        })
    }
}

impl PartialEq for Gpu {
    fn eq(&self, other: &Self) -> bool {
        self.0.index == other.0.index
    }
}

impl Eq for Gpu {}

impl Hash for Gpu {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.index.hash(state);
    }
}

/// `cuda:0`, or `cuda:0 (NVIDIA H100 80GB HBM3, 79.1 GiB, compute capability 9.0, with cuDNN)`.
impl Display for Gpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cuda:{}", self.0.index)?;
        if f.alternate() {
            let cudnn = if cudnn::is_found() { "with cuDNN" } else { "without cuDNN" };
            let (Inner { name, capability: (major, minor), .. }, memory) = (&*self.0, gib(self.0.memory));
            write!(f, " ({name}, {memory}, compute capability {major}.{minor}, {cudnn})")?;
        }
        Ok(())
    }
}

impl Debug for Gpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

/// `79.1 GiB`, or in a smaller unit.
pub(super) fn gib(bytes: usize) -> String {
    let (mut size, mut unit) = (bytes as f64, "bytes");
    for larger in ["KiB", "MiB", "GiB"] {
        if size >= 1024.0 {
            (size, unit) = (size / 1024.0, larger);
        }
    }
    if unit == "bytes" { format!("{bytes} bytes") } else { format!("{size:.1} {unit}") }
}

/// Work that was recorded once and runs as one launch.
pub(super) struct Recording {
    gpu: Gpu,
    graph: CUgraphExec,
}

// SAFETY: as for `Handle`.
unsafe impl Send for Recording {}
// SAFETY: as above; a launch changes nothing of it.
unsafe impl Sync for Recording {}

impl Recording {
    /// Puts the work on the GPU's stream.
    pub(super) fn launch(&self) -> Result<()> {
        // SAFETY: a graph of this GPU; what it works on is kept by who keeps the recording.
        self.gpu.check(unsafe { sys::cuGraphLaunch(self.graph, self.gpu.0.stream) }, "starting a recorded step")
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let _ = self.gpu.enter();
        // SAFETY: made by `record`, and not used after; the driver keeps it until a running launch has ended.
        unsafe { sys::cuGraphExecDestroy(self.graph) };
    }
}

impl Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recording")
    }
}

/// A point in a stream.
#[derive(Debug)]
pub(super) struct Event {
    gpu: Gpu,
    event: CUevent,
}

// SAFETY: as for `Handle`.
unsafe impl Send for Event {}
// SAFETY: as above.
unsafe impl Sync for Event {}

impl Event {
    /// A point that nothing has reached yet; `timed` for [`Event::since`].
    pub(super) fn new(gpu: &Gpu, timed: bool) -> Result<Self> {
        gpu.enter()?;
        let mut event = ptr::null_mut();
        // SAFETY: the driver writes a handle. 2 is an event that takes no time.
        gpu.check(unsafe { sys::cuEventCreate(&mut event, if timed { 0 } else { 2 }) }, "making an event")?;
        Ok(Event { gpu: gpu.clone(), event })
    }

    pub(super) fn record(&self, stream: CUstream) -> Result<()> {
        // SAFETY: both are of this GPU.
        self.gpu.check(unsafe { sys::cuEventRecord(self.event, stream) }, "marking a point in a stream")
    }

    /// Work that is put on the stream after this waits for the point.
    pub(super) fn wait(&self, stream: CUstream) -> Result<()> {
        // SAFETY: as above.
        self.gpu.check(unsafe { sys::cuStreamWaitEvent(stream, self.event, 0) }, "waiting for another stream")
    }

    /// Whether everything before the point is done.
    #[cfg(feature = "nccl")]
    pub(super) fn reached(&self) -> Result<bool> {
        // SAFETY: as above.
        match unsafe { sys::cuEventQuery(self.event) } {
            CUresult::CUDA_ERROR_NOT_READY => Ok(false),
            result => self.gpu.check(result, "asking for a point in a stream").map(|()| true),
        }
    }

    /// This thread waits for the point.
    pub(super) fn synchronize(&self) -> Result<()> {
        // SAFETY: as above.
        self.gpu.check(unsafe { sys::cuEventSynchronize(self.event) }, "waiting for a point in a stream")
    }

    /// Milliseconds from another point to this one, once this one was waited for.
    pub(super) fn since(&self, earlier: &Event) -> Result<f32> {
        let mut milliseconds = 0.0;
        // SAFETY: as above; the driver writes one number.
        let result = unsafe { sys::cuEventElapsedTime_v2(&mut milliseconds, earlier.event, self.event) };
        self.gpu.check(result, "measuring a time")?;
        Ok(milliseconds)
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        let _ = self.gpu.enter();
        // SAFETY: made by `new` and not used after.
        unsafe { sys::cuEventDestroy_v2(self.event) };
    }
}
