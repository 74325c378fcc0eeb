//! IDX, the format of MNIST: a magic number, the sizes, the elements, all big-endian.

use crate::element::{DType, Numeric};
use crate::error::{Error, Result};
use crate::shape::{Shape, Sizes};
use crate::tensor::Tensor;
use std::fs::File;
use std::io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
use std::io::{BufReader, Read};
use std::path::Path;

/// The tensor in an IDX file (`train-images.idx3-ubyte`), plain or gzipped.
///
/// The type says what is expected and the file must hold that: the number of dimensions, every size known at compile time,
/// and the element type, one of u8, i8, i16, i32, f32 and f64. Whether a file is gzipped shows in its first two bytes,
/// not in its name; reading it takes the feature `gz`. A file takes no more memory than its own header says, and that
/// only as far as there are bytes.
///
/// # Errors
/// If the file cannot be read, is no IDX file, holds elements of another type or other sizes, is gzipped without the
/// feature `gz`, ends too early, or goes on after the last element.
///
/// ```
/// use plywood::data::read_idx;
/// use plywood::prelude::*;
///
/// // Two images of 2 × 3 pixels: 0, 0, u8 (8), three dimensions, their sizes, and twelve bytes.
/// let mut bytes = vec![0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3];
/// bytes.extend(1..=12);
/// # let path = std::env::temp_dir().join(format!("plywood-doc-{}.idx", std::process::id()));
/// std::fs::write(&path, &bytes).unwrap();
///
/// let images: Tensor<Shape![_, 2, 3], u8> = read_idx(&path)?;
/// assert_eq!(images.sizes(), [2, 2, 3]);
/// assert_eq!(images.row(1).unwrap().to_vec(), [7, 8, 9, 10, 11, 12]);
/// let scaled = images.map(|pixel| f32::from(*pixel) / 255.0);
/// # assert_eq!(scaled.sizes(), [2, 2, 3]);
/// # std::fs::remove_file(path).ok();
/// # Ok::<(), plywood::Error>(())
/// ```
pub fn read_idx<S: Shape, E: Numeric>(path: impl AsRef<Path>) -> Result<Tensor<S, E>> {
    let path = path.as_ref();
    let file = File::open(path).map_err(|source| Error::Io { file: path.to_owned(), source })?;
    from_idx(&path.display().to_string(), BufReader::new(file))
}

/// The tensor that a reader gives as IDX, plain or gzipped; `name` stands for the file in errors.
///
/// # Errors
/// As [`read_idx`].
///
/// ```
/// use plywood::data::from_idx;
/// use plywood::prelude::*;
///
/// let bytes = [0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1];
/// let labels: Tensor<Shape![_], u8> = from_idx("labels.idx", &bytes[..])?;
/// assert_eq!(labels.to_vec(), [7, 2, 1]);
///
/// let wrong = from_idx::<Shape![_, 28, 28], u8>("labels.idx", &bytes[..]).unwrap_err();
/// assert_eq!(wrong.to_string(), "labels.idx: the file holds a tensor of shape [3], but the type is [_, 28, 28]");
/// let wrong = from_idx::<Shape![_], f32>("labels.idx", &bytes[..]).unwrap_err();
/// assert_eq!(wrong.to_string(), "labels.idx: the file holds elements of type u8, but the tensor's type says f32");
/// # Ok::<(), plywood::Error>(())
/// ```
pub fn from_idx<S: Shape, E: Numeric>(name: &str, mut reader: impl Read) -> Result<Tensor<S, E>> {
    let mut start = Vec::new();
    read_up_to(name, &mut reader, 2, &mut start)?;
    let whole = start.as_slice().chain(reader);
    if start == [0x1f, 0x8b] { gunzip(name, whole) } else { plain(name, whole) }
}

#[cfg(feature = "gz")]
fn gunzip<S: Shape, E: Numeric>(name: &str, reader: impl Read) -> Result<Tensor<S, E>> {
    plain(name, flate2::read::MultiGzDecoder::new(reader))
}

#[cfg(not(feature = "gz"))]
fn gunzip<S: Shape, E: Numeric>(name: &str, _reader: impl Read) -> Result<Tensor<S, E>> {
    Err(wrong(name, "the file is gzipped; build plywood with its feature `gz`, or unpack the file first".to_owned()))
}

