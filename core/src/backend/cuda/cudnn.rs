//! Convolutions by cuDNN, where it is found: each planned once.

use super::gpu::{Event, Gpu, lock};
use super::library;
use super::matmul::{Kind, RUNS};
use super::memory::Memory;
use super::shapes::ConvShape;
use crate::error::Result;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr;
use cudarc::driver::sys::{CUdeviceptr, CUstream};
use libloading::Library;
use std::collections::HashMap;
use std::sync::{Mutex, OnceLock};

/// Handles and descriptors.
type Object = *mut c_void;

/// The functions of cuDNN 9 that are used. Statuses and algorithms are plain numbers, since a later version may have others.
macro_rules! functions {
    ($($name:ident: $type:ty;)*) => {
        #[allow(non_snake_case)]
        struct Functions {
            $($name: $type,)*
            _library: Library,
        }

        impl Functions {
            fn of(library: Library) -> Result<Self, libloading::Error> {
                // SAFETY: the types are those of cuDNN 9's headers, and the functions go no earlier than the library.
                unsafe {
                    Ok(Functions {
                        $($name: *library.get::<$type>(concat!(stringify!($name), "\0").as_bytes())?,)*
                        _library: library,
                    })
                }
            }
        }
    };
}

/// Makes a handle or a descriptor.
type Make = unsafe extern "C" fn(*mut Object) -> c_int;
type Destroy = unsafe extern "C" fn(Object) -> c_int;
/// Writes four sizes, after a type and a format or the reverse.
type SetSizes = unsafe extern "C" fn(Object, c_int, c_int, c_int, c_int, c_int, c_int) -> c_int;
type SetConvolution = unsafe extern "C" fn(Object, c_int, c_int, c_int, c_int, c_int, c_int, c_int, c_int) -> c_int;
type Propose = unsafe extern "C" fn(Object, Object, Object, Object, Object, c_int, *mut c_int, *mut Proposal) -> c_int;
type AskSize = unsafe extern "C" fn(Object, Object, Object, Object, Object, c_int, *mut usize) -> c_int;
type Run = unsafe extern "C" fn(
    Object,
    *const c_void,
    Object,
    *const c_void,
    Object,
    *const c_void,
    Object,
    c_int,
    *mut c_void,
    usize,
    *const c_void,
    Object,
    *mut c_void,
) -> c_int;

functions! {
    cudnnGetErrorString: unsafe extern "C" fn(c_int) -> *const c_char;
    cudnnCreate: Make;
    cudnnSetStream: unsafe extern "C" fn(Object, CUstream) -> c_int;
    cudnnCreateTensorDescriptor: Make;
    cudnnDestroyTensorDescriptor: Destroy;
    cudnnSetTensor4dDescriptor: SetSizes;
    cudnnCreateFilterDescriptor: Make;
    cudnnDestroyFilterDescriptor: Destroy;
    cudnnSetFilter4dDescriptor: SetSizes;
    cudnnCreateConvolutionDescriptor: Make;
    cudnnDestroyConvolutionDescriptor: Destroy;
    cudnnSetConvolution2dDescriptor: SetConvolution;
    cudnnSetConvolutionMathType: unsafe extern "C" fn(Object, c_int) -> c_int;
    cudnnGetConvolutionForwardAlgorithm_v7: Propose;
    cudnnGetConvolutionBackwardDataAlgorithm_v7: Propose;
    cudnnGetConvolutionBackwardFilterAlgorithm_v7: Propose;
    cudnnGetConvolutionForwardWorkspaceSize: AskSize;
    cudnnGetConvolutionBackwardDataWorkspaceSize: AskSize;
    cudnnGetConvolutionBackwardFilterWorkspaceSize: AskSize;
    cudnnConvolutionForward: Run;
    cudnnConvolutionBackwardData: Run;
    cudnnConvolutionBackwardFilter: Run;
}

/// An algorithm that cuDNN proposes; `cudnnConvolutionFwdAlgoPerf_t`, and the same for the other directions.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct Proposal {
    algorithm: c_int,
    status: c_int,
    time: f32,
    memory: usize,
    determinism: c_int,
    math: c_int,
    reserved: [c_int; 3],
}

