//! The header of an .npy file: a magic number, a version, and a dictionary of Python with type, order and shape.

use super::literal::Literal;
use crate::element::DType;

/// What every .npy file begins with.
pub(super) const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// What a header says of the elements behind it.
#[derive(Debug, PartialEq)]
pub(super) struct Header {
    pub(super) dtype: DType,
    /// Whether the elements have their most significant byte first.
    pub(super) big_endian: bool,
    /// Whether the first size, not the last, is the one along which neighbours lie.
    pub(super) fortran: bool,
    pub(super) sizes: Vec<usize>,
}

impl Header {
    /// Reads the dictionary; the error is a sentence.
    pub(super) fn of(text: &str) -> Result<Self, String> {
        let broken = || format!("damaged: the header is `{}`", shown(text));
        let Some(Literal::Dict(entries)) = Literal::of(text) else { return Err(broken()) };
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        for (key, value) in entries {
            match (key, value) {
                (Literal::Str(key), value) if key == "descr" => descr = Some(value),
                (Literal::Str(key), Literal::Bool(value)) if key == "fortran_order" => fortran = Some(value),
                (Literal::Str(key), Literal::List(value)) if key == "shape" => shape = Some(value),
                _ => return Err(broken()),
            }
        }
        let (Some(descr), Some(fortran), Some(shape)) = (descr, fortran, shape) else { return Err(broken()) };
        let (dtype, big_endian) = match &descr {
            Literal::Str(descr) => element_of(descr)?,
            _ => return Err("the file holds records of several fields; save each field as an array".to_owned()),
        };
        let size = |literal| match literal {
            Literal::Int(size) => Ok(size),
            _ => Err(broken()),
        };
        let sizes = shape.into_iter().map(size).collect::<Result<_, _>>()?;
        Ok(Header { dtype, big_endian, fortran, sizes })
    }

    /// The magic number, the version and the dictionary as NumPy writes them, byte by byte.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let sizes: Vec<String> = self.sizes.iter().map(usize::to_string).collect();
        let comma = if sizes.len() == 1 { "," } else { "" };
        let order = if self.fortran { "True" } else { "False" };
        let descr = descr_of(self.dtype, self.big_endian);
        let shape = format!("({}{comma})", sizes.join(", "));
        let mut text = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}");
        // NumPy leaves room for the size along which an array grows, to 21 digits.
        let grows = if self.fortran { sizes.last() } else { sizes.first() };
        text.extend(core::iter::repeat_n(' ', grows.map_or(0, |size| 21 - size.len())));
        // Magic, version, the length in two bytes, the text and a line break fill lines of 64 bytes.
        let before = MAGIC.len() + 4;
        text.extend(core::iter::repeat_n(' ', 63 - (before + text.len()) % 64));
        text.push('\n');
        let length = u16::try_from(text.len()).expect("six sizes of at most twenty digits");
        [MAGIC, &[1, 0][..], &length.to_le_bytes(), text.as_bytes()].concat()
    }
}

const TYPES: [(DType, &str); 11] = [
    (DType::Bool, "b1"),
    (DType::F32, "f4"),
    (DType::F64, "f8"),
    (DType::I8, "i1"),
    (DType::I16, "i2"),
    (DType::I32, "i4"),
    (DType::I64, "i8"),
    (DType::U8, "u1"),
    (DType::U16, "u2"),
    (DType::U32, "u4"),
    (DType::U64, "u8"),
];

fn descr_of(dtype: DType, big_endian: bool) -> String {
    let (_, name) = TYPES.iter().find(|(known, _)| *known == dtype).expect("every type of elements has a name");
    let order = match (name.ends_with('1'), big_endian) {
        (true, _) => '|',
        (false, false) => '<',
        (false, true) => '>',
    };
    format!("{order}{name}")
}

/// The type of the elements, and whether their most significant byte comes first.
fn element_of(descr: &str) -> Result<(DType, bool), String> {
    let (big_endian, name) = match descr.split_at_checked(1) {
        Some(("<" | "|", name)) => (false, name),
        Some((">", name)) => (true, name),
        Some(("=", name)) => (cfg!(target_endian = "big"), name),
        _ => (false, descr),
    };
    if let Some((dtype, _)) = TYPES.iter().find(|(_, known)| *known == name) {
        return Ok((*dtype, big_endian));
    }
    let what = match name.chars().next() {
        Some('O') => "Python objects, which only Python can read",
        Some('f') => "floats of another size; in NumPy, `x.astype(numpy.float32)` makes f32 of them",
        Some('c') => "complex numbers; in NumPy, `x.real` and `x.imag` are arrays of floats",
        Some('U' | 'S' | 'a' | 'T') => "text",
        Some('M' | 'm') => "times; in NumPy, `x.astype(numpy.int64)` makes i64 of them",
        Some('V') => "bytes without a meaning",
        _ => "elements of a type that is unknown here",
    };
    Err(format!("the file holds {what} (`{}`)", shown(descr)))
}

/// Text of a file, short and clean enough for a message.
fn shown(text: &str) -> String {
    let text = text.trim_end();
    let clean = text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c });
    let more = if text.chars().nth(100).is_some() { "…" } else { "" };
    format!("{}{more}", clean.take(100).collect::<String>())
}
