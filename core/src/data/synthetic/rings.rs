use super::{TensorDataset, labelled, not_negative};
use crate::dim::D;
use crate::element::Float;
use crate::error::{Error, Result};
use crate::generator::Generator;
use core::f64::consts::{PI, TAU};

/// A circle within a circle: `sklearn.datasets.make_circles`.
///
/// Half of the points lie on the circle of radius 1 and have label 0, the others on that of radius `factor` and have
/// label 1. Defaults are scikit-learn's: a factor of 0.8, no noise, rows in random order.
///
/// ```
/// use plywood::data::make_circles;
/// use plywood::prelude::*;
///
/// let circles: TensorDataset<Shape![2]> = make_circles(300).factor(0.5).generate(&mut Generator::manual_seed(0))?;
/// for (point, label) in circles.inputs().rows().zip(circles.targets()) {
///     let radius = point.iter().map(|x| x * x).sum::<f32>().sqrt();
///     assert!((radius - if *label == 0 { 1.0 } else { 0.5 }).abs() < 1e-6);
/// }
/// # Ok::<(), plywood::Error>(())
/// ```
#[must_use]
pub fn make_circles(n_samples: usize) -> MakeCircles {
    MakeCircles { n_samples, noise: 0.0, factor: 0.8, shuffle: true }
}

/// What [`make_circles`] is to make.
///
/// ```
/// use plywood::data::make_circles;
/// use plywood::prelude::*;
///
/// let circles: TensorDataset<Shape![2]> =
///     make_circles(10).factor(0.5).noise(0.0).shuffle(false).generate(&mut Generator::manual_seed(0))?;
/// assert_eq!(circles.targets().to_vec(), [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]);
/// assert_eq!(circles.inputs().row(5).unwrap().to_array(), [0.5, 0.0]);
/// # Ok::<(), plywood::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MakeCircles {
    n_samples: usize,
    noise: f64,
    factor: f64,
    shuffle: bool,
}

/// Two half circles that reach into each other: `sklearn.datasets.make_moons`.
///
/// The upper half circle around (0, 0) has label 0, the lower one around (1, ½) has label 1. Defaults are scikit-learn's:
/// no noise, rows in random order.
///
/// ```
/// use plywood::data::make_moons;
/// use plywood::prelude::*;
///
/// let moons: TensorDataset<Shape![2]> = make_moons(100).noise(0.05).generate(&mut Generator::manual_seed(0))?;
/// assert_eq!(moons.targets().iter().sum::<i64>(), 50);
/// # Ok::<(), plywood::Error>(())
/// ```
#[must_use]
pub fn make_moons(n_samples: usize) -> MakeMoons {
    MakeMoons { n_samples, noise: 0.0, shuffle: true }
}

/// What [`make_moons`] is to make.
///
/// ```
/// use plywood::data::make_moons;
/// use plywood::prelude::*;
///
/// let moons: TensorDataset<Shape![2]> =
///     make_moons(10).noise(0.0).shuffle(false).generate(&mut Generator::manual_seed(0))?;
/// assert_eq!(moons.targets().to_vec(), [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]);
/// assert_eq!(moons.inputs().row(0).unwrap().to_array(), [1.0, 0.0]);
/// # Ok::<(), plywood::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MakeMoons {
    n_samples: usize,
    noise: f64,
    shuffle: bool,
}

impl MakeCircles {
    /// The standard deviation of the noise on each coordinate.
    #[must_use]
    pub fn noise(self, noise: f64) -> Self {
        MakeCircles { noise, ..self }
    }

    /// The radius of the inner circle, at least 0 and below 1.
    #[must_use]
    pub fn factor(self, factor: f64) -> Self {
        MakeCircles { factor, ..self }
    }

    /// Whether rows come in random order; otherwise the outer circle is first.
    #[must_use]
    pub fn shuffle(self, shuffle: bool) -> Self {
        MakeCircles { shuffle, ..self }
    }

    /// The data set that this generator gives.
    ///
    /// # Errors
    /// If the factor is not in [0, 1), or the noise is negative.
    pub fn generate<E: Float>(&self, rng: &mut Generator) -> Result<TensorDataset<(D<2>,), (), E>> {
        if !(0.0..1.0).contains(&self.factor) {
            return Err(Error::Setting {
                what: "the factor of make_circles",
                given: self.factor.to_string(),
                expected: "at least 0 and below 1",
            });
        }
        not_negative("the noise of make_circles", self.noise)?;
        let outer = self.n_samples / 2;
        let points = (0..self.n_samples).map(|i| {
            let inner = i >= outer;
            let (i, points) = if inner { (i - outer, self.n_samples - outer) } else { (i, outer) };
            let angle = TAU * i as f64 / points as f64;
            let radius = if inner { self.factor } else { 1.0 };
            ([radius * angle.cos(), radius * angle.sin()], i64::from(inner))
        });
        noisy(points, self.noise, self.shuffle, rng)
    }
}

