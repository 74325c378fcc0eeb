use plywood::prelude::*;

fn main() {
    let x: Tensor<Shape![_, 3]> = Tensor::zeros_of((Dyn(4), D));
    let (_a, _b) = x.split::<0, Shape![2, 2]>(); //~ does not split into
}
