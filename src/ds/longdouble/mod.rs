//! The arithmetic of `INCRBYFLOAT` and `HINCRBYFLOAT`, and of timeouts in seconds.
//!
//! Upstream computes these in C's `long double`, which on x86-64 is the x87 extended format: a sign, 15 bits of exponent
//! and 64 bits of significand. What clients see are decimal texts of its values, so `0.1` plus `0.2` is `0.3`, as it is
//! not with doubles, and `1e28` prints as `9999999999999999999731564544`, as it would not with decimals. The
//! replication stream and the append-only file carry results instead of increments, so the digits have to agree.
//!
//! Hardware with that format is not everywhere and Rust has no type for it, so this is software. A value is
//! `± mantissa · 2^exponent`, kept in one canonical form:
//!
//! - the mantissa has its top bit set, or
//! - the exponent is the least there is (a subnormal number, or zero).
//!
//! Every operation computes its exact result in 128 bits, or as much as decides the rounding, then rounds once to
//! nearest, ties to even. Texts of up to 19 digits with exponents to ±27, that is practically all, need no wider
//! integers; the others go through [`BigUint`].

mod biguint;

pub use biguint::BigUint;

use super::numbers::hexfloat::{HexFloat, round_shift};

/// The least exponent of the last bit of a mantissa: 2^-16382 is the smallest normal number, and 63 bits follow its first.
const MIN_EXPONENT: i32 = -16_445;
/// The greatest exponent of the last bit of a mantissa: all finite numbers are below 2^16384.
const MAX_EXPONENT: i32 = 16_320;

/// Texts as long as this are not read as numbers, whatever they say.
pub const TEXT_LIMIT: usize = 5 * 1024;

/// The decimals that are printed at most.
const DECIMALS: u32 = 17;

/// A number in the x87 extended format, possibly infinite, but never NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongDouble {
    negative: bool,
    magnitude: Magnitude,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Magnitude {
    Finite { mantissa: u64, exponent: i32 },
    Infinite,
}

impl Magnitude {
    const ZERO: Magnitude = Magnitude::Finite { mantissa: 0, exponent: MIN_EXPONENT };

    /// Rounds `mantissa · 2^exponent`, where `inexact` tells that a bit that is one follows somewhere behind. In that
    /// case the mantissa must have at least 66 bits, unless the number is too small to matter.
    fn round(mantissa: u128, exponent: i64, inexact: bool) -> Magnitude {
        if mantissa == 0 {
            return Magnitude::ZERO;
        }
        let top = exponent + 127 - i64::from(mantissa.leading_zeros());
        let last = (top - 63).max(i64::from(MIN_EXPONENT));
        debug_assert!(!inexact || last - exponent >= 2);
        let mut rounded = round_shift(mantissa, last - exponent, inexact);
        let mut last = last;
        if rounded >> 64 != 0 {
            // A carry out of the top leaves nothing but zeros below.
            rounded >>= 1;
            last += 1;
        }
        if last > i64::from(MAX_EXPONENT) {
            return Magnitude::Infinite;
        }
        Magnitude::Finite { mantissa: rounded as u64, exponent: last as i32 }
    }

    /// Rounds `numerator · 2^exponent / denominator`, neither being zero.
    fn ratio(mut numerator: BigUint, mut denominator: BigUint, exponent: i64) -> Magnitude {
        // Bring the numerator to between half the denominator and twice it. Then of 68 bits of quotient, the first
        // or the second is a one.
        let shift = i64::from(denominator.bits()) - i64::from(numerator.bits());
        if shift >= 0 {
            numerator.shift_left(shift as u32);
        } else {
            denominator.shift_left(-shift as u32);
        }
        let mut quotient = 0u128;
        const BITS: u32 = 68;
        for _ in 0..BITS {
            let one = numerator >= denominator;
            if one {
                numerator.subtract(&denominator);
            }
            quotient = quotient << 1 | u128::from(one);
            numerator.shift_left(1);
        }
        Magnitude::round(quotient, exponent - shift - i64::from(BITS - 1), !numerator.is_zero())
    }

