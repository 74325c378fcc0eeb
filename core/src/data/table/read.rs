//! From the text of a CSV file to a [`Table`], with the line of every row.

use super::Table;
use crate::error::{Error, Result};
use csv::{ReaderBuilder, StringRecord};
use std::io::Read;
use std::path::Path;

impl Table {
    /// The table in a CSV file.
    ///
    /// # Errors
    /// If the file cannot be read, or as [`from_csv`](Table::from_csv).
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let wrong = Table::read_csv("no/such/file.csv").unwrap_err();
    /// assert!(wrong.to_string().starts_with("no/such/file.csv: "));
    /// ```
    pub fn read_csv(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|source| Error::Io { file: path.to_owned(), source })?;
        from_bytes(&path.display().to_string(), &bytes)
    }

    /// The table that a reader gives as CSV; `name` stands for the file in errors.
    ///
    /// # Errors
    /// If the reader fails, or as [`from_csv`](Table::from_csv).
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let table = Table::from_reader("standard input", "x,y\n1,2\n".as_bytes())?;
    /// assert_eq!(table.rows(), 1);
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn from_reader(name: &str, mut reader: impl Read) -> Result<Self> {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map_err(|source| Error::Io { file: name.into(), source })?;
        from_bytes(name, &bytes)
    }

    /// The table in a CSV text; `name` stands for the file in errors.
    ///
    /// # Errors
    /// If the text is empty, two columns have the same name, a row does not have as many cells as there are columns, or a
    /// quote is never closed.
    ///
    /// ```
    /// use plywood::prelude::*;
    ///
    /// let table = Table::from_csv("quotes.csv", "title,year\r\n\"Gödel, Escher, Bach\",1979\r\n")?;
    /// assert_eq!(table.strings("title")?, ["Gödel, Escher, Bach"]);
    ///
    /// let wrong = Table::from_csv("quotes.csv", "title,year\nDune,1965\nUlysses\n").unwrap_err();
    /// assert_eq!(wrong.to_string(), "quotes.csv, line 3: the row has 1 cell, but the table has 2 columns");
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn from_csv(name: &str, text: &str) -> Result<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let error = |line, column, message| Err(Error::Table { file: name.to_owned(), line, column, message });

        let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
        let mut lines = Lines { text: text.as_bytes(), at: 0, line: 1 };
        let mut names: Option<Vec<String>> = None;
        let mut table = Table { file: name.to_owned(), names: Vec::new(), records: Vec::new(), lines: Vec::new() };
        let mut record = StringRecord::new();
        loop {
            let start = reader.position().byte() as usize;
            match reader.read_record(&mut record) {
                Ok(true) => {}
                Ok(false) => break,
                Err(source) => return error(None, None, source.to_string()),
            }
            let (line, start) = lines.of_record(start);
            if is_open(&record, &text[start..reader.position().byte() as usize]) {
                return error(Some(line), None, "a quote `\"` is opened in this row and never closed".to_owned());
            }
            let Some(names) = &names else {
                let header: Vec<String> = record.iter().map(|name| name.trim().to_owned()).collect();
                if let Some((first, second)) = same(&header) {
                    let message = format!("columns {} and {} have the same name", first + 1, second + 1);
                    return error(Some(line), Some(header[first].clone()), message);
                }
                names = Some(header);
                continue;
            };
            if record.len() != names.len() {
                let (cells, columns) = (counted(record.len(), "cell"), counted(names.len(), "column"));
                let broken = record.iter().any(|cell| cell.contains('\n'));
                let hint = if broken { "; a quote may not be closed" } else { "" };
                return error(Some(line), None, format!("the row has {cells}, but the table has {columns}{hint}"));
            }
            table.records.push(record.clone());
            table.lines.push(line);
        }
        match names {
            Some(names) => Ok(Table { names, ..table }),
            None => error(None, None, "the file is empty; its first line should name the columns".to_owned()),
        }
    }
}

fn from_bytes(name: &str, bytes: &[u8]) -> Result<Table> {
    match core::str::from_utf8(bytes) {
        Ok(text) => Table::from_csv(name, text),
        Err(wrong) => Err(Error::Table {
            file: name.to_owned(),
            line: Some(Lines { text: bytes, at: 0, line: 1 }.at(wrong.valid_up_to())),
            column: None,
            message: "this is not UTF-8 text; save the table as CSV in UTF-8".to_owned(),
        }),
    }
}

/// Counts lines as a text editor does. The csv crate's own count is one less after `\r\n` and before empty lines.
struct Lines<'t> {
    text: &'t [u8],
    at: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line of a position, which is not before the one asked for last.
    fn at(&mut self, position: usize) -> u64 {
        while self.at < position {
            let line_break = match self.text[self.at] {
                b'\n' => true,
                b'\r' => self.text.get(self.at + 1) != Some(&b'\n'),
                _ => false,
            };
            self.line += u64::from(line_break);
            self.at += 1;
        }
        self.line
    }

    /// The line and the position of the first byte of a record that is looked for from `start` on.
    fn of_record(&mut self, start: usize) -> (u64, usize) {
        let breaks = self.text[start..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        (self.at(start + breaks), start + breaks)
    }
}

/// Whether a quote swallowed the text up to its end: the last cell goes on over lines and no quote ends it.
fn is_open(record: &StringRecord, raw: &str) -> bool {
    let last = record.iter().next_back().unwrap_or_default();
    last.contains(['\n', '\r']) && !raw.bytes().filter(|byte| *byte == b'"').count().is_multiple_of(2)
}

fn same(names: &[String]) -> Option<(usize, usize)> {
    let mut seen = std::collections::HashMap::new();
    names.iter().enumerate().find_map(|(second, name)| seen.insert(name, second).map(|first| (first, second)))
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
