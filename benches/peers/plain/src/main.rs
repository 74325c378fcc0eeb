//! No library: what plain Rust with constant sizes reaches, written by hand for each small workload.
//!
//! Loops over arrays for the compiler to unroll, no memory taken in a step, the update as soon as its gradient is there.

use protocol::{Kind, Task, Workload};
use std::hint::black_box;

type Matrix<const R: usize, const C: usize> = [[f32; C]; R];

/// y = x·w + b, four rows at a time so that w is read once for them; w: [in, out].
fn linear<const B: usize, const I: usize, const O: usize>(x: &Matrix<B, I>, w: &Matrix<I, O>, b: &[f32; O]) -> Matrix<B, O> {
    let mut y = [*b; B];
    let mut rows = |x: &[[f32; I]], y: &mut [[f32; O]]| {
        for i in 0..I {
            for (x, y) in x.iter().zip(&mut *y) {
                for (y, w) in y.iter_mut().zip(&w[i]) {
                    *y += x[i] * w;
                }
            }
        }
    };
    let (x4, x1) = x.as_chunks::<4>();
    let (y4, y1) = y.as_chunks_mut::<4>();
    for (x, y) in x4.iter().zip(y4) {
        let mut sums = *y;
        rows(x, &mut sums);
        *y = sums;
    }
    rows(x1, y1);
    y
}

fn transposed<const R: usize, const C: usize>(m: &Matrix<R, C>) -> Matrix<C, R> {
    std::array::from_fn(|c| std::array::from_fn(|r| m[r][c]))
}

/// dx = dy·wᵀ.
fn backward<const B: usize, const I: usize, const O: usize>(dy: &Matrix<B, O>, w: &Matrix<I, O>) -> Matrix<B, I> {
    linear(dy, &transposed(w), &[0.0; I])
}

/// w −= γ·xᵀ·dy, b −= γ·Σ dy.
fn update<const B: usize, const I: usize, const O: usize>(
    x: &Matrix<B, I>,
    dy: &Matrix<B, O>,
    (w, b): (&mut Matrix<I, O>, &mut [f32; O]),
    lr: f32,
) {
    let rate: Matrix<B, O> = dy.map(|row| row.map(|g| -lr * g));
    *w = {
        let xt = transposed(x);
        let mut sums = *w;
        for (xt, sums) in xt.as_chunks::<2>().0.iter().zip(sums.as_chunks_mut::<2>().0) {
            let mut two = *sums;
            for r in 0..B {
                for (x, sum) in xt.iter().zip(&mut two) {
                    for (s, g) in sum.iter_mut().zip(&rate[r]) {
                        *s += x[r] * g;
                    }
                }
            }
            *sums = two;
        }
        sums
    };
    for row in &rate {
        for (b, g) in b.iter_mut().zip(row) {
            *b += g;
        }
    }
}

fn matrix<const R: usize, const C: usize>(numbers: &[f32]) -> Matrix<R, C> {
    std::array::from_fn(|r| std::array::from_fn(|c| numbers[r * C + c]))
}

