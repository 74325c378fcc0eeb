use super::header::{Header, MAGIC};
use crate::backend::Buffer;
use crate::element::Element;
use crate::error::{Error, Result};
use crate::shape::{Shape, Sizes};
use crate::tensor::{Tensor, permuted};
use core::fmt::Display;
use std::fs::File;
use std::io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
use std::io::{self, BufReader, Read};
use std::path::Path;

/// The tensor in an .npy file, as `numpy.save(file, x)` writes it.
///
/// The type says what is expected and the file must hold that: the number of dimensions, every size known at compile time,
/// and the element type, any that a tensor can have. Elements may be in C or in Fortran order and have either byte first;
/// the tensor is row-major and as this machine wants it. A file takes no more memory than its own header says, and that
/// only as far as there are bytes.
///
/// # Errors
/// If the file cannot be read, is no .npy file, holds elements of another type or other sizes, ends too early, or goes on
/// after the last element.
///
/// ```
/// use plywood::prelude::*;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("x.npy");
/// let x: Tensor<Shape![2, 3]> = tensor![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
/// plywood::io::write_npy(&x, &path)?;
///
/// let y: Tensor<Shape![_, 3]> = plywood::io::read_npy(&path)?;
/// assert_eq!(y.sizes(), [2, 3]);
/// assert_eq!(y.as_slice(), x.as_slice());
/// # Ok::<(), plywood::Error>(())
/// ```
pub fn read_npy<S: Shape, E: Element>(path: impl AsRef<Path>) -> Result<Tensor<S, E>> {
    let path = path.as_ref();
    let file = File::open(path).map_err(|source| Error::Io { file: path.to_owned(), source })?;
    read(BufReader::new(file)).map_err(|failure| failure.at(path))
}

/// The tensor that a reader gives as .npy; `name` stands for the file in errors.
///
/// # Errors
/// As [`read_npy`].
///
/// ```
/// use plywood::io::{from_npy, to_npy};
/// use plywood::prelude::*;
///
/// let bytes = to_npy(&tensor![7i64, 2, 1]);
/// let labels: Tensor<Shape![_], i64> = from_npy("labels.npy", &bytes[..])?;
/// assert_eq!(labels.to_vec(), [7, 2, 1]);
///
/// let wrong = from_npy::<Shape![_, 28, 28], i64>("labels.npy", &bytes[..]).unwrap_err();
/// assert_eq!(wrong.to_string(), "labels.npy: the file holds a tensor of shape [3], but the type is [_, 28, 28]");
/// let wrong = from_npy::<Shape![_], f32>("labels.npy", &bytes[..]).unwrap_err();
/// assert_eq!(wrong.to_string(), "labels.npy: the file holds elements of type i64, but the tensor's type says f32");
/// # Ok::<(), plywood::Error>(())
/// ```
pub fn from_npy<S: Shape, E: Element>(name: &str, reader: impl Read) -> Result<Tensor<S, E>> {
    read(reader).map_err(|failure| failure.at(name.as_ref()))
}

/// Why a file cannot be read: what is wrong with it, or what the operating system said.
#[derive(Debug)]
pub(super) enum Failure {
    File(String),
    Io(io::Error),
}

impl Failure {
    pub(super) fn at(self, file: &Path) -> Error {
        match self {
            Failure::File(message) => Error::Npy { file: file.to_owned(), message },
            Failure::Io(source) => Error::Io { file: file.to_owned(), source },
        }
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Failure::File(message)
    }
}

impl From<io::Error> for Failure {
    fn from(source: io::Error) -> Self {
        // What is damaged inside an archive is the file's fault, not the machine's.
        match source.kind() {
            InvalidInput | InvalidData | UnexpectedEof => Failure::File(format!("damaged or cut off: {source}")),
            _ => Failure::Io(source),
        }
    }
}