const SUCCESS: c_int = 0;
/// `CUDNN_TENSOR_NCHW`, `CUDNN_CROSS_CORRELATION` and `CUDNN_DETERMINISTIC`.
const NCHW: c_int = 0;
const CROSS_CORRELATION: c_int = 1;
const DETERMINISTIC: c_int = 1;
/// `CUDNN_DEFAULT_MATH`, which may be TF32, `CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION`, which may be f16, and `CUDNN_FMA_MATH`.
const DEFAULT_MATH: c_int = 0;
const ALLOW_CONVERSION: c_int = 2;
const FMA_MATH: c_int = 3;

/// More memory than this is not taken for an algorithm.
const WORKSPACE: usize = 1 << 30;
/// How many of the algorithms that cuDNN proposes are tried, and how many it may propose.
const TRIED: usize = 4;
const PROPOSED: usize = 10;

/// What is computed from what: y from x and w, dx from dy and w, dw from dy and x.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Direction {
    Forward,
    BackwardData,
    BackwardWeight,
}

/// A convolution: between two of the direction's three blocks, the result is the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Convolution {
    direction: Direction,
    shape: ConvShape,
    kind: Kind,
    /// The powers of two, up to 16, that the blocks' addresses are multiples of.
    aligned: [u64; 3],
}

impl Convolution {
    pub(super) fn new(direction: Direction, shape: ConvShape, kind: Kind, places: [CUdeviceptr; 3]) -> Self {
        // What is between the layers is f32.
        let kind = if kind == Kind::Bf16 { Kind::Tf32 } else { kind };
        Convolution { direction, shape, kind, aligned: places.map(|place| 1 << place.trailing_zeros().min(4)) }
    }

    fn doing(&self) -> String {
        let what = match self.direction {
            Direction::Forward => "output",
            Direction::BackwardData => "gradient of the input",
            Direction::BackwardWeight => "gradient of the weights",
        };
        let ([x, w, _], kind) = (self.shape.tensors(), self.kind);
        format!("the {what} of the convolution of {x:?} by {w:?} in {kind:?} by cuDNN")
    }

    /// Whether an algorithm's sums are of the products themselves, and not of transforms of Fourier's or Winograd's, which cost
    /// digits.
    fn is_plain(&self, algorithm: c_int) -> bool {
        match self.direction {
            Direction::Forward => algorithm <= 3,
            Direction::BackwardData => algorithm <= 1,
            Direction::BackwardWeight => matches!(algorithm, 0 | 1 | 3),
        }
    }
}

/// The library, once it was looked for.
fn functions() -> Result<&'static Functions, &'static str> {
    static FUNCTIONS: OnceLock<Result<Functions, String>> = OnceLock::new();
    let load = || Functions::of(library::cudnn()?).map_err(|error| error.to_string());
    FUNCTIONS.get_or_init(load).as_ref().map_err(String::as_str)
}

/// Whether cuDNN was found.
pub(super) fn is_found() -> bool {
    functions().is_ok()
}

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

/// x and y, w, and the convolution.
struct Descriptors {
    functions: &'static Functions,
    x: Object,
    y: Object,
    w: Object,
    convolution: Object,
}

impl Drop for Descriptors {
    fn drop(&mut self) {
        // SAFETY: each was made once; those that were not are null.
        unsafe {
            for tensor in [self.x, self.y].into_iter().filter(|tensor| !tensor.is_null()) {
                (self.functions.cudnnDestroyTensorDescriptor)(tensor);
            }
            if !self.w.is_null() {
                (self.functions.cudnnDestroyFilterDescriptor)(self.w);
            }
            if !self.convolution.is_null() {
                (self.functions.cudnnDestroyConvolutionDescriptor)(self.convolution);
            }
        }
    }
}

/// The name of a status.
fn good(functions: &Functions, status: c_int) -> Result<(), String> {
    if status == SUCCESS {
        return Ok(());
    }
    // SAFETY: gives a text of the library's own for every number.
    let text = unsafe { CStr::from_ptr((functions.cudnnGetErrorString)(status)) };
    Err(format!("{} ({status})", text.to_string_lossy()))
}