    /// Reads decimal digits with at most one point, and optionally an exponent. `None` if that is not all of `text`.
    fn parse_decimal(text: &[u8]) -> Option<Magnitude> {
        let is_exponent_mark = |byte: &u8| matches!(byte, b'e' | b'E');
        let (mantissa, exponent) = match text.iter().position(is_exponent_mark) {
            Some(mark) => (&text[..mark], parse_exponent(&text[mark + 1..])?),
            None => (text, 0),
        };
        let (integer, fraction) = match mantissa.iter().position(|&byte| byte == b'.') {
            Some(point) => (&mantissa[..point], &mantissa[point + 1..]),
            None => (mantissa, &[][..]),
        };
        let digits = || integer.iter().chain(fraction).copied();
        if digits().next().is_none() || !digits().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let significant = digits().skip_while(|&digit| digit == b'0');
        let exponent = exponent - fraction.len() as i64;
        let count = significant.clone().count();
        // Below, the value is between 10^(count - 1 + exponent) and 10^(count + exponent).
        let order = count as i64 + exponent;
        match (count, exponent) {
            (0, _) => Some(Magnitude::ZERO),
            (1..=19, -27..=27) => Some(Magnitude::from_short_decimal(significant, exponent as i32)),
            _ if order > 4940 => Some(Magnitude::Infinite),
            _ if order < -4960 => Some(Magnitude::ZERO),
            _ => Some(Magnitude::from_long_decimal(significant, exponent as i32)),
        }
    }

    /// At most nineteen digits, times ten to a power of at most 27: both fit 64 bits but for factors of two.
    fn from_short_decimal(digits: impl Iterator<Item = u8>, exponent: i32) -> Magnitude {
        let digits = digits.fold(0u64, |value, digit| value * 10 + u64::from(digit - b'0'));
        let power = u128::from(5u64.pow(exponent.unsigned_abs()));
        let exponent = i64::from(exponent);
        if exponent >= 0 {
            return Magnitude::round(u128::from(digits) * power, exponent, false);
        }
        // From five to 2^63, the divisor leaves between 65 and 126 bits of a dividend with its top bit set. Two more
        // make sure that there are some to round by.
        let shift = u128::from(digits).leading_zeros();
        let dividend = u128::from(digits) << shift;
        let rest = (dividend % power) << 2;
        let quotient = ((dividend / power) << 2) + rest / power;
        Magnitude::round(quotient, exponent - i64::from(shift) - 2, rest % power != 0)
    }

    /// Any digits, times ten to a power within the format's range or little beyond.
    fn from_long_decimal(digits: impl Iterator<Item = u8>, exponent: i32) -> Magnitude {
        let mut number = BigUint::from_digits(digits);
        if exponent >= 0 {
            number.multiply_power_of_five(exponent.unsigned_abs());
            let (leading, behind, rest) = number.leading_bits();
            return Magnitude::round(leading, i64::from(exponent) + i64::from(behind), rest);
        }
        let mut power = BigUint::from(1);
        power.multiply_power_of_five(exponent.unsigned_abs());
        Magnitude::ratio(number, power, i64::from(exponent))
    }
}

