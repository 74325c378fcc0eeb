use super::header::Header;
use crate::element::Element;
use crate::error::{Error, Result};
use crate::io::atomic;
use crate::shape::Shape;
use crate::tensor::{Storage, Tensor};
use std::path::Path;

/// Writes a tensor to an .npy file; `numpy.load(file)` reads it.
///
/// A file of that name is replaced in one step: if anything fails, it is what it was.
///
/// # Errors
/// If the file cannot be written.
///
/// ```
/// use plywood::prelude::*;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("labels.npy");
/// let labels: Tensor<Shape![3], i64> = tensor![7, 2, 1];
/// plywood::io::write_npy(&labels, &path)?;
/// assert_eq!(plywood::io::read_npy::<Shape![3], i64>(&path)?, labels);
/// # Ok::<(), plywood::Error>(())
/// ```
pub fn write_npy<S, E, B>(x: &Tensor<S, E, B>, path: impl AsRef<Path>) -> Result<()>
where
    S: Shape,
    E: Element,
    B: Storage<E>,
{
    let path = path.as_ref();
    atomic::write(path, &to_npy(x)).map_err(|source| Error::Io { file: path.to_owned(), source })
}

/// The bytes of the file that [`write_npy`] writes: the same that `numpy.save` writes for the same array.
///
/// ```
/// use plywood::prelude::*;
///
/// let bytes = plywood::io::to_npy(&tensor![true, false]);
/// assert!(bytes.starts_with(b"\x93NUMPY\x01\x00"));
/// assert!(bytes.ends_with(b"\n\x01\x00"));
/// ```
#[must_use]
pub fn to_npy<S: Shape, E: Element, B: Storage<E>>(x: &Tensor<S, E, B>) -> Vec<u8> {
    let header = Header { dtype: E::DTYPE, big_endian: false, fortran: false, sizes: x.sizes().as_ref().to_vec() };
    let mut bytes = header.to_bytes();
    let start = bytes.len();
    bytes.extend_from_slice(bytemuck::cast_slice(&x.read()));
    if cfg!(target_endian = "big") {
        bytes[start..].chunks_exact_mut(size_of::<E>()).for_each(<[u8]>::reverse);
    }
    bytes
}
