use plywood::prelude::*;

fn main() {
    let x: Tensor<Shape![2, 3, 4]> = Tensor::zeros();
    let _y = x.permute::<0, 2, 2>(); //~ axis 2 stands twice in a permutation
}
