use plywood::prelude::*;

fn main() {
    let x: Tensor<Shape![2, 3]> = Tensor::zeros();
    let y: Tensor<Shape![3, 3]> = Tensor::zeros();
    let _z = (&x, &y).concat::<1>(); //~ tensors of shape (D<2>, D<3>) and (D<3>, D<3>) cannot be joined along axis 1
}
