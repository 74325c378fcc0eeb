use plywood::prelude::*;

fn main() {
    let x: Tensor<Shape![_, 3]> = Tensor::zeros_of((Dyn(2), D));
    let _y = x.transpose().matmul(&x); //~ a matrix product needs equal inner sizes
}
