use super::{TensorDataset, labelled, not_negative};
use crate::dim::{Dim, StaticDim};
use crate::element::Float;
use crate::error::{Error, Result};
use crate::generator::Generator;
use crate::tensor::{Storage, Tensor};

/// Round clouds of points, one a class, for classification and clustering: `sklearn.datasets.make_blobs`.
///
/// Defaults are scikit-learn's: three centres, evenly distributed in [−10, 10] in each coordinate, a standard deviation
/// of 1, rows in random order. The number of coordinates is that of the data set's type. Classes have as many points as
/// each other, the first ones of them one more where that does not come out even.
///
/// ```
/// use plywood::data::make_blobs;
/// use plywood::prelude::*;
///
/// let mut rng = Generator::manual_seed(0);
/// let blobs: TensorDataset<Shape![2]> = make_blobs(200).centers(4).center_box(-1.2, 1.2).cluster_std(0.15).generate(&mut rng)?;
/// assert_eq!(blobs.len(), 200);
/// assert_eq!(blobs.targets().iter().filter(|label| **label == 3).count(), 50);
/// # Ok::<(), plywood::Error>(())
/// ```
#[must_use]
pub fn make_blobs(n_samples: usize) -> MakeBlobs {
    MakeBlobs { n_samples, centers: 3, cluster_std: vec![1.0], center_box: (-10.0, 10.0), shuffle: true }
}

/// What [`make_blobs`] is to make.
///
/// ```
/// use plywood::data::make_blobs;
/// use plywood::prelude::*;
///
/// let two = make_blobs(40).centers(2).center_box(0.0, 1.0).shuffle(false);
/// let mut rng = Generator::manual_seed(0);
/// let tight: TensorDataset<Shape![1]> = two.clone().cluster_std(0.01).generate(&mut rng)?;
/// assert!(tight.inputs().iter().all(|x| (-0.1..1.1).contains(x)));
///
/// let uneven: TensorDataset<Shape![1]> = two.cluster_stds(&[0.0, 9.0]).generate(&mut rng)?;
/// assert_eq!(uneven.inputs().row(0), uneven.inputs().row(19)); // twenty times the first centre
/// # Ok::<(), plywood::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct MakeBlobs {
    n_samples: usize,
    centers: usize,
    cluster_std: Vec<f64>,
    center_box: (f64, f64),
    shuffle: bool,
}

impl MakeBlobs {
    /// This many clouds, each around a random centre.
    #[must_use]
    pub fn centers(self, centers: usize) -> Self {
        MakeBlobs { centers, ..self }
    }

    /// The standard deviation of every cloud.
    #[must_use]
    pub fn cluster_std(self, cluster_std: f64) -> Self {
        MakeBlobs { cluster_std: vec![cluster_std], ..self }
    }

    /// The standard deviation of each cloud, as many as there are centres.
    #[must_use]
    pub fn cluster_stds(self, cluster_std: &[f64]) -> Self {
        MakeBlobs { cluster_std: cluster_std.to_vec(), ..self }
    }

    /// Where random centres lie, in each coordinate.
    #[must_use]
    pub fn center_box(self, low: f64, high: f64) -> Self {
        MakeBlobs { center_box: (low, high), ..self }
    }

    /// Whether rows come in random order; otherwise one class follows the other.
    #[must_use]
    pub fn shuffle(self, shuffle: bool) -> Self {
        MakeBlobs { shuffle, ..self }
    }

    /// The data set that this generator gives.
    ///
    /// # Errors
    /// If there are no centres, the box of the centres is upside down, or a standard deviation is negative or not one for
    /// each centre.
    pub fn generate<N: StaticDim, E: Float>(&self, rng: &mut Generator) -> Result<TensorDataset<(N,), (), E>> {
        let (low, high) = self.center_box;
        if !(low <= high && (high - low).is_finite()) {
            return Err(Error::Setting {
                what: "the center_box of make_blobs",
                given: format!("({low}, {high})"),
                expected: "two finite numbers, the smaller one first",
            });
        }
        let centers: Vec<f64> =
            (0..self.centers * N::SIZE).map(|_| low + (high - low) * rng.uniform::<f64>()).collect();
        self.around(&centers, rng)
    }

