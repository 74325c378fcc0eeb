use plywood::prelude::*;

fn main() {
    let _x: Tensor<Shape![2, 3]> = tensor![[1.0, 2.0], [3.0, 4.0]]; //~
}
