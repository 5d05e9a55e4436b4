//! Integers of 64 bits, and amounts of memory with a unit.

use super::{is_space, until_nul};

/// Reads the canonical decimal text of an `i64`: an optional minus, then digits without leading zeros.
///
/// Anything else is `None`: an empty text, a plus, blanks, `-0`, a value out of range. So the text is always what
/// [`write_i64`] would print, and a value may be kept as an integer without anyone being able to tell.
#[inline]
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let magnitude = match digits {
        [b'0'] if !negative => 0,
        // Nineteen digits never overflow 64 bits without sign.
        [b'1'..=b'9', ..] if digits.len() <= 19 => parse_digits(digits)?,
        _ => return None,
    };
    if negative { 0i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

/// Reads up to nineteen digits, eight at a time as long as there are eight.
#[inline]
fn parse_digits(digits: &[u8]) -> Option<u64> {
    debug_assert!(digits.len() <= 19);
    let (eights, rest) = digits.as_chunks::<8>();
    let mut value = 0;
    for &eight in eights {
        value = value * 100_000_000 + parse_eight(eight)?;
    }
    for byte in rest {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u64::from(digit);
    }
    Some(value)
}

/// Reads eight digits. In one register, neighbours are joined to pairs, pairs to fours, and those to the whole.
#[inline]
fn parse_eight(digits: [u8; 8]) -> Option<u64> {
    const ZEROS: u64 = u64::from_ne_bytes([b'0'; 8]);
    // Digits are 0x30 to 0x39: the upper half is three, and stays so when six is added.
    const UPPER: u64 = u64::from_ne_bytes([0xf0; 8]);
    const SIXES: u64 = u64::from_ne_bytes([6; 8]);
    let text = u64::from_le_bytes(digits);
    if text & UPPER != ZEROS || text.wrapping_add(SIXES) & UPPER != ZEROS {
        return None;
    }
    // The most significant digit is in the lowest byte.
    let ones = text - ZEROS;
    let pairs = (ones * 10 + (ones >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some((fours * 10_000 + (fours >> 32)) & 0xffff_ffff)
}

/// Reads a `u64` as the cursor of `SCAN` and the parts of a stream ID are read.
///
/// The text ends at the first NUL. What [`parse_i64`] takes is taken if it is not negative. Otherwise the rules are
/// those of C's `strtoull`: leading blanks, a sign and leading zeros are accepted, and a minus negates modulo 2^64. A
/// text that does not fit 64 bits, has no digit or goes on behind them is `None`.
#[inline]
pub fn parse_u64(text: &[u8]) -> Option<u64> {
    match parse_i64(text) {
        Some(value) => u64::try_from(value).ok(),
        None => parse_u64_as_c(text),
    }
}

#[cold]
fn parse_u64_as_c(text: &[u8]) -> Option<u64> {
    let text = until_nul(text);
    if let Some(value) = parse_i64(text) {
        return u64::try_from(value).ok();
    }
    let start = text.iter().position(|&byte| !is_space(byte))?;
    let (negative, digits) = match &text[start..] {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    let magnitude = digits.iter().try_fold(0u64, |value, byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value.checked_mul(10)?.checked_add(u64::from(digit))
    })?;
    Some(if negative { magnitude.wrapping_neg() } else { magnitude })
}

/// The number of digits beyond which [`parse_memory`] refuses, whatever they are.
const MEMORY_DIGITS_MAX: usize = 127;

/// Reads an amount of memory in bytes, such as `100`, `64mb` or `1G`.
///
/// The unit may be in either case: `k`, `m`, `g` are powers of 1000, `kb`, `mb`, `gb` powers of 1024, `b` and none are
/// bytes. Signs, blanks, fractions and other units are `None`. As upstream has it, the text ends at a NUL, no digits
/// at all are zero, a number of more than 64 bits counts as `u64::MAX`, and the product with the unit wraps.
pub fn parse_memory(text: &[u8]) -> Option<u64> {
    let text = until_nul(text);
    let (digits, unit) = text.split_at(text.iter().take_while(|byte| byte.is_ascii_digit()).count());
    if digits.len() > MEMORY_DIGITS_MAX {
        return None;
    }
    let multiplier: u64 = match unit.to_ascii_lowercase().as_slice() {
        b"" | b"b" => 1,
        b"k" => 1000,
        b"kb" => 1 << 10,
        b"m" => 1_000_000,
        b"mb" => 1 << 20,
        b"g" => 1_000_000_000,
        b"gb" => 1 << 30,
        _ => return None,
    };
    let number = digits
        .iter()
        .fold(0u64, |value, byte| value.saturating_mul(10).saturating_add(u64::from(byte - b'0')));
    Some(number.wrapping_mul(multiplier))
}

/// Appends the decimal text of `value`.
#[inline]
pub fn write_i64(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends the decimal text of `value`.
#[inline]
pub fn write_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// The length in bytes of the text that [`write_i64`] prints.
#[inline]
pub fn decimal_len(value: i64) -> usize {
    let digits = value.unsigned_abs().checked_ilog10().unwrap_or(0) as usize + 1;
    digits + usize::from(value < 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn i64_takes_canonical_text_only() {
        for (text, value) in [
            ("0", 0),
            ("7", 7),
            ("-1", -1),
            ("99", 99),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
            ("1000000000000000000", 10i64.pow(18)),
        ] {
            assert_eq!(parse_i64(text.as_bytes()), Some(value), "{text}");
        }
        for text in [
            "",
            "-",
            "+1",
            "-0",
            "00",
            "01",
            "-01",
            " 1",
            "1 ",
            "1a",
            "a",
            "1.0",
            "1e3",
            "--1",
            "9223372036854775808",
            "-9223372036854775809",
            "9999999999999999999",
            "18446744073709551616",
            "99999999999999999999",
            "1\0",
        ] {
            assert_eq!(parse_i64(text.as_bytes()), None, "{text:?}");
        }
    }

    /// Each of these was tried as a `SCAN` cursor on upstream.
    #[test]
    fn u64_inherits_from_c() {
        for (text, value) in [
            ("0", 0),
            ("00", 0),
            ("+0", 0),
            (" 0", 0),
            ("\x0b0", 0),
            ("-0", 0),
            ("0\0", 0),
            ("5\x001", 5),
            (" -1", u64::MAX),
            ("18446744073709551615", u64::MAX),
            ("-18446744073709551615", 1),
        ] {
            assert_eq!(parse_u64(text.as_bytes()), Some(value), "{text:?}");
        }
        for text in [
            "",
            "\0",
            "-1",
            "-5\0",
            "0 ",
            "0x0",
            "a",
            "+",
            "-",
            " ",
            "18446744073709551616",
            "-18446744073709551616",
        ] {
            assert_eq!(parse_u64(text.as_bytes()), None, "{text:?}");
        }
    }

    /// Each of these was tried with `CONFIG SET maxmemory` on upstream.
    #[test]
    fn memory_units() {
        for (text, bytes) in [
            ("100", 100),
            ("10B", 10),
            ("5k", 5000),
            ("5kB", 5120),
            ("007kb", 7168),
            ("3m", 3_000_000),
            ("3mb", 3 << 20),
            ("1G", 1_000_000_000),
            ("1gb", 1 << 30),
            ("", 0),
            ("gb", 0),
            ("1\0junk", 1),
            ("18446744073709551615", u64::MAX),
            ("99999999999999999999", u64::MAX),
            ("20000000000gb", 3_028_092_406_290_448_384),
        ] {
            assert_eq!(parse_memory(text.as_bytes()), Some(bytes), "{text:?}");
        }
        for text in ["-1", "+1", " 1", "1 ", "1.5gb", "1t", "1tb", "1kib", "1 kb"] {
            assert_eq!(parse_memory(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(parse_memory(&[b'0'; 127]), Some(0));
        assert_eq!(parse_memory(&[b'0'; 128]), None);
    }

    proptest! {
        #[test]
        fn i64_round_trips(value: i64, shift in 0u32..64) {
            let value = value >> shift;
            let mut text = Vec::new();
            write_i64(&mut text, value);
            prop_assert_eq!(&text, &value.to_string().into_bytes());
            prop_assert_eq!(text.len(), decimal_len(value));
            prop_assert_eq!(parse_i64(&text), Some(value));
        }

        /// The text is accepted exactly if the standard library reads a number from it and prints it back.
        #[test]
        fn i64_accepts_what_prints_back(text in "[-+]?[0-9]{0,20}") {
            let expected = text.parse::<i64>().ok().filter(|value| value.to_string() == text);
            prop_assert_eq!(parse_i64(text.as_bytes()), expected);
        }

        /// One wrong byte anywhere.
        #[test]
        fn i64_refuses_other_bytes(digits in "[1-9][0-9]{0,17}", at in 0usize..18, byte: u8) {
            let mut text = digits.into_bytes();
            let at = at % text.len();
            prop_assume!(!byte.is_ascii_digit() && (at > 0 || byte != b'-'));
            text[at] = byte;
            prop_assert_eq!(parse_i64(&text), None);
        }

        #[test]
        fn u64_round_trips(value: u64, shift in 0u32..64) {
            let mut text = Vec::new();
            write_u64(&mut text, value >> shift);
            prop_assert_eq!(parse_u64(&text), Some(value >> shift));
        }
    }
}
