//! How well a classifier does.

use crate::dim::{Dim, SameSize, StaticDim};
use crate::element::{Float, Label};
use crate::error::{Error, Result};
use crate::loss::check_labels;
use crate::tensor::{Storage, Tensor, argmax};
use core::fmt::{self, Display};
use core::marker::PhantomData;

/// The share of samples whose largest logit is that of their label: `sklearn.metrics.accuracy_score`.
///
/// Logits (or probabilities) are \[batch, classes\], labels \[batch\]. Of equal logits the first counts. Over no samples
/// it is NaN.
///
/// # Errors
/// If there are not as many labels as rows of logits, or a label is no class.
///
/// ```
/// use plywood::prelude::*;
///
/// let logits: Tensor<Shape![4, 2]> = tensor![[0.1, 0.9], [2.0, -1.0], [0.3, 0.2], [0.0, 1.0]];
/// assert_eq!(accuracy(&logits, &tensor![1, 0, 1, 1])?, 0.75);
/// # Ok::<(), plywood::Error>(())
/// ```
pub fn accuracy<B: Dim, N: SameSize<B>, C: Dim, E: Float, L: Label>(
    logits: &Tensor<(B, C), E, impl Storage<E>>,
    labels: &Tensor<(N,), L, impl Storage<L>>,
) -> Result<f64> {
    let (mut right, [samples, _]) = (0, logits.sizes());
    each(logits, labels, |actual, predicted| right += usize::from(actual == predicted))?;
    Ok(right as f64 / samples as f64)
}

/// Calls `f` with the actual and the predicted class of each sample.
fn each<B: Dim, N: Dim, C: Dim, E: Float, L: Label>(
    logits: &Tensor<(B, C), E, impl Storage<E>>,
    labels: &Tensor<(N,), L, impl Storage<L>>,
    mut f: impl FnMut(usize, usize),
) -> Result<()> {
    let [batch, classes] = logits.sizes();
    check_labels(batch, classes, labels)?;
    for (row, label) in logits.read().chunks_exact(classes.max(1)).zip(&*labels.read()) {
        // Every label has been seen to be a class.
        f(label.to_usize().unwrap_or_default(), argmax(row));
    }
    Ok(())
}

/// How often each of `C` classes was taken for each: `sklearn.metrics.confusion_matrix`.
///
/// Rows are what the samples are, columns what was predicted, so what is right stands on the diagonal. It prints as a
/// table: columns carry the numbers of the classes, rows their names too, and a dot stands for 0. Recall is the share of
/// a row that is right, precision that of a column.
///
/// ```
/// use plywood::prelude::*;
///
/// let logits: Tensor<Shape![5, 3]> =
///     tensor![[3.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 4.0], [0.0, 1.0, 2.0]];
/// let matrix = ConfusionMatrix::new(&logits, &tensor![0, 1, 2, 2, 2])?.with_names(&["bird", "fish", "mammal"])?;
/// assert_eq!(matrix.get(2, 1), Some(1)); // one mammal was taken for a fish
/// assert_eq!(matrix.accuracy(), 0.8);
/// assert_eq!(matrix.recall(2), Some(2.0 / 3.0));
/// assert_eq!(matrix.precision(1), Some(0.5));
/// assert_eq!(
///     format!("\n{matrix}"),
///     "
///            predicted
/// actual        0     1     2  recall
/// 0 bird        1     ·     ·    100%
/// 1 fish        ·     1     ·    100%
/// 2 mammal      ·     1     2     67%
/// precision  100%   50%  100%
/// accuracy    80%  (4 of 5)"
/// );
/// # Ok::<(), plywood::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfusionMatrix<C: StaticDim> {
    /// [actual, predicted], row-major.
    counts: Vec<usize>,
    names: Vec<String>,
    classes: PhantomData<C>,
}

