//! Numbers of JSON texts: C's `strtod` on the front of a text, and C's `%.*g`.
//!
//! Reading. The library reads what `strtod` reads, which is more than JSON has: leading zeroes, a leading `+`,
//! hexadecimal floats, infinities and `nan`. How far a number reaches decides where the next token begins, so the
//! length that was read is part of the answer. Nearly all numbers have at most nineteen digits and a small power of ten:
//! their digits fit a `u64`, and if that is below 2^53 and the power at most 10^22, both are doubles exactly, so
//! that one multiplication or division rounds correctly (William Clinger, "How to Read Floating Point Numbers
//! Accurately", PLDI 1990). The others go to the standard library.
//!
//! Writing. `%.14g` is the decimal rounding of the exact binary value to fourteen digits, which is slow to compute in
//! general. It can be had from the shortest digits that read back as the same double, which are fast to compute:
//!
//! - if there are at most as many as asked for, they are the answer: a double is closer to its shortest text than half a
//!   unit of the fourteenth digit, since fourteen digits are coarser than a double's 53 bits;
//! - if there are more, rounding *them* gives the same as rounding the value, unless they lie exactly in the middle
//!   between two candidates: a middle between value and shortest digits would be a text as short and closer to the value,
//!   so it would have been chosen as the shortest.
//!
//! What is left, the exact middle and subnormal numbers, is computed the slow way.

use crate::ds::numbers::hexfloat::HexFloat;

/// The largest power of ten that is a double exactly is 10^22.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// Reads a number at the front of `text` as C's `strtod` does, and returns it with its length in bytes.
///
/// `None` if no number is there. Leading blanks, which `strtod` skips, are not expected.
pub fn read_number(text: &[u8]) -> Option<(f64, usize)> {
    let sign = usize::from(matches!(text.first(), Some(b'-' | b'+')));
    let magnitude = &text[sign..];
    let (value, length) = match magnitude {
        [b'0', b'x' | b'X', ..] => read_hexadecimal(magnitude),
        [b'0'..=b'9' | b'.', ..] => read_decimal(magnitude)?,
        _ => read_word(magnitude)?,
    };
    Some((if text[0] == b'-' { -value } else { value }, sign + length))
}

fn count(text: &[u8], is: impl Fn(&u8) -> bool) -> usize {
    text.iter().position(|byte| !is(byte)).unwrap_or(text.len())
}

/// The length of an exponent at the front of `text`, zero if its letter is not followed by digits.
fn exponent_length(text: &[u8], letter: u8) -> usize {
    let digits_at = match text {
        [first, b'+' | b'-', ..] if first.eq_ignore_ascii_case(&letter) => 2,
        [first, ..] if first.eq_ignore_ascii_case(&letter) => 1,
        _ => return 0,
    };
    match count(&text[digits_at..], u8::is_ascii_digit) {
        0 => 0,
        digits => digits_at + digits,
    }
}

fn read_decimal(text: &[u8]) -> Option<(f64, usize)> {
    let mut mantissa = 0u64;
    let whole = count(text, u8::is_ascii_digit);
    let mut digits = whole;
    let mut length = whole;
    for byte in &text[..whole] {
        mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
    }
    let mut fraction = 0;
    if text.get(whole) == Some(&b'.') {
        fraction = count(&text[whole + 1..], u8::is_ascii_digit);
        for byte in &text[whole + 1..][..fraction] {
            mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
        }
        digits += fraction;
        length += 1 + fraction;
    }
    if digits == 0 {
        return None;
    }
    let exponent = exponent_length(&text[length..], b'e');
    if exponent == 0 && digits <= 19 && mantissa <= 1 << 53 && fraction < EXACT_POWERS.len() {
        return Some((mantissa as f64 / EXACT_POWERS[fraction], length));
    }
    length += exponent;
    let text = std::str::from_utf8(&text[..length]).expect("digits are ASCII");
    Some((text.parse().expect("a decimal number"), length))
}

