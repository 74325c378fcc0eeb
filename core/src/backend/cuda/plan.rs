//! How a step of a small network is shared among blocks of threads, and the text of its kernels.

use super::executor::PARTS;
use super::kernels::{self, Program};
use super::network::{Dense, functions};
use super::optimizer::Rule;
use crate::element::DType;
use crate::loss::LossKind;

/// The most layers, outputs of a layer, numbers of a sample, and samples of a batch.
const LAYERS: usize = 16;
const OUTPUTS: usize = 128;
const INPUTS: usize = 1024;
const SAMPLES: usize = 1024;
/// Threads of a block.
pub(super) const THREADS: u32 = 512;
/// Of a block's shared memory, what the kernels use besides.
const BESIDES: usize = 4 << 10;

/// How a block goes about a network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Plan {
    /// Samples of a block, a power of two, and how many blocks that makes.
    rows: usize,
    pub(super) blocks: usize,
    /// Whether the only block updates the parameters, too: then it is one kernel.
    pub(super) alone: bool,
    /// Whether the parameters have room in shared memory.
    near: bool,
    /// Elements of shared memory.
    pub(super) room: usize,
}

/// What a plan depends on besides the network.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) batch: usize,
    /// Bytes of an element.
    pub(super) size: usize,
    /// Bytes of a block's shared memory.
    pub(super) shared: usize,
    pub(super) multiprocessors: usize,
}

impl Plan {
    /// The plan that should take the shortest time; `None` if the network or the batch is too large for any.
    pub(super) fn new(layers: &[Dense], parameters: usize, loss: LossKind, limits: Limits) -> Option<Self> {
        let Limits { batch, size, shared, multiprocessors } = limits;
        let inputs = layers.first()?.inputs;
        let small = layers.len() <= LAYERS
            && inputs <= INPUTS
            && layers.iter().all(|layer| (1..=OUTPUTS).contains(&layer.outputs));
        if !small || inputs == 0 || parameters == 0 || batch == 0 || batch > SAMPLES {
            return None;
        }
        let padded = |n: usize| n.next_multiple_of(16 / size);
        let kept = |layer: &Dense| padded(layer.outputs) * (1 + usize::from(layer.keeps()));
        let widest = layers.iter().map(|layer| padded(layer.outputs)).max()?;
        let targets = if loss == LossKind::CrossEntropy { 1 } else { layers.last()?.outputs };
        let of_row = padded(inputs) + layers.iter().map(kept).sum::<usize>() + 2 * widest + targets;
        let plans = (0..).map(|power| 1 << power).take_while(|rows| *rows < 2 * batch).flat_map(|rows| {
            let blocks = batch.div_ceil(rows);
            [(true, true), (true, false), (false, true), (false, false)].map(|(near, alone)| {
                let room = rows * of_row + if near { padded(parameters) } else { 0 };
                Plan { rows, blocks, alone: alone && blocks == 1, near, room }
            })
        });
        let fits =
            |plan: &Plan| plan.room * size + BESIDES <= shared && plan.blocks <= multiprocessors.min(PARTS as usize);
        plans.filter(fits).min_by_key(|plan| plan.cycles(layers, parameters, limits))
    }

    /// About how many cycles a step takes, to choose among plans. Nothing depends on its being right: whether the best plan
    /// is used is measured.
    fn cycles(&self, layers: &[Dense], parameters: usize, limits: Limits) -> usize {
        /// Bytes a cycle, from or to the memory that all multiprocessors share: of one of them, and written by all.
        const OF_ONE: usize = 32;
        const WRITTEN: usize = 1500;
        /// Multiplications with an addition in a cycle, as far as they come in a kernel that waits a lot.
        const PRODUCTS: usize = 48;
        const SECOND_LAUNCH: usize = 5000;
        let passes = |(i, layer): (usize, &Dense)| layer.inputs * layer.outputs * if i == 0 { 2 } else { 3 };
        let products: usize = layers.iter().filter(|layer| layer.weights.is_some()).enumerate().map(passes).sum();
        let bytes = parameters * limits.size;
        let weights = bytes / OF_ONE * if self.near { 1 } else { 2 };
        let compute = (self.rows + 2) * products * limits.size / 4 / PRODUCTS;
        let update = if self.alone {
            3 * bytes / OF_ONE
        } else {
            let written = (bytes / OF_ONE).max(self.blocks * bytes / WRITTEN);
            written + SECOND_LAUNCH + (self.blocks + 3) * bytes / OF_ONE / limits.multiprocessors
        };
        weights + compute + update
    }

