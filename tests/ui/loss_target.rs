use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net {
        Linear(16, 7),
    }
}

fn main() -> plywood::Result<()> {
    let model = Net::init(&mut Generator::manual_seed(0));
    let x: Tensor<Shape![5, 16]> = Tensor::zeros();
    let y: Tensor<Shape![5, 8]> = Tensor::zeros();
    let _step = model.gradients(&x, &y, &MSELoss)?; //~
    Ok(())
}
