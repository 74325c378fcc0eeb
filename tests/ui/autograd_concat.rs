use plywood::prelude::*;

fn main() {
    let x = Tensor::<Shape![2, 3]>::zeros().requires_grad();
    let y = Tensor::<Shape![4, 5]>::zeros().requires_grad();
    let _z = (&x, &y).concat::<1>(); //~ cannot be joined along axis 1
}
