use plywood::prelude::*;

fn main() {
    let x: Tensor<Shape![2, 3]> = Tensor::zeros();
    let _y = x.split::<1, D<3>>(); //~ split
}
