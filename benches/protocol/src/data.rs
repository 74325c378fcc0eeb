use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

/// A network, a batch and a loss, as `benches/workloads.json` has them.
#[derive(Clone, Debug, Deserialize)]
pub struct Workload {
    #[serde(skip)]
    pub name: String,
    pub batch: usize,
    /// The shape of a sample.
    pub input: Vec<usize>,
    /// The shape of each layer's weight, in PyTorch's order: `[out, in]`, or `[out, in, height, width]`.
    pub weights: Vec<Vec<usize>>,
    pub activation: String,
    pub loss: String,
    pub lr: f64,
}

static WORKLOADS: LazyLock<BTreeMap<String, Workload>> = LazyLock::new(|| {
    let mut all: BTreeMap<String, Workload> =
        serde_json::from_str(include_str!("../../workloads.json")).expect("workloads.json holds workloads");
    for (name, workload) in &mut all {
        workload.name.clone_from(name);
    }
    all
});

/// PyTorch's losses of the first steps, by task; in inference, the first output. Written by `peers/torch_peer.py`.
static LOSSES: LazyLock<BTreeMap<String, Vec<f64>>> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../losses.json")).expect("losses.json holds losses"));

impl Workload {
    /// The number of elements of a sample.
    #[must_use]
    pub fn features(&self) -> usize {
        self.input.iter().product()
    }

    /// The number of elements of an output.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.weights[self.weights.len() - 1][0]
    }

    /// The batch, `[batch, input…]`: uniform in [−1, 1).
    #[must_use]
    pub fn x(&self) -> Vec<f32> {
        self.uniform(0, self.batch * self.features(), 1.0)
    }

    /// The class of each sample, for cross-entropy.
    #[must_use]
    pub fn labels(&self) -> Vec<i64> {
        (0..self.batch).map(|i| (self.bits(1, i) % self.outputs() as u64) as i64).collect()
    }

    /// The targets `[batch, output]` of the other losses: 0 or 1 for BCE, uniform in [−1, 1) for MSE.
    #[must_use]
    pub fn targets(&self) -> Vec<f32> {
        let n = self.batch * self.outputs();
        match self.loss.as_str() {
            "bce" => (0..n).map(|i| (self.bits(1, i) % 2) as f32).collect(),
            _ => self.uniform(1, n, 1.0),
        }
    }

    /// The initial weight of a layer: uniform in ±1/√in, as PyTorch's.
    #[must_use]
    pub fn weight(&self, layer: usize) -> Vec<f32> {
        self.uniform(2 + 2 * layer, self.weights[layer].iter().product(), self.bound(layer))
    }

    /// The initial bias of a layer: uniform in ±1/√in, as PyTorch's.
    #[must_use]
    pub fn bias(&self, layer: usize) -> Vec<f32> {
        self.uniform(3 + 2 * layer, self.weights[layer][0], self.bound(layer))
    }

    fn bound(&self, layer: usize) -> f32 {
        let fan_in: usize = self.weights[layer][1..].iter().product();
        (1.0 / (fan_in as f64).sqrt()) as f32
    }

    /// Exact in f32 but for one product, so it is the same in every language.
    fn uniform(&self, tensor: usize, n: usize, bound: f32) -> Vec<f32> {
        (0..n).map(|i| (self.bits(tensor, i) as f32 / (1u32 << 23) as f32 - 1.0) * bound).collect()
    }

    /// 24 random bits: splitmix64 of the workload's number, the tensor's and the element's.
    fn bits(&self, tensor: usize, i: usize) -> u64 {
        let number: u64 = self.name[1..].parse().expect("a workload is W and a number");
        let x = ((number * 16 + tensor as u64) << 40 | i as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ x >> 31) >> 40
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Sgd,
    Adam,
    /// One sample forward.
    Infer1,
}

/// What is measured: a workload, trained or asked.
#[derive(Clone, Debug)]
pub struct Task {
    pub workload: Workload,
    pub kind: Kind,
}

impl Task {
    /// Every task, in the order of the tables.
    #[must_use]
    pub fn all() -> Vec<Task> {
        let sgd = (1..=7).map(|w| format!("W{w}:sgd"));
        let adam = [4, 5].map(|w| format!("W{w}:adam"));
        let infer = [1, 3, 4, 5].map(|w| format!("W{w}:infer1"));
        sgd.chain(adam).chain(infer).map(|task| task.parse().expect("a task")).collect()
    }

    /// The learning rates of the checked steps and of the timed ones.
    ///
    /// Adam's timed ones hardly move: after a thousand real steps on one batch, moments of dead units are denormal
    /// numbers, and those are what would be timed.
    #[must_use]
    pub fn learning_rates(&self) -> [f64; 2] {
        match self.kind {
            Kind::Adam => [1e-4, 1e-7],
            _ => [self.workload.lr; 2],
        }
    }

    /// PyTorch's losses of the first steps.
    ///
    /// # Panics
    /// If `losses.json` lacks the task.
    #[must_use]
    pub fn losses(&self) -> &'static [f64] {
        LOSSES.get(&self.to_string()).unwrap_or_else(|| panic!("losses.json lacks {self}"))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Sgd => "sgd",
            Kind::Adam => "adam",
            Kind::Infer1 => "infer1",
        })
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.workload.name, self.kind)
    }
}

impl FromStr for Task {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, kind) = text.split_once(':').unwrap_or((text, "sgd"));
        let kind = [Kind::Sgd, Kind::Adam, Kind::Infer1].into_iter().find(|k| k.to_string() == kind);
        let (Some(workload), Some(kind)) = (WORKLOADS.get(name), kind) else {
            return Err(format!("`{text}` is no task; W1:sgd, W4:adam and W5:infer1 are"));
        };
        Ok(Task { workload: workload.clone(), kind })
    }
}