impl<C: StaticDim> ConfusionMatrix<C> {
    /// The largest of each row of logits (or probabilities) \[batch, `C`\] against the labels \[batch\].
    ///
    /// # Errors
    /// If there are not as many labels as rows of logits, or a label is no class.
    pub fn new<B: Dim, N: SameSize<B>, E: Float, L: Label>(
        logits: &Tensor<(B, C), E, impl Storage<E>>,
        labels: &Tensor<(N,), L, impl Storage<L>>,
    ) -> Result<Self> {
        let mut matrix =
            ConfusionMatrix { counts: vec![0; C::SIZE * C::SIZE], names: Vec::new(), classes: PhantomData };
        matrix.update(logits, labels)?;
        Ok(matrix)
    }

    /// Counts another batch.
    ///
    /// # Errors
    /// As [`new`](ConfusionMatrix::new); the matrix is then as it was.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let logits: Tensor<Shape![2, 2]> = tensor![[1.0, 0.0], [0.0, 1.0]];
    /// let mut matrix = ConfusionMatrix::new(&logits, &tensor![0, 1])?;
    /// matrix.update(&logits, &tensor![1, 1])?;
    /// assert_eq!(matrix.accuracy(), 0.75);
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn update<B: Dim, N: SameSize<B>, E: Float, L: Label>(
        &mut self,
        logits: &Tensor<(B, C), E, impl Storage<E>>,
        labels: &Tensor<(N,), L, impl Storage<L>>,
    ) -> Result<()> {
        each(logits, labels, |actual, predicted| self.counts[actual * C::SIZE + predicted] += 1)
    }

    /// The matrix with a name for each class, with which it prints; of a long name, the first letters.
    ///
    /// # Errors
    /// If there are not as many names as classes.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let logits: Tensor<Shape![1, 2]> = tensor![[1.0, 0.0]];
    /// let matrix = ConfusionMatrix::new(&logits, &tensor![0])?;
    /// let wrong = matrix.clone().with_names(&["cat", "dog", "fish"]).unwrap_err();
    /// assert_eq!(wrong.to_string(), "a confusion matrix has one name for each class: 3 names against 2 classes");
    /// assert!(matrix.with_names(&["cat", "dog"])?.to_string().contains("0 cat"));
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn with_names<T: AsRef<str>>(mut self, names: &[T]) -> Result<Self> {
        if names.len() != C::SIZE {
            return Err(Error::Shape {
                what: "a confusion matrix has one name for each class",
                left: format!("{} names", names.len()),
                right: format!("{} classes", C::SIZE),
            });
        }
        self.names = names.iter().map(|name| name.as_ref().to_owned()).collect();
        Ok(self)
    }

    /// The names of the classes, first to last; none if the matrix was given none.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// How many samples of the class `actual` were taken for `predicted`; `None` if one of them is no class.
    #[must_use]
    pub fn get(&self, actual: usize, predicted: usize) -> Option<usize> {
        (actual < C::SIZE && predicted < C::SIZE).then(|| self.counts[actual * C::SIZE + predicted])
    }

    /// The share of samples that were taken for what they are; NaN over no samples.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        self.right() as f64 / self.samples() as f64
    }

    /// Of the samples taken for this class, the share that are of it; `None` if there are none, or no such class.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let logits: Tensor<Shape![2, 2]> = tensor![[1.0, 0.0], [1.0, 0.0]];
    /// let matrix = ConfusionMatrix::new(&logits, &tensor![0, 1])?;
    /// assert_eq!((matrix.precision(0), matrix.precision(1)), (Some(0.5), None));
    /// assert_eq!((matrix.recall(0), matrix.recall(1)), (Some(1.0), Some(0.0)));
    /// # Ok::<(), plywood::Error>(())
    /// ```
    #[must_use]
    pub fn precision(&self, class: usize) -> Option<f64> {
        share(self.get(class, class)?, (0..C::SIZE).filter_map(|actual| self.get(actual, class)).sum())
    }

    /// Of the samples of this class, the share that were taken for it; `None` if there are none, or no such class.
    #[must_use]
    pub fn recall(&self, class: usize) -> Option<f64> {
        share(self.get(class, class)?, (0..C::SIZE).filter_map(|predicted| self.get(class, predicted)).sum())
    }

    fn samples(&self) -> usize {
        self.counts.iter().sum()
    }

    fn right(&self) -> usize {
        (0..C::SIZE).filter_map(|class| self.get(class, class)).sum()
    }
}

