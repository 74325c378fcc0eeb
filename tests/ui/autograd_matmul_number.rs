use plywood::prelude::*;

fn main() {
    let x = Tensor::<Shape![2, 3]>::zeros().requires_grad();
    let _y = x.matmul(&2.0); //~ neither a variable nor a tensor of floats
}
