//! Random splits into two parts.

use super::TensorDataset;
use crate::element::{Element, Label};
use crate::error::{Error, Result};
use crate::generator::Generator;
use crate::shape::Features;
use std::collections::BTreeMap;

impl<X: Features, Y: Features, E: Element, L: Element> TensorDataset<X, Y, E, L> {
    /// Two parts at random: `fraction` of the rows, to the nearest row, and the others.
    ///
    /// The same generator gives the same parts. Neither part is empty.
    ///
    /// # Errors
    /// If the fraction is not between 0 and 1, or there are fewer than two rows.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![10, 1]> = Tensor::zeros();
    /// let all = TensorDataset::new(x, Tensor::<Shape![10], i64>::zeros())?;
    /// let (train, test) = all.split(0.8, &mut Generator::manual_seed(0))?;
    /// assert_eq!((train.len(), test.len()), (8, 2));
    ///
    /// let wrong = all.split(80.0, &mut Generator::manual_seed(0)).unwrap_err();
    /// assert_eq!(wrong.to_string(), "the fraction of a split is 80, but must be between 0 and 1, as 0.8");
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn split(&self, fraction: f64, rng: &mut Generator) -> Result<(Self, Self)> {
        let first = first_part(self.len(), fraction)?;
        let mut rows: Vec<usize> = (0..self.len()).collect();
        rng.shuffle(&mut rows);
        Ok((self.subset(&rows[..first])?, self.subset(&rows[first..])?))
    }
}

impl<X: Features, E: Element, L: Label> TensorDataset<X, (), E, L> {
    /// [`split`](TensorDataset::split) that divides each class in the same proportion: scikit-learn's
    /// `train_test_split(…, stratify=labels)`.
    ///
    /// The first part has `fraction` of all rows to the nearest row, and of each class to one row more or less: what
    /// rounding leaves over goes to the classes that lost most by it, the smaller label first. A class of one row is
    /// in one part only.
    ///
    /// # Errors
    /// If the fraction is not between 0 and 1, or there are fewer than two rows.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let x: Tensor<Shape![10, 1]> = Tensor::zeros();
    /// let all = TensorDataset::new(x, tensor![0, 0, 0, 0, 0, 1, 1, 1, 1, 1])?;
    /// let (train, test) = all.stratified_split(0.8, &mut Generator::manual_seed(0))?;
    /// assert_eq!(train.targets().iter().sum::<i64>(), 4);
    /// assert_eq!(test.targets().iter().sum::<i64>(), 1);
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn stratified_split(&self, fraction: f64, rng: &mut Generator) -> Result<(Self, Self)> {
        let first = first_part(self.len(), fraction)?;
        let mut classes: BTreeMap<L, Vec<usize>> = BTreeMap::new();
        for (row, label) in self.targets().read().iter().enumerate() {
            classes.entry(*label).or_default().push(row);
        }
        let sizes: Vec<usize> = classes.values().map(Vec::len).collect();
        let (mut one, mut other) = (Vec::with_capacity(first), Vec::with_capacity(self.len() - first));
        for (rows, count) in classes.values_mut().zip(shares(&sizes, fraction, first)) {
            rng.shuffle(rows);
            one.extend_from_slice(&rows[..count]);
            other.extend_from_slice(&rows[count..]);
        }
        rng.shuffle(&mut one);
        rng.shuffle(&mut other);
        Ok((self.subset(&one)?, self.subset(&other)?))
    }
}

/// How many rows the first part has.
fn first_part(rows: usize, fraction: f64) -> Result<usize> {
    if !(fraction > 0.0 && fraction < 1.0) {
        return Err(Error::Setting {
            what: "the fraction of a split",
            given: fraction.to_string(),
            expected: "between 0 and 1, as 0.8",
        });
    }
    if rows < 2 {
        return Err(Error::Setting {
            what: "the number of rows to split",
            given: rows.to_string(),
            expected: "at least 2, one for each part",
        });
    }
    Ok(((fraction * rows as f64).round() as usize).clamp(1, rows - 1))
}