impl LongDouble {
    /// Reads a text, all of which must be a number as C's `strtold` knows them: an optional sign, then decimal digits
    /// with optional point and exponent, a hexadecimal float, or `inf` or `infinity` in any case.
    ///
    /// `None` if it is not, if it has [`TEXT_LIMIT`] bytes or more, if it says `nan`, or if the number is too large to
    /// be finite or so small that it would become zero.
    pub fn parse(text: &[u8]) -> Option<LongDouble> {
        if text.len() >= TEXT_LIMIT {
            return None;
        }
        let (negative, unsigned) = match text {
            [b'-', unsigned @ ..] => (true, unsigned),
            [b'+', unsigned @ ..] => (false, unsigned),
            unsigned => (false, unsigned),
        };
        let is = |word: &[u8]| unsigned.eq_ignore_ascii_case(word);
        if is(b"inf") || is(b"infinity") {
            return Some(LongDouble { negative, magnitude: Magnitude::Infinite });
        }
        let hex = HexFloat::parse(unsigned);
        let magnitude = match hex {
            Some(hex) => Magnitude::round(hex.mantissa, hex.exponent, hex.inexact),
            None => Magnitude::parse_decimal(unsigned)?,
        };
        let out_of_range = match magnitude {
            Magnitude::Infinite => true,
            Magnitude::ZERO => hex.map_or_else(|| has_nonzero_digit(unsigned), |hex| hex.mantissa != 0),
            Magnitude::Finite { .. } => false,
        };
        (!out_of_range).then_some(LongDouble { negative, magnitude })
    }

    /// Whether this is an infinity.
    pub fn is_infinite(self) -> bool {
        self.magnitude == Magnitude::Infinite
    }

    /// The sum, or `None` if it is infinite or not a number.
    pub fn checked_add(self, other: LongDouble) -> Option<LongDouble> {
        let (
            Magnitude::Finite { mantissa: a, exponent: a_exponent },
            Magnitude::Finite { mantissa: b, exponent: b_exponent },
        ) = (self.magnitude, other.magnitude)
        else {
            return None;
        };
        // The canonical form orders magnitudes by exponent first, then by mantissa.
        let swap = (b_exponent, b) > (a_exponent, a);
        let (large, a, a_exponent, b, b_exponent) =
            if swap { (other, b, b_exponent, a, a_exponent) } else { (self, a, a_exponent, b, b_exponent) };
        // Room for a carry above, and for all of the smaller operand below, or for enough of it to round by.
        const ROOM: u32 = 62;
        let a = u128::from(a) << ROOM;
        let b = u128::from(b) << ROOM;
        let distance = a_exponent.abs_diff(b_exponent);
        let shifted = b.checked_shr(distance).unwrap_or(0);
        let lost = shifted.checked_shl(distance).unwrap_or(0) != b;
        let exact = if self.negative == other.negative {
            a + shifted
        } else {
            // What was lost makes the difference smaller: take one off, and something positive remains behind it.
            a - shifted - u128::from(lost)
        };
        let magnitude = Magnitude::round(exact, i64::from(a_exponent) - i64::from(ROOM), lost);
        let negative =
            if magnitude == Magnitude::ZERO { self.negative && other.negative } else { large.negative };
        (magnitude != Magnitude::Infinite).then_some(LongDouble { negative, magnitude })
    }

    /// The product with an integer.
    #[must_use]
    pub fn times(self, factor: u32) -> LongDouble {
        let magnitude = match self.magnitude {
            Magnitude::Finite { mantissa, exponent } => {
                Magnitude::round(u128::from(mantissa) * u128::from(factor), i64::from(exponent), false)
            }
            Magnitude::Infinite => Magnitude::Infinite,
        };
        LongDouble { magnitude, ..self }
    }

    /// The least integer that is not less, clamped to 64 bits.
    pub fn ceil(self) -> i64 {
        let magnitude = match self.magnitude {
            Magnitude::Infinite => i128::MAX,
            Magnitude::Finite { exponent: 1.., .. } => i128::MAX,
            Magnitude::Finite { mantissa, exponent } => {
                let mantissa = i128::from(mantissa);
                let down = mantissa.checked_shr(exponent.unsigned_abs()).unwrap_or(0);
                let exact = down.checked_shl(exponent.unsigned_abs()).unwrap_or(0) == mantissa;
                down + i128::from(!exact && !self.negative)
            }
        };
        let value = if self.negative { -magnitude } else { magnitude };
        value.clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }

