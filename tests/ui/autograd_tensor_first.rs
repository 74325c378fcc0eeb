use plywood::prelude::*;

fn main() {
    let t: Tensor<Shape![784]> = Tensor::zeros();
    let x = Tensor::<Shape![1_000]>::zeros().requires_grad();
    let _y = t - x; //~ shapes do not match: (D<784>,) and (D<1, 0>,)
}
