//! Random numbers from one explicit seed.
//!
//! ```
//! use plywood::prelude::*;
//!
//! let x: Tensor<Shape![3]> = Tensor::randn(&mut Generator::manual_seed(7));
//! assert_eq!(x, Tensor::randn(&mut Generator::manual_seed(7)));
//! ```

mod fdlibm;

use crate::element::Float;

/// A source of random numbers: the same seed gives the same numbers, on every machine and for any number of threads.
///
/// The numbers are Philox4x32-10 (Salmon et al., *Parallel random numbers: as easy as 1, 2, 3*, SC 2011): the `n`-th
/// number is a function of the seed, the stream and `n` alone, so nothing depends on who drew before whom.
/// [`stream`](Generator::stream) gives as many independent sequences as there are things to draw for.
///
/// ```
/// use plywood::prelude::*;
///
/// let mut a = Generator::manual_seed(42);
/// let mut b = Generator::manual_seed(42);
/// assert_eq!(a.next_u32(), b.next_u32());
/// assert_ne!(a.stream(1).next_u32(), a.stream(2).next_u32());
/// ```
///
/// ```
/// use plywood::prelude::*;
///
/// let mut rng = Generator::manual_seed(0);
/// let coin = rng.uniform::<f32>() < 0.5;
/// let height: f64 = 1.7 + 0.1 * rng.normal::<f64>();
/// let die = 1 + rng.below(6);
/// let mut cards = [1, 2, 3, 4];
/// rng.shuffle(&mut cards);
/// assert_eq!(cards.iter().sum::<i32>(), 10);
/// assert_ne!(rng.next_u64(), rng.next_u64());
/// # assert!(usize::from(coin) < 2 && (1.0..2.4).contains(&height) && (1..=6).contains(&die));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generator {
    seed: u64,
    stream: u64,
    /// How many numbers have been drawn.
    drawn: u64,
    block: [u32; 4],
}

impl Generator {
    /// The generator of this seed.
    #[must_use]
    pub fn manual_seed(seed: u64) -> Self {
        Generator { seed, stream: 0, drawn: 0, block: [0; 4] }
    }

    /// The `index`-th independent sequence of the same seed, from its beginning.
    #[must_use]
    pub fn stream(&self, index: u64) -> Self {
        Generator { seed: self.seed, stream: mix(self.stream ^ mix(index)), drawn: 0, block: [0; 4] }
    }

    /// 32 random bits.
    pub fn next_u32(&mut self) -> u32 {
        let lane = (self.drawn % 4) as usize;
        if lane == 0 {
            self.block = philox(self.seed, self.drawn / 4, self.stream);
        }
        self.drawn += 1;
        self.block[lane]
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        u64::from(self.next_u32()) << 32 | u64::from(self.next_u32())
    }

    /// A whole number in `0..n`, each equally likely; 0 if `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        let n = n as u64;
        // Lemire's method: the high word of a 64 × 64 product, redrawn where it would be biased.
        let threshold = if n == 0 { 0 } else { n.wrapping_neg() % n };
        loop {
            let product = u128::from(self.next_u64()) * u128::from(n);
            if product as u64 >= threshold {
                return (product >> 64) as usize;
            }
        }
    }

    /// A number in [0, 1), each equally likely.
    pub fn uniform<E: Float>(&mut self) -> E {
        // As many bits as the significand holds, so that 1 is never reached by rounding.
        match size_of::<E>() {
            4 => E::of(f64::from(self.next_u32() >> 8) / f64::from(1u32 << 24)),
            _ => E::of((self.next_u64() >> 11) as f64 / (1u64 << 53) as f64),
        }
    }

    /// A number of the normal distribution of mean 0 and variance 1 (Box and Muller).
    pub fn normal<E: Float>(&mut self) -> E {
        let u = 1.0 - self.uniform::<f64>(); // in (0, 1]: its logarithm is finite
        let angle = core::f64::consts::TAU * self.uniform::<f64>();
        E::of((-2.0 * fdlibm::ln(u)).sqrt() * fdlibm::cos(angle))
    }

    /// Puts the items in random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

/// splitmix64's finaliser: neighbouring stream numbers become distant ones.
fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

fn philox(key: u64, low: u64, high: u64) -> [u32; 4] {
    let mut c = [low as u32, (low >> 32) as u32, high as u32, (high >> 32) as u32];
    let mut k = [key as u32, (key >> 32) as u32];
    for _ in 0..10 {
        let a = u64::from(c[0]) * 0xd251_1f53;
        let b = u64::from(c[2]) * 0xcd9e_8d57;
        c = [(b >> 32) as u32 ^ c[1] ^ k[0], b as u32, (a >> 32) as u32 ^ c[3] ^ k[1], a as u32];
        k = [k[0].wrapping_add(0x9e37_79b9), k[1].wrapping_add(0xbb67_ae85)];
    }
    c
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers of the paper's own code (`kat_vectors`, philox4x32 10).
    #[test]
    fn philox_gives_the_published_vectors() {
        assert_eq!(philox(0, 0, 0), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox(u64::MAX, u64::MAX, u64::MAX), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            philox(0x299f_31d0_a409_3822, 0x85a3_08d3_243f_6a88, 0x0370_7344_1319_8a2e),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    /// libm's, which are the same on every machine.
    #[test]
    fn normal_keeps_its_bits() {
        let mut rng = Generator::manual_seed(3);
        let mut other = rng.clone();
        for _ in 0..100_000 {
            let u = 1.0 - other.uniform::<f64>();
            let expected = (-2.0 * libm::log(u)).sqrt() * libm::cos(core::f64::consts::TAU * other.uniform::<f64>());
            assert_eq!(rng.normal::<f64>().to_bits(), expected.to_bits());
        }
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        let mut rng = Generator::manual_seed(1);
        let n = 100_000;
        let uniform: Vec<f64> = (0..n).map(|_| rng.uniform()).collect();
        let normal: Vec<f64> = (0..n).map(|_| rng.normal()).collect();
        let mean = |v: &[f64]| v.iter().sum::<f64>() / f64::from(n);
        let var = |v: &[f64]| {
            let mean = mean(v);
            v.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / f64::from(n)
        };
        assert!((mean(&uniform) - 0.5).abs() < 0.005 && (var(&uniform) - 1.0 / 12.0).abs() < 0.002);
        assert!(mean(&normal).abs() < 0.015 && (var(&normal) - 1.0).abs() < 0.02);
        assert!(uniform.iter().all(|u| (0.0..1.0).contains(u)));
    }

    #[test]
    fn below_is_even_and_shuffle_keeps_every_item() {
        let mut rng = Generator::manual_seed(2);
        let mut counts = [0; 6];
        for _ in 0..60_000 {
            counts[rng.below(6)] += 1;
        }
        assert!(counts.iter().all(|c| (9_500..10_500).contains(c)), "{counts:?}");
        let mut items: Vec<usize> = (0..100).collect();
        rng.shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
        assert_eq!(rng.below(0), 0);
    }
}
