use plywood::prelude::*;

fn main() {
    let x: Tensor<Shape![2, 3]> = Tensor::zeros();
    let y: Tensor<Shape![3, 2]> = Tensor::zeros();
    let z = &x + &y; //~ shapes do not match
    let _w = (&z - &x).map(|x| x * 2.0);
}
