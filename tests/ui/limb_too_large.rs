use plywood::prelude::*;

fn main() {
    let _x: Tensor<(D<5000>,)> = Tensor::zeros(); //~
}
