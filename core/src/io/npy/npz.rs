//! Archives of .npy files.

use super::read::{Failure, read};
use super::to_npy;
use crate::element::Element;
use crate::error::{Error, Result};
use crate::io::atomic;
use crate::shape::Shape;
use crate::tensor::{Storage, Tensor};
use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek, Write};
use std::path::{Path, PathBuf};
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// What every name in an archive ends with.
const SUFFIX: &str = ".npy";

/// An .npz file: named arrays, as `numpy.savez(file, x=…, labels=…)` and `numpy.savez_compressed` write them.
///
/// Arrays are read one at a time, each when it is asked for.
///
/// ```
/// use plywood::io::{Npz, NpzWriter};
/// use plywood::prelude::*;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("digits.npz");
/// let images: Tensor<Shape![2, 3], u8> = Tensor::zeros();
/// NpzWriter::new().array("images", &images).array("labels", &tensor![3i64, 8]).write(&path)?;
///
/// let mut file = Npz::open(&path)?;
/// assert_eq!(file.names(), ["images", "labels"]);
/// let images: Tensor<Shape![_, 3], u8> = file.read("images")?;
/// let labels: Tensor<Shape![_], i64> = file.read("labels")?;
/// assert_eq!(labels.to_vec(), [3, 8]);
///
/// let wrong = file.read::<Shape![_], i64>("label").unwrap_err();
/// assert!(wrong.to_string().ends_with("digits.npz: there is no array `label`; is it `labels`?"));
/// # assert_eq!(images.sizes(), [2, 3]);
/// # Ok::<(), plywood::Error>(())
/// ```
#[derive(Debug)]
pub struct Npz<R = BufReader<File>> {
    file: PathBuf,
    archive: ZipArchive<R>,
}

impl Npz {
    /// The archive in a file.
    ///
    /// # Errors
    /// If the file cannot be read, or is no .npz file.
    ///
    /// ```
    /// use plywood::io::Npz;
    ///
    /// let wrong = Npz::open("no/such/file.npz").unwrap_err();
    /// assert!(wrong.to_string().starts_with("no/such/file.npz: "));
    /// ```
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|source| Error::Io { file: path.to_owned(), source })?;
        Self::of(path.to_owned(), BufReader::new(file))
    }
}

impl<R: Read + Seek> Npz<R> {
    /// The archive that a reader gives; `name` stands for the file in errors.
    ///
    /// # Errors
    /// If it is no .npz file.
    ///
    /// ```
    /// use plywood::io::{Npz, NpzWriter};
    /// use plywood::prelude::*;
    ///
    /// let bytes = NpzWriter::new().compressed().array("x", &tensor![1.0f32, 2.0]).to_bytes()?;
    /// let mut archive = Npz::from_reader("x.npz", std::io::Cursor::new(bytes))?;
    /// let x: Tensor<Shape![2]> = archive.read("x")?;
    /// assert_eq!(x, tensor![1.0, 2.0]);
    /// # Ok::<(), plywood::Error>(())
    /// ```
    pub fn from_reader(name: &str, reader: R) -> Result<Self> {
        Self::of(name.into(), reader)
    }

    fn of(file: PathBuf, mut reader: R) -> Result<Self> {
        let mut start = [0; 6];
        let begins = reader.rewind().and_then(|()| reader.read_exact(&mut start)).is_ok();
        if begins && &start == super::header::MAGIC {
            let message = "this is not an .npz file: it is a single array, as `numpy.save` writes it; read it as .npy";
            return Err(Failure::File(message.to_owned()).at(&file));
        }
        match ZipArchive::new(reader) {
            Ok(archive) => Ok(Npz { file, archive }),
            Err(error) => {
                let failure = match error {
                    ZipError::Io(source) => Failure::from(source),
                    other => Failure::File(format!("this is not an .npz file, or cut off: {other}")),
                };
                Err(failure.at(&file))
            }
        }
    }

