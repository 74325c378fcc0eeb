//! The format: eight bytes for the header's length, the header (JSON with every tensor's name, element type, shape and
//! place), then the numbers, little-endian.

use crate::element::{DType, Element};
use safetensors::Dtype;
use safetensors::tensor::Metadata;

/// Bytes of the header's length.
const LENGTH: usize = size_of::<u64>();

/// The element type in the words of the format.
pub(super) fn dtype_of<E: Element>() -> Dtype {
    match E::DTYPE {
        DType::Bool => Dtype::BOOL,
        DType::F32 => Dtype::F32,
        DType::F64 => Dtype::F64,
        DType::I8 => Dtype::I8,
        DType::I16 => Dtype::I16,
        DType::I32 => Dtype::I32,
        DType::I64 => Dtype::I64,
        DType::U8 => Dtype::U8,
        DType::U16 => Dtype::U16,
        DType::U32 => Dtype::U32,
        DType::U64 => Dtype::U64,
    }
}

/// Turns numbers of this machine into those of the format, and back.
pub(super) fn swap_bytes<E>(bytes: &mut [u8]) {
    if cfg!(target_endian = "big") {
        bytes.chunks_exact_mut(size_of::<E>()).for_each(<[u8]>::reverse);
    }
}

/// A file whose header is sound: every tensor in it lies within the numbers.
pub(super) struct Parsed<'a> {
    metadata: Metadata,
    numbers: &'a [u8],
}

/// A tensor of a file.
pub(super) struct Found<'a> {
    pub(super) dtype: Dtype,
    pub(super) shape: &'a [usize],
    pub(super) bytes: &'a [u8],
}

impl<'a> Parsed<'a> {
    /// Reads the header; the error is a sentence.
    // `SafeTensors::deserialize` does the same, but adds up the lengths that a file states without a check for
    // overflow, which panics in debug builds.
    pub(super) fn of(bytes: &'a [u8]) -> Result<Self, String> {
        if bytes.is_empty() {
            return Err("empty, where a safetensors file is expected".to_owned());
        }
        if bytes.starts_with(b"PK\x03\x04") {
            return Err("this is what `torch.save` writes, not safetensors; in PyTorch, write \
                        `safetensors.torch.save_file(model.state_dict(), file)`"
                .to_owned());
        }
        let (header, numbers) = header(bytes).ok_or_else(|| {
            format!("not a safetensors file, or cut off: there is no whole header in its {} bytes", bytes.len())
        })?;
        let metadata: Metadata = serde_json::from_slice(header)
            .map_err(|error| format!("not a safetensors file, or damaged: the header is wrong: {error}"))?;
        if metadata.data_len() != numbers.len() {
            return Err(format!(
                "damaged or cut off: the header speaks of {} bytes of numbers, but there are {}",
                metadata.data_len(),
                numbers.len()
            ));
        }
        Ok(Parsed { metadata, numbers })
    }

    /// The names in the order in which the tensors lie in the file.
    pub(super) fn names(&self) -> Vec<String> {
        self.metadata.offset_keys()
    }

    pub(super) fn tensor(&self, name: &str) -> Option<Found<'_>> {
        let info = self.metadata.info(name)?;
        let (start, end) = info.data_offsets;
        Some(Found { dtype: info.dtype, shape: &info.shape, bytes: self.numbers.get(start..end)? })
    }
}

/// The header and what follows it.
fn header(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<LENGTH>()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    rest.split_at_checked(length)
}
