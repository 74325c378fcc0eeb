use plywood::prelude::*;

fn main() {
    let x = Tensor::<Shape![2, 3]>::zeros().requires_grad();
    let _dx: Option<Tensor<Shape![3, 2]>> = x.grad(); //~ mismatched types
}
