use plywood::prelude::*;

fn main() {
    let x: Tensor<Shape![2, 3]> = Tensor::zeros();
    let _y = x.unsqueeze::<4>(); //~ a tensor of shape (D<2>, D<3>) cannot get an axis 4
}
