use plywood::prelude::*;

fn main() {
    let x = Tensor::<Shape![2, 3]>::zeros().requires_grad();
    x.exp().backward().unwrap(); //~ backward starts from one number, but this variable has the shape (D<2>, D<3>)
}
