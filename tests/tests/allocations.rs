//! A training step allocates nothing after the first: neither the layers nor their matrix products, whose packed
//! operands live in memory of the thread that stays.

#![allow(unsafe_code, reason = "an allocator that counts is an `unsafe impl` by definition")]

use core::cell::Cell;
use plywood::loss::Loss;
use plywood::prelude::*;
use plywood_tests::each_network;
use std::alloc::{GlobalAlloc, Layout, System};

struct Counting;

thread_local! {
    /// Of this thread alone: the other tests allocate at the same time.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    // A thread that is ending has no counter any more.
    let _ = ALLOCATIONS.try_with(|allocations| allocations.set(allocations.get() + 1));
}

// SAFETY: every call goes to the system's allocator as it came; counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's contract is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's contract is the same.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's contract is the same.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's contract is the same.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often `f` takes memory.
fn allocations<T>(f: impl FnOnce() -> T) -> usize {
    let before = ALLOCATIONS.get();
    let result = f();
    let after = ALLOCATIONS.get();
    drop(result);
    after - before
}

/// A counter that never counts would let every test here pass.
#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| 1 + 1), 0);
    assert_eq!(allocations(|| vec![0u8; 100]), 1);
    assert_eq!(allocations(Tensor::<Shape![3]>::zeros), 1);
}

/// Steps with each optimizer: the first takes its memory, the others none, on a smaller batch neither.
macro_rules! steps {
    ($what:expr, $Net:ty, $E:ty, [$($input:tt),*], $target:ident, $loss:expr) => {
        steps!($what, $Net, $E, [$($input),*], $target, $loss, 5, 2)
    };
    ($what:expr, $Net:ty, $E:ty, [$($input:tt),*], $target:ident, $loss:expr, $batch:literal, $fewer:literal) => {{
        let mut rng = Generator::manual_seed(0);
        let x: Tensor<Shape![_, $($input),*], $E> = Tensor::randn_of((Dyn($batch), $(<D<$input>>::default()),*), &mut rng);
        let fewer: Tensor<Shape![_, $($input),*], $E> = Tensor::randn_of((Dyn($fewer), $(<D<$input>>::default()),*), &mut rng);
        let (target, target_of_fewer) = ($target($batch), $target($fewer));
        let (mut sgd, mut adam) = (SGD::<$E>::new(0.01).momentum(0.9), Adam::<$E>::new(0.01));
        let mut model = <<$Net as Model>::As<$E> as Model>::init(&mut rng);
        let mut workspace = Workspace::new();
        let mut step = |x: &Tensor<_, $E>, target: &Tensor<_, _>| {
            let (_, gradients) = model.gradients_with(&mut workspace, x, target, &$loss).unwrap();
            gradients.clip_grad_norm(0.1).unwrap();
            gradients.clip_grad_value(0.01).unwrap();
            sgd.step(&mut model, gradients).unwrap();
            adam.step(&mut model, gradients).unwrap();
        };
        let first = allocations(|| step(&x, &target));
        assert!(first > 0, "{}: the first step takes the memory of all", $what);
        for i in 1..4 {
            assert_eq!(allocations(|| step(&x, &target)), 0, "{}: step {i} takes memory", $what);
        }
        let smaller = allocations(|| step(&fewer, &target_of_fewer));
        assert_eq!(smaller, 0, "{}: a smaller batch after a larger one takes memory", $what);
        let again = allocations(|| step(&x, &target));
        assert_eq!(again, 0, "{}: the larger batch takes memory again", $what);
    }};
}

fn drawn<S: StaticShape, T: Shape, E: Float>(shape: T) -> Tensor<T, E> {
    Tensor::rand_of(shape, &mut Generator::manual_seed(S::RANK as u64))
}

macro_rules! each_step {
    ($name:ident, $Net:ty, [$($input:tt),*] => [$($output:tt),*]) => {{
        fn target<E: Float>(batch: usize) -> Tensor<Shape![_, $($output),*], E> {
            drawn::<Shape![$($output),*], _, E>((Dyn(batch), $(<D<$output>>::default()),*))
        }
        steps!(concat!(stringify!($name), " in f32"), $Net, f32, [$($input),*], target, MSELoss);
        steps!(concat!(stringify!($name), " in f64"), $Net, f64, [$($input),*], target, MSELoss);
    }};
}

#[test]
fn steps_of_every_network() {
    each_network!(each_step);
}

#[test]
fn steps_with_every_loss() {
    use plywood_tests::networks::{Chance, Zoo};
    fn labels(batch: usize) -> Tensor<Shape![_], i64> {
        Tensor::from_vec((0..batch as i64).collect()).unwrap()
    }
    fn shares(batch: usize) -> Tensor<Shape![_, 7]> {
        drawn::<(), _, _>((Dyn(batch), D))
    }
    fn chance(batch: usize) -> Tensor<Shape![_, 1]> {
        drawn::<(), _, _>((Dyn(batch), D))
    }
    steps!("CrossEntropyLoss with labels", Zoo, f32, [16], labels, CrossEntropyLoss);
    steps!("CrossEntropyLoss with probabilities", Zoo, f32, [16], shares, CrossEntropyLoss);
    steps!("CrossEntropyLoss.sum()", Zoo, f32, [16], labels, CrossEntropyLoss.sum());
    steps!("BCEWithLogitsLoss", Zoo, f32, [16], shares, BCEWithLogitsLoss);
    steps!("BCEWithLogitsLoss.sum()", Zoo, f32, [16], shares, BCEWithLogitsLoss.sum());
    steps!("MSELoss.sum()", Zoo, f32, [16], shares, MSELoss.sum());
    steps!("BCELoss", Chance, f32, [6], chance, BCELoss);
    steps!("BCELoss.sum()", Chance, f32, [6], chance, BCELoss.sum());
}

