use plywood::prelude::*;

fn main() {
    let x: Tensor<Shape![2, 3]> = Tensor::zeros();
    let v: Tensor<Shape![2]> = Tensor::zeros();
    let _y = x.matmul(&v); //~ the left matrix has D<3> columns and the right one D<2> rows
}
