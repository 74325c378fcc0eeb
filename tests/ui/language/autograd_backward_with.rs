use plywood::prelude::*;

fn main() {
    let x = Tensor::<Shape![2, 3]>::zeros().requires_grad();
    let dy: Tensor<Shape![2, 4]> = Tensor::zeros();
    x.backward_with(&dy).unwrap(); //~ mismatched types
}