impl MakeMoons {
    /// The standard deviation of the noise on each coordinate.
    #[must_use]
    pub fn noise(self, noise: f64) -> Self {
        MakeMoons { noise, ..self }
    }

    /// Whether rows come in random order; otherwise the upper moon is first.
    #[must_use]
    pub fn shuffle(self, shuffle: bool) -> Self {
        MakeMoons { shuffle, ..self }
    }

    /// The data set that this generator gives.
    ///
    /// # Errors
    /// If the noise is negative.
    pub fn generate<E: Float>(&self, rng: &mut Generator) -> Result<TensorDataset<(D<2>,), (), E>> {
        not_negative("the noise of make_moons", self.noise)?;
        let upper = self.n_samples / 2;
        let points = (0..self.n_samples).map(|i| {
            let lower = i >= upper;
            let (i, points) = if lower { (i - upper, self.n_samples - upper) } else { (i, upper) };
            let (sin, cos) = (PI * i as f64 / points.saturating_sub(1).max(1) as f64).sin_cos();
            (if lower { [1.0 - cos, 0.5 - sin] } else { [cos, sin] }, i64::from(lower))
        });
        noisy(points, self.noise, self.shuffle, rng)
    }
}

fn noisy<E: Float>(
    points: impl Iterator<Item = ([f64; 2], i64)>,
    noise: f64,
    shuffle: bool,
    rng: &mut Generator,
) -> Result<TensorDataset<(D<2>,), (), E>> {
    let (points, labels): (Vec<[f64; 2]>, Vec<i64>) = points.unzip();
    let mut x = points.concat();
    if noise > 0.0 {
        x.iter_mut().for_each(|x| *x += noise * rng.normal::<f64>());
    }
    labelled(&x, &labels, shuffle, rng)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    /// ```python
    /// from sklearn.datasets import make_circles, make_moons
    /// make_circles(5, shuffle=False, factor=0.5)  # (1,0) (-1,0) | (.5,0) (-.25,.4330) (-.25,-.4330)
    /// make_moons(5, shuffle=False)                # (1,0) (-1,0) | (0,.5) (1,-.5) (2,.5)
    /// ```
    #[test]
    fn without_noise_the_points_are_those_of_scikit_learn() {
        let mut rng = Generator::manual_seed(0);
        let is = |data: &TensorDataset<Shape![2], (), f64>, points: &[[f64; 2]]| {
            let close = data.inputs().iter().zip(points.as_flattened()).all(|(a, b)| (a - b).abs() < 1e-4);
            assert!(close && data.len() == points.len(), "{:?}", data.inputs());
            assert_eq!(data.targets().to_vec(), [0, 0, 1, 1, 1]);
        };
        let circles = make_circles(5).factor(0.5).shuffle(false).generate(&mut rng).unwrap();
        is(&circles, &[[1.0, 0.0], [-1.0, 0.0], [0.5, 0.0], [-0.25, 0.4330], [-0.25, -0.4330]]);
        let moons = make_moons(5).shuffle(false).generate(&mut rng).unwrap();
        is(&moons, &[[1.0, 0.0], [-1.0, 0.0], [0.0, 0.5], [1.0, -0.5], [2.0, 0.5]]);
    }

    #[test]
    fn noise_has_the_deviation_asked_for_and_small_sets_are_sets() {
        let mut rng = Generator::manual_seed(2);
        let at = |noise: f64, rng: &mut Generator| -> TensorDataset<Shape![2], (), f64> {
            make_moons(20_000).noise(noise).shuffle(false).generate(rng).unwrap()
        };
        let (noisy, exact) = (at(0.3, &mut rng), at(0.0, &mut rng));
        let square: f64 = noisy.inputs().iter().zip(exact.inputs()).map(|(a, b)| (a - b).powi(2)).sum();
        assert!(((square / 40_000.0).sqrt() - 0.3).abs() < 0.01);
        for samples in 0..3 {
            assert_eq!(make_circles(samples).generate::<f32>(&mut rng).unwrap().len(), samples);
            assert!(make_moons(samples).generate::<f32>(&mut rng).unwrap().inputs().iter().all(|x| x.is_finite()));
        }
    }

    #[test]
    fn settings_that_make_no_sense_are_errors() {
        let mut rng = Generator::manual_seed(0);
        for factor in [-0.1, 1.0, f64::NAN] {
            assert!(make_circles(10).factor(factor).generate::<f32>(&mut rng).is_err());
        }
        let wrong = make_moons(10).noise(-0.5).generate::<f32>(&mut rng).unwrap_err();
        assert_eq!(wrong.to_string(), "the noise of make_moons is -0.5, but must be a finite number, at least 0");
    }
}
