//! Tensors print as in PyTorch: `tensor([[1., 2.], [3., 4.]])`, aligned, wrapped at 80 columns, and with `...` in place
//! of the middle where there are more than a thousand elements.

use super::{Storage, Tensor};
use crate::element::{DType, Element};
use crate::shape::Shape;
use core::fmt::{self, Display};

/// Columns of a line.
const LINE: usize = 80;
/// The number of elements above which the middle is left out.
const THRESHOLD: usize = 1000;
/// What is left at each end of a dimension of which the middle is left out.
const EDGE: usize = 3;
/// Digits after the point unless the format string says otherwise.
const PRECISION: usize = 4;
const HEAD: &str = "tensor(";

/// As PyTorch prints a tensor on the CPU, with Rust's names for the element types.
///
/// Whole numbers print as `1.`, others with four digits after the point, or as many as the format string says
/// (`{:.2}`). Where magnitudes differ by more than a thousand, or lie above 10⁸ or below 10⁻⁴, all numbers print with
/// an exponent.
///
/// ```
/// use plywood::prelude::*;
///
/// let x: Tensor<Shape![2, 3]> = tensor![[1.0, -2.5, 3.25], [0.125, 10.0, 0.0]];
/// assert_eq!(
///     x.to_string(),
///     "tensor([[ 1.0000, -2.5000,  3.2500],\n        [ 0.1250, 10.0000,  0.0000]])"
/// );
/// assert_eq!(format!("{:.1}", x.row(1).unwrap()), "tensor([ 0.1, 10.0,  0.0])");
///
/// let classes: Tensor<Shape![3], i32> = tensor![2, 0, 1];
/// assert_eq!(classes.to_string(), "tensor([2, 0, 1], dtype=i32)");
/// ```
impl<S: Shape, E: Element, B: Storage<E>> Display for Tensor<S, E, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes = self.sizes();
        let (sizes, data) = (sizes.as_ref(), &*self.read());
        let mut text = HEAD.to_owned();
        if data.is_empty() {
            text.push_str("[]");
        } else {
            let summarized = data.len() > THRESHOLD;
            let precision = f.precision().unwrap_or(PRECISION);
            let format = Format::of(&shown(data, sizes, summarized), precision);
            nest(&mut text, data, sizes, HEAD.len(), &Page { format, summarized });
        }
        for suffix in suffixes(sizes, E::DTYPE) {
            let line = text.len() - text.rfind('\n').map_or(0, |end| end + 1);
            // Two columns more than the suffix with its comma needs: PyTorch keeps them free.
            if line + suffix.len() + 4 > LINE {
                text.push_str(",\n");
                text.extend(core::iter::repeat_n(' ', HEAD.len()));
            } else {
                text.push_str(", ");
            }
            text.push_str(&suffix);
        }
        write!(f, "{text})")
    }
}

/// What follows the numbers: what they do not tell by themselves.
fn suffixes(sizes: &[usize], dtype: DType) -> Vec<String> {
    let empty = sizes.contains(&0);
    let mut suffixes = Vec::new();
    if empty && sizes.len() > 1 {
        let sizes: Vec<String> = sizes.iter().map(usize::to_string).collect();
        suffixes.push(format!("size=({})", sizes.join(", ")));
    }
    if !(dtype == DType::F32 || matches!(dtype, DType::I64 | DType::Bool) && !empty) {
        suffixes.push(format!("dtype={dtype}"));
    }
    suffixes
}

struct Page {
    format: Format,
    summarized: bool,
}

/// The positions shown of a dimension; `None` stands for those left out.
fn positions(size: usize, summarized: bool) -> impl Iterator<Item = Option<usize>> {
    let cut = summarized && size > 2 * EDGE;
    let head = if cut { EDGE } else { size };
    let tail = if cut { size - EDGE } else { size };
    (0..head).map(Some).chain(cut.then_some(None)).chain((tail..size).map(Some))
}

