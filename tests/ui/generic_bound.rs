use plywood::prelude::*;

fn zeros<N: Dim>() -> Tensor<(D<2>, N)> {
    Tensor::zeros() //~
}

fn main() {
    let _x = zeros::<D<3>>();
}
