//! Tables of text cells under named columns.

mod classes;
mod number;
mod read;

pub use classes::Classes;

use crate::dim::{D, Dyn, StaticDim};
use crate::element::Numeric;
use crate::error::{Error, Result};
use crate::tensor::Tensor;
use csv::StringRecord;

/// A table of named columns, as a CSV file holds it; its columns become tensors.
///
/// The file is UTF-8 text. Its first line names the columns; cells are separated by commas, and blanks around a cell do
/// not count. A cell with a comma or a line break in it stands in double quotes, the first of them right after the
/// comma before. Empty lines are skipped. In errors, the line of a row is the one that it begins on.
///
/// ```
/// use plywood::prelude::*;
///
/// # let dir = std::env::temp_dir().join("plywood-doc-table.csv");
/// # std::fs::write(&dir, "animal,hair,legs,type\naardvark,1,4,mammal\nbass,0,0,fish\nchicken,0,2,bird\n").unwrap();
/// # let path = dir;
/// let zoo = Table::read_csv(&path)?;
/// assert_eq!(zoo.rows(), 3);
/// assert_eq!(zoo.column_names(), ["animal", "hair", "legs", "type"]);
///
/// let x: Tensor<Shape![_, 2]> = zoo.columns(["hair", "legs"])?; // two names: two columns, in the type as well
/// assert_eq!(x.to_vec(), [1.0, 4.0, 0.0, 0.0, 0.0, 2.0]);
///
/// let types = zoo.classes("type")?;
/// assert_eq!(types.names, ["bird", "fish", "mammal"]);
/// assert_eq!(types.labels.to_vec(), [2, 1, 0]);
/// assert_eq!(zoo.strings("animal")?[2], "chicken");
/// # std::fs::remove_file(path).ok();
/// # Ok::<(), plywood::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Table {
    file: String,
    names: Vec<String>,
    records: Vec<StringRecord>,
    /// The line in the file on which each record begins.
    lines: Vec<u64>,
}

