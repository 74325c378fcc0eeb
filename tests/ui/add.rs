use plywood::prelude::*;

fn main() {
    let a: Tensor<Shape![2, 3]> = Tensor::zeros();
    let b: Tensor<Shape![2, 4]> = Tensor::zeros();
    let _y = &a + &b; //~
}
