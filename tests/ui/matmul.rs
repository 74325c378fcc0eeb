use plywood::prelude::*;

fn main() {
    let a: Tensor<Shape![2, 3]> = Tensor::zeros();
    let b: Tensor<Shape![4, 5]> = Tensor::zeros();
    let _y = a.matmul(&b); //~
}
