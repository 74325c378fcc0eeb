use plywood::prelude::*;

fn main() {
    let x: Tensor<Shape![2, 600]> = Tensor::zeros();
    let _all: Tensor<Shape![2, 1800]> = [&x, &x].concat::<1>(); //~ mismatched types
}