/// Layers whose products are large enough to be packed, and reach past a block of the packed memory.
#[test]
fn steps_of_a_large_network() {
    sequential! {
        struct Large {
            hidden: Linear(784, 128),
            act: ReLU,
            out: Linear(128, 10),
        }
    }
    fn target<E: Float>(batch: usize) -> Tensor<Shape![_, 10], E> {
        drawn::<Shape![10], _, E>((Dyn(batch), D))
    }
    steps!("a large network in f32", Large, f32, [784], target, MSELoss, 64, 33);
    steps!("a large network in f64", Large, f64, [784], target, MSELoss, 64, 9);
    // Products in two halves of their sums, and smaller and larger batches for which they are not.
    sequential! { struct Halved { Linear(400, 500), ReLU, Linear(_, 300), ReLU, Linear(_, 10) } }
    let few = || steps!("products in halves, and a few samples", Halved, f32, [400], target, MSELoss, 64, 7);
    std::thread::spawn(few).join().unwrap();
    let more = || steps!("products in halves after whole ones", Halved, f32, [400], target, MSELoss, 130, 64);
    std::thread::spawn(more).join().unwrap();
    let mut trainer = Trainer::new(Halved::init(&mut Generator::manual_seed(0)), MSELoss, Adam::new(0.01));
    let (x, y) = (drawn::<Shape![400], _, f32>((Dyn(64), D::<400>)), target::<f32>(64));
    assert!(allocations(|| trainer.step(&x, &y).unwrap()) > 0);
    assert_eq!(allocations(|| trainer.step(&x, &y).unwrap()), 0, "a step of a trainer takes memory");
    // The networks of the other tests are too small for the precision to matter. A thread of its own has packed nothing.
    plywood::set_float32_matmul_precision(plywood::Precision::Bf16);
    let fewer = || steps!("a large network in bf16", Large, f32, [784], target, MSELoss, 64, 33);
    std::thread::spawn(fewer).join().unwrap();
    let few = || steps!("a large network in bf16, and a batch in f32", Large, f32, [784], target, MSELoss, 64, 9);
    std::thread::spawn(few).join().unwrap();
    plywood::set_float32_matmul_precision(plywood::Precision::Highest);
}

#[test]
fn forward_of_every_network() {
    macro_rules! forward {
        ($name:ident, $Net:ty, [$($input:tt),*] => [$($output:tt),*]) => {{
            let mut rng = Generator::manual_seed(0);
            let model = <$Net as Model>::init(&mut rng);
            let x: Tensor<Shape![5, $($input),*]> = Tensor::randn(&mut rng);
            let one: Tensor<Shape![$($input),*]> = Tensor::randn(&mut rng);
            let mut workspace = Workspace::new();
            model.forward_with(&mut workspace, &x);
            let name = stringify!($name);
            for _ in 0..3 {
                let again = allocations(|| model.forward_with(&mut workspace, &x).as_slice()[0]);
                assert_eq!(again, 0, "{name}: forward in a workspace takes memory");
                let one = allocations(|| model.forward_with(&mut workspace, &one).as_slice()[0]);
                assert_eq!(one, 0, "{name}: a single sample after a batch takes memory");
            }
        }};
    }
    each_network!(forward);
}

/// The loss alone, as for validation: the value of a batch needs no memory either.
#[test]
fn losses_alone() {
    fn check<Y: Shape, T, L: Loss<Y, T, f32>>(what: &str, loss: &L, y: &Tensor<Y>, target: &T) {
        assert_eq!(allocations(|| loss.forward(y, target)), 0, "{what} takes memory");
    }
    let y: Tensor<Shape![5, 7]> = Tensor::rand(&mut Generator::manual_seed(0));
    let labels: Tensor<Shape![5], i64> = tensor![0, 1, 2, 3, 4];
    check("MSELoss", &MSELoss, &y, &y);
    check("BCELoss", &BCELoss, &y, &y);
    check("BCEWithLogitsLoss", &BCEWithLogitsLoss, &y, &y);
    check("CrossEntropyLoss with labels", &CrossEntropyLoss, &y, &labels);
    check("CrossEntropyLoss with probabilities", &CrossEntropyLoss, &y, &y);
}

/// A training would take memory with every epoch: forty epochs take as much as four, shuffled, with a smaller last batch.
#[test]
fn epochs_of_a_trainer_allocate_nothing_after_the_first() {
    let x: Tensor<Shape![50, 4]> = Tensor::randn(&mut Generator::manual_seed(0));
    let labels: Vec<i64> = (0..50).map(|i| i % 3).collect();
    let labels: Tensor<Shape![_], i64> = Tensor::from_vec(labels).unwrap();
    let data = TensorDataset::new(x, labels).unwrap();
    let model = sequential![Linear(4, 16), ReLU, Linear(16, 3)].init(&mut Generator::manual_seed(0));
    let mut trainer = Trainer::new(model, CrossEntropyLoss, Adam::new(0.01));
    let mut fit =
        |epochs| allocations(|| trainer.fit(&data, Fit::epochs(epochs).batch(16).shuffle(1).quiet()).unwrap());
    fit(2);
    assert_eq!(fit(4), fit(40));
}
