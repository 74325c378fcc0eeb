use plywood::prelude::*;

fn main() {
    let x: Tensor<Shape![2, 1568]> = Tensor::zeros();
    let w: Tensor<Shape![784, 10]> = Tensor::zeros();
    let _y = x.matmul(&w); //~ a matrix product needs equal inner sizes, but the left matrix has D<1, 568> columns and the right one D<784> rows
}
