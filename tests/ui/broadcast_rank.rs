use plywood::prelude::*;

fn main() {
    let x: Tensor<Shape![10, 5]> = Tensor::zeros();
    let y: Tensor<Shape![10]> = Tensor::zeros();
    let _z = x - &y; //~ shapes do not match: (D<10>, D<5>) and (D<10>,)
}
