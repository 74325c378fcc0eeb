use plywood::prelude::*;

fn main() {
    let x = Tensor::<Shape![2, 3]>::zeros().requires_grad();
    let t: Tensor<Shape![2, 4]> = Tensor::zeros();
    let _y = x.exp() * &t; //~ shapes do not match: (D<2>, D<3>) and (D<2>, D<4>)
}
