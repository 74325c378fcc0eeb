use plywood::prelude::*;

fn main() {
    let x: Tensor<Shape![2, 3]> = Tensor::zeros();
    let v: Tensor<Shape![]> = Tensor::zeros();
    let _y = x.matmul(&v); //~ there is no matrix product of a tensor of shape (D<2>, D<3>) and one of shape ()
}