/// Reads `0x`, digits with an optional point, and an optional power of two; or the zero in front of the letter.
fn read_hexadecimal(text: &[u8]) -> (f64, usize) {
    let whole = count(&text[2..], u8::is_ascii_hexdigit);
    let mut length = 2 + whole;
    let mut digits = whole;
    if text.get(length) == Some(&b'.') {
        let fraction = count(&text[length + 1..], u8::is_ascii_hexdigit);
        digits += fraction;
        length += 1 + fraction;
    }
    if digits == 0 {
        return (0.0, 1);
    }
    length += exponent_length(&text[length..], b'p');
    let float = HexFloat::parse(&text[..length]).expect("the form was checked");
    (float.to_f64(), length)
}

/// Reads `inf`, `infinity`, `nan` or `nan(letters)` in any case.
fn read_word(text: &[u8]) -> Option<(f64, usize)> {
    let begins = |word: &[u8]| text.len() >= word.len() && text[..word.len()].eq_ignore_ascii_case(word);
    if begins(b"infinity") {
        return Some((f64::INFINITY, 8));
    }
    if begins(b"inf") {
        return Some((f64::INFINITY, 3));
    }
    if !begins(b"nan") {
        return None;
    }
    if text.get(3) == Some(&b'(') {
        let letters = count(&text[4..], |byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        if text.get(4 + letters) == Some(&b')') {
            return Some((f64::NAN, 5 + letters));
        }
    }
    Some((f64::NAN, 3))
}

/// The most digits that are asked for. Up to fifteen the argument at the top of this file holds.
const MAX_PRECISION: usize = 14;

/// The most digits that the shortest text of a double has.
const MAX_DIGITS: usize = 17;

/// Significant digits: `d[0].d[1]d[2]… · 10^exponent`, the last of which is not zero.
struct Digits {
    digits: [u8; MAX_DIGITS],
    count: usize,
    exponent: i32,
}

impl Digits {
    /// Takes digits and exponent out of a text such as `12.5`, `0.001`, `1.5e-7` or `2e20`.
    fn from_text(text: &[u8]) -> Digits {
        let mut found = Digits { digits: [0; MAX_DIGITS], count: 0, exponent: 0 };
        let (mantissa, exponent) = match memchr::memchr(b'e', text) {
            Some(at) => (&text[..at], parse_small(&text[at + 1..])),
            None => (text, 0),
        };
        let mut before_point = 0;
        let mut point = false;
        for &byte in mantissa {
            match byte {
                b'.' => point = true,
                // Zeroes in front say where the others stand, and nothing else.
                b'0' if found.count == 0 => before_point -= i32::from(point),
                digit => {
                    before_point += i32::from(!point);
                    // Behind seventeen digits come only the zeroes of a whole number.
                    if found.count < MAX_DIGITS {
                        found.digits[found.count] = digit;
                        found.count += 1;
                    }
                }
            }
        }
        found.exponent = before_point - 1 + exponent;
        found.drop_zeroes();
        found
    }

    fn drop_zeroes(&mut self) {
        while self.count > 1 && self.digits[self.count - 1] == b'0' {
            self.count -= 1;
        }
    }

    /// Rounds to `precision` digits. `None` if the digits that go are exactly one half, which only the value can decide.
    fn round(mut self, precision: usize) -> Option<Digits> {
        if self.count <= precision {
            return Some(self);
        }
        let up = self.digits[precision] >= b'5';
        if self.digits[precision] == b'5' && self.count == precision + 1 {
            return None;
        }
        self.count = precision;
        if up {
            let kept = &mut self.digits[..precision];
            match kept.iter().rposition(|digit| *digit != b'9') {
                Some(at) => {
                    kept[at] += 1;
                    kept[at + 1..].fill(b'0');
                }
                None => {
                    kept.fill(b'0');
                    kept[0] = b'1';
                    self.exponent += 1;
                }
            }
        }
        self.drop_zeroes();
        Some(self)
    }

    /// Lays the digits out as `%.*g` does.
    fn write(&self, out: &mut Vec<u8>, precision: usize) {
        let digits = &self.digits[..self.count];
        match self.exponent {
            -4..=-1 => {
                out.extend_from_slice(&b"0.000"[..1 + self.exponent.unsigned_abs() as usize]);
                out.extend_from_slice(digits);
            }
            exponent if exponent >= 0 && (exponent as usize) < precision => {
                let whole = exponent as usize + 1;
                if whole >= digits.len() {
                    out.extend_from_slice(digits);
                    out.resize(out.len() + whole - digits.len(), b'0');
                } else {
                    out.extend_from_slice(&digits[..whole]);
                    out.push(b'.');
                    out.extend_from_slice(&digits[whole..]);
                }
            }
            exponent => {
                out.push(digits[0]);
                if digits.len() > 1 {
                    out.push(b'.');
                    out.extend_from_slice(&digits[1..]);
                }
                out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
                let magnitude = exponent.unsigned_abs();
                if magnitude < 10 {
                    out.push(b'0');
                }
                out.extend_from_slice(itoa::Buffer::new().format(magnitude).as_bytes());
            }
        }
    }
}

/// Reads the exponent that a formatting routine has written.
fn parse_small(text: &[u8]) -> i32 {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).expect("an exponent is a small integer")
}

