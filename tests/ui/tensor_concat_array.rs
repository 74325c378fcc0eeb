use plywood::prelude::*;

fn main() {
    let x: Tensor<Shape![2, 3]> = Tensor::zeros();
    let y: Tensor<Shape![2, 1]> = Tensor::zeros();
    let _z = [&x, &y].concat::<1>(); //~ mismatched types
}
