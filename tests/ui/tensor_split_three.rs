use plywood::prelude::*;

fn main() {
    let x: Tensor<Shape![1500, 3]> = Tensor::zeros();
    let (_a, _b, _c) = x.split::<0, Shape![1000, 400, 99]>(); //~ does not split into
}