fn plain<S: Shape, E: Numeric>(name: &str, mut reader: impl Read) -> Result<Tensor<S, E>> {
    let mut header = Vec::new();
    read_up_to(name, &mut reader, 4, &mut header)?;
    let &[zero, also_zero, code, rank] = header.as_slice() else {
        return Err(wrong(name, format!("an IDX file has at least 4 bytes, but this one has {}", header.len())));
    };
    let Some(element) = element_of(code).filter(|_| (zero, also_zero) == (0, 0)) else {
        let message = format!(
            "this is not an IDX file: it begins with {zero:02x} {also_zero:02x} {code:02x}, but should begin with \
             00 00 and 08 (u8), 09 (i8), 0b (i16), 0c (i32), 0d (f32) or 0e (f64)"
        );
        return Err(wrong(name, message));
    };
    if element != E::DTYPE {
        let message = format!("the file holds elements of type {element}, but the tensor's type says {}", E::DTYPE);
        return Err(wrong(name, message));
    }

    let mut sizes = Vec::new();
    let rank = usize::from(rank);
    if read_up_to(name, &mut reader, 4 * rank, &mut sizes)? < 4 * rank {
        return Err(wrong(name, format!("the file ends within the {rank} sizes of its header")));
    }
    let (sizes, _) = sizes.as_chunks::<4>();
    let sizes: Vec<usize> = sizes.iter().map(|size| u32::from_be_bytes(*size) as usize).collect();
    let Some(shape) = S::from_sizes(&sizes) else {
        let (given, expected) = (Sizes(sizes.as_slice()), S::pattern());
        return Err(wrong(name, format!("the file holds a tensor of shape {given}, but the type is {expected}")));
    };
    let elements = sizes.iter().try_fold(1usize, |numel, size| numel.checked_mul(*size));
    let Some(expected) = elements.and_then(|numel| numel.checked_mul(size_of::<E>())) else {
        return Err(wrong(name, format!("a tensor of shape {} does not fit into memory", Sizes(sizes.as_slice()))));
    };

    let mut bytes = Vec::new();
    // One byte more than there should be tells whether the file goes on.
    let given = read_up_to(name, &mut reader, expected.saturating_add(1), &mut bytes)?;
    if given != expected {
        let given = if given > expected { "more".to_owned() } else { given.to_string() };
        let shape = Sizes(sizes.as_slice());
        return Err(wrong(
            name,
            format!("the elements of shape {shape} take {expected} bytes, but the file has {given}"),
        ));
    }
    if cfg!(target_endian = "little") {
        bytes.chunks_exact_mut(size_of::<E>()).for_each(<[u8]>::reverse);
    }
    let mut tensor = Tensor::zeros_of(shape);
    bytemuck::cast_slice_mut(tensor.as_mut_slice()).copy_from_slice(&bytes);
    Ok(tensor)
}

fn element_of(code: u8) -> Option<DType> {
    Some(match code {
        0x08 => DType::U8,
        0x09 => DType::I8,
        0x0b => DType::I16,
        0x0c => DType::I32,
        0x0d => DType::F32,
        0x0e => DType::F64,
        _ => return None,
    })
}

/// Appends at most this many bytes, fewer if the reader ends, and says how many they are.
fn read_up_to(name: &str, reader: &mut impl Read, bytes: usize, to: &mut Vec<u8>) -> Result<usize> {
    let limit = u64::try_from(bytes).unwrap_or(u64::MAX);
    match reader.take(limit).read_to_end(to) {
        Ok(read) => Ok(read),
        // What is damaged inside a gzipped file is the file's fault, not the machine's.
        Err(source) if matches!(source.kind(), InvalidInput | InvalidData | UnexpectedEof) => {
            Err(wrong(name, format!("the gzipped file is damaged or cut off: {source}")))
        }
        Err(source) => Err(Error::Io { file: name.into(), source }),
    }
}