    /// The program for a network of this plan.
    pub(super) fn program(
        &self,
        layers: &[Dense],
        parameters: usize,
        real: DType,
        loss: LossKind,
        rule: &Rule,
    ) -> Program {
        let structs = layers.iter().enumerate().map(|(i, layer)| {
            format!(
                "struct Act{i} {{\nstatic constexpr bool IDENTITY = {}, FROM_OUTPUT = {};\n{}}};\n",
                layer.formula.is_none(),
                layer.from_output,
                functions(layer.formula)
            )
        });
        let network = layers.iter().enumerate().map(|(i, layer)| match layer {
            Dense { inputs, outputs, params, weights: Some(bias), .. } => {
                format!("Linear<Act{i}, {inputs}, {outputs}, {bias}, {params}>")
            }
            Dense { outputs, weights: None, .. } => format!("Pointwise<Act{i}, {outputs}>"),
        });
        let criterion = match loss {
            LossKind::Mse => "Each<Mse>",
            LossKind::Bce => "Each<Bce>",
            LossKind::BceWithLogits => "Each<BceLogits>",
            LossKind::CrossEntropy => "CrossEntropy<Labels>",
            LossKind::CrossEntropyOfProbabilities => "CrossEntropy<Soft>",
        };
        let rule = match rule {
            Rule::Sgd { .. } => "Sgd",
            Rule::Adam { .. } => "Adam",
        };
        let Plan { rows, near, room, alone, .. } = *self;
        let numbers = [
            ("INPUTS", layers[0].inputs),
            ("PARAMS", parameters),
            ("ROWS", rows),
            ("NEAR", usize::from(near)),
            ("ALONE", usize::from(alone)),
            ("ROOM", room),
        ];
        let words = [("NETWORK", network.collect::<Vec<_>>().join(", "))]
            .into_iter()
            .chain([("CRITERION", criterion.to_owned()), ("RULE", rule.to_owned())])
            .chain(numbers.map(|(name, number)| (name, number.to_string())));
        let definitions = structs.chain(words.map(|(name, value)| format!("#define {name} {value}\n"))).collect();
        Program { definitions, threads: THREADS, ..Program::new(kernels::SMALL, real) }
    }
}

impl Dense {
    /// Whether the input of its activation is kept.
    fn keeps(&self) -> bool {
        self.weights.is_some() && !self.from_output
    }
}