    /// Appends the number in decimal without exponent: rounded to 17 decimals, then without trailing zeros. An infinity
    /// is `inf` or `-inf`. What rounds to zero has no sign.
    pub fn write(self, out: &mut Vec<u8>) {
        let Magnitude::Finite { mantissa, exponent } = self.magnitude else {
            return out.extend_from_slice(if self.negative { b"-inf" } else { b"inf" });
        };
        let (integer, decimals) = match exponent {
            64.. => {
                let mut integer = BigUint::from(u128::from(mantissa));
                integer.shift_left(exponent.unsigned_abs());
                if self.negative {
                    out.push(b'-');
                }
                return integer.write(out);
            }
            0..64 => (u128::from(mantissa) << exponent, 0),
            ..0 => split_at_point(mantissa, exponent.unsigned_abs()),
        };
        if self.negative && (integer, decimals) != (0, 0) {
            out.push(b'-');
        }
        out.extend_from_slice(itoa::Buffer::new().format(integer).as_bytes());
        if decimals > 0 {
            let mut buffer = itoa::Buffer::new();
            let digits = buffer.format(decimals).as_bytes();
            let end = digits.iter().rposition(|&digit| digit != b'0').map_or(0, |last| last + 1);
            out.push(b'.');
            out.extend(std::iter::repeat_n(b'0', DECIMALS as usize - digits.len()));
            out.extend_from_slice(&digits[..end]);
        }
    }

    /// What [`write`](LongDouble::write) appends.
    pub fn format(self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }
}

impl From<i64> for LongDouble {
    /// Exact.
    fn from(value: i64) -> LongDouble {
        let magnitude = Magnitude::round(value.unsigned_abs().into(), 0, false);
        LongDouble { negative: value < 0, magnitude }
    }
}

impl TryFrom<f64> for LongDouble {
    type Error = NotANumber;

    /// Exact, for all but NaN.
    fn try_from(value: f64) -> Result<LongDouble, NotANumber> {
        if value.is_nan() {
            return Err(NotANumber);
        }
        let bits = value.to_bits();
        let (fraction, biased) = (bits & ((1 << 52) - 1), (bits >> 52) as i64 & 0x7ff);
        let magnitude = match biased {
            0 => Magnitude::round(fraction.into(), -1074, false),
            0x7ff => Magnitude::Infinite,
            _ => Magnitude::round((fraction | 1 << 52).into(), biased - 1075, false),
        };
        Ok(LongDouble { negative: value.is_sign_negative(), magnitude })
    }
}

/// The error of converting NaN to a [`LongDouble`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotANumber;

/// Splits `mantissa / 2^places`, rounded to 17 decimals, into its integer part and its decimals as an integer.
fn split_at_point(mantissa: u64, places: u32) -> (u128, u64) {
    const SCALE: u64 = 10u64.pow(DECIMALS);
    let integer = mantissa.checked_shr(places).unwrap_or(0);
    let fraction = mantissa - integer.checked_shl(places).unwrap_or(0);
    // 64 bits times 57.
    let decimals = round_shift(u128::from(fraction) * u128::from(SCALE), places.into(), false) as u64;
    let carry = decimals == SCALE;
    (u128::from(integer) + u128::from(carry), if carry { 0 } else { decimals })
}

/// Whether a decimal has a digit other than zero before its exponent.
fn has_nonzero_digit(text: &[u8]) -> bool {
    text.iter().take_while(|byte| !matches!(byte, b'e' | b'E')).any(|byte| matches!(byte, b'1'..=b'9'))
}

/// Reads an exponent with optional sign, clamped to what no text of the permitted length can make up for.
fn parse_exponent(text: &[u8]) -> Option<i64> {
    const LIMIT: i64 = 1_000_000;
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let magnitude = digits.iter().fold(0, |value, digit| (value * 10 + i64::from(digit - b'0')).min(LIMIT));
    Some(if negative { -magnitude } else { magnitude })
}

#[cfg(test)]
mod tests;
