//! How variables, graphs and backward behave. `autograd_operations.rs` checks each operation.

use plywood::autograd::is_grad_enabled;
use plywood::loss::Loss;
use plywood::prelude::*;
use plywood_tests::bits;
use plywood_tests::compare::assert_close;
use plywood_tests::networks::Deep;
use std::panic::{AssertUnwindSafe, catch_unwind};

fn scalar(x: f64) -> Variable<(), f64> {
    Tensor::full(x).requires_grad()
}

fn grad(x: &Variable<(), f64>) -> f64 {
    x.grad().expect("a gradient").item()
}

#[test]
fn the_two_examples_by_hand() {
    let x = scalar(1.0);
    (2.0 * (&x + 2.0).powi(2)).backward().unwrap();
    assert_eq!(grad(&x), 12.0);

    let inputs: Tensor<Shape![3], f64> = tensor![1.0, 2.0, 3.0];
    let y: Tensor<Shape![3], f64> = tensor![2.0, 4.0, 6.0];
    let w = scalar(1.0);
    (&inputs * &w - &y).powi(2).mean().backward().unwrap();
    assert!((grad(&w) + 28.0 / 3.0).abs() < 1e-12);
}

/// A tensor, a variable and a number stand on either side, by value and by reference, and give the same type.
#[test]
#[allow(clippy::op_ref)]
fn operands_stand_on_either_side() {
    let t: Tensor<Shape![2], f64> = tensor![1.0, 2.0];
    let x = t.clone().requires_grad();
    let sum: Variable<Shape![2], f64> =
        &t + &x - &t.view() + t.clone() * &x / (2.0 * t.clone() + 1.0 - x.clone()) + 1.0 - (-&x) * 0.5;
    let plain = &t + &t - &t + &t * &t / (2.0 * &t + 1.0 - &t) + 1.0 - (-&t) * 0.5;
    assert_eq!(*sum.value(), plain);
    assert!(sum.requires_grad());

    let mut y = x.clone();
    y += &t;
    y *= 2.0;
    y -= x.clone();
    y /= &x;
    y.sum().backward().unwrap();
    // ((x + t) · 2 − x) / x = 1 + 2t / x
    assert_eq!(x.grad().unwrap(), t.map(|t| -2.0 * t / (t * t)));
}

#[test]
fn control_flow_is_rusts() {
    let newton = |start: f64| {
        // √a by Newton's method, as many steps as it takes: the derivative is 1 / (2√a).
        let a = scalar(start);
        let mut x = Variable::constant(Tensor::full(1.0));
        let mut steps = 0;
        while (x.item() * x.item() - start).abs() > 1e-14 * start {
            x = if steps % 2 == 0 { 0.5 * (&x + &a / &x) } else { (&x + &a / &x) / 2.0 };
            steps += 1;
        }
        x.backward().unwrap();
        (steps, grad(&a))
    };
    let (few, near) = newton(1.5);
    let (many, far) = newton(400.0);
    assert!(few < many, "{few} and {many} steps");
    assert!((near - 0.5 / 1.5f64.sqrt()).abs() < 1e-9 && (far - 0.025).abs() < 1e-9);
}

#[test]
fn several_losses_add_up() {
    let x = scalar(3.0);
    let y = x.square();
    let (first, second) = (&y * 2.0, y.exp().ln());
    first.backward_retain_graph().unwrap();
    assert_eq!(grad(&x), 12.0);
    second.backward().unwrap();
    assert!((grad(&x) - 18.0).abs() < 1e-12);
    // The same as the sum of both.
    x.zero_grad();
    let y = x.square();
    (&y * 2.0 + y.exp().ln()).backward().unwrap();
    assert!((grad(&x) - 18.0).abs() < 1e-12);
}

#[test]
fn a_value_used_many_times_gathers_each_use_before_it_passes_them_on() {
    // 2ⁿ ways lead from y to x; each node is passed once.
    let x = scalar(1.0);
    let mut y = x.clone();
    for _ in 0..60 {
        y = &y + &y;
    }
    y.backward().unwrap();
    assert_eq!(grad(&x), 2f64.powi(60));
}

#[test]
fn detach_and_no_grad_stop_gradients() {
    let x = scalar(3.0);
    let y = x.square();
    (&y * y.detach()).backward().unwrap();
    assert_eq!(grad(&x), 9.0 * 6.0);

    let inside = no_grad(|| {
        let inner = no_grad(|| x.exp());
        assert!(!is_grad_enabled(), "the inner one ends the outer one");
        inner + &x
    });
    assert!(is_grad_enabled() && !inside.requires_grad() && inside.is_leaf());

    let panicked = catch_unwind(AssertUnwindSafe(|| no_grad(|| panic!("on the way"))));
    assert!(panicked.is_err() && is_grad_enabled(), "a panic leaves gradients off");
}

#[test]
fn a_leaf_that_is_the_loss_has_the_gradient_one() {
    let x = scalar(3.0);
    x.backward().unwrap();
    x.backward().unwrap();
    assert_eq!(grad(&x), 2.0);
}

