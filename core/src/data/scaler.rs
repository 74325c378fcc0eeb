use crate::backend::Device;
use crate::dim::{Dim, StaticDim};
use crate::element::Float;
use crate::error::{Error, Result};
#[cfg(feature = "cuda")]
use crate::tensor::sure;
use crate::tensor::{Storage, Tensor};

/// Scales each column to mean 0 and standard deviation 1: `sklearn.preprocessing.StandardScaler`.
///
/// z = (x − mean) / scale for x: \[rows, N\], where scale is the population standard deviation √(Σ (x − mean)² / rows),
/// and 1 for a column that is the same everywhere. Sums are taken in f64.
///
/// Fit it on the training part only: what the test part looks like is not known when a network is trained.
///
/// ```
/// use plywood::prelude::*;
///
/// let x: Tensor<Shape![4, 2], f64> = tensor![[1.0, 50.0], [3.0, 50.0], [1.0, 50.0], [3.0, 50.0]];
/// let all = TensorDataset::new(x, tensor![0, 1, 0, 1])?;
/// let (train, test) = (all.subset(&[0, 1])?, all.subset(&[2, 3])?);
///
/// let scaler = StandardScaler::fit(train.inputs())?;
/// assert_eq!(scaler.mean().to_vec(), [2.0, 50.0]);
/// assert_eq!(scaler.scale().to_vec(), [1.0, 1.0]);
///
/// let train = train.map_inputs(|x| scaler.transform(x))?;
/// let test = test.map_inputs(|x| scaler.transform(x))?;
/// assert_eq!(train.inputs().to_vec(), [-1.0, 0.0, 1.0, 0.0]);
/// assert_eq!(scaler.inverse_transform(test.inputs()).to_vec(), [1.0, 50.0, 3.0, 50.0]);
/// # Ok::<(), plywood::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct StandardScaler<N: StaticDim, E: Float = f32> {
    mean: Tensor<(N,), E>,
    scale: Tensor<(N,), E>,
}

impl<N: StaticDim, E: Float> StandardScaler<N, E> {
    /// The mean and the standard deviation of each column of x: \[rows, N\].
    ///
    /// # Errors
    /// If there are no rows, or a number is NaN or infinite.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![2, 2]> = tensor![[1.0, 2.0], [1.0, f32::NAN]];
    /// let wrong = StandardScaler::fit(&x).unwrap_err();
    /// assert_eq!(
    ///     wrong.to_string(),
    ///     "a StandardScaler cannot be fitted: row 1, column 1 is NaN, which is not a finite number"
    /// );
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn fit<B: Dim, S: Storage<E>>(x: &Tensor<(B, N), E, S>) -> Result<Self> {
        let [rows, columns] = x.sizes();
        if rows == 0 {
            return Err(Error::Setting {
                what: "the number of rows to fit a StandardScaler on",
                given: rows.to_string(),
                expected: "at least 1",
            });
        }
        let x = x.read();
        if let Some(at) = x.iter().position(|x| !x.is_finite()) {
            return Err(Error::NotFinite {
                what: "a StandardScaler cannot be fitted",
                row: at / columns,
                column: at % columns,
                value: double(x[at]),
            });
        }
        let about = averages(&x, rows, columns, |_, x| x);
        // A second pass takes away what the first lost to rounding, so a constant column has its own value as mean.
        let lost = averages(&x, rows, columns, |column, x| x - about[column]);
        let center: Vec<f64> = about.iter().zip(lost).map(|(about, lost)| about + lost).collect();
        let variance = averages(&x, rows, columns, |column, x| (x - center[column]).powi(2));

        let finite = |column: &usize| center[*column].is_finite() && variance[*column].is_finite();
        if let Some(column) = (0..columns).find(|column| !finite(column)) {
            return Err(Error::NotFinite {
                what: "a StandardScaler cannot be fitted: the numbers of a column are too large for their variance",
                row: rows - 1,
                column,
                value: variance[column],
            });
        }

        let (mut mean, mut scale) = (Tensor::zeros_of((N::default(),)), Tensor::zeros_of((N::default(),)));
        let places = mean.as_mut_slice().iter_mut().zip(scale.as_mut_slice());
        for ((mean, scale), (center, variance)) in places.zip(center.into_iter().zip(variance)) {
            *mean = E::of(center);
            *scale = match E::of(variance.sqrt()) {
                deviation if is_constant(rows, center, variance) || deviation == E::zero() => E::one(),
                deviation => deviation,
            };
        }
        Ok(StandardScaler { mean, scale })
    }

