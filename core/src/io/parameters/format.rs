//! The format (<https://github.com/huggingface/safetensors#format>): eight bytes for the header's length, the header
//! (JSON with every tensor's name, element type, shape and place), then the numbers, little-endian.

use super::header::{Entries, Info};
use crate::element::{DType, Element};
use crate::nn::StateTensor;
use core::fmt::Write;

/// Bytes of the header's length.
const LENGTH: usize = size_of::<u64>();
/// The longest header that the format allows.
const LONGEST: usize = 100_000_000;
/// The numbers begin at a multiple of this in what is written.
const ALIGNMENT: usize = 8;
/// The entry of the header that is no tensor.
const METADATA: &str = "__metadata__";

/// The element type in the words of the format.
pub(super) fn dtype_of<E: Element>() -> &'static str {
    match E::DTYPE {
        DType::Bool => "BOOL",
        DType::F32 => "F32",
        DType::F64 => "F64",
        DType::I8 => "I8",
        DType::I16 => "I16",
        DType::I32 => "I32",
        DType::I64 => "I64",
        DType::U8 => "U8",
        DType::U16 => "U16",
        DType::U32 => "U32",
        DType::U64 => "U64",
    }
}

/// The bits of an element; `None` for a type that is not Plywood's, of which only the name matters.
fn bits_of(dtype: &str) -> Option<usize> {
    if dtype == "BOOL" {
        return Some(8);
    }
    let known = matches!(dtype, "F32" | "F64" | "I8" | "I16" | "I32" | "I64" | "U8" | "U16" | "U32" | "U64");
    if known { dtype[1..].parse().ok() } else { None }
}

/// Turns numbers of this machine into those of the format, and back.
pub(super) fn swap_bytes<E>(bytes: &mut [u8]) {
    if cfg!(target_endian = "big") {
        bytes.chunks_exact_mut(size_of::<E>()).for_each(<[u8]>::reverse);
    }
}

/// The bytes of a file with these tensors, as `safetensors.torch.save_file` writes it; `None` if their names fill more
/// than the format allows.
pub(super) fn file_of<E: Element>(mut tensors: Vec<StateTensor<'_, E>>) -> Option<Vec<u8>> {
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    // Tools look at this entry to know the names for PyTorch's.
    let mut header = format!(r#"{{"{METADATA}":{{"format":"pt"}}"#);
    let mut end = 0;
    for tensor in &tensors {
        let (start, name) = (end, serde_json::Value::from(tensor.name.as_str()));
        end += size_of_val(tensor.data);
        let shape = tensor.shape.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
        let dtype = dtype_of::<E>();
        let entry = write!(header, r#",{name}:{{"dtype":"{dtype}","shape":[{shape}],"data_offsets":[{start},{end}]}}"#);
        entry.expect("a String takes everything");
    }
    header.push('}');
    header.extend(core::iter::repeat_n(' ', header.len().next_multiple_of(ALIGNMENT) - header.len()));
    if header.len() > LONGEST {
        return None;
    }
    let mut bytes = Vec::with_capacity(LENGTH + header.len() + end);
    bytes.extend_from_slice(&(header.len() as u64).to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    for tensor in &tensors {
        let start = bytes.len();
        bytes.extend_from_slice(bytemuck::cast_slice(tensor.data));
        swap_bytes::<E>(&mut bytes[start..]);
    }
    Some(bytes)
}

/// A file whose header is sound: the tensors in it fill the numbers, one after another.
pub(super) struct Parsed<'a> {
    /// In the order in which they lie in the file.
    tensors: Vec<(String, Info)>,
    numbers: &'a [u8],
}

/// A tensor of a file.
pub(super) struct Found<'a> {
    pub(super) dtype: &'a str,
    pub(super) shape: &'a [usize],
    pub(super) bytes: &'a [u8],
}

impl<'a> Parsed<'a> {
    /// Reads the header; the error is a sentence.
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
        let wrong = |error: String| format!("not a safetensors file, or damaged: the header is wrong: {error}");
        let Entries(entries) = serde_json::from_slice(header).map_err(|error| wrong(error.to_string()))?;
        let entries = entries.into_iter().filter(|(name, _)| name != METADATA);
        let read = |(name, value): (String, serde_json::Value)| match Info::of(&value) {
            Some(info) => Ok((name, info)),
            None => Err(wrong(format!("`{}` is no tensor", name.escape_debug()))),
        };
        let mut tensors: Vec<(String, Info)> = entries.map(read).collect::<Result<_, _>>()?;
        tensors.sort_by_key(|(_, info)| info.place);
        let mut filled = 0;
        for (name, info) in &tensors {
            let (start, end) = info.place;
            let length = end.checked_sub(start).filter(|_| start == filled);
            let length = length.ok_or_else(|| {
                let name = name.escape_debug();
                wrong(format!("`{name}` lies in the bytes {start} to {end}, where {filled} are taken"))
            })?;
            if let Some(bits) = bits_of(&info.dtype) {
                let numel = info.shape.iter().try_fold(bits / 8, |product, size| product.checked_mul(*size));
                if numel != Some(length) {
                    let (name, shape) = (name.escape_debug(), crate::shape::Sizes(&info.shape[..]));
                    return Err(wrong(format!("`{name}` of shape {shape} does not fill its {length} bytes")));
                }
            }
            filled = end;
        }
        if filled != numbers.len() {
            let there = numbers.len();
            return Err(format!(
                "damaged or cut off: the header speaks of {filled} bytes of numbers, but there are {there}"
            ));
        }
        Ok(Parsed { tensors, numbers })
    }

    /// The names in the order in which the tensors lie in the file.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.iter().map(|(name, _)| name.as_str())
    }

    pub(super) fn tensor(&self, name: &str) -> Option<Found<'_>> {
        let (_, info) = self.tensors.iter().find(|(known, _)| known == name)?;
        let (start, end) = info.place;
        Some(Found { dtype: &info.dtype, shape: &info.shape, bytes: self.numbers.get(start..end)? })
    }
}

/// The header and what follows it.
fn header(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<LENGTH>()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok().filter(|length| *length <= LONGEST)?;
    rest.split_at_checked(length)
}