    /// The names of the arrays, in the order in which they were written.
    ///
    /// ```
    /// use plywood::io::{Npz, NpzWriter};
    /// use plywood::prelude::*;
    ///
    /// let bytes = NpzWriter::new().array("x", &tensor![1.0]).array("y", &tensor![true]).to_bytes()?;
    /// assert_eq!(Npz::from_reader("xy.npz", std::io::Cursor::new(bytes))?.names(), ["x", "y"]);
    /// # Ok::<(), plywood::Error>(())
    /// ```
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let name = |raw: &[u8]| {
            let name = String::from_utf8_lossy(raw);
            name.strip_suffix(SUFFIX).unwrap_or(&name).to_owned()
        };
        self.archive.file_names_raw().map(name).collect()
    }

    /// The array of a name, as a tensor of the type that is asked for.
    ///
    /// # Errors
    /// If there is none of that name, it is damaged, or it is not of this type, as with [`read_npy`](crate::io::read_npy).
    pub fn read<S: Shape, E: Element>(&mut self, name: &str) -> Result<Tensor<S, E>> {
        // NumPy takes the name with and without the suffix, too.
        let entries = [format!("{name}{SUFFIX}"), name.to_owned()];
        let Some(index) = entries.iter().find_map(|entry| self.archive.index_for_name(entry)) else {
            return Err(Failure::File(self.missing(name)).at(&self.file));
        };
        let tensor = match self.archive.by_index(index) {
            Ok(entry) => read(entry),
            Err(ZipError::Io(source)) => Err(source.into()),
            Err(error) => Err(Failure::File(error.to_string())),
        };
        tensor
            .map_err(|failure| match failure {
                Failure::File(message) => Failure::File(format!("array `{}`: {message}", name.escape_debug())),
                other => other,
            })
            .map_err(|failure| failure.at(&self.file))
    }

    fn missing(&self, name: &str) -> String {
        let names = self.names();
        let distance = |other: &&String| strsim::damerau_levenshtein(name, other);
        let near = names.iter().min_by_key(distance).filter(|near| distance(near) <= 3.max(name.len() / 3));
        let shown = |name: &str| format!("`{}`", name.escape_debug());
        match near {
            Some(near) => format!("there is no array {}; is it {}?", shown(name), shown(near)),
            None if names.is_empty() => format!("there is no array {}; the archive is empty", shown(name)),
            None => {
                let names: Vec<String> = names.iter().map(|name| shown(name)).collect();
                format!("there is no array {}, but {}", shown(name), names.join(", "))
            }
        }
    }
}

/// Tensors to be written as an .npz file, which `numpy.load(file)` reads by their names.
///
/// ```
/// use plywood::io::NpzWriter;
/// use plywood::prelude::*;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("data.npz");
/// let x: Tensor<Shape![2, 3]> = Tensor::ones();
/// NpzWriter::new().compressed().array("x", &x).array("labels", &tensor![0, 1]).write(&path)?;
/// # Ok::<(), plywood::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct NpzWriter {
    arrays: Vec<(String, Vec<u8>)>,
    compressed: bool,
}

impl NpzWriter {
    /// No arrays yet; they will be stored as they are.
    pub fn new() -> Self {
        Self::default()
    }

    /// Compresses the arrays, as `numpy.savez_compressed` does.
    pub fn compressed(mut self) -> Self {
        self.compressed = true;
        self
    }

    /// Adds a tensor under a name.
    pub fn array<S, E, B>(mut self, name: &str, x: &Tensor<S, E, B>) -> Self
    where
        S: Shape,
        E: Element,
        B: Storage<E>,
    {
        self.arrays.push((name.to_owned(), to_npy(x)));
        self
    }

    /// Writes the file. One of that name is replaced in one step: if anything fails, it is what it was.
    ///
    /// # Errors
    /// If two arrays have the same name, or the file cannot be written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let bytes = self.encode(path)?;
        atomic::write(path, &bytes).map_err(|source| Error::Io { file: path.to_owned(), source })
    }

    /// The bytes of the file that [`write`](NpzWriter::write) writes.
    ///
    /// # Errors
    /// If two arrays have the same name.
    ///
    /// ```
    /// use plywood::io::NpzWriter;
    /// use plywood::prelude::*;
    ///
    /// let twice = NpzWriter::new().array("x", &tensor![1.0]).array("x", &tensor![2.0]);
    /// assert_eq!(twice.to_bytes().unwrap_err().to_string(), "bytes in memory: two arrays have the name `x`");
    /// ```
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        self.encode(crate::io::IN_MEMORY.as_ref())
    }

    fn encode(&self, file: &Path) -> Result<Vec<u8>> {
        let mut names = std::collections::HashSet::new();
        if let Some((twice, _)) = self.arrays.iter().find(|(name, _)| !names.insert(name)) {
            return Err(Failure::File(format!("two arrays have the name `{}`", twice.escape_debug())).at(file));
        }
        self.zip().map_err(|error| match error {
            ZipError::Io(source) => Failure::Io(source).at(file),
            other => Failure::File(other.to_string()).at(file),
        })
    }

    fn zip(&self) -> Result<Vec<u8>, ZipError> {
        let method = if self.compressed { CompressionMethod::Deflated } else { CompressionMethod::Stored };
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in &self.arrays {
            // What is larger than 4 GiB takes another kind of entry.
            let large = u32::try_from(bytes.len()).is_err();
            let options = SimpleFileOptions::default().compression_method(method).large_file(large);
            writer.start_file(format!("{name}{SUFFIX}"), options)?;
            writer.write_all(bytes)?;
        }
        Ok(writer.finish()?.into_inner())
    }
}