#[test]
fn kept_gradients_of_what_was_computed() {
    let x = scalar(3.0);
    let y = x.square();
    y.retain_grad();
    let z = y.exp();
    (&z * 0.0 + &y * 5.0).backward().unwrap();
    assert_eq!((grad(&y), grad(&x)), (5.0, 30.0));
    assert!(z.grad().is_none());
}

/// A part of a graph could be passed a second time with what is left of the first.
#[test]
fn a_spent_graph_is_an_error_that_changes_nothing() {
    let (x, w) = (scalar(3.0), scalar(2.0));
    let shared = x.square();
    let first = &shared * 2.0;
    first.backward().unwrap();
    let second = &shared * &w;
    let message = second.backward().unwrap_err().to_string();
    assert!(
        message.starts_with("an earlier backward has used up the graph, here the `square` that gave []"),
        "{message}"
    );
    assert_eq!(grad(&x), 12.0);
    assert!(w.grad().is_none(), "w has a gradient though backward failed");
    assert!(first.backward().is_err());
    // The values are still there, and what hangs on none of the spent part is whole.
    assert_eq!(second.item(), 18.0);
    (&w * shared.detach()).backward().unwrap();
    assert_eq!(grad(&w), 9.0);
}

#[test]
fn backward_needs_a_leaf_and_a_gradient_of_the_right_shape() {
    let constant = Variable::constant(Tensor::<Shape![], f64>::full(1.0));
    assert!(constant.exp().backward().unwrap_err().to_string().contains("depends on no leaf"));

    let x = Tensor::<Shape![_, 2], f64>::zeros_of((Dyn(3), D)).requires_grad();
    let wrong = x.exp().backward_with(&Tensor::zeros_of((Dyn(2), D))).unwrap_err();
    assert_eq!(wrong.to_string(), "a gradient has the shape of its variable: [2, 2] against [3, 2]");
    assert!(x.grad().is_none());
}

/// Recursion over the graph would overflow the stack, in backward or in drop.
#[test]
fn chains_of_a_hundred_thousand_operations() {
    let small = std::thread::Builder::new().stack_size(256 * 1024);
    let chains = || {
        let x = scalar(0.5);
        let chain = |n: usize| (0..n).fold(x.clone(), |y, i| if i % 2 == 0 { y * 1.0 } else { y + &x * 0.0 });
        drop(chain(100_000));
        let y = chain(100_000);
        y.backward_retain_graph().unwrap();
        y.backward().unwrap();
        assert_eq!(grad(&x), 2.0);
        drop(y);
    };
    small.spawn(chains).expect("a thread").join().expect("a chain that needs no deep stack");
}

#[test]
fn other_element_types_meet_in_a_cast() {
    let x: Variable<Shape![2], f32> = tensor![1.0, 2.0].requires_grad();
    let w: Variable<Shape![2], f64> = tensor![3.0, 4.0].requires_grad();
    (x.cast::<f64>() * &w).sum().backward().unwrap();
    assert_eq!(x.grad(), Some(tensor![3.0, 4.0]));
    assert_eq!(w.grad(), Some(tensor![1.0, 2.0]));
}

#[test]
fn empty_and_single_elements() {
    let x = Tensor::<Shape![_, 3], f64>::zeros_of((Dyn(0), D)).requires_grad();
    let b = Tensor::<Shape![3], f64>::ones().requires_grad();
    let y = x.try_add(&b).unwrap().softmax::<1>().sort::<0>().0;
    (y.sum() + x.transpose().try_matmul(&x).unwrap().sum()).backward().unwrap();
    assert_eq!(x.grad().unwrap().sizes(), [0, 3]);
    assert_eq!(b.grad().unwrap().to_vec(), [0.0; 3]);

    let one = Tensor::<Shape![1, 1], f64>::full(4.0).requires_grad();
    one.sqrt().backward().unwrap();
    assert_eq!(one.grad().unwrap().to_vec(), [0.25]);
}

/// As one node, the network's own backward: the numbers are those of `gradients`, to the bit.
#[test]
fn a_model_in_an_expression_has_its_own_gradients() {
    let mut rng = Generator::manual_seed(5);
    let model = Deep::<f64>::init(&mut rng);
    let x: Tensor<Shape![6, 7], f64> = Tensor::randn(&mut rng);
    let y: Tensor<Shape![6, 1], f64> = Tensor::randn(&mut rng);
    let (value, expected) = model.gradients(&x, &y, &MSELoss).unwrap();

    let f = model.requires_grad();
    let loss = f.forward(&x).loss(&y, &MSELoss).unwrap();
    loss.backward().unwrap();
    assert_eq!(loss.item(), value);
    assert_eq!(bits(f.grad().unwrap().parameters()), bits(expected.parameters()));

    f.zero_grad();
    (f.forward(&x) - &y).square().mean().backward().unwrap();
    assert_close("by operations", f.grad().unwrap().parameters(), expected.parameters(), 1e-9, 1e-9);
}

