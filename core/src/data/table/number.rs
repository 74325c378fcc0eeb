//! The text of a cell as a number.

use crate::element::{DType, Numeric};

pub(super) const MISSING: &str = "the cell is empty; fill it in or leave the row out";

/// The number, or what is wrong with the text.
pub(super) fn parse<E: Numeric>(text: &str) -> Result<E, String> {
    if text.is_empty() {
        return Err(MISSING.to_owned());
    }
    let float = matches!(E::DTYPE, DType::F32 | DType::F64);
    let value = text.parse::<f64>().map_err(|_| {
        let hint = if text.contains(',') { "; write the decimals after a point" } else { "" };
        format!("`{text}` is not a number{hint}")
    })?;
    // Rust reads `nan`, `inf` and `infinity` as floats, and rounds what is too large to infinity.
    if !value.is_finite() {
        return Err(match text.contains(|c: char| c.is_ascii_digit()) {
            true => format!("`{text}` is too large for {}", E::DTYPE),
            false => format!("`{text}` is not a finite number; fill in a number or leave the row out"),
        });
    }
    match E::from_str_radix(text, 10) {
        Ok(number) if number.to_f64().is_some_and(f64::is_finite) => Ok(number),
        _ if float => Err(format!("`{text}` is too large for {}", E::DTYPE)),
        _ => Err(format!("`{text}` is not a whole number that {} holds", E::DTYPE)),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn numbers_are_read_as_the_element_type_does() {
        assert_eq!(parse("-1.5e1"), Ok(-15.0f32));
        assert_eq!(parse("+.5"), Ok(0.5));
        assert_eq!(parse("0.1"), Ok(0.1f32));
        assert_eq!(parse("9007199254740993"), Ok(9_007_199_254_740_993i64));
        assert_eq!(parse("255"), Ok(255u8));
    }

    #[test]
    fn what_is_no_finite_number_of_the_type_is_an_error_in_words() {
        for text in ["nan", "NaN", "-nan", "inf", "-inf", "Infinity"] {
            let wrong = parse::<f64>(text).unwrap_err();
            assert_eq!(wrong, format!("`{text}` is not a finite number; fill in a number or leave the row out"));
        }
        assert_eq!(parse::<f64>("1e400").unwrap_err(), "`1e400` is too large for f64");
        assert_eq!(parse::<f32>("1e39").unwrap_err(), "`1e39` is too large for f32");
        assert_eq!(parse::<f32>("1,5").unwrap_err(), "`1,5` is not a number; write the decimals after a point");
        assert_eq!(parse::<i64>("4.0").unwrap_err(), "`4.0` is not a whole number that i64 holds");
        assert_eq!(parse::<u8>("256").unwrap_err(), "`256` is not a whole number that u8 holds");
        assert_eq!(parse::<u8>("-1").unwrap_err(), "`-1` is not a whole number that u8 holds");
        assert!(parse::<f32>("").unwrap_err().contains("empty"));
        assert!(parse::<f32>("yes").is_err() && parse::<f32>("1_000").is_err() && parse::<f32>("0x1F").is_err());
    }
}
