use plywood::prelude::*;

fn main() {
    let _x: Tensor<Shape![1, 2, 3, 4, 5, 6, 7]> = Tensor::zeros(); //~
}
