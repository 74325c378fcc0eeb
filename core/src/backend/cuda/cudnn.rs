//! cuDNN, where it is found: its functions, and what describes a convolution to it.

use super::library;
use super::matmul::Kind;
use super::shapes::ConvShape;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr;
use cudarc::driver::sys::{CUdeviceptr, CUstream};
use libloading::Library;
use std::sync::OnceLock;

/// Handles and descriptors.
pub(super) type Object = *mut c_void;

/// The functions of cuDNN 9 that are used. Statuses and algorithms are plain numbers, since a later version may have others.
macro_rules! functions {
    ($($name:ident: $type:ty;)*) => {
        #[allow(non_snake_case)]
        pub(super) struct Functions {
            $(pub(super) $name: $type,)*
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
pub(super) type Propose =
    unsafe extern "C" fn(Object, Object, Object, Object, Object, c_int, *mut c_int, *mut Proposal) -> c_int;
pub(super) type AskSize = unsafe extern "C" fn(Object, Object, Object, Object, Object, c_int, *mut usize) -> c_int;
pub(super) type Run = unsafe extern "C" fn(
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
pub(super) struct Proposal {
    pub(super) algorithm: c_int,
    pub(super) status: c_int,
    time: f32,
    memory: usize,
    pub(super) determinism: c_int,
    pub(super) math: c_int,
    reserved: [c_int; 3],
}

pub(super) const SUCCESS: c_int = 0;
/// `CUDNN_TENSOR_NCHW`, `CUDNN_CROSS_CORRELATION` and `CUDNN_DETERMINISTIC`.
const NCHW: c_int = 0;
const CROSS_CORRELATION: c_int = 1;
pub(super) const DETERMINISTIC: c_int = 1;
/// `CUDNN_DEFAULT_MATH`, which may be TF32, `CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION`, which may be f16, and `CUDNN_FMA_MATH`.
pub(super) const DEFAULT_MATH: c_int = 0;
pub(super) const ALLOW_CONVERSION: c_int = 2;
pub(super) const FMA_MATH: c_int = 3;

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
    pub(super) direction: Direction,
    shape: ConvShape,
    pub(super) kind: Kind,
    /// The powers of two, up to 16, that the blocks' addresses are multiples of.
    aligned: [u64; 3],
}

impl Convolution {
    pub(super) fn new(direction: Direction, shape: ConvShape, kind: Kind, places: [CUdeviceptr; 3]) -> Self {
        // What is between the layers is f32.
        let kind = if kind == Kind::Bf16 { Kind::Tf32 } else { kind };
        Convolution { direction, shape, kind, aligned: places.map(|place| 1 << place.trailing_zeros().min(4)) }
    }

    pub(super) fn doing(&self) -> String {
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
    pub(super) fn is_plain(&self, algorithm: c_int) -> bool {
        match self.direction {
            Direction::Forward => algorithm <= 3,
            Direction::BackwardData => algorithm <= 1,
            Direction::BackwardWeight => matches!(algorithm, 0 | 1 | 3),
        }
    }
}

/// The library, once it was looked for.
pub(super) fn functions() -> Result<&'static Functions, &'static str> {
    static FUNCTIONS: OnceLock<Result<Functions, String>> = OnceLock::new();
    let load = || Functions::of(library::cudnn()?).map_err(|error| error.to_string());
    FUNCTIONS.get_or_init(load).as_ref().map_err(String::as_str)
}

impl Functions {
    /// What proposes a direction's algorithms, says how much memory one needs, and runs it.
    pub(super) fn of_direction(&self, direction: Direction) -> (Propose, AskSize, Run) {
        match direction {
            Direction::Forward => (
                self.cudnnGetConvolutionForwardAlgorithm_v7,
                self.cudnnGetConvolutionForwardWorkspaceSize,
                self.cudnnConvolutionForward,
            ),
            Direction::BackwardData => (
                self.cudnnGetConvolutionBackwardDataAlgorithm_v7,
                self.cudnnGetConvolutionBackwardDataWorkspaceSize,
                self.cudnnConvolutionBackwardData,
            ),
            Direction::BackwardWeight => (
                self.cudnnGetConvolutionBackwardFilterAlgorithm_v7,
                self.cudnnGetConvolutionBackwardFilterWorkspaceSize,
                self.cudnnConvolutionBackwardFilter,
            ),
        }
    }
}

/// Whether cuDNN was found.
pub(super) fn is_found() -> bool {
    functions().is_ok()
}

/// x and y, w, and the convolution.
pub(super) struct Descriptors {
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
pub(super) fn good(functions: &Functions, status: c_int) -> Result<(), String> {
    if status == SUCCESS {
        return Ok(());
    }
    // SAFETY: gives a text of the library's own for every number.
    let text = unsafe { CStr::from_ptr((functions.cudnnGetErrorString)(status)) };
    Err(format!("{} ({status})", text.to_string_lossy()))
}

impl Descriptors {
    pub(super) fn new(functions: &'static Functions, convolution: &Convolution) -> Result<Self, String> {
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
    pub(super) fn ordered(&self, direction: Direction) -> [Object; 4] {
        let Descriptors { x, y, w, convolution, .. } = *self;
        match direction {
            Direction::Forward => [x, w, convolution, y],
            Direction::BackwardData => [w, y, convolution, x],
            Direction::BackwardWeight => [x, y, convolution, w],
        }
    }

    pub(super) fn set_math(&self, math: c_int) -> Result<(), String> {
        // SAFETY: a descriptor that is there.
        good(self.functions, unsafe { (self.functions.cudnnSetConvolutionMathType)(self.convolution, math) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::{Conv, Window};

    /// Needs cuDNN, but no GPU.
    #[test]
    fn cudnn_takes_the_descriptors() {
        let functions = match functions() {
            Ok(functions) => functions,
            Err(missing) => return eprintln!("not checked: {missing}"),
        };
        let window = Window { input: (9, 7), kernel: (3, 2), stride: (1, 2), padding: (1, 0), dilation: (2, 1) };
        let conv = Conv { in_channels: 2, out_channels: 20, window };
        for (kind, math) in [(Kind::F32, FMA_MATH), (Kind::F64, FMA_MATH), (Kind::Tf32, DEFAULT_MATH)] {
            let convolution = Convolution::new(Direction::Forward, ConvShape::of(&conv, 5), kind, [256, 20, 4096]);
            assert_eq!(convolution.aligned, [16, 4, 16]);
            Descriptors::new(functions, &convolution).unwrap().set_math(math).unwrap();
            let none = ConvShape::of(&conv, 0);
            let wrong = Descriptors::new(functions, &Convolution { shape: none, ..convolution }).err().unwrap();
            assert!(wrong.starts_with("CUDNN_STATUS_BAD_PARAM"), "{wrong}");
        }
    }
}