/// A second use would replace the first, or the gradient of the input would miss the way through the parameters' layer.
#[test]
fn a_model_used_twice_gathers_both_uses() {
    let mut rng = Generator::manual_seed(6);
    let model = sequential![Linear(3, 5), Tanh, Linear(5, 3)].of::<f64>().init(&mut rng);
    let x: Tensor<Shape![2, 3], f64> = Tensor::randn(&mut rng);
    // f(f(x)) + f(x)²: through the network twice in a row, and once beside.
    let value = |model: &_, x: &Tensor<Shape![2, 3], f64>| {
        let once = Model::forward(model, x);
        (Model::forward(model, &once) + once.square()).sum()
    };
    let (f, leaf) = (model.requires_grad(), x.clone().requires_grad());
    let once = f.forward(&leaf);
    let loss = (f.forward(&once) + once.square()).sum();
    assert_eq!(loss.item(), value(&model, &x));
    loss.backward().unwrap();

    let step = 1e-5;
    let gradients = f.grad().unwrap();
    let mut moved = model.clone();
    for i in 0..gradients.parameters().len() {
        let mut at = |step: f64| {
            moved.parameters_mut()[i] = model.parameters()[i] + step;
            let value = value(&moved, &x);
            moved.parameters_mut()[i] = model.parameters()[i];
            value
        };
        let difference = (at(step) - at(-step)) / (2.0 * step);
        assert_close(&format!("parameter {i}"), &[gradients.parameters()[i]], &[difference], 1e-2, 1e-6);
    }
    let dx = leaf.grad().unwrap();
    let mut moved = x.clone();
    for i in 0..x.numel() {
        let mut at = |step: f64| {
            moved.as_mut_slice()[i] = x.as_slice()[i] + step;
            let value = value(&model, &moved);
            moved.as_mut_slice()[i] = x.as_slice()[i];
            value
        };
        let difference = (at(step) - at(-step)) / (2.0 * step);
        assert_close(&format!("input {i}"), &[dx.as_slice()[i]], &[difference], 1e-2, 1e-6);
    }
}

#[test]
fn a_model_is_recorded_only_where_it_is_needed() {
    let model = sequential![Linear(2, 1)].init(&mut Generator::manual_seed(0));
    let x: Tensor<Shape![3, 2]> = Tensor::ones();
    let f = model.requires_grad();
    assert!(!no_grad(|| f.forward(&x)).requires_grad());
    // The input alone: the network as a constant would have to be another one; its own gradient comes along.
    let leaf = x.clone().requires_grad();
    f.forward(&leaf).sum().backward().unwrap();
    assert_eq!(leaf.grad().unwrap().row(0).unwrap().to_vec(), model.at::<0>().weight().to_vec());
    assert_eq!(f.grad().unwrap().at::<0>().bias().to_vec(), [3.0]);
    // One sample without a batch.
    let y: Variable<Shape![1]> = f.forward(&Tensor::<Shape![2]>::ones());
    assert_eq!(y.value().to_vec(), model.forward(&Tensor::<Shape![2]>::ones()).to_vec());
}

/// Training by expressions ends where training by `gradients` ends.
#[test]
fn optimizers_take_the_gradients() {
    let mut rng = Generator::manual_seed(7);
    let x: Tensor<Shape![8, 2], f64> = Tensor::randn(&mut rng);
    let labels: Tensor<Shape![8], i64> = tensor![0, 1, 2, 0, 1, 2, 0, 1];
    let start = sequential![Linear(2, 6), ReLU, Linear(6, 3)].of::<f64>().init(&mut rng);

    let (mut plain, mut optimizer) = (start.clone(), Adam::new(0.01));
    for _ in 0..20 {
        let (_, gradients) = plain.gradients(&x, &labels, &CrossEntropyLoss).unwrap();
        optimizer.step(&mut plain, &gradients).unwrap();
    }
    let (mut model, mut optimizer) = (start, Adam::new(0.01));
    for _ in 0..20 {
        let f = model.requires_grad();
        f.forward(&x).loss(&labels, &CrossEntropyLoss).unwrap().backward().unwrap();
        optimizer.step(&mut model, &f.grad().unwrap()).unwrap();
    }
    assert_eq!(bits(model.parameters()), bits(plain.parameters()));
}

#[test]
fn losses_are_those_of_tensors() {
    let z = tensor![[1.0, 2.0], [3.0, 4.0]].requires_grad();
    let labels: Tensor<Shape![2], i64> = tensor![0, 1];
    let expected = CrossEntropyLoss.forward(z.value(), &labels).unwrap();
    let loss: Variable<(), f32> = z.loss(&labels, &CrossEntropyLoss).unwrap();
    assert_eq!(loss.item(), expected);
    assert!(z.loss(&tensor![0, 5], &CrossEntropyLoss).is_err());
    assert!(z.grad().is_none());
}

/// A NaN that hands on no gradient would hide: the network before it would go on as if nothing had happened.
#[test]
fn relu_hands_on_the_gradient_of_nan_as_pytorch_and_the_layer_do() -> plywood::Result<()> {
    let x = tensor![f64::NAN, -1.0, 0.0, 1.0].requires_grad();
    x.relu().sum().backward()?;
    assert_eq!(x.grad(), Some(tensor![1.0, 0.0, 0.0, 1.0]));
    Ok(())
}
