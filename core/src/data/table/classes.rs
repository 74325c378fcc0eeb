use crate::dim::Dyn;
use crate::tensor::Tensor;

/// A column of classes: a label for each row, and the name that each label stands for; see
/// [`Table::classes`](super::Table::classes).
///
/// ```
/// use plywood::prelude::*;
///
/// let table = Table::from_csv("pets.csv", "name,species\nRex,dog\nTom,cat\n")?;
/// let species = table.classes("species")?;
/// let label = species.labels.get([0]).unwrap();
/// assert_eq!(species.names[label as usize], "dog");
/// # Ok::<(), plywood::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Classes {
    /// The label of each row: \[rows\], from 0.
    pub labels: Tensor<(Dyn,), i64>,
    /// The name of each label.
    pub names: Vec<String>,
}

impl Classes {
    pub(super) fn of(cells: &[&str]) -> Self {
        let mut names = cells.to_vec();
        names.sort_unstable();
        names.dedup();
        // Stable, so that `01` and `1` stay in the order of their text.
        if let Some(mut numbers) =
            names.iter().map(|name| name.parse::<i64>().ok().zip(Some(*name))).collect::<Option<Vec<_>>>()
        {
            numbers.sort_by_key(|(number, _)| *number);
            names = numbers.into_iter().map(|(_, name)| name).collect();
        }
        let label_of: std::collections::HashMap<&str, i64> = names.iter().copied().zip(0..).collect();
        let mut labels = Tensor::zeros_of((Dyn(cells.len()),));
        labels.as_mut_slice().iter_mut().zip(cells).for_each(|(label, cell)| *label = label_of[cell]);
        Classes { labels, names: names.into_iter().map(str::to_owned).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_sorted_as_text_and_whole_numbers_as_numbers() {
        let text = Classes::of(&["b", "10", "a", "b"]);
        assert_eq!((text.names.join(" "), text.labels.to_vec()), ("10 a b".to_owned(), vec![2, 0, 1, 2]));
        let numbers = Classes::of(&["10", "9", "-1", "9"]);
        assert_eq!((numbers.names.join(" "), numbers.labels.to_vec()), ("-1 9 10".to_owned(), vec![2, 1, 0, 1]));
        assert_eq!(Classes::of(&[]).names, [""; 0]);
    }
}
