use plywood::prelude::*;

fn main() {
    let x: Tensor<Shape![2, 1568]> = Tensor::zeros();
    let _y = x.softmax::<2>(); //~ a tensor of shape (D<2>, D<1, 568>) has no axis 2
}