/// How many rows of each class the first part of `total` rows has: the largest remainder method.
fn shares(sizes: &[usize], fraction: f64, total: usize) -> Vec<usize> {
    let exact: Vec<f64> = sizes.iter().map(|size| fraction * *size as f64).collect();
    let mut shares: Vec<usize> = exact.iter().map(|share| share.floor() as usize).collect();
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    // Remainders are compared to 1e-9, so that 0.8 · 13 and 0.8 · 8 tie; the sort is stable, so the smaller label is first.
    order.sort_by_key(|class| -(exact[*class].fract() * 1e9).round() as i64);
    let mut left = total.saturating_sub(shares.iter().sum());
    while left > 0 {
        let before = left;
        for class in &order {
            if left > 0 && shares[*class] < sizes[*class] {
                shares[*class] += 1;
                left -= 1;
            }
        }
        if left == before {
            break;
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    fn labelled(labels: &[i64]) -> TensorDataset<Shape![1]> {
        let x: Tensor<Shape![_, 1]> = Tensor::from_vec((0..labels.len()).map(|i| i as f32).collect()).unwrap();
        TensorDataset::new(x, Tensor::<Shape![_], i64>::from_slice(labels).unwrap()).unwrap()
    }

    fn is_partition(all: &TensorDataset<Shape![1]>, parts: [&TensorDataset<Shape![1]>; 2]) {
        let mut rows = [parts[0].indices(), parts[1].indices()].concat();
        rows.sort_unstable();
        assert_eq!(rows, all.indices());
        for part in parts {
            assert!(!part.is_empty());
            for (i, index) in part.indices().iter().enumerate() {
                assert_eq!(part.inputs().row(i), all.inputs().row(*index));
                assert_eq!(part.targets().get([i]), all.targets().get([*index]));
            }
        }
    }

    #[test]
    fn both_splits_put_every_row_into_exactly_one_part() {
        let mut rng = Generator::manual_seed(7);
        for rows in 2..40 {
            let labels: Vec<i64> = (0..rows).map(|_| rng.below(4) as i64 - 1).collect();
            let all = labelled(&labels);
            for fraction in [1e-9, 0.1, 0.25, 0.5, 0.8, 0.99, 1.0 - f64::EPSILON / 2.0] {
                let first = ((fraction * rows as f64).round() as usize).clamp(1, rows - 1);
                for (one, other) in
                    [all.split(fraction, &mut rng).unwrap(), all.stratified_split(fraction, &mut rng).unwrap()]
                {
                    assert_eq!(one.len(), first, "{rows} rows, {fraction}");
                    is_partition(&all, [&one, &other]);
                }
            }
        }
    }

    #[test]
    fn a_stratified_part_has_its_share_of_every_class_to_one_row() {
        let mut rng = Generator::manual_seed(8);
        for _ in 0..100 {
            let labels: Vec<i64> = (0..30 + rng.below(100)).map(|_| rng.below(7).min(rng.below(7)) as i64).collect();
            let fraction = 0.05 + 0.9 * rng.uniform::<f64>();
            let (train, _) = labelled(&labels).stratified_split(fraction, &mut rng).unwrap();
            for class in 0..7 {
                let count = |labels: &[i64]| labels.iter().filter(|label| **label == class).count() as f64;
                let (given, share) = (count(train.targets().as_slice()), fraction * count(&labels));
                assert!((given - share).abs() < 1.0 + 1e-9, "class {class}: {given} of {share}");
            }
        }
    }

    #[test]
    fn the_seed_alone_decides() {
        let all = labelled(&[0, 1, 0, 1, 0, 1, 2, 2, 2, 2]);
        let with = |seed| all.stratified_split(0.5, &mut Generator::manual_seed(seed)).unwrap();
        assert_eq!(with(3), with(3));
        assert_ne!(with(3).0.indices(), with(4).0.indices());
        let with = |seed| all.split(0.5, &mut Generator::manual_seed(seed)).unwrap();
        assert_eq!(with(3), with(3));
        assert_ne!(with(3).0.indices(), with(4).0.indices());
    }

    #[test]
    fn what_rounding_leaves_goes_to_the_largest_remainders() {
        assert_eq!(shares(&[41, 20, 5, 13, 4, 8, 10], 0.8, 81), [33, 16, 4, 11, 3, 6, 8]);
        assert_eq!(shares(&[1, 1, 1], 0.5, 2), [1, 1, 0]);
        assert_eq!(shares(&[100], 0.29, 29), [29]);
    }

    #[test]
    fn fractions_and_sizes_without_a_split_are_errors() {
        let all = labelled(&[0, 1]);
        for fraction in [0.0, 1.0, -0.5, f64::NAN, f64::INFINITY] {
            assert!(all.split(fraction, &mut Generator::manual_seed(0)).is_err());
            assert!(all.stratified_split(fraction, &mut Generator::manual_seed(0)).is_err());
        }
        for labels in [&[][..], &[5]] {
            let wrong = labelled(labels).stratified_split(0.5, &mut Generator::manual_seed(0)).unwrap_err();
            assert!(wrong.to_string().starts_with("the number of rows to split is"), "{wrong}");
        }
    }
}
