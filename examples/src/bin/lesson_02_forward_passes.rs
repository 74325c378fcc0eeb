//! Lesson 2: three networks forward, by the library and by hand.
//!
//! Teaches what a forward pass is: products, sums, an activation, again. It prints the outputs of a network for two
//! classes (6-4-1 and a sigmoid), for three (6-4-3 and a softmax) and for a number (6-4-1) on five rows of six.

use plywood::prelude::*;

sequential! {
    /// The probability of one of two classes.
    struct TwoClasses {
        hidden: Linear(6, 4),
        Sigmoid,
        out: Linear(4, 1),
        Sigmoid,
    }
}

sequential! {
    /// The probabilities of three classes.
    struct ThreeClasses {
        hidden: Linear(6, 4),
        Sigmoid,
        out: Linear(4, 3),
        Softmax,
    }
}

sequential! {
    /// Any number.
    struct Regression {
        hidden: Linear(6, 4),
        Sigmoid,
        out: Linear(4, 1),
    }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// x · Wᵀ + b for one row: each output is a sum over the inputs.
fn linear<O: StaticDim, I: StaticDim>(x: &[f32], w: TensorView<'_, (O, I)>, b: TensorView<'_, (O,)>) -> Vec<f32> {
    w.rows().zip(&b).map(|(w, b)| b + w.iter().zip(x).map(|(w, x)| w * x).sum::<f32>()).collect()
}

fn assert_close(library: &[f32], hand: &[f32]) {
    assert!(library.iter().zip(hand).all(|(a, b)| (a - b).abs() < 1e-6), "{library:?} against {hand:?}");
}

fn main() {
    let x: Tensor<Shape![5, 6]> = tensor![
        [-0.4421, 1.5207, 2.0607, -0.3647, 0.4691, 0.0946],
        [-0.9155, -0.0475, -1.3645, 0.6336, -1.9520, -0.3398],
        [0.7406, 1.6763, -0.8511, 0.2432, 0.1123, -0.0633],
        [-1.6630, -0.0718, -0.1285, 0.5396, -0.0288, -0.8622],
        [-0.7413, 1.7920, -0.0883, -0.6685, 0.4745, -0.4245],
    ];
    let mut rng = Generator::manual_seed(2);

    let model = TwoClasses::init(&mut rng);
    println!("{}\n", model.graph());
    let y: Tensor<Shape![5, 1]> = model.forward(&x);
    println!("two classes, the probability of the second:\n{y}\n");
    for (x, y) in x.rows().zip(y.rows()) {
        let hidden = linear(x.as_slice(), model.hidden().weight(), model.hidden().bias());
        let hidden: Vec<f32> = hidden.into_iter().map(sigmoid).collect();
        let logit = linear(&hidden, model.out().weight(), model.out().bias());
        assert_close(y.as_slice(), &[sigmoid(logit[0])]);
    }

    let model = ThreeClasses::init(&mut rng);
    let y: Tensor<Shape![5, 3]> = model.forward(&x);
    println!("three classes, the probability of each:\n{y}\n");
    for (x, y) in x.rows().zip(y.rows()) {
        let hidden = linear(x.as_slice(), model.hidden().weight(), model.hidden().bias());
        let hidden: Vec<f32> = hidden.into_iter().map(sigmoid).collect();
        let powers: Vec<f32> =
            linear(&hidden, model.out().weight(), model.out().bias()).into_iter().map(f32::exp).collect();
        let sum: f32 = powers.iter().sum();
        assert_close(y.as_slice(), &powers.iter().map(|power| power / sum).collect::<Vec<_>>());
        assert!((y.iter().sum::<f32>() - 1.0).abs() < 1e-6, "probabilities sum to one");
    }

    let model = Regression::init(&mut rng);
    let y: Tensor<Shape![5, 1]> = model.forward(&x);
    println!("a regression:\n{y}\n");
    for (x, y) in x.rows().zip(y.rows()) {
        let hidden = linear(x.as_slice(), model.hidden().weight(), model.hidden().bias());
        let hidden: Vec<f32> = hidden.into_iter().map(sigmoid).collect();
        assert_close(y.as_slice(), &linear(&hidden, model.out().weight(), model.out().bias()));
    }
    println!("by hand and by the library: the same numbers");
}
