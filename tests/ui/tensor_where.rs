use plywood::prelude::*;

fn main() {
    let x: Tensor<Shape![2, 3]> = Tensor::zeros();
    let y: Tensor<Shape![4]> = Tensor::zeros();
    let _z = x.is_nan().where_(&y, &x); //~ shapes do not match: (D<2>, D<3>) and (D<4>,)
}
