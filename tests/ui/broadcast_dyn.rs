use plywood::prelude::*;

fn main() {
    let x: Tensor<Shape![_, 5]> = Tensor::zeros_of((Dyn(10), D));
    let _z = &x * &x; //~ shapes do not match
}