fn share(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Whole percent; 100 % and 0 % only where it is all or nothing.
fn percent(share: Option<f64>) -> String {
    match share {
        None => "–".to_owned(),
        Some(share) if share > 0.0 && share < 1.0 => format!("{:.0}%", (100.0 * share).round().clamp(1.0, 99.0)),
        Some(share) => format!("{:.0}%", 100.0 * share),
    }
}

/// A name in one line of at most 24 characters.
fn short(name: &str) -> String {
    const WIDEST: usize = 24;
    let mut name: Vec<char> = name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if name.len() > WIDEST {
        name.truncate(WIDEST - 1);
        name.push('…');
    }
    name.into_iter().collect()
}

impl<C: StaticDim> Display for ConfusionMatrix<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = C::SIZE.saturating_sub(1).to_string().len();
        let head = |class: usize| match self.names.get(class) {
            Some(name) => format!("{class:>digits$} {}", short(name)),
            None => format!("{class:>digits$}"),
        };
        let heads: Vec<String> = (0..C::SIZE).map(head).collect();
        let left = heads.iter().map(|head| head.chars().count()).chain(["precision".len()]).max().unwrap_or(0);
        let widest = self.counts.iter().max().map_or(0, |count| count.to_string().len());
        let width = widest.max(digits).max("100%".len());

        writeln!(f, "{:left$}  predicted", "")?;
        write!(f, "{:left$}", "actual")?;
        (0..C::SIZE).try_for_each(|class| write!(f, "  {class:>width$}"))?;
        writeln!(f, "  recall")?;
        for (actual, head) in heads.iter().enumerate() {
            write!(f, "{head:left$}")?;
            for predicted in 0..C::SIZE {
                match self.get(actual, predicted) {
                    None | Some(0) => write!(f, "  {:>width$}", "·")?,
                    Some(count) => write!(f, "  {count:>width$}")?,
                }
            }
            writeln!(f, "  {:>6}", percent(self.recall(actual)))?;
        }
        write!(f, "{:left$}", "precision")?;
        (0..C::SIZE).try_for_each(|class| write!(f, "  {:>width$}", percent(self.precision(class))))?;
        writeln!(f)?;
        let (right, samples) = (self.right(), self.samples());
        write!(f, "{:left$}  {:>width$}  ({right} of {samples})", "accuracy", percent(share(right, samples)))
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    /// Logits that predict these classes.
    fn predicting<C: StaticDim>(classes: &[usize]) -> Tensor<(Dyn, C)> {
        let mut logits = Tensor::zeros_of((Dyn(classes.len()), C::default()));
        classes.iter().enumerate().for_each(|(i, class)| logits.as_mut_slice()[i * C::SIZE + class] = 1.0);
        logits
    }

    /// ```python
    /// from sklearn.metrics import *
    /// actual, predicted = [2, 0, 2, 2, 0, 1], [0, 0, 2, 2, 0, 2]
    /// confusion_matrix(actual, predicted)          # [[2, 0, 0], [0, 0, 1], [1, 0, 2]]
    /// accuracy_score(actual, predicted)            # 0.6666666666666666
    /// recall_score(actual, predicted, average=None)     # [1, 0, 0.66666667]
    /// precision_score(actual, predicted, average=None)  # [0.66666667, 0 (undefined), 0.66666667]
    /// ```
    #[test]
    fn numbers_are_those_of_scikit_learn() {
        let logits = predicting::<D<3>>(&[0, 0, 2, 2, 0, 2]);
        let actual: Tensor<Shape![6], i64> = tensor![2, 0, 2, 2, 0, 1];
        let matrix = ConfusionMatrix::new(&logits, &actual).unwrap();
        let rows: Vec<Vec<_>> = (0..3).map(|i| (0..3).map(|j| matrix.get(i, j).unwrap()).collect()).collect();
        assert_eq!(rows, [[2, 0, 0], [0, 0, 1], [1, 0, 2]]);
        assert_eq!(matrix.accuracy(), 4.0 / 6.0);
        assert_eq!(accuracy(&logits, &actual).unwrap(), 4.0 / 6.0);
        assert_eq!([0, 1, 2].map(|class| matrix.recall(class)), [Some(1.0), Some(0.0), Some(2.0 / 3.0)]);
        assert_eq!([0, 1, 2].map(|class| matrix.precision(class)), [Some(2.0 / 3.0), None, Some(2.0 / 3.0)]);
        assert_eq!((matrix.get(3, 0), matrix.get(0, 3), matrix.precision(3)), (None, None, None));
    }

    #[test]
    fn labels_that_are_no_class_or_too_few_are_errors_and_change_nothing() {
        let logits = predicting::<D<2>>(&[0, 1]);
        let mut matrix = ConfusionMatrix::new(&logits, &tensor![0, 1]).unwrap();
        let before = matrix.clone();
        let wrong = matrix.update(&logits, &tensor![0, 2]).unwrap_err();
        assert_eq!(wrong.to_string(), "the label of sample 1 is 2, but the network has 2 classes (0 to 1)");
        assert!(matrix.update(&logits, &tensor![-1, 0]).is_err());
        assert!(matrix.update(&logits, &tensor![0, 1, 1]).is_err());
        assert_eq!(matrix, before);
        assert!(accuracy(&logits, &tensor![0, 2]).is_err());
        let wrong = before.with_names(&["one"]).unwrap_err();
        assert_eq!(wrong.to_string(), "a confusion matrix has one name for each class: 1 names against 2 classes");
    }

    #[test]
    fn no_samples_and_nan_logits_do_no_harm() {
        let none: Tensor<Shape![_], i64> = Tensor::from_vec(vec![]).unwrap();
        let matrix = ConfusionMatrix::new(&predicting::<D<2>>(&[]), &none).unwrap();
        assert!(matrix.accuracy().is_nan());
        assert!(matrix.to_string().ends_with("–  (0 of 0)"), "{matrix}");
        let nan: Tensor<Shape![1, 2]> = tensor![[f32::NAN, f32::NAN]];
        assert_eq!(ConfusionMatrix::new(&nan, &tensor![1]).unwrap().get(1, 0), Some(1));
    }

    #[test]
    fn the_table_is_aligned_for_long_names_many_classes_and_large_counts() {
        let classes: Vec<usize> = (0..12).chain(core::iter::repeat_n(3, 123_456)).collect();
        let labels = Tensor::<Shape![_], i64>::from_vec(classes.iter().map(|class| *class as i64).collect()).unwrap();
        let names: Vec<String> = (0..12).map(|i| format!("{}\nü", "name ".repeat(i))).collect();
        let matrix = ConfusionMatrix::new(&predicting::<D<12>>(&classes), &labels).unwrap();
        for table in [matrix.to_string(), matrix.with_names(&names).unwrap().to_string()] {
            let lines: Vec<&str> = table.lines().collect();
            assert_eq!(lines.len(), 12 + 4);
            assert!(lines[1..14].iter().all(|line| line.chars().count() == lines[1].chars().count()), "{table}");
            assert!(lines[5].contains("123457"), "{table}");
        }
    }

    #[test]
    fn a_percentage_is_not_rounded_to_all_or_nothing() {
        assert_eq!(super::percent(Some(0.999)), "99%");
        assert_eq!(super::percent(Some(0.001)), "1%");
        assert_eq!(super::percent(Some(1.0)), "100%");
        assert_eq!(super::percent(Some(0.0)), "0%");
    }
}
