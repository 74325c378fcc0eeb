use plywood::prelude::*;

fn main() {
    let _x: Tensor<Shape![_, 3]> = Tensor::zeros(); //~
}