/// The elements shown: they alone decide on format and width.
fn shown<E: Element>(data: &[E], sizes: &[usize], summarized: bool) -> Vec<E> {
    let Some((&size, inner)) = sizes.split_first().filter(|_| summarized) else {
        return data.to_vec();
    };
    let stride = data.len() / size;
    positions(size, true).flatten().flat_map(|i| shown(&data[i * stride..][..stride], inner, true)).collect()
}

fn nest<E: Element>(text: &mut String, data: &[E], sizes: &[usize], indent: usize, page: &Page) {
    match sizes {
        [] => text.push_str(&page.format.padded(data[0])),
        [size] => row(text, data, *size, indent, page),
        [size, inner @ ..] => {
            let stride = data.len() / size;
            text.push('[');
            for (k, position) in positions(*size, page.summarized).enumerate() {
                if k > 0 {
                    text.push(',');
                    text.extend(core::iter::repeat_n('\n', inner.len()));
                    text.extend(core::iter::repeat_n(' ', indent + 1));
                }
                match position {
                    Some(i) => nest(text, &data[i * stride..][..stride], inner, indent + 1, page),
                    None => text.push_str("..."),
                }
            }
            text.push(']');
        }
    }
}

fn row<E: Element>(text: &mut String, data: &[E], size: usize, indent: usize, page: &Page) {
    let on_a_line = (LINE.saturating_sub(indent) / (page.format.width + 2)).max(1);
    text.push('[');
    for (k, position) in positions(size, page.summarized).enumerate() {
        if k > 0 && k % on_a_line == 0 {
            text.push_str(",\n");
            text.extend(core::iter::repeat_n(' ', indent + 1));
        } else if k > 0 {
            text.push_str(", ");
        }
        match position {
            Some(i) => text.push_str(&page.format.padded(data[i])),
            None => text.push_str(" ..."),
        }
    }
    text.push(']');
}

#[derive(Clone, Copy, PartialEq)]
enum Style {
    /// An integer type or bool: `1`, `true`.
    Integer,
    /// Floats that are all whole: `1.`.
    Whole,
    /// `1.0000`.
    Fixed,
    /// `1.0000e+00`.
    Scientific,
}

/// How every number of a tensor is written.
struct Format {
    style: Style,
    precision: usize,
    width: usize,
}

impl Format {
    fn of<E: Element>(shown: &[E], precision: usize) -> Self {
        if !matches!(E::DTYPE, DType::F32 | DType::F64) {
            return Format { style: Style::Integer, precision, width: 1 }.widened(shown);
        }
        // Zeros, infinities and NaN have no say: they print in any style and may stand out of their column.
        let numbers: Vec<E> = shown.iter().copied().filter(|x| float(*x).is_finite() && float(*x) != 0.0).collect();
        let magnitudes = || numbers.iter().map(|x| float(*x).abs());
        let (min, max) = (magnitudes().fold(f64::INFINITY, f64::min), magnitudes().fold(0.0, f64::max));
        let style = if numbers.is_empty() {
            Style::Whole
        } else if max / min > 1000.0 || max > 1e8 || min < 1e-4 {
            Style::Scientific
        } else if magnitudes().all(|x| x.fract() == 0.0) {
            Style::Whole
        } else {
            Style::Fixed
        };
        Format { style, precision, width: 1 }.widened(&numbers)
    }

    fn widened<E: Element>(mut self, numbers: &[E]) -> Self {
        self.width = numbers.iter().map(|x| self.text(*x).len()).max().unwrap_or(0).max(1);
        self
    }

    fn padded<E: Element>(&self, x: E) -> String {
        format!("{:>1$}", self.text(x), self.width)
    }

    fn text<E: Element>(&self, x: E) -> String {
        let (precision, value) = (self.precision, float(x));
        match self.style {
            Style::Integer => x.to_string(),
            _ if value.is_nan() => "nan".to_owned(),
            _ if value.is_infinite() => value.to_string(),
            Style::Whole => format!("{value:.0}."),
            Style::Fixed => format!("{value:.precision$}"),
            Style::Scientific => {
                let text = format!("{value:.precision$e}");
                let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
                let exponent: i32 = exponent.parse().unwrap_or(0);
                format!("{digits}e{exponent:+03}")
            }
        }
    }
}

