//! Operations of tensors on a GPU: whatever goes element by element by one kernel, `each`, whose program is made for the
//! expression; reductions; products.

use super::gpu::Gpu;
use super::kernels::{self, Program};
use super::matmul::{Epilogue, Kind, Places, Product};
use super::memory::Memory;
use super::network::{THREADS, launch};
use crate::backend::{Precision, float32_matmul_precision};
use crate::element::{DType, Element};
use crate::error::{Error, Result};
use core::ffi::c_void;
use core::fmt::Write;
use cudarc::driver::sys::CUdeviceptr;

/// The highest rank of a tensor.
const RANK: usize = 6;

/// The type in CUDA C++.
fn name(dtype: DType) -> &'static str {
    match dtype {
        DType::Bool => "bool",
        DType::F32 => "float",
        DType::F64 => "double",
        DType::I8 => "signed char",
        DType::I16 => "short",
        DType::I32 => "int",
        DType::I64 => "long long",
        DType::U8 => "unsigned char",
        DType::U16 => "unsigned short",
        DType::U32 => "unsigned",
        DType::U64 => "unsigned long long",
    }
}

/// The size in bytes.
fn width(dtype: DType) -> usize {
    match dtype {
        DType::Bool | DType::I8 | DType::U8 => 1,
        DType::I16 | DType::U16 => 2,
        DType::F32 | DType::I32 | DType::U32 => 4,
        DType::F64 | DType::I64 | DType::U64 => 8,
    }
}

fn is_float(dtype: DType) -> bool {
    matches!(dtype, DType::F32 | DType::F64)
}

fn signed(size: usize) -> i64 {
    i64::try_from(size).expect("a size in memory")
}

/// Elements of a GPU's memory in an order: the element at an index is `offset` + Σ index · stride.
#[derive(Clone, Debug)]
pub(crate) struct Array<'a> {
    memory: &'a Memory,
    dtype: DType,
    sizes: Vec<usize>,
    strides: Vec<i64>,
    offset: i64,
}

impl<'a> Array<'a> {
    /// All of the memory, row-major.
    pub(crate) fn new(memory: &'a Memory, dtype: DType, sizes: &[usize]) -> Self {
        assert!(sizes.iter().product::<usize>() * width(dtype) <= memory.len(), "the elements are not all there");
        let (mut strides, mut stride) = (vec![0; sizes.len()], 1);
        for (place, size) in strides.iter_mut().zip(sizes).rev() {
            *place = stride;
            stride *= signed(*size);
        }
        Array { memory, dtype, sizes: sizes.to_vec(), strides, offset: 0 }
    }

    pub(crate) fn gpu(&self) -> &'a Gpu {
        self.memory.gpu()
    }

    pub(crate) fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    pub(crate) fn stride(&self, axis: usize) -> i64 {
        self.strides[axis]
    }

    pub(crate) fn numel(&self) -> usize {
        self.sizes.iter().product()
    }

    /// The same memory under another shape; it has to be all of it.
    pub(crate) fn shaped(&self, sizes: &[usize]) -> Self {
        Array::new(self.memory, self.dtype, sizes)
    }

    /// Repeated to these sizes, to which its own broadcast.
    pub(crate) fn broadcast_to(mut self, sizes: &[usize]) -> Self {
        let new = sizes.len() - self.sizes.len();
        let kept = self.sizes.iter().zip(&self.strides).zip(&sizes[new..]);
        let strides = kept.map(|((own, stride), size)| if own == size { *stride } else { 0 });
        self.strides = core::iter::repeat_n(0, new).chain(strides).collect();
        self.sizes = sizes.to_vec();
        self
    }

    pub(crate) fn permuted(mut self, order: &[usize]) -> Self {
        self.sizes = order.iter().map(|axis| self.sizes[*axis]).collect();
        self.strides = order.iter().map(|axis| self.strides[*axis]).collect();
        self
    }

    /// The positions `start..start + len` of an axis.
    pub(crate) fn narrowed(mut self, axis: usize, start: usize, len: usize) -> Self {
        self.offset += signed(start) * self.strides[axis];
        self.sizes[axis] = len;
        self
    }

    /// An axis from its end to its beginning.
    pub(crate) fn flipped(mut self, axis: usize) -> Self {
        self.offset += signed(self.sizes[axis].saturating_sub(1)) * self.strides[axis];
        self.strides[axis] = -self.strides[axis];
        self
    }

    /// The beginning, as often as these sizes say; an expression then finds its places by itself.
    pub(crate) fn anywhere(mut self, sizes: &[usize]) -> Self {
        self.sizes = sizes.to_vec();
        self.strides = vec![0; sizes.len()];
        self
    }

    /// The first position of an axis, as often as it is long now; an expression then goes along the axis by itself.
    pub(crate) fn held(mut self, axis: usize, size: usize) -> Self {
        self.strides[axis] = 0;
        self.sizes[axis] = size;
        self
    }
}

