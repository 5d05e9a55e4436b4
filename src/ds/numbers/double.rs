//! Reading doubles.
//!
//! The decimal to binary conversion itself, correctly rounded, is the standard library's. What is decided here is
//! which texts count as numbers.

use super::hexfloat::HexFloat;
use super::{parse_i64, until_nul};

/// Reads a double as the scores of `ZADD` and other floating point arguments are read.
///
/// All of the text must be a number as C's `strtod` knows them: an optional sign, then decimal digits with optional
/// point and exponent, a hexadecimal float (`0x1.8p3`), or `inf` or `infinity` in any case. Blanks are not accepted,
/// `nan` is not, and neither is a finite number too large for a double or so small that it would become zero.
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    /// Integers up to here are doubles exactly.
    const EXACT: u64 = 1 << 53;
    if let Some(value) = parse_i64(text).filter(|value| value.unsigned_abs() <= EXACT) {
        return Some(value as f64);
    }
    let (negative, magnitude) = split_sign(text);
    let value = match HexFloat::parse(magnitude) {
        Some(hex) => {
            let value = hex.to_f64();
            let out_of_range = value.is_infinite() || (value == 0.0 && hex.mantissa != 0);
            (!out_of_range).then_some(value)?
        }
        None => {
            let value = parse_decimal(magnitude)?;
            (!out_of_range(value, magnitude)).then_some(value)?
        }
    };
    Some(if negative { -value } else { value })
}

/// Reads a double as `ZRANGEBYSCORE`, `ZCOUNT` and the like read a bound of an interval, without its parenthesis.
///
/// Unlike [`parse_f64`], this looks at the text up to the first NUL, takes an empty one for zero, knows no hexadecimal
/// floats, and rounds what is out of range to an infinity or to zero.
pub fn parse_score_bound(text: &[u8]) -> Option<f64> {
    let text = until_nul(text);
    if text.is_empty() {
        return Some(0.0);
    }
    let (negative, magnitude) = split_sign(text);
    let value = parse_decimal(magnitude)?;
    Some(if negative { -value } else { value })
}

fn split_sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', magnitude @ ..] => (true, magnitude),
        [b'+', magnitude @ ..] => (false, magnitude),
        magnitude => (false, magnitude),
    }
}

/// Reads a number without sign: decimal, or an infinity.
fn parse_decimal(magnitude: &[u8]) -> Option<f64> {
    if !matches!(magnitude.first(), Some(b'0'..=b'9' | b'.' | b'i' | b'I')) {
        return None;
    }
    std::str::from_utf8(magnitude).ok()?.parse().ok()
}

/// Whether a finite number was rounded to `value` because no double is near.
fn out_of_range(value: f64, magnitude: &[u8]) -> bool {
    if value.is_infinite() {
        return magnitude[0].is_ascii_digit() || magnitude[0] == b'.';
    }
    let is_mantissa = |byte: &&u8| !matches!(byte, b'e' | b'E');
    value == 0.0 && magnitude.iter().take_while(is_mantissa).any(|byte| matches!(byte, b'1'..=b'9'))
}

/// A double as C's `%.17g` prints it: 17 significant digits, trailing zeroes of a fraction left out. It reads back as the
/// same double, and is longer than it must be.
pub fn format_17_digits(value: f64) -> String {
    if !value.is_finite() {
        return value.to_string();
    }
    let scientific = format!("{value:.16e}");
    let (digits, exponent) = scientific.split_once('e').expect("this format has an exponent");
    let exponent: i32 = exponent.parse().expect("an exponent is an integer");
    let without_zeroes = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if (-4..17).contains(&exponent) {
        return without_zeroes(&format!("{value:.*}", (16 - exponent) as usize));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", without_zeroes(digits), exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Each of these was given to `ZADD` on upstream.
    #[test]
    fn strict() {
        for (text, value) in [
            ("1", 1.0),
            ("+1", 1.0),
            ("00012", 12.0),
            ("1e5", 1e5),
            ("1E+5", 1e5),
            (".5", 0.5),
            ("+.5", 0.5),
            ("5.", 5.0),
            ("-.5", -0.5),
            ("0x10", 16.0),
            ("+0X1p3", 8.0),
            ("-0x.8", -0.5),
            ("inf", f64::INFINITY),
            ("-INF", f64::NEG_INFINITY),
            ("+Infinity", f64::INFINITY),
            ("0e400", 0.0),
            ("4.9e-324", 5e-324),
            ("1.7976931348623157e308", f64::MAX),
            ("9007199254740993", 9007199254740992.0),
        ] {
            assert_eq!(parse_f64(text.as_bytes()), Some(value), "{text}");
        }
        for text in [
            "",
            " 1",
            "1 ",
            "\t1",
            ".",
            "+",
            "-",
            "e5",
            "1e",
            "1e+",
            "--1",
            "+-1",
            "- 1",
            "1_0",
            "1,5",
            "1d",
            "1.2.3",
            "infin",
            "nan",
            "NaN",
            "-nan",
            "nan(1)",
            "1e400",
            "-1e400",
            "1e-400",
            "2e-324",
            "1.7976931348623159e308",
            "0x",
            "0x1p2000",
            "0x1p-2000",
            "1\0",
            "\x001",
            "1\x002",
        ] {
            assert_eq!(parse_f64(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(parse_f64(b"-0").map(f64::to_bits), Some((-0.0f64).to_bits()));
        assert_eq!(parse_f64(b"1\xa0"), None);
        let long = [b"0.".as_slice(), &[b'0'; 300], b"1"].concat();
        assert_eq!(parse_f64(&long), Some(1e-301));
    }

    /// Each of these was given to `ZCOUNT` on upstream.
    #[test]
    fn bounds() {
        for (text, value) in [
            ("", 0.0),
            ("\x001", 0.0),
            ("1\x002", 1.0),
            ("+1", 1.0),
            ("1e400", f64::INFINITY),
            ("-1e400", f64::NEG_INFINITY),
            ("1e-400", 0.0),
            ("-inf", f64::NEG_INFINITY),
            ("+infinity", f64::INFINITY),
        ] {
            assert_eq!(parse_score_bound(text.as_bytes()), Some(value), "{text:?}");
        }
        for text in [" 1", "1 ", "0x10", "nan", "infin", "+", "-", ".", "a", "1e"] {
            assert_eq!(parse_score_bound(text.as_bytes()), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn printed_doubles_read_back(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(!value.is_nan());
            prop_assert_eq!(parse_f64(format!("{value:e}").as_bytes()).map(f64::to_bits), Some(bits));
        }

        #[test]
        fn any_bytes_are_safe(text: Vec<u8>) {
            parse_f64(&text);
            parse_score_bound(&text);
        }
    }

    #[test]
    fn seventeen_digits_are_those_of_c() {
        for (value, text) in [
            (0.0, "0"),
            (-1.5, "-1.5"),
            (0.1, "0.10000000000000001"),
            (100.0, "100"),
            (1e16, "10000000000000000"),
            (1e17, "1e+17"),
            (1.25e-5, "1.2500000000000001e-05"),
            (0.0001, "0.0001"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(format_17_digits(value), text);
        }
    }
}
