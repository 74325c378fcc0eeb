use plywood::prelude::*;

sequential! {
    /// A network.
    pub struct Net {
        Linear(16, 7),
    }
}

sequential! {
    /// A network.
    pub struct Other {
        Linear(16, 8),
    }
}

fn main() -> plywood::Result<()> {
    let mut rng = Generator::manual_seed(0);
    let mut model = Net::init(&mut rng);
    let other = Other::init(&mut rng);
    let x: Tensor<Shape![5, 16]> = Tensor::zeros();
    let (_, grads) = other.gradients(&x, &Tensor::<Shape![5, 8]>::zeros(), &MSELoss)?;
    SGD::new(0.1).step(&mut model, &grads)?; //~
    Ok(())
}