    /// A scaler of known mean and scale, as one that was fitted elsewhere.
    ///
    /// # Errors
    /// If a mean or a scale is not finite, or a scale is 0.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let scaler = StandardScaler::new(tensor![1.0, 2.0], tensor![1.0, 4.0])?;
    /// assert_eq!(scaler.transform(&tensor![[2.0, 10.0]]), tensor![[1.0, 2.0]]);
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn new(mean: Tensor<(N,), E>, scale: Tensor<(N,), E>) -> Result<Self> {
        let what = "a StandardScaler cannot be made";
        let (mean, scale) = (mean.to(&Device::Cpu)?, scale.to(&Device::Cpu)?);
        if let Some(column) = mean.iter().position(|mean| !mean.is_finite()) {
            return Err(Error::NotFinite { what, row: 0, column, value: double(mean.as_slice()[column]) });
        }
        if let Some(column) = scale.iter().position(|scale| !scale.is_finite() || *scale == E::zero()) {
            return Err(Error::Setting {
                what: "a scale of a StandardScaler",
                given: scale.as_slice()[column].to_string(),
                expected: "finite and not 0",
            });
        }
        Ok(StandardScaler { mean, scale })
    }

    /// z = (x − mean) / scale, column by column; x may be other rows than those the scaler was fitted on.
    #[must_use]
    pub fn transform<B: Dim, S: Storage<E>>(&self, x: &Tensor<(B, N), E, S>) -> Tensor<(B, N), E> {
        #[cfg(feature = "cuda")]
        if let Some(z) = self.on_gpu(x, "(x - y) / z") {
            return z;
        }
        let mut columns = self.mean.iter().zip(&self.scale).cycle();
        x.map(|x| columns.next().map_or(*x, |(mean, scale)| (*x - *mean) / *scale))
    }

    /// x = z · scale + mean, column by column: the way back.
    #[must_use]
    pub fn inverse_transform<B: Dim, S: Storage<E>>(&self, z: &Tensor<(B, N), E, S>) -> Tensor<(B, N), E> {
        #[cfg(feature = "cuda")]
        if let Some(x) = self.on_gpu(z, "x * z + y") {
            return x;
        }
        let mut columns = self.mean.iter().zip(&self.scale).cycle();
        z.map(|z| columns.next().map_or(*z, |(mean, scale)| *z * *scale + *mean))
    }

    /// An expression in x, the means y and the scales z, where x is on a GPU.
    #[cfg(feature = "cuda")]
    fn on_gpu<B: Dim, S: Storage<E>>(&self, x: &Tensor<(B, N), E, S>, code: &str) -> Option<Tensor<(B, N), E>> {
        let (array, device) = (x.array()?, x.device());
        let [mean, scale] = [&self.mean, &self.scale].map(|column| sure(column.copied_to(&device)));
        let [y, z] = [&mean, &scale].map(|column| column.array().expect("copied there").broadcast_to(&x.sizes()));
        Some(sure(crate::tensor::on_gpu::mapped(x.shape(), &[array, y, z], code, &[] as &[E])))
    }

    /// The mean of each column.
    #[must_use]
    pub fn mean(&self) -> &Tensor<(N,), E> {
        &self.mean
    }

    /// What each column is divided by: its standard deviation, or 1 where that is 0.
    #[must_use]
    pub fn scale(&self) -> &Tensor<(N,), E> {
        &self.scale
    }
}

fn double<E: Float>(x: E) -> f64 {
    x.to_f64().unwrap_or(f64::NAN)
}

/// The mean of `of` over each column.
fn averages<E: Float>(x: &[E], rows: usize, columns: usize, of: impl Fn(usize, f64) -> f64) -> Vec<f64> {
    let mut sums = vec![0.0; columns];
    for row in x.chunks_exact(columns.max(1)) {
        for (column, (sum, x)) in sums.iter_mut().zip(row).enumerate() {
            *sum += of(column, double(*x));
        }
    }
    sums.iter_mut().for_each(|sum| *sum /= rows as f64);
    sums
}

