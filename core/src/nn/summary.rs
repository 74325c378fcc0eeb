//! What a network consists of, as a table and as named tensors.

use super::{Layer, LayerInfo, Model};
use crate::element::Element;
use crate::shape::{Sizes, StaticShape};
use core::fmt::{self, Display};

/// A parameter tensor with its PyTorch name. See [`Model::state_dict`].
#[derive(Clone, Debug, PartialEq)]
pub struct StateTensor<'a, E> {
    /// The layer's name or position and the tensor's name: `0.weight`, `encoder.2.bias`.
    pub name: String,
    /// The sizes.
    pub shape: &'static [usize],
    /// Where it begins in the network's parameters.
    pub offset: usize,
    /// The elements, row-major.
    pub data: &'a [E],
}

pub(super) fn state_dict<'a, E: Element>(
    layers: &'static [LayerInfo],
    parameters: &'a [E],
) -> impl Iterator<Item = StateTensor<'a, E>> {
    let mut found = Vec::new();
    collect(layers, "", 0, &mut |name, shape, offset, numel| {
        found.push(StateTensor { name, shape, offset, data: &parameters[offset..offset + numel] });
    });
    found.into_iter()
}

fn collect(
    layers: &'static [LayerInfo],
    prefix: &str,
    base: usize,
    found: &mut impl FnMut(String, &'static [usize], usize, usize),
) {
    for layer in layers {
        let name = format!("{prefix}{}.", layer.name);
        for tensor in layer.tensors {
            let offset = base + layer.offset + tensor.offset;
            found(format!("{name}{}", tensor.name), tensor.shape, offset, tensor.numel());
        }
        collect(layer.layers, &name, base + layer.offset, found);
    }
}

/// The layers of a network with what each costs; see [`Model::summary`].
///
/// Everything in it is known at compile time: [`Layer::LAYERS`], [`Layer::PARAMS`], [`Layer::MULTIPLY_ADDS`].
///
/// ```
/// use plywood::prelude::*;
///
/// let model = sequential![Linear(16, 32), ReLU, Linear(32, 7)].init(&mut Generator::manual_seed(0));
/// println!("{}", model.summary());
/// assert_eq!(model.summary().params, 16 * 32 + 32 + 32 * 7 + 7);
/// assert_eq!(model.summary().multiply_adds, 16 * 32 + 32 * 7);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The layers.
    pub layers: &'static [LayerInfo],
    /// The sizes of a sample that goes in.
    pub input: &'static [usize],
    /// The number of parameters.
    pub params: usize,
    /// Multiplications with an addition, per sample, forward.
    pub multiply_adds: usize,
    /// Bytes of one parameter.
    pub element: usize,
    /// Numbers per sample that a training step keeps: input, activations and their gradients.
    pub per_sample: usize,
}

impl Summary {
    pub(super) fn of<M: Model>() -> Self {
        Summary {
            layers: M::LAYERS,
            input: <M::Input as StaticShape>::SIZES,
            params: M::PARAMS,
            multiply_adds: <M as Layer>::MULTIPLY_ADDS,
            element: size_of::<M::Elem>(),
            per_sample: <M::Input as StaticShape>::NUMEL
                + M::SAVED
                + M::SCRATCH
                + 2 * <M::Output as StaticShape>::NUMEL,
        }
    }
}

/// A number with its thousands set apart: `1,568`.
pub(crate) struct Grouped(pub(crate) usize);

impl Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let mut text = String::new();
        for (i, digit) in digits.chars().enumerate() {
            if i > 0 && (digits.len() - i).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        f.pad(&text)
    }
}

/// A number of bytes in the unit that suits it.
struct Bytes(usize);

impl Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0 as f64;
        match self.0 {
            0..1_024 => write!(f, "{} B", self.0),
            1_024..1_048_576 => write!(f, "{:.1} KiB", bytes / 1_024.0),
            1_048_576..1_073_741_824 => write!(f, "{:.1} MiB", bytes / 1_048_576.0),
            _ => write!(f, "{:.1} GiB", bytes / 1_073_741_824.0),
        }
    }
}

fn batched(sizes: &[usize]) -> String {
    let sizes = core::iter::once(None).chain(sizes.iter().copied().map(Some)).collect();
    Sizes::<Vec<Option<usize>>>(sizes).to_string()
}

fn rows(layers: &[LayerInfo], depth: usize, table: &mut Vec<[String; 4]>) {
    for layer in layers {
        table.push([
            format!("{}{}: {}", "  ".repeat(depth), layer.name, layer.kind),
            batched(layer.output),
            Grouped(layer.params).to_string(),
            Grouped(layer.multiply_adds).to_string(),
        ]);
        rows(layer.layers, depth + 1, table);
    }
}

impl Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = vec![
            ["Layer", "Output shape", "Parameters", "Multiply-adds"].map(String::from),
            ["input".to_owned(), batched(self.input), String::new(), String::new()],
        ];
        rows(self.layers, 0, &mut table);
        let width = |column: usize| table.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let [a, b, c, d] = [width(0), width(1), width(2), width(3)];
        let rule = "─".repeat(a + b + c + d + 6);
        writeln!(f, "{rule}")?;
        for (i, [name, shape, params, work]) in table.iter().enumerate() {
            writeln!(f, "{name:<a$}  {shape:<b$}  {params:>c$}  {work:>d$}")?;
            if i == 0 {
                writeln!(f, "{rule}")?;
            }
        }
        writeln!(f, "{rule}")?;
        writeln!(f, "Parameters: {} ({})", Grouped(self.params), Bytes(self.params * self.element))?;
        writeln!(f, "Multiply-adds per sample, forward: {}", Grouped(self.multiply_adds))?;
        writeln!(f, "Memory of a training step, per sample: {}", Bytes(self.per_sample * self.element))?;
        write!(f, "{rule}")
    }
}