/// Reads until the slice is full or there is no more, and says how many bytes there were.
fn fill(reader: &mut impl Read, bytes: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        match reader.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

pub(super) fn read<S: Shape, E: Element>(mut reader: impl Read) -> Result<Tensor<S, E>, Failure> {
    let header = header(&mut reader)?;
    if header.dtype != E::DTYPE {
        let (given, expected) = (header.dtype, E::DTYPE);
        return Err(format!("the file holds elements of type {given}, but the tensor's type says {expected}").into());
    }
    let sizes = Sizes(header.sizes.as_slice());
    let Some(shape) = S::from_sizes(sizes.0) else {
        return Err(format!("the file holds a tensor of shape {sizes}, but the type is {}", S::pattern()).into());
    };
    let bytes = shape.checked_numel().and_then(|numel| numel.checked_mul(size_of::<E>()));
    if bytes.is_none_or(|bytes| isize::try_from(bytes).is_err()) {
        return Err(format!("a tensor of shape {sizes} does not fit into memory").into());
    }
    let mut elements = elements(reader, &header, shape.numel())?;
    if header.fortran {
        let backwards: Vec<usize> = header.sizes.iter().rev().copied().collect();
        let order: Vec<usize> = (0..S::RANK).rev().collect();
        let mut row_major = Vec::with_capacity(shape.numel());
        permuted(elements.as_slice(), &backwards, &order, &mut row_major);
        elements = Buffer::copy_of(&row_major);
    }
    Ok(Tensor::from_buffer(shape, elements))
}

fn header(reader: &mut impl Read) -> Result<Header, Failure> {
    let mut start = [0; MAGIC.len() + 2];
    let given = fill(reader, &mut start)?;
    let start = &start[..given];
    if !start.starts_with(MAGIC) {
        let hint = if start.starts_with(b"PK\x03\x04") {
            "it is an archive, as `numpy.savez` writes it; read it as .npz"
        } else {
            "it does not begin with 93 4e 55 4d 50 59 (`\\x93NUMPY`)"
        };
        return Err(format!("this is not an .npy file: {hint}").into());
    }
    let cut = || Failure::from("the file ends within its header".to_owned());
    let mut length = [0; 4];
    let width = match start[MAGIC.len()..] {
        [1, _] => 2,
        [2 | 3, _] => 4,
        [major, minor] => {
            return Err(format!("the file has version {major}.{minor} of the format, but 1.0 to 3.0 are known").into());
        }
        _ => return Err(cut()),
    };
    if fill(reader, &mut length[..width])? < width {
        return Err(cut());
    }
    let length = u32::from_le_bytes(length);
    let mut text = Vec::new();
    if reader.take(length.into()).read_to_end(&mut text)? < length as usize {
        return Err(cut());
    }
    let text = String::from_utf8_lossy(&text);
    Ok(Header::of(&text)?)
}

/// As many elements as are asked for and no more, in the order of the file.
fn elements<E: Element>(mut reader: impl Read, header: &Header, numel: usize) -> Result<Buffer<E>, Failure> {
    let size = size_of::<E>();
    let wrong_length = |given: &dyn Display| {
        let sizes = Sizes(header.sizes.as_slice());
        Failure::from(format!("the elements of shape {sizes} take {} bytes, but the file has {given}", numel * size))
    };
    let mut buffer = Buffer::zeros(0);
    let mut chunk = vec![0; (numel * size).min(1 << 16)];
    let mut done = 0;
    while done < numel {
        let count = (numel - done).min(chunk.len() / size);
        let bytes = &mut chunk[..count * size];
        let given = fill(&mut reader, bytes)?;
        if given < bytes.len() {
            return Err(wrong_length(&(done * size + given)));
        }
        if size > 1 && header.big_endian != cfg!(target_endian = "big") {
            bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse);
        }
        if buffer.as_slice().len() < done + count {
            // The header's promise alone takes no memory.
            buffer.resize((2 * done).max(done + count).min(numel));
        }
        for (i, (x, bytes)) in buffer.as_mut_slice()[done..].iter_mut().zip(bytes.chunks_exact(size)).enumerate() {
            *x = bytemuck::checked::try_pod_read_unaligned(bytes)
                .map_err(|_| format!("element {} is the byte {}, but a bool is 0 or 1", done + i, bytes[0]))?;
        }
        done += count;
    }
    // One byte more tells that the file goes on. At the end of an archive's entry, reading on compares its checksum, too.
    if fill(&mut reader, &mut [0])? > 0 {
        return Err(wrong_length(&"more"));
    }
    Ok(buffer)
}