/// Appends a number as C's `printf("%.*g", precision, value)` prints it. The precision is 1 to 14, as it may be configured.
pub fn write_number(out: &mut Vec<u8>, value: f64, precision: usize) {
    debug_assert!((1..=MAX_PRECISION).contains(&precision));
    if !value.is_finite() {
        return write_not_finite(out, value);
    }
    let integer = value as i64;
    if integer as f64 == value && integer.unsigned_abs() < 10u64.pow(precision as u32) {
        if integer == 0 && value.is_sign_negative() {
            out.push(b'-');
        }
        return out.extend_from_slice(itoa::Buffer::new().format(integer).as_bytes());
    }
    if value < 0.0 {
        out.push(b'-');
    }
    let magnitude = value.abs();
    if write_decimal(out, magnitude, precision) {
        return;
    }
    let shortest = || {
        let mut buffer = ryu::Buffer::new();
        Digits::from_text(buffer.format_finite(magnitude).as_bytes()).round(precision)
    };
    let digits = if magnitude.is_normal() { shortest() } else { None };
    let digits =
        digits.unwrap_or_else(|| Digits::from_text(format!("{magnitude:.*e}", precision - 1).as_bytes()));
    digits.write(out, precision);
}

/// Decimals behind the point up to which [`write_decimal`] looks: prices and percentages have two.
const FEW_DECIMALS: u32 = 3;

/// Appends a number of few decimals, and tells whether it is one.
///
/// If an integer below 10^precision, divided by a power of ten, is the value (the division rounds correctly), then its digits
/// are the value's digits: no other decimal number of at most 14 digits comes as close, because a double's neighbours are
/// nearer to it than such numbers are to each other.
fn write_decimal(out: &mut Vec<u8>, magnitude: f64, precision: usize) -> bool {
    let most = EXACT_POWERS[precision];
    for decimals in 1..=FEW_DECIMALS {
        let power = 10u64.pow(decimals);
        let scaled = (magnitude * power as f64).round();
        if scaled >= most {
            return false;
        }
        if scaled / power as f64 == magnitude {
            let (whole, part) = (scaled as u64 / power, scaled as u64 % power);
            out.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
            out.push(b'.');
            // A one in front keeps the zeroes behind the point.
            out.extend_from_slice(&itoa::Buffer::new().format(part + power).as_bytes()[1..]);
            return true;
        }
    }
    false
}

