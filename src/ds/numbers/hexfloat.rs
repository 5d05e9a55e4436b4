//! Hexadecimal floats, such as `0x1.8p3`, which C's `strtod` family reads and commands therefore accept.

/// A hexadecimal float before it is rounded to any format: `mantissa · 2^exponent`, and a little more if `inexact`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HexFloat {
    /// The leading bits. If bits were dropped, at least 120 are here.
    pub mantissa: u128,
    /// The power of two of the mantissa's last bit. Absurd exponents are clamped, far outside of every format.
    pub exponent: i64,
    /// Whether a bit that is one was dropped behind the mantissa.
    pub inexact: bool,
}

/// Exponents are clamped to this magnitude. No text in memory has enough digits to bring a value back from there.
const EXPONENT_LIMIT: i64 = 1 << 60;

impl HexFloat {
    /// Reads all of `text`, without sign: `0x`, digits with at most one point, and optionally `p` and a decimal exponent.
    /// `None` if it is anything else.
    pub fn parse(text: &[u8]) -> Option<HexFloat> {
        let [b'0', b'x' | b'X', digits @ ..] = text else { return None };
        let mut float = HexFloat { mantissa: 0, exponent: 0, inexact: false };
        let mut point = false;
        let mut any = false;
        for (index, &byte) in digits.iter().enumerate() {
            match byte {
                b'.' if !point => point = true,
                b'p' | b'P' if any => {
                    let exponent = parse_exponent(&digits[index + 1..])?;
                    float.exponent = (float.exponent + exponent).clamp(-EXPONENT_LIMIT, EXPONENT_LIMIT);
                    return Some(float);
                }
                _ => {
                    let digit = char::from(byte).to_digit(16)?;
                    any = true;
                    float.push(digit, point);
                }
            }
        }
        any.then_some(float)
    }

    fn push(&mut self, digit: u32, behind_point: bool) {
        if self.mantissa >> 120 == 0 {
            self.mantissa = self.mantissa << 4 | u128::from(digit);
            self.exponent -= if behind_point { 4 } else { 0 };
        } else {
            self.inexact |= digit != 0;
            self.exponent += if behind_point { 0 } else { 4 };
        }
    }

    /// Rounds to the nearest double, ties to even. Overflow gives infinity, underflow zero.
    pub fn to_f64(self) -> f64 {
        if self.mantissa == 0 {
            return 0.0;
        }
        let bits = 128 - i64::from(self.mantissa.leading_zeros());
        let top = self.exponent + bits - 1;
        if top > 1023 {
            return f64::INFINITY;
        }
        // The weight of the last bit that the result can hold: 52 places below the first, or the smallest subnormal.
        let last = (top - 52).max(-1074);
        let drop = last - self.exponent;
        let significand = round_shift(self.mantissa, drop, self.inexact);
        // At most 53 bits, or 2^53 after a carry: exact, as is the scaling in two steps of normal powers.
        let half = last / 2;
        significand as f64 * power_of_two(half) * power_of_two(last - half)
    }
}

/// `2^exponent`, for exponents of normal doubles.
fn power_of_two(exponent: i64) -> f64 {
    debug_assert!((-1022..=1023).contains(&exponent));
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

/// `mantissa / 2^drop`, rounded to nearest, ties to even, where `inexact` tells of more ones behind the mantissa.
/// A negative `drop` shifts to the left; the caller knows that nothing falls out.
pub(crate) fn round_shift(mantissa: u128, drop: i64, inexact: bool) -> u128 {
    if drop <= 0 {
        return mantissa << -drop;
    }
    if drop > 128 {
        return 0;
    }
    let kept = if drop == 128 { 0 } else { mantissa >> drop };
    let half = 1u128 << (drop - 1);
    let rest = mantissa & (half | (half - 1));
    let up = rest > half || (rest == half && (inexact || kept & 1 == 1));
    kept + u128::from(up)
}

/// Reads a decimal exponent with optional sign, clamped.
fn parse_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let magnitude = digits
        .iter()
        .fold(0i64, |value, byte| (value * 10 + i64::from(byte - b'0')).min(EXPONENT_LIMIT / 16));
    Some(if negative { -magnitude } else { magnitude })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Option<f64> {
        HexFloat::parse(text.as_bytes()).map(HexFloat::to_f64)
    }

    #[test]
    fn values() {
        for (text, value) in [
            ("0x0", 0.0),
            ("0x10", 16.0),
            ("0X1P3", 8.0),
            ("0x.8", 0.5),
            ("0x1.8", 1.5),
            ("0x1.", 1.0),
            ("0xap-1", 5.0),
            ("0x1p-1074", 5e-324),
            ("0x1p-1075", 0.0),
            ("0x1.00000000000000000000000000000000000001p-1075", 5e-324),
            ("0x1.fffffffffffff7p1023", f64::MAX),
            ("0x1.fffffffffffff8p1023", f64::INFINITY),
            ("0x1p99999999999999999999", f64::INFINITY),
            ("0x1p-99999999999999999999", 0.0),
            ("0x20000000000001", 9007199254740992.0),
            ("0x20000000000003", 9007199254740996.0),
            ("0x200000000000010000000000000000000000000000000001", 9007199254740994.0 * 2f64.powi(136)),
        ] {
            assert_eq!(read(text), Some(value), "{text}");
        }
    }

    #[test]
    fn rejects() {
        for text in [
            "", "0", "0x", "0x.", "0xp1", "0x1p", "0x1p+", "0x1p-", "0x1p1.0", "0x1..", "0xg", "x1", "0x1p1 ",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    proptest! {
        /// A double's own bits, written in hexadecimal, give the double back.
        #[test]
        fn doubles_round_trip(bits in 0u64..0x7ff0_0000_0000_0000) {
            let (fraction, biased) = (bits & ((1 << 52) - 1), bits >> 52);
            let (lead, exponent) = if biased == 0 { (0, -1022) } else { (1, biased as i64 - 1023) };
            let text = format!("0x{lead}.{fraction:013x}p{exponent}");
            prop_assert_eq!(read(&text).map(f64::to_bits), Some(bits));
        }

        /// Integers of 128 bits round as the compiler's conversion does.
        #[test]
        fn integers_round(value: u128, tail in 0u32..64) {
            prop_assert_eq!(read(&format!("0x{value:x}")), Some(value as f64));
            let shifted = format!("0x{value:x}{}p-{}", "0".repeat(tail as usize), tail * 4);
            prop_assert_eq!(read(&shifted), Some(value as f64));
        }
    }
}
