use plywood::prelude::*;

fn main() {
    let x = Tensor::<Shape![2, 3]>::zeros().requires_grad();
    let _y = x.sum_axis::<2>(); //~ a tensor of shape (D<2>, D<3>) has no axis 2
}