/// Whether the variance is no more than rounding makes it; the bound is scikit-learn's (`_is_constant_feature`).
fn is_constant(rows: usize, mean: f64, variance: f64) -> bool {
    let noise = rows as f64 * f64::EPSILON;
    variance <= noise * variance + (noise * mean).powi(2)
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    /// ```python
    /// from sklearn.preprocessing import StandardScaler
    /// s = StandardScaler().fit([[1.0, -2.0, 7.0], [2.0, 0.5, 7.0], [4.0, 9.0, 7.0]])
    /// s.mean_, s.scale_, s.transform([[0.0, 0.0, 8.0]])
    /// ```
    /// (scikit-learn 1.9.1)
    #[test]
    fn numbers_are_those_of_scikit_learn() {
        let x: Tensor<Shape![3, 3], f64> = tensor![[1.0, -2.0, 7.0], [2.0, 0.5, 7.0], [4.0, 9.0, 7.0]];
        let scaler = StandardScaler::fit(&x).unwrap();
        let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12);
        assert!(close(scaler.mean().as_slice(), &[2.333_333_333_333_333_5, 2.5, 7.0]));
        assert!(close(scaler.scale().as_slice(), &[1.247_219_128_924_647, 4.708_148_963_941_845, 1.0]));
        let z = scaler.transform(&tensor![[0.0, 0.0, 8.0]]);
        assert!(close(z.as_slice(), &[-1.870_828_693_386_970_9, -0.530_994_244_053_591_5, 1.0]), "{z:?}");
    }

    #[test]
    fn a_constant_column_that_is_no_binary_fraction_becomes_zero_and_not_noise() {
        let x: Tensor<Shape![_, 1], f64> = Tensor::from_vec(vec![0.1; 10]).unwrap();
        let scaler = StandardScaler::fit(&x).unwrap();
        assert_eq!(scaler.scale().to_vec(), [1.0]);
        assert_eq!(scaler.transform(&x).to_vec(), [0.0; 10]);
    }

    #[test]
    fn large_f32_numbers_keep_their_small_differences() {
        let x: Tensor<Shape![_, 1]> = Tensor::from_vec((0..1000).map(|i| 1e6 + (i % 2) as f32).collect()).unwrap();
        let scaler = StandardScaler::fit(&x).unwrap();
        assert_eq!(scaler.scale().to_vec(), [0.5]);
        assert_eq!(scaler.mean().to_vec(), [1_000_000.5]);
    }

    #[test]
    fn transformed_columns_have_mean_zero_and_deviation_one_and_come_back() {
        let mut rng = Generator::manual_seed(0);
        let x: Tensor<Shape![50, 4], f64> = Tensor::randn(&mut rng).map(|x: &f64| 3.0 * x + 10.0);
        let scaler = StandardScaler::fit(&x).unwrap();
        let z = scaler.transform(&x);
        let again = StandardScaler::fit(&z).unwrap();
        assert!(again.mean().iter().all(|mean| mean.abs() < 1e-12));
        assert!(again.scale().iter().all(|scale| (scale - 1.0).abs() < 1e-12));
        assert!(scaler.inverse_transform(&z).iter().zip(&x).all(|(a, b)| (a - b).abs() < 1e-12));
    }

    #[test]
    fn no_rows_and_numbers_that_are_not_finite_are_errors() {
        let none: Tensor<Shape![_, 2]> = Tensor::zeros_of((Dyn(0), D));
        let wrong = StandardScaler::fit(&none).unwrap_err();
        assert_eq!(wrong.to_string(), "the number of rows to fit a StandardScaler on is 0, but must be at least 1");
        let nan: Tensor<Shape![2, 2]> = tensor![[0.0, 1.0], [2.0, f32::NAN]];
        let wrong = StandardScaler::fit(&nan).unwrap_err();
        assert_eq!(
            wrong.to_string(),
            "a StandardScaler cannot be fitted: row 1, column 1 is NaN, which is not a finite number"
        );
    }
}