fn wrong(name: &str, message: String) -> Error {
    Error::Idx { file: name.into(), message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    /// 00 00, the code, the number of sizes, the sizes and the elements.
    fn idx(code: u8, sizes: &[u32], elements: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, code, u8::try_from(sizes.len()).unwrap()];
        sizes.iter().for_each(|size| bytes.extend(size.to_be_bytes()));
        bytes.extend(elements);
        bytes
    }

    fn message<S: Shape, E: Numeric>(bytes: &[u8]) -> String {
        from_idx::<S, E>("a.idx", bytes).unwrap_err().to_string()
    }

    #[test]
    fn numbers_of_every_type_are_big_endian() {
        let x: Tensor<Shape![2], i16> = from_idx("a", &idx(0x0b, &[2], &[0x01, 0x02, 0xff, 0xfe])[..]).unwrap();
        assert_eq!(x.to_vec(), [0x0102, -2]);
        let x: Tensor<Shape![_], i32> = from_idx("a", &idx(0x0c, &[1], &(-7i32).to_be_bytes())[..]).unwrap();
        assert_eq!(x.to_vec(), [-7]);
        let x: Tensor<Shape![_], f32> = from_idx("a", &idx(0x0d, &[1], &1.5f32.to_be_bytes())[..]).unwrap();
        assert_eq!(x.to_vec(), [1.5]);
        let x: Tensor<Shape![_, 1], f64> = from_idx("a", &idx(0x0e, &[1, 1], &0.1f64.to_be_bytes())[..]).unwrap();
        assert_eq!(x.to_vec(), [0.1]);
        let x: Tensor<Shape![], i8> = from_idx("a", &idx(0x09, &[], &[0xff])[..]).unwrap();
        assert_eq!(x.item(), -1);
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said() {
        type Images = Shape![_, 2, 2];
        assert_eq!(message::<Images, u8>(b""), "a.idx: an IDX file has at least 4 bytes, but this one has 0");
        assert_eq!(
            message::<Images, u8>(b"\x89PNG...."),
            "a.idx: this is not an IDX file: it begins with 89 50 4e, but should begin with 00 00 and 08 (u8), 09 (i8), \
             0b (i16), 0c (i32), 0d (f32) or 0e (f64)"
        );
        assert_eq!(
            message::<Images, u8>(&idx(8, &[1, 3, 2], &[0; 6])),
            "a.idx: the file holds a tensor of shape [1, 3, 2], but the type is [_, 2, 2]"
        );
        assert_eq!(
            message::<Images, u8>(&idx(8, &[1, 2, 2], &[0; 4])[..10]),
            "a.idx: the file ends within the 3 sizes of its header"
        );
        assert_eq!(
            message::<Images, u8>(&idx(8, &[2, 2, 2], &[0; 7])),
            "a.idx: the elements of shape [2, 2, 2] take 8 bytes, but the file has 7"
        );
        assert_eq!(
            message::<Images, u8>(&idx(8, &[2, 2, 2], &[0; 9])),
            "a.idx: the elements of shape [2, 2, 2] take 8 bytes, but the file has more"
        );
        type Huge = Shape![_, _, _];
        let huge = message::<Huge, f64>(&idx(0x0e, &[u32::MAX, u32::MAX, u32::MAX], &[]));
        assert!(huge.ends_with("does not fit into memory"), "{huge}");
        // The header's promise alone takes no memory.
        assert!(message::<Shape![_, _], f64>(&idx(0x0e, &[u32::MAX, 1], &[1; 64])).contains("but the file has 64"));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let wrong = read_idx::<Shape![_], u8>("no/such/file.idx").unwrap_err();
        assert!(wrong.to_string().starts_with("no/such/file.idx: "), "{wrong}");
    }

    #[cfg(not(feature = "gz"))]
    #[test]
    fn a_gzipped_file_names_the_feature_it_takes() {
        assert!(message::<Shape![_], u8>(&[0x1f, 0x8b, 8, 0]).contains("feature `gz`"));
    }

    #[cfg(feature = "gz")]
    #[test]
    fn a_gzipped_file_is_read_and_a_damaged_one_is_an_error() {
        use std::io::Write;
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gz.write_all(&idx(8, &[3], &[7, 2, 1])).unwrap();
        let bytes = gz.finish().unwrap();
        let labels: Tensor<Shape![_], u8> = from_idx("a", &bytes[..]).unwrap();
        assert_eq!(labels.to_vec(), [7, 2, 1]);
        for length in 2..bytes.len() {
            let wrong = message::<Shape![_], u8>(&bytes[..length]);
            assert!(wrong.starts_with("a.idx: "), "{wrong}");
        }
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x55;
            // Some bytes, as the time of packing, say nothing about the elements.
            if let Ok(labels) = from_idx::<Shape![_], u8>("a", &damaged[..]) {
                assert_eq!(labels.to_vec(), [7, 2, 1], "byte {at}");
            }
        }
    }
}