    /// The data set around these centres \[centres, `N`\], whatever [`centers`](MakeBlobs::centers) and
    /// [`center_box`](MakeBlobs::center_box) say.
    ///
    /// # Errors
    /// If there are no centres, or a standard deviation is negative or not one for each centre.
    ///
    /// ```
    /// use plywood::data::make_blobs;
    /// use plywood::prelude::*;
    ///
    /// let centers: Tensor<Shape![2, 1]> = tensor![[-5.0], [5.0]];
    /// let blobs: TensorDataset<Shape![1]> = make_blobs(50).generate_around(&centers, &mut Generator::manual_seed(0))?;
    /// assert!(blobs.inputs().iter().zip(blobs.targets()).all(|(x, label)| (*x > 0.0) == (*label == 1)));
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn generate_around<K: Dim, N: StaticDim, E: Float>(
        &self,
        centers: &Tensor<(K, N), E, impl Storage<E>>,
        rng: &mut Generator,
    ) -> Result<TensorDataset<(N,), (), E>> {
        let centers: Vec<f64> = centers.iter().map(|x| x.to_f64().unwrap_or(f64::NAN)).collect();
        self.around(&centers, rng)
    }

    fn around<N: StaticDim, E: Float>(
        &self,
        centers: &[f64],
        rng: &mut Generator,
    ) -> Result<TensorDataset<(N,), (), E>> {
        let count = centers.len() / N::SIZE.max(1);
        if count == 0 {
            return Err(Error::Setting {
                what: "the number of centers of make_blobs",
                given: "0".to_owned(),
                expected: "at least 1",
            });
        }
        self.cluster_std.iter().try_for_each(|std| not_negative("a cluster_std of make_blobs", *std))?;
        if self.cluster_std.len() != 1 && self.cluster_std.len() != count {
            return Err(Error::Shape {
                what: "make_blobs takes one cluster_std for each center",
                left: format!("{} of them", self.cluster_std.len()),
                right: format!("{count} centers"),
            });
        }
        let (mut x, mut labels) = (Vec::with_capacity(self.n_samples * N::SIZE), Vec::with_capacity(self.n_samples));
        for (label, center) in centers.chunks_exact(N::SIZE.max(1)).enumerate() {
            let std = self.cluster_std[label % self.cluster_std.len()];
            let samples = self.n_samples / count + usize::from(label < self.n_samples % count);
            for _ in 0..samples {
                x.extend(center.iter().map(|center| center + std * rng.normal::<f64>()));
                labels.push(label as i64);
            }
        }
        labelled(&x, &labels, self.shuffle, rng)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    #[test]
    fn clouds_have_the_centre_and_the_deviation_asked_for() {
        let centers: Tensor<Shape![2, 3], f64> = tensor![[1.0, 2.0, 3.0], [-4.0, 0.0, 9.0]];
        let made = make_blobs(20_001).cluster_stds(&[0.5, 2.0]).shuffle(false);
        let blobs = made.generate_around(&centers, &mut Generator::manual_seed(1)).unwrap();
        assert_eq!(blobs.targets().iter().filter(|label| **label == 0).count(), 10_001);
        for (label, std) in [0.5, 2.0].into_iter().enumerate() {
            for column in 0..3 {
                let values: Vec<f64> = (0..blobs.len())
                    .filter(|row| blobs.targets().get([*row]) == Some(label as i64))
                    .map(|row| blobs.inputs().get([row, column]).unwrap())
                    .collect();
                let mean = values.iter().sum::<f64>() / values.len() as f64;
                let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / values.len() as f64;
                assert!((mean - centers.get([label, column]).unwrap()).abs() < 0.06, "{mean}");
                assert!((variance.sqrt() / std - 1.0).abs() < 0.03, "{variance}");
            }
        }
    }

    #[test]
    fn the_seed_alone_decides_and_shuffling_only_changes_the_order() {
        let made = |seed, shuffle| -> TensorDataset<Shape![2]> {
            make_blobs(30).shuffle(shuffle).generate(&mut Generator::manual_seed(seed)).unwrap()
        };
        assert_eq!(made(3, true), made(3, true));
        assert_ne!(made(3, true), made(4, true));
        let sorted = |data: &TensorDataset<Shape![2]>| {
            let mut x = data.inputs().to_vec();
            x.sort_by(f32::total_cmp);
            x
        };
        assert_eq!(sorted(&made(3, true)), sorted(&made(3, false)));
        assert!(made(3, false).targets().as_slice().is_sorted());
    }

    #[test]
    fn settings_that_make_no_sense_are_errors() {
        let fails = |made: MakeBlobs| -> String {
            made.generate::<D<2>, f32>(&mut Generator::manual_seed(0)).unwrap_err().to_string()
        };
        assert_eq!(fails(make_blobs(9).centers(0)), "the number of centers of make_blobs is 0, but must be at least 1");
        assert!(fails(make_blobs(9).center_box(1.0, -1.0)).contains("center_box"));
        assert!(fails(make_blobs(9).cluster_std(-1.0)).contains("cluster_std"));
        assert!(fails(make_blobs(9).cluster_stds(&[1.0, 1.0])).contains("2 of them against 3 centers"));
    }
}