/// Programs of a few networks, batches, losses and optimizers.
#[cfg(test)]
pub(super) fn examples() -> Vec<Program> {
    tests::examples()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Activation, Formula, GELU, ReLU, Sigmoid, Tanh};

    const NONE: Option<(Formula, bool)> = None;
    const H100: (usize, usize) = (227 << 10, 132);

    fn from<A: Activation>() -> Option<(Formula, bool)> {
        A::CUDA.map(|formula| (formula, A::FROM_OUTPUT))
    }

    /// Layers of these sizes, all but the last one with the activation, and the number of their parameters.
    fn network(sizes: &[usize], bias: bool, act: Option<(Formula, bool)>) -> (Vec<Dense>, usize) {
        let mut params = 0;
        let layers = sizes.windows(2).enumerate().map(|(i, pair)| {
            let act = act.filter(|_| i + 2 < sizes.len());
            let (formula, from_output) = (act.map(|(formula, _)| formula), act.is_none_or(|(_, from)| from));
            let layer = Dense { inputs: pair[0], outputs: pair[1], params, weights: Some(bias), formula, from_output };
            params += pair[0] * pair[1] + if bias { pair[1] } else { 0 };
            layer
        });
        let layers = layers.collect();
        (layers, params)
    }

    fn limits(batch: usize, size: usize) -> Limits {
        let (shared, multiprocessors) = H100;
        Limits { batch, size, shared, multiprocessors }
    }

    pub(super) fn examples() -> Vec<Program> {
        let sgd =
            Rule::Sgd { lr: 0.1, momentum: 0.9, dampening: 0.0, weight_decay: 0.0, nesterov: false, started: false };
        let adam =
            Rule::Adam { lr: 0.1, betas: (0.9, 0.999), eps: 1e-8, weight_decay: 0.0, decoupled: false, steps: 0 };
        let mut examples = Vec::new();
        for (sizes, act, batch, loss, rule) in [
            (&[6, 4, 1][..], from::<Sigmoid>(), 5, LossKind::BceWithLogits, sgd),
            (&[2, 10, 1], from::<Sigmoid>(), 40, LossKind::Mse, sgd),
            (&[4, 64, 64, 3], from::<ReLU>(), 32, LossKind::CrossEntropy, adam),
            (&[64, 128, 128, 128, 16], from::<GELU>(), 256, LossKind::CrossEntropyOfProbabilities, adam),
            (&[784, 128, 10], from::<ReLU>(), 64, LossKind::CrossEntropy, sgd),
            (&[1023, 127, 127], from::<Tanh>(), 1, LossKind::Bce, adam),
        ] {
            for (bias, real) in [(true, DType::F32), (false, DType::F32), (true, DType::F64)] {
                let (layers, params) = network(sizes, bias, act);
                let plan =
                    Plan::new(&layers, params, loss, limits(batch, if real == DType::F64 { 8 } else { 4 })).unwrap();
                examples.push(plan.program(&layers, params, real, loss, &rule));
            }
        }
        examples
    }

    /// Tiny ones are one kernel; where there is more to do, or much to read, several blocks, or at least several for the update.
    #[test]
    fn plans_of_an_h100() {
        let plan = |sizes: &[usize], batch| {
            let (layers, params) = network(sizes, true, NONE);
            let plan = Plan::new(&layers, params, LossKind::CrossEntropy, limits(batch, 4))?;
            assert!(4 * plan.room + BESIDES <= H100.0 && plan.rows * plan.blocks >= batch && plan.blocks <= H100.1);
            Some((plan.rows, plan.blocks, plan.alone, plan.near))
        };
        assert_eq!(plan(&[6, 4, 1], 5), Some((8, 1, true, true)));
        assert_eq!(plan(&[2, 10, 1], 40), Some((64, 1, true, true)));
        assert_eq!(plan(&[784, 128, 10], 64), Some((2, 32, false, false)));
        assert_eq!(plan(&[784, 128, 10], 1), Some((1, 1, false, false)));
        for (sizes, batch) in [(&[4, 64, 64, 3][..], 32), (&[64, 64, 64, 64, 16], 128), (&[64, 128, 128, 16], 1024)] {
            let (_, blocks, alone, near) = plan(sizes, batch).unwrap();
            assert!(blocks > 1 && !alone && near, "{sizes:?}, {batch}");
        }
        for (sizes, batch) in [(&[6, 129][..], 5), (&[1025, 10], 5), (&[6, 4], 1025), (&[6, 4], 0)] {
            assert_eq!(plan(sizes, batch), None, "{sizes:?}, {batch}");
        }
        // Nothing has room.
        let (layers, params) = network(&[64; 3], true, NONE);
        assert_eq!(Plan::new(&layers, params, LossKind::Mse, Limits { shared: 5000, ..limits(4, 8) }), None);
    }
}