/// An `f32` widened exactly, so that one printer serves both float types.
fn float<E: Element>(x: E) -> f64 {
    x.cast_to().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use crate::dim::Dyn;
    use crate::element::{DType, Element};
    use crate::shape::Shape;
    use crate::tensor::Tensor;

    /// Made by `tests/parity/display.py` with PyTorch.
    const CASES: &str = include_str!("testdata/display.txt");

    fn full<E: Element>(values: &str, sizes: &[usize], read: impl Fn(&str) -> E) -> Vec<E> {
        let values: Vec<E> = values.split(' ').map(read).collect();
        values.iter().copied().cycle().take(sizes.iter().product()).collect()
    }

    fn shaped<S: Shape, E: Element>(data: &[E], sizes: &[usize], precision: usize) -> String {
        let shape = S::from_sizes(sizes).expect("the sizes of the type");
        let tensor = Tensor::from_slice_of(shape, data).expect("as many elements as the shape");
        if precision == super::PRECISION { tensor.to_string() } else { format!("{tensor:.precision$}") }
    }

    fn printed<E: Element>(data: &[E], sizes: &[usize], precision: usize) -> String {
        match sizes.len() {
            0 => shaped::<(), E>(data, sizes, precision),
            1 => shaped::<(Dyn,), E>(data, sizes, precision),
            2 => shaped::<(Dyn, Dyn), E>(data, sizes, precision),
            3 => shaped::<(Dyn, Dyn, Dyn), E>(data, sizes, precision),
            4 => shaped::<(Dyn, Dyn, Dyn, Dyn), E>(data, sizes, precision),
            5 => shaped::<(Dyn, Dyn, Dyn, Dyn, Dyn), E>(data, sizes, precision),
            _ => shaped::<(Dyn, Dyn, Dyn, Dyn, Dyn, Dyn), E>(data, sizes, precision),
        }
    }

    #[test]
    fn text_is_that_of_pytorch() {
        let mut count = 0;
        for case in CASES.trim_start_matches("# ").split("\n# ") {
            let (head, expected) = case.split_once('\n').expect("a head and a text");
            let (kind, values) = head.split_once(": ").expect("a kind and values");
            let (dtype, rest) = kind.split_once(" [").expect("an element type and sizes");
            let (sizes, precision) = rest.split_once("] ").expect("sizes and a precision");
            let precision = precision.parse().expect("a precision");
            let sizes: Vec<usize> =
                sizes.split(", ").filter(|s| !s.is_empty()).map(|s| s.parse().expect("a size")).collect();
            macro_rules! text {
                ($read:expr) => {
                    printed(&full(values, &sizes, $read), &sizes, precision)
                };
            }
            macro_rules! integers {
                ($ty:ident) => {
                    text!(|s| s.parse::<$ty>().expect("an integer"))
                };
            }
            let text = match dtype {
                "f32" => text!(|s| f32::from_bits(u32::from_str_radix(s, 16).expect("bits"))),
                "f64" => text!(|s| f64::from_bits(u64::from_str_radix(s, 16).expect("bits"))),
                "i8" => integers!(i8),
                "i16" => integers!(i16),
                "i32" => integers!(i32),
                "i64" => integers!(i64),
                "u8" => integers!(u8),
                "u16" => integers!(u16),
                "u32" => integers!(u32),
                "u64" => integers!(u64),
                other => panic!("no element type {other}"),
            };
            assert_eq!(text, expected.trim_end_matches('\n'), "{head}");
            count += 1;
        }
        assert!(count > 700, "only {count} cases were found");
    }

    #[test]
    fn only_what_differs_from_the_default_type_is_named() {
        assert_eq!(super::suffixes(&[2], DType::F32), [""; 0]);
        assert_eq!(super::suffixes(&[2], DType::I64), [""; 0]);
        assert_eq!(super::suffixes(&[2], DType::Bool), [""; 0]);
        assert_eq!(super::suffixes(&[0], DType::I64), ["dtype=i64"]);
        assert_eq!(super::suffixes(&[0, 3], DType::F64), ["size=(0, 3)", "dtype=f64"]);
    }
}
