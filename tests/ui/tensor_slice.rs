use plywood::prelude::*;

fn main() {
    let x: Tensor<Shape![2, 3]> = Tensor::zeros();
    let _y = x.slice::<1, D<2>, D<2>>(); //~ does not lie in an axis of size
}
