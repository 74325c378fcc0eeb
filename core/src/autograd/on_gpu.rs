//! Networks in an expression on a GPU, and gradients of reductions and of running operations there: what `model`, `reduce`
//! and `along` do on the CPU.

use super::node::Record;
use super::{ModelVariable, Variable};
use crate::backend::Buffer;
use crate::backend::cuda::Memory;
use crate::backend::cuda::tensor::{self as kernel, Array, Code};
use crate::dim::Dyn;
use crate::element::{DType, Element, Float};
use crate::error::Result;
use crate::nn::on_gpu::operands;
use crate::nn::{Gradients, Model, Wanted};
use crate::shape::{InputOf, Shape, StaticShape};
use crate::tensor::on_gpu::{assigned, cumsum, mapped, signed};
use crate::tensor::{Tensor, sure};
use std::rc::Rc;

impl<M: Model> ModelVariable<M> {
    /// [`ModelVariable::forward`].
    pub(super) fn forward_on_gpu<X>(&self, x: &Variable<X, M::Elem>) -> Variable<X::Of<M::Output>, M::Elem>
    where
        X: InputOf<M, Wanted<M>>,
    {
        let (parameters, input) = sure(operands(&*self.model, x.value()));
        let (gpu, shape, batch) = (parameters.gpu(), x.shape(), x.shape().batch());
        let real = <M::Elem as Element>::DTYPE;
        let (y, pass) = sure(gpu.with_executor(M::LAYERS, real, |executor| executor.pass(parameters, input, batch)));
        let y = Tensor::from_buffer(shape.of::<M::Output>(), Buffer::on_gpu(y, batch * M::Output::NUMEL));
        let (model, gradient, value) = (Rc::clone(&self.model), Rc::clone(&self.gradient), Rc::clone(&x.value));
        let place = x.gradient.clone();
        let rule = move |dy: &Tensor<_, M::Elem>| {
            let (parameters, input) = sure(operands(&*model, &value));
            let dy = dy.memory().expect("on the same GPU");
            let memory = |elements: usize| sure(Memory::new(parameters.gpu(), elements * size_of::<M::Elem>()));
            let (dparams, dx) = (memory(M::PARAMS), place.as_ref().map(|_| memory(shape.numel())));
            sure(parameters.gpu().with_executor(M::LAYERS, real, |executor| {
                executor.pass_back(&pass, (parameters, input), dy, (&dparams, dx.as_ref()))
            }));
            gradient.add(Gradients::of_buffer(Buffer::on_gpu(dparams, M::PARAMS)));
            if let (Some(place), Some(dx)) = (&place, dx) {
                place.add(Tensor::of_memory(shape, dx));
            }
        };
        Record::new(M::KIND, y).of_all(vec![Rc::clone(&x.node), Rc::clone(&self.node)], rule).done()
    }
}

/// Adds up the numbers of two blocks in the first.
pub(super) fn add_to<E: Float>(sum: &Memory, more: &Memory, len: usize) {
    let [sum, more] = [sum, more].map(|memory| Array::new(memory, E::DTYPE, &[len]));
    sure(assigned(&sum, Some(more), "ADD(x, y)", &[] as &[E]));
}

/// A tensor of a GPU under other sizes.
fn there<'a, S: Shape, E: Float>(x: &'a Tensor<S, E>, sizes: &[usize]) -> Array<'a> {
    x.array().expect("on the same GPU").shaped(sizes)
}

/// A number for each lane, repeated for each of its elements.
fn spread<'a>(x: &Array<'a>, lanes: &[usize; 3]) -> Array<'a> {
    x.clone().broadcast_to(lanes)
}

