//! What the machine can do at most: multiply-adds by a loop in registers, bandwidth by a triad and by a sum.

#![allow(unsafe_code, reason = "a function for vectors that the machine has is called through `unsafe`")]

use plywood_bench_protocol::{Kind, Machine, Task};
use std::hint::black_box;
use std::time::Instant;

/// Independent chains of multiply-adds: enough to hide the latency of four or five cycles on two ports.
const CHAINS: usize = 12;

/// One kind of vectors: its FMA loop, its triad and its sum.
struct Vectors {
    name: &'static str,
    lanes: usize,
    fma: fn(u64) -> f32,
    triad: fn(&mut [f32], &[f32], &[f32]),
    sum: fn(&[f32]) -> f32,
}

#[inline(always)]
fn triad(a: &mut [f32], b: &[f32], c: &[f32]) {
    for ((a, b), c) in a.iter_mut().zip(b).zip(c) {
        *a = b + 3.0 * c;
    }
}

#[inline(always)]
fn sum(a: &[f32]) -> f32 {
    let mut sums = [0.0; 128];
    for chunk in a.chunks_exact(128) {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *sum += x;
        }
    }
    sums.iter().sum()
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{CHAINS, Vectors};
    use core::arch::x86_64::*;

    macro_rules! vectors {
        ($module:ident, $name:literal, $features:literal, $lanes:literal, $set:ident, $fma:ident, $add:ident, $first:expr) => {
            pub(super) mod $module {
                use super::*;

                #[target_feature(enable = $features)]
                fn fma(n: u64) -> f32 {
                    let (x, y) = ($set(1e-3), $set(1.0));
                    let mut chains = [$set(0.5); CHAINS];
                    for _ in 0..n {
                        for chain in &mut chains {
                            *chain = $fma(*chain, x, y);
                        }
                    }
                    $first(chains.into_iter().fold($set(0.0), |a, b| $add(a, b)))
                }

                #[target_feature(enable = $features)]
                fn triad(a: &mut [f32], b: &[f32], c: &[f32]) {
                    super::super::triad(a, b, c);
                }

                #[target_feature(enable = $features)]
                fn sum(a: &[f32]) -> f32 {
                    super::super::sum(a)
                }

                /// To be called where the machine has been asked for the features.
                pub(in super::super) const VECTORS: Vectors = Vectors {
                    name: $name,
                    lanes: $lanes,
                    // SAFETY: `best` takes these only where the machine has the features.
                    fma: |n| unsafe { fma(n) },
                    // SAFETY: as above.
                    triad: |a, b, c| unsafe { triad(a, b, c) },
                    // SAFETY: as above.
                    sum: |a| unsafe { sum(a) },
                };
            }
        };
    }

    vectors!(avx512, "AVX-512", "avx512f", 16, _mm512_set1_ps, _mm512_fmadd_ps, _mm512_add_ps, _mm512_cvtss_f32);
    vectors!(avx2, "AVX2", "avx2,fma", 8, _mm256_set1_ps, _mm256_fmadd_ps, _mm256_add_ps, _mm256_cvtss_f32);
}

/// Products and sums apart, as Rust compiles them for any machine of the architecture.
fn portable(n: u64) -> f32 {
    let mut chains = [[0.5f32; 4]; CHAINS];
    for _ in 0..n {
        for chain in &mut chains {
            for x in chain {
                *x = *x * 1e-3 + 1.0;
            }
        }
    }
    chains.iter().flatten().sum()
}

fn best() -> Vectors {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            return x86::avx512::VECTORS;
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return x86::avx2::VECTORS;
        }
    }
    Vectors { name: "portable", lanes: 4, fma: portable, triad, sum }
}

/// The best of a few runs, in units a second, of `threads` threads which each do `units`.
fn rate<T: Send>(threads: usize, units: f64, mut state: Vec<T>, work: impl Fn(&mut T) + Sync) -> f64 {
    let mut best = 0.0f64;
    for _ in 0..5 {
        let start = Instant::now();
        std::thread::scope(|scope| {
            let (first, others) = state.split_first_mut().expect("one thread at least");
            for state in others {
                scope.spawn(|| work(state));
            }
            work(first);
        });
        best = best.max(threads as f64 * units / start.elapsed().as_secs_f64());
    }
    best
}

/// Bytes of an array for each level: the three of a triad fit in the level and not in the one before.
const ARRAYS: [usize; 3] = [128 << 10, 2 << 20, 64 << 20];