impl Descriptors {
    fn new(functions: &'static Functions, convolution: &Convolution) -> Result<Self, String> {
        let [x, w, y] = convolution.shape.tensors();
        let [padding, stride, dilation] = convolution.shape.steps();
        let real = c_int::from(convolution.kind == Kind::F64);
        let null = ptr::null_mut();
        let mut made = Descriptors { functions, x: null, y: null, w: null, convolution: null };
        let good = |status| good(functions, status);
        // SAFETY: each descriptor is made before it is set; the numbers are copied.
        unsafe {
            good((functions.cudnnCreateTensorDescriptor)(&mut made.x))?;
            good((functions.cudnnCreateTensorDescriptor)(&mut made.y))?;
            good((functions.cudnnCreateFilterDescriptor)(&mut made.w))?;
            good((functions.cudnnCreateConvolutionDescriptor)(&mut made.convolution))?;
            good((functions.cudnnSetTensor4dDescriptor)(made.x, NCHW, real, x[0], x[1], x[2], x[3]))?;
            good((functions.cudnnSetTensor4dDescriptor)(made.y, NCHW, real, y[0], y[1], y[2], y[3]))?;
            good((functions.cudnnSetFilter4dDescriptor)(made.w, real, NCHW, w[0], w[1], w[2], w[3]))?;
            let ([ph, pw], [sh, sw], [dh, dw]) = (padding, stride, dilation);
            let mode = CROSS_CORRELATION;
            good((functions.cudnnSetConvolution2dDescriptor)(made.convolution, ph, pw, sh, sw, dh, dw, mode, real))?;
        }
        Ok(made)
    }

    /// The descriptors as the direction's functions take them: of the two operands, the convolution and the result.
    fn ordered(&self, direction: Direction) -> [Object; 4] {
        let Descriptors { x, y, w, convolution, .. } = *self;
        match direction {
            Direction::Forward => [x, w, convolution, y],
            Direction::BackwardData => [w, y, convolution, x],
            Direction::BackwardWeight => [x, y, convolution, w],
        }
    }

    fn set_math(&self, math: c_int) -> Result<(), String> {
        // SAFETY: a descriptor that is there.
        good(self.functions, unsafe { (self.functions.cudnnSetConvolutionMathType)(self.convolution, math) })
    }
}

impl Cudnn {
    /// The context is current.
    fn new() -> Result<Self, String> {
        let (functions, mut handle) = (functions()?, ptr::null_mut());
        // SAFETY: the library writes a handle, which is kept as long as the program runs.
        good(functions, unsafe { (functions.cudnnCreate)(&mut handle) })?;
        Ok(Cudnn { functions, handle, planned: HashMap::new() })
    }

    /// The ways of a direction: what proposes algorithms, says how much memory one needs, and runs it.
    fn ways(&self, direction: Direction) -> (Propose, AskSize, Run) {
        let f = self.functions;
        match direction {
            Direction::Forward => (
                f.cudnnGetConvolutionForwardAlgorithm_v7,
                f.cudnnGetConvolutionForwardWorkspaceSize,
                f.cudnnConvolutionForward,
            ),
            Direction::BackwardData => (
                f.cudnnGetConvolutionBackwardDataAlgorithm_v7,
                f.cudnnGetConvolutionBackwardDataWorkspaceSize,
                f.cudnnConvolutionBackwardData,
            ),
            Direction::BackwardWeight => (
                f.cudnnGetConvolutionBackwardFilterAlgorithm_v7,
                f.cudnnGetConvolutionBackwardFilterWorkspaceSize,
                f.cudnnConvolutionBackwardFilter,
            ),
        }
    }

    /// The fastest of the algorithms that cuDNN proposes and that give the same bits every time.
    unsafe fn plan(
        &self,
        gpu: &Gpu,
        convolution: &Convolution,
        places: [CUdeviceptr; 3],
    ) -> Result<Option<Planned>, String> {
        let (propose, ask, _) = self.ways(convolution.direction);
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

    /// The shortest of a few runs, in milliseconds.
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
        let (direction, (.., run)) = (convolution.direction, self.ways(convolution.direction));
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