/// The gradient of what was reduced along an axis.
#[allow(clippy::type_complexity)]
pub(super) fn reduced<S: Shape, T: Shape, E: Float>(
    name: &str,
    shape: S,
    around: (usize, usize, usize),
    saved: Option<(&Tensor<S, E>, &Tensor<T, E>)>,
    dy: &Tensor<T, E>,
) -> Result<Tensor<S, E>> {
    let (before, size, after) = around;
    let (lanes, one) = ([before, size, after], [before, 1, after]);
    let dy = there(dy, &one);
    let none: [E; 0] = [];
    let (whole, name) = (!name.contains('_'), base(name));
    let count = |correction: f64| E::of(size as f64 - correction);
    let Some((x, y)) = saved else {
        return match name {
            "sum" => mapped(shape, &[spread(&dy, &lanes)], "x", &none),
            _ => mapped(shape, &[spread(&dy, &lanes)], "x / p", &[count(0.0)]),
        };
    };
    let (x, y) = (there(x, &lanes), there(y, &one));
    // What each lane's elements are multiplied by.
    let scaled = |code: &str, by: &Array<'_>, numbers: &[E]| {
        mapped::<_, E, _>((Dyn(before), Dyn(1), Dyn(after)), &[dy.clone(), by.clone()], code, numbers)
    };
    match name {
        "prod" => {
            let code = "y * lane::product_but(px + ax, n[0], n[1], (long long)(i / n[1] % n[0]))";
            let operands = [x.held(1, size), spread(&dy, &lanes)];
            let code = Code::with(code, &[signed(size), signed(after)]);
            Ok(Tensor::of_memory(shape, kernel::computed(E::DTYPE, &operands, &code)?.0))
        }
        "max" | "min" if whole => {
            let is =
                kernel::computed(E::DTYPE, &[x.clone(), y.clone().broadcast_to(&lanes)], &Code::new(IS_EXTREME))?.0;
            let counts = kernel::reduced("sum", &Array::new(&is, E::DTYPE, &lanes), around)?;
            let shares = scaled("x / y", &Array::new(&counts, E::DTYPE, &one), &none)?;
            let operands = [x, spread(&y, &lanes), spread(&there(&shares, &one), &lanes)];
            mapped(shape, &operands, "x == y || is_nan(x) ? z : (X)0", &none)
        }
        "max" | "min" => {
            let first = kernel::reduced(if name == "max" { "argmax" } else { "argmin" }, &x, around)?;
            let first = Array::new(&first, DType::I64, &one).broadcast_to(&lanes);
            let code = Code::with("x == (long long)(i / n[1] % n[0]) ? y : (Y)0", &[signed(size), signed(after)]);
            Ok(Tensor::of_memory(shape, kernel::computed(E::DTYPE, &[first, spread(&dy, &lanes)], &code)?.0))
        }
        "norm" => {
            let scale = scaled("y == 0 ? (X)0 : x / y", &y, &none)?;
            mapped(shape, &[x, spread(&there(&scale, &one), &lanes)], "x * y", &none)
        }
        "logsumexp" => mapped(shape, &[x, spread(&y, &lanes), spread(&dy, &lanes)], "z * exp(x - y)", &none),
        _ => {
            let count = count(if name.ends_with("population") { 0.0 } else { 1.0 });
            let code = if name.starts_with("std") { "y == 0 ? (X)0 : x / y / p" } else { "x * 2 / p" };
            let scale = scaled(code, &y, &[count])?;
            let mean = kernel::reduced("mean", &x, around)?;
            let operands =
                [x, Array::new(&mean, E::DTYPE, &one).broadcast_to(&lanes), spread(&there(&scale, &one), &lanes)];
            mapped(shape, &operands, "z * (x - y)", &none)
        }
    }
}

const IS_EXTREME: &str = "x == y || is_nan(x) ? (X)1 : (X)0";

fn base(name: &str) -> &str {
    name.trim_end_matches("_axis").trim_end_matches("_keep")
}

/// The gradient of softmax, log_softmax or cumsum, from its result.
pub(super) fn running<S: Shape, E: Float>(
    name: &str,
    around: (usize, usize, usize),
    y: &Tensor<S, E>,
    dy: &Tensor<S, E>,
) -> Result<Tensor<S, E>> {
    let (before, size, after) = around;
    let (shape, lanes, one) = (dy.shape(), [before, size, after], [before, 1, after]);
    let [y, dy] = [y, dy].map(|x| there(x, &lanes));
    if shape.numel() == 0 {
        return mapped(shape, &[dy], "x", &[] as &[E]);
    }
    if name == "cumsum" {
        let turned = kernel::copied(&dy.flipped(1))?;
        let sums: Tensor<S, E> = cumsum(shape, &Array::new(&turned, E::DTYPE, &lanes), 1)?;
        let sums = there(&sums, &lanes).flipped(1);
        return mapped(shape, &[sums], "x", &[] as &[E]);
    }
    let (terms, code) = if name == "softmax" {
        let terms = kernel::computed(E::DTYPE, &[y.clone(), dy.clone()], &Code::new("x * y"))?.0;
        (Some(terms), "x * (y - z)")
    } else {
        (None, "y - exp(x) * z")
    };
    let terms = terms.as_ref().map_or_else(|| dy.clone(), |terms| Array::new(terms, E::DTYPE, &lanes));
    let sums = kernel::reduced("sum", &terms, around)?;
    let sums = Array::new(&sums, E::DTYPE, &one).broadcast_to(&lanes);
    mapped(shape, &[y, dy, sums], code, &[] as &[E])
}
