//! Lesson 4: derivatives of a network of 16-8-4-2, and one update.
//!
//! Teaches what training does with a gradient. It prints the size of each layer's gradients, then updates one copy of the
//! network by hand, p ← p − lr · g, and another by the optimizer: they are equal, and the loss has fallen.

use plywood::prelude::*;

sequential! {
    #[derive(Clone)]
    struct Net {
        first: Linear(16, 8),
        Sigmoid,
        second: Linear(8, 4),
        Sigmoid,
        out: Linear(4, 2),
    }
}

const LR: f32 = 0.1;

fn main() -> plywood::Result<()> {
    let mut rng = Generator::manual_seed(4);
    let model = Net::init(&mut rng);
    let x: Tensor<Shape![10, 16]> = Tensor::randn(&mut rng);
    let labels = tensor![0, 1, 0, 1, 0, 1, 0, 1, 0, 1];

    let (loss, gradients) = model.gradients(&x, &labels, &CrossEntropyLoss)?;
    println!("loss {loss:.4}; gradients, layer by layer:");
    for tensor in gradients.state_dict() {
        let norm = tensor.data.iter().map(|g| g * g).sum::<f32>().sqrt();
        println!("  {:<14} {:<8} norm {norm:.4}", tensor.name, format!("{:?}", tensor.shape));
    }

    // A derivative is what the loss does when one parameter moves a little.
    let h = 1e-2;
    let moved = |by: f32| {
        let mut model = model.clone();
        let last = model.parameters().len() - 1;
        model.parameters_mut()[last] += by;
        CrossEntropyLoss.forward(&model.forward(&x), &labels)
    };
    let difference = (moved(h)? - moved(-h)?) / (2.0 * h);
    let derivative = gradients.out().bias().as_slice()[1];
    println!("the last bias: derivative {derivative:.5}, difference {difference:.5}");
    assert!((difference - derivative).abs() < 1e-4, "the gradient is the slope of the loss");

    let mut by_hand = model.clone();
    by_hand.parameters_mut().iter_mut().zip(gradients.parameters()).for_each(|(p, g)| *p -= LR * g);
    let mut by_optimizer = model.clone();
    SGD::new(f64::from(LR)).step(&mut by_optimizer, &gradients)?;
    assert_eq!(by_hand.parameters(), by_optimizer.parameters(), "an update by hand and by the optimizer are equal");

    let after = CrossEntropyLoss.forward(&by_hand.forward(&x), &labels)?;
    println!("by hand and by the optimizer: equal; the loss fell from {loss:.4} to {after:.4}");
    assert!(after < loss, "one step against the gradient lowers the loss");
    Ok(())
}
