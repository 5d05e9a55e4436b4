//! Numbers read as C's `atoi`, `strtoll` and `atof` read them: leading blanks are skipped, and whatever follows the
//! number is ignored. Options such as `-n 3x` and the type checks of inline hints have always been that forgiving.

/// The integer that `text` begins with, clamped to the range of `i64`, and what follows it. `None` when there is none.
pub fn leading_integer(text: &[u8]) -> Option<(i64, &[u8])> {
    let text = text.trim_ascii_start();
    let (negative, digits) = match text.first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let len = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if len == 0 {
        return None;
    }
    let step = |sum: i64, digit: &u8| {
        let digit = i64::from(digit - b'0');
        sum.saturating_mul(10).saturating_add(if negative { -digit } else { digit })
    };
    Some((digits[..len].iter().fold(0, step), &digits[len..]))
}

/// The integer that `text` begins with, or 0.
pub fn integer_or_zero(text: &[u8]) -> i64 {
    leading_integer(text).map_or(0, |(value, _)| value)
}

/// The floating-point number that `text` begins with. `None` when there is none.
pub fn leading_float(text: &[u8]) -> Option<f64> {
    let text = text.trim_ascii_start();
    let digits = |from: usize| text[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let sign = usize::from(matches!(text.first(), Some(b'-' | b'+')));
    for word in ["infinity", "inf", "nan"] {
        if text.len() >= sign + word.len()
            && text[sign..sign + word.len()].eq_ignore_ascii_case(word.as_bytes())
        {
            return parse(&text[..sign + word.len()]);
        }
    }
    let whole = digits(sign);
    let mut end = sign + whole;
    if text.get(end) == Some(&b'.') {
        let fraction = digits(end + 1);
        if whole + fraction == 0 {
            return None;
        }
        end += 1 + fraction;
    } else if whole == 0 {
        return None;
    }
    if matches!(text.get(end), Some(b'e' | b'E')) {
        let exponent_sign = usize::from(matches!(text.get(end + 1), Some(b'-' | b'+')));
        let exponent = digits((end + 1 + exponent_sign).min(text.len()));
        if exponent > 0 {
            end += 1 + exponent_sign + exponent;
        }
    }
    parse(&text[..end])
}

fn parse(text: &[u8]) -> Option<f64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers() {
        assert_eq!(leading_integer(b" 12abc"), Some((12, b"abc".as_slice())));
        assert_eq!(leading_integer(b"-7"), Some((-7, b"".as_slice())));
        assert_eq!(leading_integer(b"x"), None);
        assert_eq!(leading_integer(b"-"), None);
        assert_eq!(leading_integer(b""), None);
        assert_eq!(integer_or_zero(b"99999999999999999999"), i64::MAX);
        assert_eq!(integer_or_zero(b"-99999999999999999999"), i64::MIN);
    }

    #[test]
    fn floats() {
        assert_eq!(leading_float(b"0.5s"), Some(0.5));
        assert_eq!(leading_float(b"-2.345"), Some(-2.345));
        assert_eq!(leading_float(b".5"), Some(0.5));
        assert_eq!(leading_float(b"1."), Some(1.0));
        assert_eq!(leading_float(b"1e3"), Some(1000.0));
        assert_eq!(leading_float(b"1e"), Some(1.0));
        assert_eq!(leading_float(b"-inf"), Some(f64::NEG_INFINITY));
        assert_eq!(leading_float(b"."), None);
        assert_eq!(leading_float(b"X"), None);
        assert_eq!(leading_float(b""), None);
    }
}
