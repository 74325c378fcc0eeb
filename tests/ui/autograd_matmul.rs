use plywood::prelude::*;

fn main() {
    let x: Tensor<Shape![2, 3]> = Tensor::zeros();
    let w = Tensor::<Shape![4, 5]>::zeros().requires_grad();
    let _y = Variable::constant(x).matmul(&w); //~ the left matrix has D<3> columns and the right one D<4> rows
}
