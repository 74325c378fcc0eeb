use plywood::prelude::*;

fn main() {
    let x: Tensor<Shape![2, 3]> = Tensor::zeros();
    let y: Tensor<Shape![2, 1]> = Tensor::zeros();
    let z: Tensor<Shape![3, 1]> = Tensor::zeros();
    let _all = (&x, &y, &z).concat::<1>(); //~ tensors of shape (D<2>, D<4>) and (D<3>, D<1>) cannot be joined along axis 1
}
