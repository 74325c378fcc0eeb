use plywood::prelude::*;

fn main() {
    let x: Tensor<Shape![1, 50257]> = Tensor::zeros();
    let y: Tensor<Shape![3, 1568]> = Tensor::zeros();
    let _z = &x / &y; //~ (D<1>, D<50, 257>) and (D<3>, D<1, 568>)
}
