//! How far a word is from another.

/// How many letters are to be inserted, deleted, replaced or swapped with their neighbour: Damerau and Levenshtein's distance
/// where no letter is touched twice.
///
/// A dozen lines, because on two cores a crate more would keep all that depends on Plywood waiting.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn counts_letters() {
        let far = |a, b| (distance(a, b), distance(b, a));
        assert_eq!(far("linear", "linear"), (0, 0));
        assert_eq!(far("linaer", "linear"), (1, 1));
        assert_eq!(far("kernel", "kernel_size"), (5, 5));
        assert_eq!(far("relu", "gelu"), (1, 1));
        assert_eq!(far("", "ELU"), (3, 3));
        assert_eq!(far("sigmiod", "sgmoid"), (2, 2));
    }
}
