use plywood::prelude::*;

fn main() {
    let x: Tensor<Shape![2, 3]> = Tensor::zeros();
    let _z = [&x, &x].concat::<1>(); //~ cannot be joined along axis
}