/// What is computed for each element: see `kernels/each.cu`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Code<'a> {
    pub(crate) value: &'a str,
    /// The numbers `p` and `q`, of one type.
    pub(crate) numbers: [Number; 2],
    /// Whole numbers, `n[0]` and so on.
    pub(crate) whole: [i64; RANK],
    /// Where it goes, if not to its own place.
    pub(crate) place: Option<&'a str>,
}

impl<'a> Code<'a> {
    pub(crate) fn new(value: &'a str) -> Self {
        Code { value, ..Code::default() }
    }

    pub(crate) fn with(value: &'a str, whole: &[i64]) -> Self {
        let mut code = Code::new(value);
        code.whole[..whole.len()].copy_from_slice(whole);
        code
    }
}

/// A number of any type: its first bytes are the type's.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct Number {
    bytes: [u8; 8],
    dtype: Option<DType>,
}

impl Number {
    pub(crate) fn new<E: Element>(value: E) -> Self {
        let mut bytes = [0; 8];
        bytes[..size_of::<E>()].copy_from_slice(bytemuck::bytes_of(&value));
        Number { bytes, dtype: Some(E::DTYPE) }
    }
}

/// `Views` in the kernel's text.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Views {
    count: u64,
    sizes: [i64; RANK],
    strides: [[i64; RANK]; 4],
    offsets: [i64; 4],
    n: [i64; RANK],
}

/// Computes an expression for each element of `out`, from the operands' elements at the same index; gives the first position
/// that the expression refuses.
///
/// All have the same sizes. An operand may be `out` itself if it is the same view.
pub(crate) fn each(out: &Array<'_>, operands: &[Array<'_>], code: &Code<'_>) -> Result<Option<usize>> {
    let gpu = out.gpu();
    let arrays: Vec<&Array<'_>> = core::iter::once(out).chain(operands).collect();
    assert!(arrays.len() <= 4, "an expression of more than three operands");
    assert!(arrays.iter().all(|array| array.sizes == out.sizes && array.gpu() == gpu), "operands that do not fit");
    if out.numel() == 0 {
        return Ok(None);
    }
    let mut views =
        Views { count: out.numel() as u64, sizes: [1; RANK], strides: [[0; RANK]; 4], offsets: [0; 4], n: code.whole };
    let rank = merged(&arrays, &mut views);
    for (offset, array) in views.offsets.iter_mut().zip(&arrays) {
        *offset = array.offset;
    }
    let checked = code.value.contains("FAIL") || code.value.contains("DIV") && !is_float(out.dtype);
    let bad = if checked { Some(Memory::zeros(gpu, 8)?) } else { None };
    let kernel = gpu.kernel(&program(&arrays, rank, code), "each")?;
    let at = |i: usize| arrays.get(i).map_or(0, |array| array.memory.pointer());
    let [y, x0, x1, x2]: [CUdeviceptr; 4] = [0, 1, 2, 3].map(at);
    let [p, q] = code.numbers;
    let refused = bad.as_ref().map_or(0, Memory::pointer);
    gpu.enter()?;
    let most = gpu.multiprocessors() as usize * 16;
    let grid = [out.numel().div_ceil(THREADS as usize * 4).clamp(1, most) as u32, 1, 1];
    launch!(gpu, gpu.0.stream, kernel, grid, y, x0, x1, x2, p, q, views, refused)?;
    let Some(bad) = bad else { return Ok(None) };
    let mut bytes = [0; 8];
    bad.read(&mut bytes)?;
    let position = u64::from_ne_bytes(bytes);
    Ok((position != 0).then_some(usize::try_from(!position).expect("a position in memory")))
}

