use plywood::prelude::*;

fn main() {
    let x = Tensor::<Shape![2, 3]>::zeros().requires_grad();
    let _y: Variable<Shape![4, 2]> = x.reshape(); //~ does not have as many elements
}
