//! PyTorch's numbers, as the scripts in `parity/` write them.

use plywood::Float;
use plywood::nn::Model;
use plywood::tensor::FromNumel;
use plywood::{Element, Tensor};
use safetensors::{Dtype, SafeTensors};
use std::path::Path;

/// A file of named tensors.
pub struct Fixture {
    name: &'static str,
    bytes: Vec<u8>,
}

impl Fixture {
    /// The file `parity/fixtures/{name}.safetensors`.
    ///
    /// # Panics
    /// If it is missing.
    #[must_use]
    pub fn open(name: &'static str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("parity/fixtures/{name}.safetensors"));
        let bytes = std::fs::read(&path)
            .unwrap_or_else(|error| panic!("{}: {error}; `python tests/parity/{name}.py` writes it", path.display()));
        Fixture { name, bytes }
    }

    /// The file with these bytes.
    #[must_use]
    pub fn of(name: &'static str, bytes: &[u8]) -> Self {
        Fixture { name, bytes: bytes.to_vec() }
    }

    /// A tensor's numbers, row-major.
    ///
    /// # Panics
    /// If there is no such tensor.
    #[must_use]
    pub fn numbers(&self, tensor: &str) -> Vec<f64> {
        let file = SafeTensors::deserialize(&self.bytes).expect("a safetensors file");
        let view = file.tensor(tensor).unwrap_or_else(|error| panic!("{}: {tensor}: {error}", self.name));
        let words = view.data().chunks_exact(8).map(|word| word.try_into().expect("8 bytes"));
        match view.dtype() {
            Dtype::F64 => words.map(f64::from_le_bytes).collect(),
            Dtype::I64 => words.map(|word| i64::from_le_bytes(word) as f64).collect(),
            other => panic!("{}: {tensor} has the type {other:?}", self.name),
        }
    }

    /// A tensor of a known shape.
    ///
    /// # Panics
    /// If it has another number of elements, or numbers that do not exist in `E`.
    #[must_use]
    pub fn tensor<S: FromNumel, E: Element>(&self, tensor: &str) -> Tensor<S, E> {
        let numbers = Tensor::<S, f64>::from_slice(&self.numbers(tensor)).expect(tensor);
        numbers.cast().expect(tensor)
    }

    /// Writes the tensors `{prefix}/{name in the state dict}` into the network.
    pub fn load<M: Model>(&self, prefix: &str, model: &mut M) {
        let places: Vec<_> = model.state_dict().map(|tensor| (tensor.name, tensor.offset, tensor.data.len())).collect();
        for (name, offset, len) in places {
            let numbers = self.numbers(&format!("{prefix}/{name}"));
            assert_eq!(numbers.len(), len, "{prefix}/{name}");
            let place = &mut model.parameters_mut()[offset..][..len];
            place.iter_mut().zip(numbers).for_each(|(p, value)| *p = M::Elem::of(value));
        }
    }
}
