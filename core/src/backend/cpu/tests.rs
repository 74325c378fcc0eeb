//! Layers and primitives of the CPU on slices that do not fit: each refuses them before it follows a pointer, in a
//! release build, too, where a product of sizes that is more than a `usize` can hold wraps around.

use super::{
    Conv, Gemm, Matrix, Params, Window, conv2d_backward, conv2d_forward, linear_backward, linear_forward,
    max_pool2d_backward, max_pool2d_forward,
};
use crate::nn::{self, Backward, Forward, Layer, Linear, ReLU};
use crate::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The message of the panic of `f`.
fn refusal<T>(f: impl FnOnce() -> T) -> String {
    let Err(panic) = catch_unwind(AssertUnwindSafe(f)) else { panic!("not refused") };
    panic.downcast::<&str>().map_or_else(|panic| *panic.downcast::<String>().unwrap(), |text| (*text).to_owned())
}

/// Times 3, one more than 2⁶⁴.
const THIRD: usize = usize::MAX / 3 * 2 + 1;

const ONE: Window = Window { input: (1, 1), kernel: (1, 1), stride: (1, 1), padding: (0, 0), dilation: (1, 1) };

#[test]
fn a_batch_whose_size_wraps_around() {
    assert_eq!(THIRD.wrapping_mul(3), 1);
    let (x, w) = ([1.0f32], [1.0f32; 12]);
    let (mut y, mut dw) = ([0.0], [0.0; 12]);
    type Layer = Linear<D<3>, D<3>>;
    let mut forward = |run: fn(Forward<'_, f32>)| {
        refusal(|| run(Forward { params: &w, x: &x, y: &mut y, saved: &mut [], batch: THIRD }))
    };
    assert_eq!(forward(Layer::forward_pass), "matrices of a product are too short");
    assert_eq!(forward(nn::forward::<Layer, f32>), "operands of a small layer are too short");
    let mut dy = [1.0];
    let mut backward = |run: fn(Backward<'_, f32>)| {
        let (params, dy, dparams) = (&w, &mut dy, &mut dw);
        let (y, saved, dx, scratch) = (&[1.0], &[], None, &mut []);
        refusal(|| run(Backward { params, x: &x, y, saved, dy, dx, dparams, scratch, batch: THIRD }))
    };
    assert_eq!(backward(Layer::backward_pass), "slices are not of the sizes");
    assert_eq!(backward(nn::backward::<Layer, f32>), "operands of a small layer are too short");

    let (w, sizes) = (&w[..9], (THIRD, 3, 3));
    let mut dw = [0.0; 9];
    let forward = || linear_forward::<f32, ReLU>(&x, w, None, &mut y, &mut [], sizes);
    assert_eq!(refusal(forward), "matrices of a product are too short");
    let backward = || linear_backward::<f32, ReLU>(&x, Params::read(w), &[1.0], &mut dy, None, &mut dw, None, sizes);
    assert_eq!(refusal(backward), "slices are not of the sizes");

    let conv = Conv { in_channels: 3, out_channels: 3, window: ONE };
    let forward = || conv2d_forward::<f32, ReLU>(&x, w, None, &mut y, &mut [], THIRD, &conv);
    assert_eq!(refusal(forward), "images are not of their convolution's sizes");
    let backward = || conv2d_backward::<f32, ReLU>(&x, w, &[1.0], &mut dy, None, &mut dw, None, THIRD, &conv);
    assert_eq!(refusal(backward), "images are not of their convolution's sizes");

    let row = Window { input: (1, 3), ..ONE };
    let forward = || max_pool2d_forward(&x, &mut y, &mut [0], THIRD, &row);
    assert_eq!(refusal(forward), "planes are not of their window's sizes");
    let backward = || max_pool2d_backward(&[0], &x, &mut dy, THIRD, &row);
    assert_eq!(refusal(backward), "planes are not of their window's sizes");
}

#[test]
fn rows_so_far_apart_that_their_distance_wraps_around() {
    let (a, b, mut y) = ([1.0f32; 64 * 64], [1.0f32; 64 * 64], [0.0; 65 * 64]);
    let far = Matrix { data: &a, row: 1 << (usize::BITS - 6), col: 1 };
    let product = || f32::gemm(&mut y, far, Matrix::new(&b, 64), (65, 64, 64));
    assert_eq!(refusal(product), "matrices of a product are too short");
}

#[test]
fn biases_that_are_missing() {
    let (x, w, mut y) = ([1.0f32; 100], vec![1.0f32; 100 * 100 + 99], [0.0; 100]);
    let pass = Forward { params: &w, x: &x, y: &mut y, saved: &mut [], batch: 1 };
    assert_eq!(refusal(|| Linear::<D<100>, D<100>>::forward_pass(pass)), "not one bias an output");
    let (mut dy, mut dw) = ([1.0f32; 3], [0.0; 11]);
    let (dx, dparams, scratch) = (None, &mut dw[..], &mut [][..]);
    let pass =
        Backward { params: &w[..12], x: &x[..3], y: &[], saved: &[], dy: &mut dy, dx, dparams, scratch, batch: 1 };
    assert_eq!(refusal(|| Linear::<D<3>, D<3>>::backward_pass(pass)), "not one bias an output");
}

#[test]
fn windows_that_are_none() {
    let largest = 1 << (usize::BITS / 2 - 1);
    for window in [
        Window { kernel: (0, 1), ..ONE },
        Window { stride: (1, 0), ..ONE },
        Window { dilation: (0, 1), ..ONE },
        Window { padding: (largest, 0), ..ONE },
        Window { input: (1, largest), ..ONE },
    ] {
        let conv = Conv { in_channels: 1, out_channels: 1, window };
        let forward = || conv2d_forward::<f32, ReLU>(&[1.0], &[1.0], None, &mut [0.0], &mut [], 1, &conv);
        assert!(refusal(forward).starts_with("not a window: Window {"));
        let forward = || max_pool2d_forward(&[1.0f32], &mut [0.0], &mut [0], 1, &window);
        assert!(refusal(forward).starts_with("not a window: Window {"));
    }
}
