//! Parameters between PyTorch and Plywood; `tests/parity/state_dict.py` makes the files and reads those written here.

use plywood::prelude::*;
use std::fs;
use std::path::Path;

sequential! {
    /// A part of the network.
    struct Encoder {
        Linear(4, 8),
        Tanh,
    }
}

sequential! {
    /// The network of `state_dict.py`.
    struct Net {
        encoder: Encoder,
        Linear(8, 5),
        ReLU,
        out: Linear(_, 3),
    }
}

fn numbers<E: Float>(line: &str) -> Vec<E> {
    line.split_whitespace().map(|number| E::of(number.parse().expect("a number"))).collect()
}

fn text<E: Float>(numbers: &[E]) -> String {
    numbers.iter().map(E::to_string).collect::<Vec<_>>().join(" ")
}

/// `tolerance` is the largest difference that rounding explains: the outputs are about 1.
fn both_ways<M>(name: &str, tolerance: f64)
where
    M: Model<Input = (D<4>,), Output = (D<3>,)>,
    Shape![_, 4]: plywood::shape::InputOf<M, Shape![_, 4], Of<(D<3>,)> = Shape![_, 3]>,
{
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("parity/fixtures");
    let file = fixtures.join(name).with_extension("safetensors");
    let lines = fs::read_to_string(fixtures.join(name).with_extension("txt")).expect("the fixture");
    let (x, expected) = lines.split_once('\n').expect("input and output");
    let x = Tensor::<Shape![_, 4], M::Elem>::from_vec(numbers(x)).expect("rows of four");

    let mut model = M::init(&mut Generator::manual_seed(0));
    plywood::io::load(&mut model, &file).expect("PyTorch's file fits");
    let y = model.forward(&x);
    let expected: Vec<M::Elem> = numbers(expected);
    assert_eq!(y.numel(), expected.len());
    for (i, (y, expected)) in y.iter().zip(&expected).enumerate() {
        let difference = if y > expected { *y - *expected } else { *expected - *y };
        assert!(difference <= M::Elem::of(tolerance), "output {i} is {y}, in PyTorch {expected}");
    }
    assert_eq!(
        plywood::io::to_bytes(&model).expect("a short header"),
        fs::read(&file).expect("the fixture"),
        "what PyTorch saved and Plywood loaded, Plywood saves as the same bytes"
    );

    let model = M::init(&mut Generator::manual_seed(1));
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    plywood::io::save(&model, target.with_extension("safetensors")).expect("a folder for temporary files");
    let lines = format!("{}\n{}\n", text(x.as_slice()), text(model.forward(&x).as_slice()));
    fs::write(target.with_extension("txt"), lines).expect("a folder for temporary files");
}

#[test]
fn a_pytorch_file_gives_pytorch_outputs_in_f32() {
    both_ways::<Net>("state_dict_f32", 1e-6);
}

#[test]
fn a_pytorch_file_gives_pytorch_outputs_in_f64() {
    both_ways::<<Net as Model>::As<f64>>("state_dict_f64", 1e-14);
}