/// Dimensions that lie behind one another in every array become one; gives their number, at least 1.
fn merged(arrays: &[&Array<'_>], views: &mut Views) -> usize {
    let sizes = &arrays[0].sizes;
    let mut rank = 0;
    for axis in (0..sizes.len()).filter(|axis| sizes[*axis] > 1) {
        let size = signed(sizes[axis]);
        let strides = || arrays.iter().map(|array| array.strides[axis]);
        let joins = rank > 0 && strides().zip(&views.strides).all(|(stride, of)| of[rank - 1] == stride * size);
        if joins {
            views.sizes[rank - 1] *= size;
        } else {
            views.sizes[rank] = size;
            rank += 1;
        }
        strides().zip(&mut views.strides).for_each(|(stride, of)| of[rank - 1] = stride);
    }
    rank.max(1)
}

fn program(arrays: &[&Array<'_>], rank: usize, code: &Code<'_>) -> Program {
    let dtype = |i: usize| arrays.get(i).map_or("char", |array| name(array.dtype));
    let operands = arrays.len() - 1;
    let mut text = String::new();
    let mut define = |name: &str, value: &str| {
        let _ = writeln!(text, "#define {name} {value}");
    };
    define("OUT", dtype(0));
    define("X", dtype(1));
    define("Y", dtype(2));
    define("Z", dtype(3));
    define("P", code.numbers[0].dtype.map_or("int", name));
    define("OPERANDS", &operands.to_string());
    define("RANK", &rank.to_string());
    define("INDEX", if arrays[0].numel() <= u32::MAX as usize { "unsigned" } else { "unsigned long long" });
    define("VALUE", code.value);
    if let Some(place) = code.place {
        define("PLACE", place);
    }
    Program { definitions: text, ..Program::new(kernels::EACH, DType::F32) }
}

/// A new block for these elements.
pub(crate) fn room(gpu: &Gpu, dtype: DType, sizes: &[usize]) -> Result<Memory> {
    Memory::new(gpu, sizes.iter().product::<usize>() * width(dtype))
}

/// [`each`] into memory of its own, of the operands' sizes.
pub(crate) fn computed(dtype: DType, operands: &[Array<'_>], code: &Code<'_>) -> Result<(Memory, Option<usize>)> {
    let memory = room(operands[0].gpu(), dtype, operands[0].sizes())?;
    let refused = each(&Array::new(&memory, dtype, operands[0].sizes()), operands, code)?;
    Ok((memory, refused))
}

/// Elements of an array, row-major, in memory of its own.
pub(crate) fn copied(x: &Array<'_>) -> Result<Memory> {
    Ok(computed(x.dtype, core::slice::from_ref(x), &Code::new("x"))?.0)
}

/// The element at this place of a block.
pub(crate) fn element<E: Element>(memory: &Memory, place: usize) -> Result<E> {
    element_at(memory.gpu(), memory.pointer(), place)
}

pub(super) fn element_at<E: Element>(gpu: &Gpu, from: CUdeviceptr, place: usize) -> Result<E> {
    let one = Memory::new(gpu, size_of::<E>())?;
    one.write_from(0, from + (place * size_of::<E>()) as u64, size_of::<E>(), gpu.0.stream)?;
    let mut bytes = [0; 8];
    one.read(&mut bytes[..size_of::<E>()])?;
    Ok(bytemuck::checked::pod_read_unaligned(&bytes[..size_of::<E>()]))
}

/// [`element`] of any whole type, as text.
pub(crate) fn shown(memory: &Memory, dtype: DType, place: usize) -> Result<String> {
    macro_rules! of {
        ($($dtype:ident $E:ty),*) => {
            match dtype {
                $(DType::$dtype => element::<$E>(memory, place)?.to_string(),)*
                DType::F32 | DType::F64 => unreachable!("no whole number"),
            }
        };
    }
    Ok(of!(Bool bool, I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64))
}

/// Places before an axis, its size, and places after it.
pub(crate) type Around = (usize, usize, usize);

/// What a reduction makes of the elements along an axis: `sum`, `max` and so on.
///
/// The largest and smallest of no elements are none: that has to be asked before.
pub(crate) fn reduced(name: &str, x: &Array<'_>, around: Around) -> Result<Memory> {
    let lanes = Lanes { x: x.memory.pointer(), gpu: x.gpu(), dtype: x.dtype, around };
    // The numbers are those of the lists in `kernels/reduce.cu`.
    match name {
        "sum" => lanes.sum(0, None),
        "prod" => lanes.sum(1, None),
        "mean" => lanes.sum(2, None),
        "var" => lanes.sum(3, Some(lanes.sum(2, None)?)),
        "var_population" => lanes.sum(4, Some(lanes.sum(2, None)?)),
        "std" => lanes.sum(5, Some(lanes.sum(2, None)?)),
        "std_population" => lanes.sum(6, Some(lanes.sum(2, None)?)),
        "norm" => lanes.sum(7, Some(lanes.extreme(4)?)),
        "logsumexp" => lanes.sum(8, Some(lanes.extreme(0)?)),
        "max" => lanes.extreme(0),
        "min" => lanes.extreme(1),
        "argmax" => lanes.extreme(2),
        "argmin" => lanes.extreme(3),
        _ => unreachable!("no reduction `{name}`"),
    }
}

/// Running sums along an axis.
pub(crate) fn cumsum(x: &Array<'_>, around: Around) -> Result<Memory> {
    let lanes = Lanes { x: x.memory.pointer(), gpu: x.gpu(), dtype: x.dtype, around };
    let y = room(lanes.gpu, lanes.dtype, &[around.0, around.1, around.2])?;
    let (to, (before, size, after)) = (y.pointer(), around);
    if before * size * after > 0 {
        let kernel = lanes.gpu.kernel(&lanes.program(), "cumsum")?;
        let (from, blocks) = (lanes.x, if after == 1 { before } else { before.saturating_mul(after).div_ceil(256) });
        let grid = [blocks.clamp(1, lanes.gpu.multiprocessors() as usize * 8) as u32, 1, 1];
        lanes.gpu.enter()?;
        launch!(lanes.gpu, lanes.gpu.0.stream, kernel, grid, from, to, before, size, after)?;
    }
    Ok(y)
}

/// Elements that lie without gaps, to be reduced along an axis.
#[derive(Clone, Copy)]
struct Lanes<'a> {
    gpu: &'a Gpu,
    x: CUdeviceptr,
    dtype: DType,
    around: Around,
}

impl Lanes<'_> {
    fn program(&self) -> Program {
        let definitions = format!("#define ELEMENT {}\n", name(self.dtype));
        Program { definitions, ..Program::new(kernels::REDUCE, DType::F32) }
    }

    fn columns(&self) -> usize {
        self.around.0 * self.around.2
    }

    /// Blocks side by side, and into how many parts the axis is cut so that there is work for the whole GPU.
    fn grid(&self) -> [u32; 3] {
        let (_, size, after) = self.around;
        let blocks = self.columns().div_ceil(if after == 1 && size > 32 { 1 } else { 32 }).max(1);
        let wanted = self.gpu.multiprocessors() as usize * 4;
        let least = if after == 1 { 4096 } else { 256 };
        let parts = (wanted / blocks).min(size / least).clamp(1, 256);
        [blocks.min(wanted * 2) as u32, parts as u32, 1]
    }

    /// A sum, about a number for each lane.
    fn sum(self, op: i32, about: Option<Memory>) -> Result<Memory> {
        let (columns, (before, size, after)) = (self.columns(), self.around);
        let y = Memory::new(self.gpu, columns * width(self.dtype))?;
        if columns == 0 {
            return Ok(y);
        }
        let (stream, grid) = (self.gpu.0.stream, self.grid());
        let (x, to, about) = (self.x, y.pointer(), about.as_ref().map_or(0, Memory::pointer));
        let partial = Memory::new(self.gpu, columns * grid[1] as usize * 8)?;
        let (part, parts) = (partial.pointer(), grid[1]);
        let program = self.program();
        let (sum, finish) = (self.gpu.kernel(&program, "sum")?, self.gpu.kernel(&program, "sum_finish")?);
        self.gpu.enter()?;
        launch!(self.gpu, stream, sum, grid, x, about, to, part, before, size, after, op)?;
        if parts > 1 {
            launch!(self.gpu, stream, finish, [grid[0], 1, 1], part, about, to, columns, parts, size, op)?;
        }
        Ok(y)
    }

    /// The largest or smallest element, or where it is.
    fn extreme(self, op: i32) -> Result<Memory> {
        let (columns, (before, size, after)) = (self.columns(), self.around);
        let y = Memory::new(self.gpu, columns * if matches!(op, 2 | 3) { 8 } else { width(self.dtype) })?;
        if columns == 0 {
            return Ok(y);
        }
        let (stream, grid) = (self.gpu.0.stream, self.grid());
        let (x, to) = (self.x, y.pointer());
        let partial = Memory::new(self.gpu, columns * grid[1] as usize * 16)?;
        let (part, parts) = (partial.pointer(), grid[1]);
        let program = self.program();
        let (extreme, finish) = (self.gpu.kernel(&program, "extreme")?, self.gpu.kernel(&program, "extreme_finish")?);
        self.gpu.enter()?;
        launch!(self.gpu, stream, extreme, grid, x, to, part, before, size, after, op)?;
        if parts > 1 {
            launch!(self.gpu, stream, finish, [grid[0], 1, 1], part, to, columns, parts, op)?;
        }
        Ok(y)
    }
}

/// Smaller products gain nothing from less precision, here as on the CPU.
const SMALL: usize = 32;

/// `count` products: y [m, n] = a [m, k] · b [k, n], of matrices that lie one behind the other; `turned` ones lie as their
/// transposes.
pub(crate) fn products(
    (a, b): (&Memory, &Memory),
    real: DType,
    [count, m, k, n]: [usize; 4],
    turned: (bool, bool),
) -> Result<Memory> {
    let (gpu, of) = (a.gpu(), width(real));
    assert!(a.len() >= count * m * k * of && b.len() >= count * k * n * of, "the matrices are not all there");
    let y = Memory::new(gpu, count * m * n * of)?;
    if k == 0 {
        y.clear(gpu.0.stream)?;
        return Ok(y);
    }
    let kind = match (real, float32_matmul_precision()) {
        (DType::F64, _) => Kind::F64,
        (_, Precision::Highest) => Kind::F32,
        _ if m.min(k).min(n) < SMALL => Kind::F32,
        (_, Precision::High) => Kind::Tf32,
        (_, Precision::Bf16) => Kind::Bf16,
    };
    let halves = if kind == Kind::Bf16 {
        let half = |memory: &Memory, len: usize| {
            let kernel = gpu.kernel(&Program::new(kernels::CAST, real), "to_bf16")?;
            let half = Memory::new(gpu, len * 2)?;
            let (from, to) = (memory.pointer(), half.pointer());
            let grid = [len.div_ceil(THREADS as usize * 8).clamp(1, gpu.multiprocessors() as usize * 8) as u32, 1, 1];
            gpu.enter()?;
            launch!(gpu, gpu.0.stream, kernel, grid, from, to, len)?;
            Ok::<_, Error>(half)
        };
        Some((half(a, count * m * k)?, half(b, count * k * n)?))
    } else {
        None
    };
    let ((a, b), operand) = halves.as_ref().map_or(((a, b), of), |(a, b)| ((a, b), 2));
    let product = Product { kind, m, n, k, turned, epilogue: Epilogue::Nothing };
    for i in 0..count {
        let at = |memory: &Memory, elements: usize, width: usize| memory.pointer() + (i * elements * width) as u64;
        let places =
            Places { a: at(a, m * k, operand), b: at(b, k * n, operand), c: at(&y, m * n, of), ..Places::default() };
        // SAFETY: the operands have `count` matrices of these sizes, as was checked; the result is new memory for as many.
        unsafe { gpu.multiply(&product, places, gpu.0.stream)? };
    }
    Ok(y)
}

/// What has no kernel.
pub(crate) fn no_kernel(what: &str, gpu: &Gpu) -> Error {
    Error::NoKernel {
        what: format!("`{what}`, which takes a function of Rust,"),
        device: gpu.to_string(),
        hint: "; `.to(&Device::Cpu)?` copies the tensor to where such functions run",
    }
}