impl Table {
    /// The number of rows; the names of the columns are none.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.records.len()
    }

    /// The names of the columns, left to right.
    #[must_use]
    pub fn column_names(&self) -> &[String] {
        &self.names
    }

    /// The numbers of the named columns, in the order of the names: \[rows, number of names\].
    ///
    /// The number of names, which is at most 999, gives the type its second size. The element type is that of the
    /// tensor it is assigned to.
    ///
    /// # Errors
    /// If there is no such column, or a cell is empty or not a finite number of the element type.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let table = Table::from_csv("pets.csv", "name,legs\nRex,4\nTweety,two\n")?;
    /// let wrong = table.columns::<f32, 1>(["legs"]).unwrap_err();
    /// assert_eq!(wrong.to_string(), "pets.csv, line 3, column `legs`: `two` is not a number");
    /// let wrong = table.columns::<f32, 1>(["leg"]).unwrap_err();
    /// assert_eq!(
    ///     wrong.to_string(),
    ///     "pets.csv, column `leg`: there is no such column; did you mean `legs`? The columns are `name`, `legs`"
    /// );
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn columns<E: Numeric, const N: usize>(&self, names: [&str; N]) -> Result<Tensor<(Dyn, D<N>), E>>
    where
        D<N>: StaticDim,
    {
        let columns = names.iter().map(|name| self.position(name)).collect::<Result<Vec<_>>>()?;
        self.numbers(&columns)
    }

    /// The numbers of all columns but the named ones, left to right: \[rows, `N`\].
    ///
    /// # Errors
    /// If there is no such column, if the columns that are left are not `N`, or if a cell is empty or not a finite number
    /// of the element type.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let table = Table::from_csv("zoo.csv", "animal,hair,legs,type\naardvark,1,4,mammal\n")?;
    /// let x: Tensor<Shape![_, 2]> = table.columns_except(&["animal", "type"])?;
    /// assert_eq!(x.to_vec(), [1.0, 4.0]);
    ///
    /// let wrong = table.columns_except::<D<3>, f32>(&["animal", "type"]).unwrap_err();
    /// assert_eq!(
    ///     wrong.to_string(),
    ///     "zoo.csv: the tensor's type has 3 columns, but 2 of the table's 4 are left without `animal`, `type`: `hair`, `legs`"
    /// );
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn columns_except<N: StaticDim, E: Numeric>(&self, names: &[&str]) -> Result<Tensor<(Dyn, N), E>> {
        let without = names.iter().map(|name| self.position(name)).collect::<Result<Vec<_>>>()?;
        let columns: Vec<usize> = (0..self.names.len()).filter(|column| !without.contains(column)).collect();
        if columns.len() != N::SIZE {
            return Err(self.error(
                None,
                None,
                format!(
                    "the tensor's type has {} columns, but {} of the table's {} are left without {}: {}",
                    N::SIZE,
                    columns.len(),
                    self.names.len(),
                    listed(names.iter().copied()),
                    listed(columns.iter().map(|column| self.names[*column].as_str())),
                ),
            ));
        }
        self.numbers(&columns)
    }

    /// The numbers of one column: \[rows\]; labels that are numbered already, say.
    ///
    /// # Errors
    /// If there is no such column, or a cell is empty or not a finite number of the element type.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let table = Table::from_csv("blobs.csv", "x0,x1,label\n0.5,1.5,3\n-2,7e-1,0\n")?;
    /// let labels: Tensor<Shape![_], i64> = table.column("label")?;
    /// assert_eq!(labels.to_vec(), [3, 0]);
    /// let wrong = table.column::<i64>("x0").unwrap_err();
    /// assert_eq!(wrong.to_string(), "blobs.csv, line 2, column `x0`: `0.5` is not a whole number that i64 holds");
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn column<E: Numeric>(&self, name: &str) -> Result<Tensor<(Dyn,), E>> {
        let column = self.numbers::<D<1>, E>(&[self.position(name)?])?;
        Ok(column.into_shape((Dyn(self.rows()),)))
    }

    /// The text of one column as it stands, empty cells too.
    ///
    /// # Errors
    /// If there is no such column.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let table = Table::from_csv("pets.csv", "name,owner\nRex,Ada\nTom,\n")?;
    /// assert_eq!(table.strings("owner")?, ["Ada", ""]);
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn strings(&self, name: &str) -> Result<Vec<String>> {
        let column = self.position(name)?;
        Ok((0..self.rows()).map(|row| self.cell(row, column).to_owned()).collect())
    }

    /// A column of class names as labels from 0, sorted as scikit-learn's `LabelEncoder` does.
    ///
    /// The names are sorted as text, or as numbers where all of them are whole numbers, so that the label of a class does
    /// not depend on the order of the rows.
    ///
    /// # Errors
    /// If there is no such column, or a cell is empty.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let table = Table::from_csv("pets.csv", "name,species\nRex,dog\nTom,cat\nLassie,dog\n")?;
    /// let species = table.classes("species")?;
    /// assert_eq!(species.names, ["cat", "dog"]);
    /// assert_eq!(species.labels.to_vec(), [1, 0, 1]);
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn classes(&self, name: &str) -> Result<Classes> {
        let column = self.position(name)?;
        let cells: Vec<&str> = (0..self.rows()).map(|row| self.cell(row, column)).collect();
        match cells.iter().position(|cell| cell.is_empty()) {
            Some(row) => Err(self.error(Some(row), Some(column), number::MISSING.to_owned())),
            None => Ok(Classes::of(&cells)),
        }
    }

    fn cell(&self, row: usize, column: usize) -> &str {
        self.records[row].get(column).unwrap_or_default().trim()
    }

    fn numbers<N: StaticDim, E: Numeric>(&self, columns: &[usize]) -> Result<Tensor<(Dyn, N), E>> {
        let mut x = Tensor::zeros_of((Dyn(self.rows()), N::default()));
        let places = (0..self.rows()).flat_map(|row| columns.iter().map(move |column| (row, *column)));
        for (x, (row, column)) in x.as_mut_slice().iter_mut().zip(places) {
            *x = number::parse(self.cell(row, column))
                .map_err(|message| self.error(Some(row), Some(column), message))?;
        }
        Ok(x)
    }

    fn position(&self, name: &str) -> Result<usize> {
        self.names.iter().position(|known| known == name).ok_or_else(|| Error::Table {
            file: self.file.clone(),
            line: None,
            column: Some(name.to_owned()),
            message: self.no_such_column(name),
        })
    }

    fn no_such_column(&self, name: &str) -> String {
        let distance = |known: &&String| strsim::damerau_levenshtein(&known.to_lowercase(), &name.to_lowercase());
        let nearest = self.names.iter().min_by_key(distance).filter(|known| distance(known) <= 1 + name.len() / 4);
        let hint = match nearest {
            Some(known) => format!("; did you mean `{known}`?"),
            None => ".".to_owned(),
        };
        format!("there is no such column{hint} The columns are {}", listed(self.names.iter().map(String::as_str)))
    }

    fn error(&self, row: Option<usize>, column: Option<usize>, message: String) -> Error {
        Error::Table {
            file: self.file.clone(),
            line: row.map(|row| self.lines[row]),
            column: column.map(|column| self.names[column].clone()),
            message,
        }
    }
}

/// Names in a row; of very many, the first.
fn listed<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 30;
    let more = names.len().saturating_sub(SHOWN);
    let mut text = names.take(SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if text.is_empty() {
        text += "none";
    }
    if more > 0 {
        text += &format!(" and {more} more");
    }
    text
}

#[cfg(test)]
mod tests;
