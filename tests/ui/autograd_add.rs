use plywood::prelude::*;

fn main() {
    let x = Tensor::<Shape![2, 3]>::zeros().requires_grad();
    let y = Tensor::<Shape![2, 4]>::zeros().requires_grad();
    let _z = &x + &y; //~ shapes do not match: (D<2>, D<3>) and (D<2>, D<4>)
}
