use plywood::prelude::*;

fn main() {
    let x: Tensor<Shape![2, 3]> = Tensor::zeros();
    let y: Tensor<Shape![2, 4]> = Tensor::zeros();
    let _mask = x.gt_elem(&y); //~ shapes do not match: (D<2>, D<3>) and (D<2>, D<4>)
}
