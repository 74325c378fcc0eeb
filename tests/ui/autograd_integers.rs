use plywood::prelude::*;

fn main() {
    let labels: Tensor<Shape![3], i64> = tensor![0, 1, 2];
    let _labels = labels.requires_grad(); //~ networks compute in `f32` or `f64`, not in `i64`
}
