use plywood::prelude::*;

fn main() {
    let x: Tensor<Shape![_, 3]> = Tensor::zeros_of((Dyn(2), D));
    let _z = [&x, &x].stack::<0>(); //~ is not known at compile time
}
