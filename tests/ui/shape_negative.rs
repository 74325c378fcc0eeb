use plywood::prelude::*;

fn main() {
    let _x: Tensor<Shape![-2, 3]> = Tensor::zeros(); //~
}
