use plywood::prelude::*;

fn main() {
    let x: Tensor<Shape![_, 5]> = Tensor::zeros_of((Dyn(10), D));
    let y: Tensor<Shape![_, 4]> = Tensor::zeros_of((Dyn(10), D));
    let _z = x.try_add(&y); //~ shapes do not match
}