/// The weight `[in, out]` and the bias of a layer.
fn layer<const I: usize, const O: usize>(workload: &Workload, at: usize) -> (Matrix<I, O>, [f32; O]) {
    let bias = workload.bias(at);
    (transposed(&matrix::<O, I>(&workload.weight(at))), std::array::from_fn(|o| bias[o]))
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

fn relu<const B: usize, const N: usize>(x: Matrix<B, N>) -> Matrix<B, N> {
    x.map(|row| row.map(|x| x.max(0.0)))
}

/// dy where y > 0, else 0.
fn relu_backward<const B: usize, const N: usize>(y: &Matrix<B, N>, dy: &mut Matrix<B, N>) {
    for (y, dy) in y.as_flattened().iter().zip(dy.as_flattened_mut()) {
        *dy = if *y > 0.0 { *dy } else { 0.0 };
    }
}

/// W1 and W2: I-H-1, sigmoid, binary cross-entropy.
fn two_layers<const B: usize, const I: usize, const H: usize>(task: &Task) -> Box<dyn FnMut(f64) -> f32> {
    let (mut w0, mut b0) = layer::<I, H>(&task.workload, 0);
    let (mut w1, mut b1) = layer::<H, 1>(&task.workload, 1);
    let x: Matrix<B, I> = matrix(&task.workload.x());
    if task.kind == Kind::Infer1 {
        return Box::new(move |_| {
            let h = linear(&[black_box(&x)[0]], &w0, &b0).map(|row| row.map(sigmoid));
            linear(&h, &w1, &b1)[0][0]
        });
    }
    let y: Matrix<B, 1> = matrix(&task.workload.targets());
    Box::new(move |lr| {
        let (lr, x) = (lr as f32, black_box(&x));
        let h = linear(x, &w0, &b0).map(|row| row.map(sigmoid));
        let z = linear(&h, &w1, &b1);
        let (mut dz, mut loss) = ([[0.0]; B], 0.0);
        for ((dz, [z]), [y]) in dz.as_flattened_mut().iter_mut().zip(&z).zip(&y) {
            let e = (-z.abs()).exp();
            loss += z.max(0.0) - z * y + e.ln_1p();
            *dz = (if *z >= 0.0 { 1.0 } else { e } / (1.0 + e) - y) / B as f32;
        }
        let mut dh = backward(&dz, &w1);
        for (h, dh) in h.as_flattened().iter().zip(dh.as_flattened_mut()) {
            *dh *= h * (1.0 - h);
        }
        update(&h, &dz, (&mut w1, &mut b1), lr);
        update(x, &dh, (&mut w0, &mut b0), lr);
        loss / B as f32
    })
}

/// W3: 4-64-64-3, ReLU, cross-entropy.
fn three_layers(task: &Task) -> Box<dyn FnMut(f64) -> f32> {
    const B: usize = 32;
    let (mut w0, mut b0) = layer::<4, 64>(&task.workload, 0);
    let (mut w1, mut b1) = layer::<64, 64>(&task.workload, 1);
    let (mut w2, mut b2) = layer::<64, 3>(&task.workload, 2);
    let x: Matrix<B, 4> = matrix(&task.workload.x());
    if task.kind == Kind::Infer1 {
        return Box::new(move |_| {
            let h = relu(linear(&[black_box(&x)[0]], &w0, &b0));
            let g = relu(linear(&h, &w1, &b1));
            linear(&g, &w2, &b2)[0][0]
        });
    }
    let labels: Vec<usize> = task.workload.labels().into_iter().map(|label| label as usize).collect();
    Box::new(move |lr| {
        let (lr, x) = (lr as f32, black_box(&x));
        let h = relu(linear(x, &w0, &b0));
        let g = relu(linear(&h, &w1, &b1));
        let mut dz = linear(&g, &w2, &b2);
        let mut loss = 0.0;
        for (z, label) in dz.iter_mut().zip(&labels) {
            let (max, target) = (z.iter().copied().fold(f32::MIN, f32::max), z[*label]);
            let exp = z.map(|z| (z - max).exp());
            let sum: f32 = exp.iter().sum();
            loss += sum.ln() + max - target;
            *z = exp.map(|e| e / (sum * B as f32));
            z[*label] -= 1.0 / B as f32;
        }
        let mut dg = backward(&dz, &w2);
        relu_backward(&g, &mut dg);
        let mut dh = backward(&dg, &w1);
        relu_backward(&h, &mut dh);
        update(&g, &dz, (&mut w2, &mut b2), lr);
        update(&h, &dg, (&mut w1, &mut b1), lr);
        update(x, &dh, (&mut w0, &mut b0), lr);
        loss / B as f32
    })
}

fn step(task: &Task) -> Option<Box<dyn FnMut(f64) -> f32>> {
    match task.workload.name.as_str() {
        "W1" => Some(two_layers::<5, 6, 4>(task)),
        "W2" => Some(two_layers::<40, 2, 10>(task)),
        "W3" => Some(three_layers(task)),
        _ => None,
    }
}

fn main() {
    protocol::main("plain", step);
}
