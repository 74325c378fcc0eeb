use super::{TensorDataset, not_negative, order};
use crate::dim::{Dyn, StaticDim};
use crate::element::Float;
use crate::error::Result;
use crate::generator::Generator;
use crate::tensor::Tensor;

/// Points around a plane: `sklearn.datasets.make_regression`.
///
/// y = X · coef + bias + noise with X: \[samples, features\] of the normal distribution. Of coef: \[features, targets\],
/// `n_informative` rows are even in [0, 100), and the others are 0. Defaults are scikit-learn's: ten informative features
/// (or all, if there are fewer), no bias, no noise, rows in random order. The numbers of features and targets are those of
/// the data set's type.
///
/// ```
/// use plywood::data::make_regression;
/// use plywood::prelude::*;
///
/// let mut rng = Generator::manual_seed(0);
/// let (data, coef) = make_regression(500).noise(10.0).generate(&mut rng)?;
/// let data: TensorDataset<Shape![3], Shape![1], f32, f32> = data;
/// let coef: Tensor<Shape![3, 1]> = coef;
/// assert_eq!(data.inputs().sizes(), [500, 3]);
/// assert!(coef.iter().all(|w| (0.0..100.0).contains(w)));
/// # Ok::<(), plywood::Error>(())
/// ```
#[must_use]
pub fn make_regression(n_samples: usize) -> MakeRegression {
    MakeRegression { n_samples, n_informative: 10, bias: 0.0, noise: 0.0, shuffle: true }
}

/// What [`make_regression`] is to make.
///
/// ```
/// use plywood::data::make_regression;
/// use plywood::prelude::*;
///
/// let plane = make_regression(10).n_informative(1).bias(5.0).noise(0.0).shuffle(false);
/// let (data, coef) = plane.generate::<D<3>, D<1>, f64>(&mut Generator::manual_seed(0))?;
/// assert_eq!(coef.to_vec()[1..], [0.0, 0.0]); // only the first feature says something
/// let exact = data.inputs().matmul(&coef) + 5.0;
/// assert!(exact.iter().zip(data.targets()).all(|(exact, y)| (exact - y).abs() < 1e-9));
/// # Ok::<(), plywood::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MakeRegression {
    n_samples: usize,
    n_informative: usize,
    bias: f64,
    noise: f64,
    shuffle: bool,
}

/// Inputs \[rows, `N`\] with targets \[rows, `T`\], and coef.
type Plane<N, T, E> = (TensorDataset<(N,), (T,), E, E>, Tensor<(N, T), E>);

impl MakeRegression {
    /// How many of the features say something about the targets.
    #[must_use]
    pub fn n_informative(self, n_informative: usize) -> Self {
        MakeRegression { n_informative, ..self }
    }

    /// What is added to every target.
    #[must_use]
    pub fn bias(self, bias: f64) -> Self {
        MakeRegression { bias, ..self }
    }

    /// The standard deviation of the noise on the targets.
    #[must_use]
    pub fn noise(self, noise: f64) -> Self {
        MakeRegression { noise, ..self }
    }

    /// Whether rows and features come in random order; otherwise the informative features are the first.
    #[must_use]
    pub fn shuffle(self, shuffle: bool) -> Self {
        MakeRegression { shuffle, ..self }
    }

    /// The data set that this generator gives, and coef.
    ///
    /// # Errors
    /// If the noise is negative.
    pub fn generate<N: StaticDim, T: StaticDim, E: Float>(&self, rng: &mut Generator) -> Result<Plane<N, T, E>> {
        not_negative("the noise of make_regression", self.noise)?;
        let features = order(N::SIZE, self.shuffle, rng);
        let mut coef = vec![0.0; N::SIZE * T::SIZE];
        for feature in features.into_iter().take(self.n_informative) {
            coef[feature * T::SIZE..][..T::SIZE].iter_mut().for_each(|w| *w = 100.0 * rng.uniform::<f64>());
        }
        let mut x = Tensor::zeros_of((Dyn(self.n_samples), N::default()));
        let mut y = Tensor::zeros_of((Dyn(self.n_samples), T::default()));
        for row in 0..self.n_samples {
            let inputs: Vec<f64> = (0..N::SIZE).map(|_| rng.normal()).collect();
            let to = &mut x.as_mut_slice()[row * N::SIZE..];
            to.iter_mut().zip(&inputs).for_each(|(to, x)| *to = E::of(*x));
            for (target, to) in y.as_mut_slice()[row * T::SIZE..][..T::SIZE].iter_mut().enumerate() {
                let exact: f64 = inputs.iter().enumerate().map(|(i, x)| x * coef[i * T::SIZE + target]).sum();
                let noise = if self.noise > 0.0 { self.noise * rng.normal::<f64>() } else { 0.0 };
                *to = E::of(exact + self.bias + noise);
            }
        }
        let mut typed = Tensor::zeros_of((N::default(), T::default()));
        typed.as_mut_slice().iter_mut().zip(coef).for_each(|(to, w)| *to = E::of(w));
        Ok((TensorDataset::new(x, y)?, typed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    #[test]
    fn without_noise_the_targets_are_the_product_and_uninformative_features_say_nothing() {
        let mut rng = Generator::manual_seed(5);
        let made = make_regression(40).n_informative(2).bias(7.0).generate::<D<5>, D<2>, f64>(&mut rng);
        let (data, coef) = made.unwrap();
        let y = data.inputs().matmul(&coef);
        assert!(y.iter().zip(data.targets()).all(|(a, b)| (a + 7.0 - b).abs() < 1e-10));
        assert_eq!(coef.rows().filter(|row| row.iter().all(|w| *w == 0.0)).count(), 3);
    }

    #[test]
    fn noise_has_the_deviation_asked_for() {
        let mut rng = Generator::manual_seed(6);
        let (data, coef) = make_regression(20_000).noise(10.0).generate::<D<1>, D<1>, f64>(&mut rng).unwrap();
        let y = data.inputs().matmul(&coef);
        let square: f64 = y.iter().zip(data.targets()).map(|(a, b)| (a - b).powi(2)).sum();
        assert!(((square / 20_000.0).sqrt() - 10.0).abs() < 0.2);
        assert!(make_regression(1).noise(f64::NAN).generate::<D<1>, D<1>, f64>(&mut rng).is_err());
    }
}
