use plywood::prelude::*;

fn main() {
    let x: Tensor<Shape![2]> = Tensor::zeros();
    let y: Tensor<Shape![1_000], f64> = Tensor::zeros();
    let _all = (&x, &y).concat::<0>(); //~ cannot be joined along axis 0
}
