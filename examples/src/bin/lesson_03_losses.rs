//! Lesson 3: losses, by hand and by the library.
//!
//! Teaches what a loss says: cross-entropy of logits and a class, the mean squared error of numbers, and binary
//! cross-entropy, of logits or of probabilities; and where the last one fails. It prints each loss both ways.

use plywood::prelude::*;

/// −ln of the softmax of class `class`: the cross-entropy of one row of logits.
fn cross_entropy(logits: &[f64], class: usize) -> f64 {
    // Against the one-hot row of the class, all other terms of −Σ t · ln p are 0.
    let one_hot: Vec<f64> = (0..logits.len()).map(|c| if c == class { 1.0 } else { 0.0 }).collect();
    let sum: f64 = logits.iter().map(|z| z.exp()).sum();
    -logits.iter().zip(one_hot).map(|(z, t)| t * (z.exp() / sum).ln()).sum::<f64>()
}

fn show(what: &str, hand: f64, library: f64) {
    println!("{what:<44} {hand:>9.4} by hand, {library:>9.4} by the library");
    assert!((hand - library).abs() < 1e-9, "the library computes what the formula says");
}

fn main() -> plywood::Result<()> {
    let two: Tensor<Shape![1, 2], f64> = tensor![[-0.1211, 0.1059]];
    let loss = CrossEntropyLoss.forward(&two, &tensor![0])?;
    show("cross-entropy of (−0.1211, 0.1059), class 0:", cross_entropy(two.as_slice(), 0), loss);
    assert!((loss - 0.8131).abs() < 1e-4);

    let four: Tensor<Shape![1, 4], f64> = tensor![[0.1, 6.0, -2.0, 3.2]];
    let loss = CrossEntropyLoss.forward(&four, &tensor![2])?;
    show("cross-entropy of (0.1, 6, −2, 3.2), class 2:", cross_entropy(four.as_slice(), 2), loss);
    assert!((loss - 8.0619).abs() < 1e-4);
    // The class as a number or as a one-hot row: the same loss.
    let one_hot: Tensor<Shape![1, 4], f64> = tensor![[0.0, 0.0, 1.0, 0.0]];
    assert!((CrossEntropyLoss.forward(&four, &one_hot)? - loss).abs() < 1e-12);

    let (y, target): (Tensor<Shape![3], f64>, Tensor<Shape![3], f64>) =
        (tensor![1.0, 2.0, 3.0], tensor![2.0, 4.0, 6.0]);
    let squares: f64 = y.iter().zip(&target).map(|(y, t)| (y - t).powi(2)).sum();
    show("mean squared error of 1, 2, 3 and 2, 4, 6:", squares / 3.0, MSELoss.forward(&y, &target)?);

    let sigmoid = |z: &f64| 1.0 / (1.0 + (-z).exp());
    let (z, t): (Tensor<Shape![2], f64>, Tensor<Shape![2], f64>) = (tensor![0.8, -1.5], tensor![1.0, 0.0]);
    let terms: f64 = z.iter().zip(&t).map(|(z, t)| -t * sigmoid(z).ln() - (1.0 - t) * (1.0 - sigmoid(z)).ln()).sum();
    show("binary cross-entropy of logits 0.8, −1.5:", terms / 2.0, BCEWithLogitsLoss.forward(&z, &t)?);
    show("the same of their sigmoids:", terms / 2.0, BCELoss.forward(&z.map(sigmoid), &t)?);

    // A network that is sure and wrong: the sigmoid of 200 is 1 in f32, and the logarithm of 1 − 1 is no number.
    // BCELoss stops at 100, whatever the logit; BCEWithLogitsLoss goes on and shows the way back.
    let (z, t): (Tensor<Shape![1]>, Tensor<Shape![1]>) = (tensor![200.0], tensor![0.0]);
    let p = z.map(|z| 1.0 / (1.0 + (-z).exp()));
    let (of_sigmoid, of_logit) = (BCELoss.forward(&p, &t)?, BCEWithLogitsLoss.forward(&z, &t)?);
    println!("sure and wrong, logit 200 and class 0: {of_sigmoid} of the sigmoid, {of_logit} of the logit");
    assert_eq!((of_sigmoid, of_logit), (100.0, 200.0), "only the logit still tells how wrong it is");
    Ok(())
}
