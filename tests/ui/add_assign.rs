use plywood::prelude::*;

fn main() {
    let mut x: Tensor<Shape![1, 3]> = Tensor::zeros();
    let y: Tensor<Shape![2, 3]> = Tensor::zeros();
    x += &y; //~ a tensor of shape (D<2>, D<3>) does not broadcast to (D<1>, D<3>)
    let _sum = x;
}
