use plywood::prelude::*;

fn main() {
    let model = sequential![Linear(4, 2)].init(&mut Generator::manual_seed(0));
    let x = Tensor::<Shape![5, 3]>::zeros().requires_grad();
    let _y = model.requires_grad().forward(&x); //~ takes a tensor of shape (Dyn, D<4>), but this one is (D<5>, D<3>)
}