/// Measures the machine, now.
pub(crate) fn machine(threads: usize) -> Machine {
    let vectors = best();
    let n = 4_000_000;
    let flops = (2 * CHAINS * vectors.lanes) as f64 * n as f64;
    let peak_gflops = rate(threads, flops, vec![(); threads], |()| _ = black_box((vectors.fma)(black_box(n)))) / 1e9;
    let arrays = |bytes: usize| -> Vec<[Vec<f32>; 3]> {
        (0..threads).map(|_| [0.0, 1.0, 2.0].map(|x| vec![x; bytes / 4])).collect()
    };
    // Each run moves a quarter of a gigabyte or passes once over the arrays.
    let passes = |bytes: usize| ((256 << 20) / (3 * bytes)).max(1);
    let triad = ARRAYS.map(|bytes| {
        let moved = (3 * bytes * passes(bytes)) as f64;
        let work = |[a, b, c]: &mut [Vec<f32>; 3]| {
            for _ in 0..passes(bytes) {
                (vectors.triad)(a, black_box(b), black_box(c));
            }
        };
        rate(threads, moved, arrays(bytes), work) / 1e9
    });
    let read = ARRAYS.map(|bytes| {
        let moved = (3 * bytes * passes(bytes)) as f64;
        let work = |arrays: &mut [Vec<f32>; 3]| {
            for _ in 0..passes(bytes) {
                for array in &*arrays {
                    black_box((vectors.sum)(black_box(array)));
                }
            }
        };
        rate(threads, moved, arrays(bytes), work) / 1e9
    });
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu =
        info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map_or("unknown", |m| m.1);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Machine { cpu: cpu.to_owned(), cores, threads, vectors: vectors.name.to_owned(), peak_gflops, triad, read }
}

/// The bytes of a cache level of this machine, as Linux tells; usual ones elsewhere.
fn cache(level: usize) -> f64 {
    let file = format!("/sys/devices/system/cpu/cpu0/cache/index{level}/size");
    let kib = std::fs::read_to_string(file).ok().and_then(|text| text.trim().strip_suffix('K')?.parse().ok());
    kib.unwrap_or([32.0, 32.0, 512.0, 8192.0][level]) * 1024.0
}

/// The least time of a task in microseconds: the larger of arithmetic at the peak and traffic at the bandwidth.
///
/// Arithmetic: a layer's product x·Wᵀ has one multiply-add for each weight and place where it is used (once a sample,
/// for convolutions once a pixel); training has two more such products, dW and dx, of which the first layer needs only
/// dW. Everything elementwise counts as free.
///
/// Traffic: nothing where all that a step touches fits in the first-level cache. Else inference reads every parameter
/// once. A step of SGD reads them once forward and reads and writes them once backward, if the update is one with the
/// gradient; Adam reads and writes two moments as well. Activations and the batch count as free. The bandwidth is that
/// of the smallest level that holds parameters and moments, of reading for inference and of the triad for training.
pub(crate) fn floor_us(task: &Task, machine: &Machine) -> f64 {
    let workload = &task.workload;
    let batch = if task.kind == Kind::Infer1 { 1 } else { workload.batch };
    let (mut flops, mut parameters) = (0.0, 0.0);
    let mut pixels = workload.input[1..].iter().product::<usize>();
    for (i, shape) in workload.weights.iter().enumerate() {
        let weights = shape.iter().product::<usize>() as f64;
        let places = if shape.len() == 4 { pixels } else { 1 };
        let products = match (task.kind, i) {
            (Kind::Infer1, _) => 1.0,
            (_, 0) => 2.0,
            _ => 3.0,
        };
        flops += 2.0 * products * weights * (places * batch) as f64;
        parameters += weights + shape[0] as f64;
        pixels /= 4; // each convolution keeps the size, and each pooling halves both sides
    }
    let passes = match task.kind {
        Kind::Infer1 => 1.0,
        Kind::Sgd => 3.0,
        Kind::Adam => 7.0,
    };
    let held = 4.0 * parameters * if task.kind == Kind::Adam { 3.0 } else { 1.0 };
    let bandwidths = if task.kind == Kind::Infer1 { machine.read } else { machine.triad };
    let bandwidth = match held {
        _ if held <= cache(0) => f64::INFINITY,
        _ if held <= cache(2) => bandwidths[0],
        _ if held <= cache(3) => bandwidths[1],
        _ => bandwidths[2],
    };
    (flops / machine.peak_gflops).max(4.0 * parameters * passes / bandwidth) / 1e3
}