#[cold]
fn write_not_finite(out: &mut Vec<u8>, value: f64) {
    if value.is_sign_negative() {
        out.push(b'-');
    }
    out.extend_from_slice(if value.is_nan() { b"nan" } else { b"inf" });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::ffi::{CString, c_char};

    fn written(value: f64, precision: usize) -> String {
        let mut out = Vec::new();
        write_number(&mut out, value, precision);
        String::from_utf8(out).unwrap()
    }

    /// What the C library prints.
    fn printed(value: f64, precision: usize) -> String {
        let mut buffer = [0u8; 64];
        // SAFETY: the buffer's length is passed, and the arguments are an int and a double as the format says.
        let length = unsafe {
            libc::snprintf(
                buffer.as_mut_ptr().cast::<c_char>(),
                buffer.len(),
                c"%.*g".as_ptr(),
                precision as libc::c_int,
                value,
            )
        };
        String::from_utf8(buffer[..length as usize].to_vec()).unwrap()
    }

    /// What the C library reads.
    fn strtod(text: &[u8]) -> Option<(f64, usize)> {
        let text = CString::new(text).unwrap();
        let mut end = std::ptr::null_mut();
        // SAFETY: the text ends with a NUL, and `end` comes to point into it.
        let (value, length) = unsafe {
            let value = libc::strtod(text.as_ptr(), &mut end);
            (value, end.offset_from(text.as_ptr()))
        };
        (length > 0).then_some((value, length as usize))
    }

    #[test]
    fn numbers_are_written_as_by_printf() {
        let mut values =
            vec![0.0, -0.0, f64::MAX, f64::MIN_POSITIVE, 5e-324, 0.1, 1.0 / 3.0, 2.5, 1e14, 1e15];
        values.extend([99999999999999.0, 99999999999999.5, 999999999999995.0, 1e22, 1e23, -1234.5678]);
        values.extend([f64::INFINITY, f64::NEG_INFINITY, 9.5, 99.5, 0.00001, 0.0001, 123456.7, 1.5e300]);
        // Halves of the last digit: exactly representable, so that only the value decides.
        values.extend((1..60).map(|n| 1.0 / (1u64 << n) as f64));
        values.extend((0..20).map(|n| (2 * n + 1) as f64 / 2.0));
        for value in values {
            for precision in 1..=MAX_PRECISION {
                assert_eq!(written(value, precision), printed(value, precision), "{value:e} {precision}");
            }
        }
    }

    #[test]
    fn numbers_are_read_as_by_strtod() {
        for text in [
            "0",
            "-0",
            "+5",
            "1.5.3",
            "1e",
            "1e+",
            "1e5",
            "1E-5x",
            "01",
            "-",
            "+",
            "",
            ".",
            "-.5",
            "5.",
            "1.e3",
            "0x",
            "0x10",
            "0x.8",
            "0x1.8p",
            "0x1.8p3",
            "0x1p-1080",
            "0xg",
            "0x.",
            "inf",
            "-Infinity",
            "infinit",
            "nanx",
            "nan(",
            "nan(ab_1)",
            "nan(a-)",
            "NaN",
            "in",
            "1e400",
            "-1e400",
            "1e-400",
            "9007199254740993",
            "18446744073709551616",
            "0.1",
            "123456789012345678901234567890",
            "0.0000000000000000000000001",
            "1e22",
            "1e23",
            "4.35",
            "tru",
        ] {
            match (read_number(text.as_bytes()), strtod(text.as_bytes())) {
                (Some((a, n)), Some((b, m))) => assert_eq!((a.to_bits(), n), (b.to_bits(), m), "{text}"),
                (ours, theirs) => assert_eq!(ours, theirs, "{text}"),
            }
        }
    }

    proptest! {
        #[test]
        fn any_double_is_written_as_by_printf(bits: u64, precision in 1..=MAX_PRECISION) {
            let value = f64::from_bits(bits);
            prop_assume!(!value.is_nan());
            prop_assert_eq!(written(value, precision), printed(value, precision));
        }

        #[test]
        fn doubles_of_few_digits_are_written_as_by_printf(n: i32, k in -12i32..12, precision in 1..=MAX_PRECISION) {
            let value = f64::from(n) * 10f64.powi(k);
            prop_assert_eq!(written(value, precision), printed(value, precision));
        }

        #[test]
        fn halves_are_written_as_by_printf(n in 0u64..1 << 53, shift in 0i32..60, precision in 1..=MAX_PRECISION) {
            let value = n as f64 / 2f64.powi(shift);
            prop_assert_eq!(written(value, precision), printed(value, precision));
        }

        #[test]
        fn any_text_is_read_as_by_strtod(text in "[-+]?(0x)?[0-9]{0,22}(\\.[0-9]{0,22})?([eEpP][-+]?[0-9]{0,3})?[a-fx.]?") {
            match (read_number(text.as_bytes()), strtod(text.as_bytes())) {
                (Some((a, n)), Some((b, m))) => prop_assert_eq!((a.to_bits(), n), (b.to_bits(), m)),
                (ours, theirs) => prop_assert_eq!(ours, theirs),
            }
        }
    }
}
