use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net {
        Linear(16, 7),
    }
}

fn main() {
    let model = Net::init(&mut Generator::manual_seed(0));
    let x: Tensor<Shape![_, 1568]> = Tensor::zeros_of((Dyn(3), D));
    let _y = model.forward(&x); //~
}
