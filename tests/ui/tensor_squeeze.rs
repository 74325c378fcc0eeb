use plywood::prelude::*;

fn main() {
    let x: Tensor<Shape![2, 3]> = Tensor::zeros();
    let _y = x.squeeze::<1>(); //~ only an axis of size 1 can be squeezed, not one of D<3>
}
