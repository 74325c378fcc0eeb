//! Operations on a GPU: each in terms of a few kernels.

use super::zip::shape_of;
use super::{Storage, Tensor, around, sure};
use crate::backend::cuda::tensor::{self as kernel, Array, Code, Number, no_kernel};
use crate::backend::cuda::{Gpu, Memory};
use crate::backend::{Buffer, Device};
use crate::element::{DType, Element};
use crate::error::{Error, Result};
use crate::shape::Shape;

impl<S: Shape, E: Element, B: Storage<E>> Tensor<S, E, B> {
    /// The elements on a GPU, if they are there.
    pub(crate) fn array(&self) -> Option<Array<'_>> {
        self.memory().map(|memory| Array::new(memory, E::DTYPE, self.sizes().as_ref()))
    }
}

impl<S: Shape, E: Element> Tensor<S, E> {
    pub(crate) fn of_memory(shape: S, memory: Memory) -> Self {
        Tensor::from_buffer(shape, Buffer::on_gpu(memory, shape.numel()))
    }
}

/// Panics if the tensor is on a GPU, which cannot run this: a function of Rust.
pub(super) fn not_there<S: Shape, E: Element, B: Storage<E>>(what: &str, x: &Tensor<S, E, B>) {
    if let Some(memory) = x.memory() {
        panic!("{}", no_kernel(what, memory.gpu()));
    }
}

fn apart(left: Device, right: Device) -> Error {
    Error::Devices {
        what: "one tensor",
        left: left.to_string(),
        other: "another one that it meets",
        right: right.to_string(),
    }
}

/// Both on one GPU; `None` if both are on the CPU.
pub(crate) fn pair<'a, S, T, E, F, A, B>(
    x: &'a Tensor<S, E, A>,
    y: &'a Tensor<T, F, B>,
) -> Result<Option<(Array<'a>, Array<'a>)>>
where
    S: Shape,
    T: Shape,
    E: Element,
    F: Element,
    A: Storage<E>,
    B: Storage<F>,
{
    match (x.array(), y.array()) {
        (None, None) => Ok(None),
        (Some(a), Some(b)) if a.gpu() == b.gpu() => Ok(Some((a, b))),
        _ => Err(apart(x.device(), y.device())),
    }
}

/// Those on one GPU, if all are; `None` if all are on the CPU.
pub(super) fn all_there<'a>(parts: impl Iterator<Item = Option<&'a Memory>>) -> Result<Option<Vec<&'a Memory>>> {
    let parts: Vec<_> = parts.collect();
    let Some(gpu) = parts.iter().flatten().next().map(|memory| memory.gpu()) else { return Ok(None) };
    let there = parts.iter().map(|memory| match memory {
        Some(memory) if memory.gpu() == gpu => Ok(*memory),
        Some(memory) => Err(apart(Device::Cuda(gpu.clone()), Device::Cuda(memory.gpu().clone()))),
        None => Err(apart(Device::Cuda(gpu.clone()), Device::Cpu)),
    });
    there.collect::<Result<_>>().map(Some)
}

/// What an expression gives, where only a whole number divided by 0 is refused.
fn made<S: Shape, T: Element>(shape: S, operands: &[Array<'_>], code: &Code<'_>) -> Result<Tensor<S, T>> {
    let (memory, refused) = kernel::computed(T::DTYPE, operands, code)?;
    assert!(refused.is_none(), "attempt to divide by zero");
    Ok(Tensor::of_memory(shape, memory))
}

fn numbered<'a, N: Element>(code: &'a str, numbers: &[N]) -> Code<'a> {
    let number = |i| numbers.get(i).map(|number| Number::new(*number)).unwrap_or_default();
    Code { numbers: [0, 1].map(number), ..Code::new(code) }
}

