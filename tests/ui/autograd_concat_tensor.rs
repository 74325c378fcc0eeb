use plywood::prelude::*;

fn main() {
    let x: Tensor<Shape![2]> = Tensor::zeros();
    let w = Tensor::<Shape![1_000]>::zeros().requires_grad();
    let _all = (&w, &x).concat::<0>(); //~ cannot be joined along axis 0
}
