use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net {
        Linear(16, 7),
    }
}

fn main() {
    let model = Net::init(&mut Generator::manual_seed(0));
    let x: Tensor<Shape![5, 17]> = Tensor::zeros();
    let _y = model.forward(&x); //~
}