/// An expression in operands of the same sizes.
pub(crate) fn mapped<S: Shape, T: Element, N: Element>(
    shape: S,
    operands: &[Array<'_>],
    code: &str,
    numbers: &[N],
) -> Result<Tensor<S, T>> {
    made(shape, operands, &numbered(code, numbers))
}

/// An expression in two operands that broadcast to a shape.
pub(super) fn zipped<S: Shape, T: Element>(
    shape: S,
    (x, y): (Array<'_>, Array<'_>),
    code: &str,
) -> Result<Tensor<S, T>> {
    let sizes = shape.sizes();
    made(shape, &[x, y].map(|operand| operand.broadcast_to(sizes.as_ref())), &Code::new(code))
}

/// Writes an expression in x, and in an operand that broadcasts to it, over x.
pub(crate) fn assigned<N: Element>(x: &Array<'_>, y: Option<Array<'_>>, code: &str, numbers: &[N]) -> Result<()> {
    let operands: Vec<_> =
        core::iter::once(x.clone()).chain(y.map(|operand| operand.broadcast_to(x.sizes()))).collect();
    let refused = kernel::each(x, &operands, &numbered(code, numbers))?;
    assert!(refused.is_none(), "attempt to divide by zero");
    Ok(())
}

pub(crate) fn copied<S: Shape, E: Element>(shape: S, x: &Array<'_>) -> Result<Tensor<S, E>> {
    Ok(Tensor::of_memory(shape, kernel::copied(x)?))
}

/// The same number everywhere.
pub(crate) fn full<S: Shape, E: Element>(gpu: &Gpu, shape: S, value: E) -> Result<Tensor<S, E>> {
    let memory = kernel::room(gpu, E::DTYPE, shape.sizes().as_ref())?;
    let out = Array::new(&memory, E::DTYPE, shape.sizes().as_ref());
    kernel::each(&out, &[], &numbered("p", &[value]))?;
    Ok(Tensor::of_memory(shape, memory))
}

/// The positions of elements, row-major.
pub(crate) fn positions<S: Shape>(gpu: &Gpu, shape: S) -> Result<Tensor<S, i64>> {
    let memory = kernel::room(gpu, DType::I64, shape.sizes().as_ref())?;
    kernel::each(&Array::new(&memory, DType::I64, shape.sizes().as_ref()), &[], &Code::new("(long long)i"))?;
    Ok(Tensor::of_memory(shape, memory))
}

pub(super) fn cast<S: Shape, E: Element, B: Storage<E>, T: Element>(
    x: &Tensor<S, E, B>,
    memory: &Memory,
) -> Result<Tensor<S, T>> {
    let array = Array::new(memory, E::DTYPE, x.sizes().as_ref());
    let (made, refused) = kernel::computed(T::DTYPE, &[array], &Code::new("((number::cast(x, v) ? 0 : FAIL(i)), v)"))?;
    if let Some(index) = refused {
        return Err(Error::Cast { index, to: T::DTYPE, value: kernel::element::<E>(memory, index)?.to_string() });
    }
    Ok(Tensor::of_memory(x.shape(), made))
}

/// [`Tensor::where_`]; `None` if all three are on the CPU.
pub(super) fn chosen<S, T, U, O, E, A, B, C>(
    mask: &Tensor<S, bool, A>,
    x: &Tensor<T, E, B>,
    y: &Tensor<U, E, C>,
) -> Result<Option<Tensor<O, E>>>
where
    S: Shape,
    T: Shape,
    U: Shape,
    O: Shape,
    E: Element,
    A: Storage<bool>,
    B: Storage<E>,
    C: Storage<E>,
{
    let Some((m, a)) = pair(mask, x)? else {
        return if y.memory().is_some() { Err(apart(x.device(), y.device())) } else { Ok(None) };
    };
    let b = y.array().filter(|y| y.gpu() == a.gpu()).ok_or_else(|| apart(x.device(), y.device()))?;
    let sizes = super::zip::broadcast(m.sizes(), a.sizes()).and_then(|sizes| super::zip::broadcast(&sizes, b.sizes()));
    let sizes = sizes.expect("sizes that broadcast by their types");
    made(shape_of(&sizes), &[m, a, b].map(|operand| operand.broadcast_to(&sizes)), &Code::new("x ? y : z")).map(Some)
}

/// How many are true.
pub(super) fn count(x: &Array<'_>) -> Result<usize> {
    let (ones, _) = kernel::computed(DType::I64, core::slice::from_ref(x), &Code::new("x"))?;
    let ones = Array::new(&ones, DType::I64, x.sizes());
    let count: i64 = kernel::element(&kernel::reduced("sum", &ones, (1, x.numel(), 1))?, 0)?;
    Ok(usize::try_from(count).expect("a number of elements"))
}

/// A reduction of this name of lanes, each an element.
pub(crate) fn reduced<S: Shape, T: Element>(
    shape: S,
    name: &str,
    x: &Array<'_>,
    around: (usize, usize, usize),
) -> Result<Tensor<S, T>> {
    let (before, size, after) = around;
    let name = name.trim_end_matches("_axis").trim_end_matches("_keep");
    let extreme = matches!(name, "max" | "min" | "argmax" | "argmin");
    assert!(!extreme || size > 0 || before * after == 0, "there is no largest or smallest of zero elements");
    Ok(Tensor::of_memory(shape, kernel::reduced(name, x, around)?))
}

/// Softmax along an axis, or its logarithm.
pub(super) fn softmax<S: Shape, E: Element>(
    shape: S,
    x: &Array<'_>,
    axis: usize,
    logarithm: bool,
) -> Result<Tensor<S, E>> {
    if shape.numel() == 0 {
        return copied(shape, x);
    }
    let lanes = around(x.sizes(), axis);
    let mut kept = x.sizes().to_vec();
    kept[axis] = 1;
    let largest = kernel::reduced("max", x, lanes)?;
    let largest = Array::new(&largest, E::DTYPE, &kept).broadcast_to(x.sizes());
    let (powers, _) = kernel::computed(E::DTYPE, &[x.clone(), largest.clone()], &Code::new("exp(x - y)"))?;
    let powers = Array::new(&powers, E::DTYPE, x.sizes());
    let sums = kernel::reduced("sum", &powers, lanes)?;
    let sums = Array::new(&sums, E::DTYPE, &kept).broadcast_to(x.sizes());
    if logarithm {
        // In this order: next to a large maximum the logarithm would lose its digits.
        made(shape, &[x.clone(), largest, sums], &Code::new("x - y - log(z)"))
    } else {
        made(shape, &[powers, sums], &Code::new("x / y"))
    }
}

/// Running sums along an axis.
pub(crate) fn cumsum<S: Shape, E: Element>(shape: S, x: &Array<'_>, axis: usize) -> Result<Tensor<S, E>> {
    Ok(Tensor::of_memory(shape, kernel::cumsum(x, around(x.sizes(), axis))?))
}

/// The first elements along an axis in their order, and where they were. Each element counts those before it.
pub(super) fn ordered<S: Shape, E: Element>(
    shape: S,
    x: &Array<'_>,
    axis: usize,
    descending: bool,
) -> Result<(Tensor<S, E>, Tensor<S, i64>)> {
    let (_, size, after) = around(x.sizes(), axis);
    let code = "lane::rank(px + ax, n[0], n[1], (long long)(i / n[1] % n[0]), n[2] != 0)";
    let code = Code::with(code, &[signed(size), signed(after), i64::from(descending)]);
    let lanes = x.clone().held(axis, size);
    let (ranks, _) = kernel::computed(DType::I64, &[lanes], &code)?;
    let ranks = Array::new(&ranks, DType::I64, x.sizes());
    let (gpu, sizes) = (x.gpu(), shape.sizes());
    let kept = signed(sizes.as_ref()[axis]);
    let scattered = |dtype: DType, value: &str| {
        let memory = kernel::room(gpu, dtype, sizes.as_ref())?;
        let out = Array::new(&memory, dtype, sizes.as_ref()).held(axis, size);
        let code = Code::with(value, &[kept, signed(after), signed(size)]);
        kernel::each(
            &out,
            &[x.clone(), ranks.clone()],
            &Code { place: Some("y < n[0] ? ao + y * n[1] : -1"), ..code },
        )?;
        Ok::<_, Error>(memory)
    };
    let values = scattered(E::DTYPE, "x")?;
    let positions = scattered(DType::I64, "(long long)(i / n[1] % n[2])")?;
    Ok((Tensor::of_memory(shape, values), Tensor::of_memory(shape, positions)))
}

pub(crate) fn signed(size: usize) -> i64 {
    i64::try_from(size).expect("a size in memory")
}

/// The elements of `x` at the places of `indices`, but at those indices along the axis; all of `sizes`. A refused index is
/// given by its place in `sizes`.
pub(super) fn picked<S: Shape, E: Element>(
    shape: S,
    x: Array<'_>,
    indices: Array<'_>,
    axis: usize,
) -> Result<Result<Tensor<S, E>, usize>> {
    let (size, stride) = (signed(x.sizes()[axis]), x.stride(axis));
    let mut x = x;
    for other in (0..shape.sizes().as_ref().len()).filter(|other| *other != axis) {
        x = x.narrowed(other, 0, shape.sizes().as_ref()[other]);
    }
    let x = x.held(axis, shape.sizes().as_ref()[axis]);
    // Indices below 0, and those of unsigned types above what `long long` holds, are above every size.
    let code = "(unsigned long long)y < (unsigned long long)n[0] ? px[ax + (long long)y * n[1]] : (FAIL(i), (X)0)";
    let code = Code::with(code, &[size, stride]);
    let (memory, refused) = kernel::computed(E::DTYPE, &[x, indices], &code)?;
    Ok(match refused {
        None => Ok(Tensor::of_memory(shape, memory)),
        Some(position) => Err(position),
    })
}

/// One tensor behind the other along an axis: each with its size there.
pub(super) fn joined<S: Shape, E: Element>(shape: S, axis: usize, parts: &[(&Memory, usize)]) -> Result<Tensor<S, E>> {
    let gpu = parts[0].0.gpu();
    let sizes = shape.sizes();
    let memory = kernel::room(gpu, E::DTYPE, sizes.as_ref())?;
    let mut start = 0;
    for (part, size) in parts {
        let out = Array::new(&memory, E::DTYPE, sizes.as_ref()).narrowed(axis, start, *size);
        let x = Array::new(part, E::DTYPE, out.sizes());
        kernel::each(&out, &[x], &Code::new("x"))?;
        start += size;
    }
    Ok(Tensor::of_memory(shape, memory))
}

/// Rows with 1 at the place of their label and 0 elsewhere; or the place of the first label that is no class.
pub(super) fn one_hot<S: Shape, E: Element>(shape: S, labels: Array<'_>) -> Result<Result<Tensor<S, E>, usize>> {
    let (rows, classes) = (shape.sizes().as_ref()[0], shape.sizes().as_ref()[1]);
    let code = "(unsigned long long)x < (unsigned long long)n[0] ? (OUT)((long long)x == (long long)(i % n[0])) : (FAIL(i / n[0]), (OUT)0)";
    let labels = labels.shaped(&[rows, 1]).broadcast_to(&[rows, classes]);
    let (memory, refused) = kernel::computed(E::DTYPE, &[labels], &Code::with(code, &[signed(classes)]))?;
    Ok(match refused {
        None => Ok(Tensor::of_memory(shape, memory)),
        Some(position) => Err(position),
    })
}

/// The element of a tensor at this place, which is on a GPU.
pub(super) fn element<S: Shape, E: Element, B: Storage<E>>(x: &Tensor<S, E, B>, place: usize) -> E {
    sure(kernel::element(x.memory().expect("on a GPU"), place))
}

/// The sums over what was repeated when a tensor of this shape was broadcast.
pub(crate) fn summed_to<S: Shape, E: Element>(shape: S, d: &Array<'_>) -> Result<Tensor<S, E>> {
    let (mut sizes, to) = (d.sizes().to_vec(), shape.sizes());
    let new = sizes.len() - to.as_ref().len();
    let mut sums: Option<Memory> = None;
    let mut axis = 0;
    while axis < sizes.len() {
        let goes = |axis: usize, size: usize| size != axis.checked_sub(new).map_or(1, |axis| to.as_ref()[axis]);
        let run = (axis..sizes.len()).take_while(|axis| goes(*axis, sizes[*axis])).count();
        if run > 0 {
            let (before, after) = (sizes[..axis].iter().product(), sizes[axis + run..].iter().product());
            let size = sizes[axis..axis + run].iter().product();
            let x = match &sums {
                Some(sums) => Array::new(sums, E::DTYPE, &sizes),
                None => d.clone(),
            };
            let less = kernel::reduced("sum", &x, (before, size, after))?;
            sums = Some(less);
            sizes[axis..axis + run].fill(1);
        }
        axis += run.max(1);
    }
    Ok(Tensor::of_memory(shape, sums.map_or_else(|| kernel::copied(d), Ok)?))
}

/// Zeros, but for the elements of `y` at the places of these positions; none stands there twice.
pub(crate) fn scattered<S: Shape, E: Element>(shape: S, y: Array<'_>, positions: Array<'_>) -> Result<Tensor<S, E>> {
    let memory = Memory::zeros(y.gpu(), shape.numel() * size_of::<E>())?;
    let out = Array::new(&memory, E::DTYPE, shape.sizes().as_ref()).anywhere(y.sizes());
    kernel::each(&out, &[y, positions], &Code { place: Some("y"), ..Code::new("x") })?;
    Ok(Tensor::of_memory(shape, memory))
}

/// The way back of [`ordered`].
pub(crate) fn unordered<S: Shape, E: Element>(
    shape: S,
    dy: Array<'_>,
    positions: Array<'_>,
    axis: usize,
) -> Result<Tensor<S, E>> {
    let memory = Memory::zeros(dy.gpu(), shape.numel() * size_of::<E>())?;
    let out = Array::new(&memory, E::DTYPE, shape.sizes().as_ref());
    let stride = out.stride(axis);
    let out = out.held(axis, dy.sizes()[axis]);
    kernel::each(&out, &[dy, positions], &Code { place: Some("ao + y * n[0]"), ..Code::with("x", &[stride]) })?;
    Ok(Tensor::of_memory(shape, memory))
}

/// The way back of [`picked`]: each place gathers, in their order, the gradients of those that it was picked for.
fn unpicked<S: Shape, E: Element>(shape: S, dy: Array<'_>, indices: Array<'_>, axis: usize) -> Result<Tensor<S, E>> {
    let memory = Memory::zeros(dy.gpu(), shape.numel() * size_of::<E>())?;
    let mut out = Array::new(&memory, E::DTYPE, shape.sizes().as_ref());
    for other in (0..dy.sizes().len()).filter(|other| *other != axis) {
        out = out.narrowed(other, 0, dy.sizes()[other]);
    }
    let (_, size, after) = around(out.sizes(), axis);
    let whole = [signed(dy.sizes()[axis]), dy.stride(axis), indices.stride(axis), signed(after), signed(size)];
    let operands = [dy, indices].map(|operand| operand.held(axis, size));
    let code = "lane::sum_at(px + ax, py + ay, n[0], n[1], n[2], (long long)(i / n[3] % n[4]))";
    kernel::each(&out, &operands, &Code::with(code, &whole))?;
    Ok(Tensor::of_memory(shape, memory))
}

/// The gradient of what `index_select` picked from.
pub(crate) fn unselected<S: Shape, T: Shape, N: Shape, E: Element, L: Element>(
    shape: S,
    dy: &Tensor<T, E>,
    indices: &Tensor<N, L>,
    axis: usize,
) -> Result<Tensor<S, E>> {
    let (dy, indices) = pair(dy, indices)?.expect("on the same GPU");
    let indices = along(&indices, axis, dy.sizes());
    unpicked(shape, dy, indices, axis)
}

/// The gradient of what `gather` picked from.
pub(crate) fn ungathered<S: Shape, T: Shape, N: Shape, E: Element, L: Element>(
    shape: S,
    dy: &Tensor<T, E>,
    indices: &Tensor<N, L>,
    axis: usize,
) -> Result<Tensor<S, E>> {
    let (dy, indices) = pair(dy, indices)?.expect("on the same GPU");
    unpicked(shape, dy, indices, axis)
}

/// A list along an axis, repeated to these sizes.
pub(super) fn along<'a>(list: &Array<'a>, axis: usize, sizes: &[usize]) -> Array<'a> {
    let mut own = vec![1; sizes.len()];
    own[axis] = list.numel();
    list.shaped(&own).broadcast_to(sizes)
}
