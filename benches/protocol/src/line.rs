use serde::{Deserialize, Serialize};

/// A result: the median time of a step, in microseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    pub by: String,
    pub w: String,
    pub kind: String,
    /// The median of the rounds' medians.
    pub us: f64,
    /// The least and the largest of the rounds' medians.
    pub min: f64,
    pub max: f64,
    pub threads: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor_us: Option<f64>,
    /// The largest relative difference of the first losses to PyTorch's.
    pub loss_error: f64,
    /// What other processes used meanwhile, in cores.
    pub other: f64,
}

/// The limits of a machine for a number of threads.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Machine {
    pub cpu: String,
    pub cores: usize,
    pub threads: usize,
    /// The vectors of the FMA loop.
    pub vectors: String,
    pub peak_gflops: f64,
    /// In GB/s, of arrays that live in the second-level cache, in the third-level cache, and in neither.
    pub triad: [f64; 3],
    pub read: [f64; 3],
}

/// A line of a file of results.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Line {
    Row(Row),
    Machine(Machine),
}
