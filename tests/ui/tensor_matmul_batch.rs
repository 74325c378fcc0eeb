use plywood::prelude::*;

fn main() {
    let x: Tensor<Shape![5, 2, 3]> = Tensor::zeros();
    let w: Tensor<Shape![4, 3, 2]> = Tensor::zeros();
    let _y = x.matmul(&w); //~ needs as many on the left, D<5>, as on the right, D<4>
}
