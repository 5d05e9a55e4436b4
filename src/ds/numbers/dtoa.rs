//! The text of a double, byte for byte as upstream prints it.
//!
//! Upstream prints doubles with *Grisu2* (Florian Loitsch, "Printing Floating-Point Numbers Quickly and Accurately with
//! Integers", PLDI 2010), in the form given to it by the fpconv library. Grisu2 always prints digits that read back as
//! the same double, and in more than 99.9 % of all cases the fewest possible. In the others it prints one digit too many or not
//! the closest of the shortest, and so a provably shortest algorithm would answer differently. Hence this file: the
//! same algorithm with the same cached powers, the same search for one, and the same layout of the digits.
//!
//! # The algorithm
//!
//! Every number strictly between the midpoints to the neighbouring doubles reads back as our double. Call this double
//! *w* and these midpoints *low* and *high*. All three are scaled by a power of ten that brings *high* to between 2^4
//! and 2^32, in fixed-point arithmetic with 64 bits. The power comes from a table, where it is rounded, so the
//! product may be off by one unit in its last place; *low* is raised and *high* lowered by that unit to stay safe. The
//! digits of *high* are then generated from the left until what is left of it is less than *high − low*: the digits so
//! far name a number within the interval. Finally the last digit is lowered as long as this brings the result closer to *w*.
//!
//! # The layout
//!
//! With *n* digits, of which the last counts 10^*k*, and the first 10^*e*, where *e* = *n* + *k* − 1:
//!
//! | condition                          | layout                  | example      |
//! |------------------------------------|-------------------------|--------------|
//! | an integer between ±2^62           | all digits              | `1000000000` |
//! | *k* ≥ 0 and \|*e*\| < *n* + 7        | digits, zeros           | `9223372036854776000` |
//! | *k* < 0, and *k* > −7 or \|*e*\| < 4 | digits with a point     | `0.000015`   |
//! | otherwise                          | scientific, no padding  | `1e+20`, `1.5e-7` |

/// The text of a double, on the stack. Derefs to its bytes.
#[derive(Clone, Copy)]
pub struct DoubleText {
    bytes: [u8; DoubleText::CAPACITY],
    length: u8,
}

impl DoubleText {
    /// The longest are the sign and 17 digits, seven zeros or a point with an exponent of five bytes.
    const CAPACITY: usize = 32;

    fn new() -> DoubleText {
        DoubleText { bytes: [0; DoubleText::CAPACITY], length: 0 }
    }

    fn push(&mut self, bytes: &[u8]) {
        let start = usize::from(self.length);
        self.bytes[start..start + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len() as u8;
    }

    fn push_zeros(&mut self, count: usize) {
        self.push(&[b'0'; DoubleText::CAPACITY][..count]);
    }

    /// The text, which is ASCII.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self).expect("digits are ASCII")
    }
}

impl std::ops::Deref for DoubleText {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl std::fmt::Debug for DoubleText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Prints a double as replies show it: `3`, `0.1`, `1e+20`, `-0`, `inf`, `-inf`, `nan`.
pub fn format_f64(value: f64) -> DoubleText {
    match as_integer(value) {
        Some(integer) if integer != 0 => {
            let mut text = DoubleText::new();
            text.push(itoa::Buffer::new().format(integer).as_bytes());
            text
        }
        _ => format_shortest(value),
    }
}

/// Prints the shortest text of a double, which for an integer with many zeroes at its end has an exponent.
///
/// Only `DEBUG DIGEST` sees scores like this; [`format_f64`] prints integers with all their digits.
pub fn format_shortest(value: f64) -> DoubleText {
    let mut text = DoubleText::new();
    if value.is_nan() {
        text.push(b"nan");
    } else if value.is_infinite() {
        text.push(if value < 0.0 { b"-inf" } else { b"inf" });
    } else if value == 0.0 {
        text.push(if value.is_sign_negative() { b"-0" } else { b"0" });
    } else {
        if value < 0.0 {
            text.push(b"-");
        }
        Digits::shortest(value.abs()).lay_out(&mut text);
    }
    text
}

/// Appends what [`format_f64`] prints.
pub fn write_f64(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(&format_f64(value));
}

/// The value as an integer, if it is one between -2^62 and 2^62.
///
/// This decides how a double is printed, and also whether a compact encoding stores it as an integer.
pub fn as_integer(value: f64) -> Option<i64> {
    const LIMIT: f64 = (1u64 << 62) as f64;
    let integer = value as i64;
    ((-LIMIT..=LIMIT).contains(&value) && integer as f64 == value).then_some(integer)
}

/// Prints a double with a fixed number of decimals, 1 to 17, as distances are shown: rounded to nearest, ties to even.
///
/// The value times 10^`decimals` must fit 63 bits (it is clamped to them), and a result of zero has no sign.
pub fn format_fixed(value: f64, decimals: usize) -> DoubleText {
    assert!((1..=17).contains(&decimals));
    let scaled = (value * POWERS_OF_TEN[decimals] as f64).round_ties_even() as i64;
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(scaled.unsigned_abs()).as_bytes();
    let mut text = DoubleText::new();
    if scaled < 0 {
        text.push(b"-");
    }
    let (integer, fraction) = digits.split_at(digits.len().saturating_sub(decimals));
    text.push(if integer.is_empty() { b"0" } else { integer });
    text.push(b".");
    text.push_zeros(decimals - fraction.len());
    text.push(fraction);
    text
}

/// 10^0 to 10^19.
const POWERS_OF_TEN: [u64; 20] = {
    let mut powers = [1; 20];
    let mut i = 1;
    while i < powers.len() {
        powers[i] = powers[i - 1] * 10;
        i += 1;
    }
    powers
};

/// The bits of a double's significand behind the leading one.
const FRACTION_BITS: i32 = 52;
const HIDDEN_BIT: u64 = 1 << FRACTION_BITS;

/// An unsigned floating point number with 64 bits of significand: `significand · 2^exponent`.
#[derive(Clone, Copy)]
struct Wide {
    significand: u64,
    exponent: i32,
}

impl Wide {
    /// The exact value of a finite positive double, not normalised.
    fn from_f64(value: f64) -> Wide {
        let bits = value.to_bits();
        let (fraction, biased) = (bits & (HIDDEN_BIT - 1), (bits >> FRACTION_BITS) as i32);
        match biased {
            0 => Wide { significand: fraction, exponent: 1 - 1023 - FRACTION_BITS },
            _ => Wide { significand: fraction | HIDDEN_BIT, exponent: biased - 1023 - FRACTION_BITS },
        }
    }

    fn normalized(self) -> Wide {
        let shift = self.significand.leading_zeros();
        Wide { significand: self.significand << shift, exponent: self.exponent - shift as i32 }
    }

    /// The midpoints to the next double below and above, both with the exponent that normalises the upper one.
    fn midpoints(self) -> (Wide, Wide) {
        let high =
            Wide { significand: (self.significand << 1) + 1, exponent: self.exponent - 1 }.normalized();
        // Doubles below a power of two are half as far apart as those above. (For the smallest normal one this is
        // not so; but upstream has it so.)
        let shift = if self.significand == HIDDEN_BIT { 2 } else { 1 };
        let low = (self.significand << shift) - 1;
        let low = low << (self.exponent - shift - high.exponent);
        (Wide { significand: low, exponent: high.exponent }, high)
    }

    /// The product with a number whose significand is normalised, rounded to nearest, ties up.
    fn times(self, other: Wide) -> Wide {
        let product = u128::from(self.significand) * u128::from(other.significand) + (1 << 63);
        Wide { significand: (product >> 64) as u64, exponent: self.exponent + other.exponent + 64 }
    }
}

/// Decimal digits: the digits `d1 d2 … dn` stand for the integer `d1d2…dn` times `10^exponent`.
struct Digits {
    /// ASCII digits, the first of them not zero.
    digits: [u8; Digits::MAX],
    count: usize,
    exponent: i32,
}

impl Digits {
    /// Seventeen digits identify a double, and Grisu2 generates no more than one beyond.
    const MAX: usize = 18;

    /// Grisu2, for a finite positive double.
    fn shortest(value: f64) -> Digits {
        let value = Wide::from_f64(value);
        let (low, high) = value.midpoints();
        let (power, decimal_exponent) = cached_power(high.exponent);
        let value = value.normalized().times(power);
        let mut low = low.times(power);
        let mut high = high.times(power);
        low.significand += 1;
        high.significand -= 1;
        Digits::generate(value, low, high, -decimal_exponent)
    }

    /// Generates the shortest digits between `low` and `high`, which share one exponent with `value`.
    fn generate(value: Wide, low: Wide, high: Wide, exponent: i32) -> Digits {
        let mut out = Digits { digits: [0; Digits::MAX], count: 0, exponent };
        let distance = high.significand - value.significand;
        let mut delta = high.significand - low.significand;
        let shift = -high.exponent;
        let one = 1u64 << shift;
        let mut integer = high.significand >> shift;
        let mut fraction = high.significand & (one - 1);

        for position in (0..10).rev() {
            let unit = POWERS_OF_TEN[position];
            out.push(integer / unit);
            integer %= unit;
            let rest = (integer << shift) + fraction;
            if rest <= delta {
                out.exponent += position as i32;
                out.approach(rest, distance, delta, unit << shift);
                return out;
            }
        }
        // The interval spans more than 2^-64 of its upper end, so the digits end before the powers do.
        for (position, &scale) in POWERS_OF_TEN.iter().enumerate().skip(1) {
            fraction *= 10;
            delta *= 10;
            out.push(fraction >> shift);
            fraction &= one - 1;
            if fraction < delta {
                out.exponent -= position as i32;
                out.approach(fraction, distance * scale, delta, one);
                break;
            }
        }
        out
    }

    /// Appends a digit, unless it is a leading zero.
    fn push(&mut self, digit: u64) {
        if digit != 0 || self.count != 0 {
            self.digits[self.count] = b'0' + digit as u8;
            self.count += 1;
        }
    }

    /// Lowers the last digit while that stays within the interval and comes closer to the value.
    ///
    /// All arguments are counted from the upper end of the interval downwards and in the same scale: `rest` is where
    /// the digits stand, `distance` where the value is, `delta` the lower end, `unit` the weight of the last digit.
    fn approach(&mut self, mut rest: u64, distance: u64, delta: u64, unit: u64) {
        while rest < distance
            && delta - rest >= unit
            && (rest + unit < distance || distance - rest > rest + unit - distance)
        {
            self.digits[self.count - 1] -= 1;
            rest += unit;
        }
    }

    /// Writes the digits in one of the layouts that this file's head shows.
    fn lay_out(&self, out: &mut DoubleText) {
        let digits = &self.digits[..self.count];
        let (count, exponent) = (self.count as i32, self.exponent);
        let scientific = count + exponent - 1;
        if exponent >= 0 && scientific.abs() < count + 7 {
            out.push(digits);
            out.push_zeros(exponent as usize);
        } else if exponent < 0 && (exponent > -7 || scientific.abs() < 4) {
            let before_point = count + exponent;
            if before_point > 0 {
                let (integer, fraction) = digits.split_at(before_point as usize);
                out.push(integer);
                out.push(b".");
                out.push(fraction);
            } else {
                out.push(b"0.");
                out.push_zeros(-before_point as usize);
                out.push(digits);
            }
        } else {
            out.push(&digits[..1]);
            if count > 1 {
                out.push(b".");
                out.push(&digits[1..]);
            }
            out.push(if scientific < 0 { b"e-" } else { b"e+" });
            out.push(itoa::Buffer::new().format(scientific.unsigned_abs()).as_bytes());
        }
    }
}

/// Finds a power of ten, `10^k`, whose product with a number of this binary exponent has one from -60 to -32.
/// Returns the power and `k`.
fn cached_power(exponent: i32) -> (Wide, i32) {
    /// log10(2)
    const DIGITS_PER_BIT: f64 = 0.30102999566398114;
    // Two powers fit some exponents. Which of them is found depends on where the search starts, and decides about
    // digits: so it starts where upstream's does.
    let estimate = (f64::from(-(exponent + CACHED_POWERS.len() as i32)) * DIGITS_PER_BIT) as i32;
    let mut index = ((estimate - CACHED_FIRST) / CACHED_STEP) as usize;
    loop {
        let k = CACHED_FIRST + CACHED_STEP * index as i32;
        let power = Wide { significand: CACHED_POWERS[index], exponent: binary_exponent(k) };
        match exponent + power.exponent + 64 {
            ..-60 => index += 1,
            -60..=-32 => return (power, k),
            _ => index -= 1,
        }
    }
}

/// The exponent of the power of two that counts the last of the 64 bits of `10^k`: floor(k · log2(10)) − 63.
fn binary_exponent(k: i32) -> i32 {
    ((k * 217_706) >> 16) - 63
}

/// The decimal exponent of the first cached power.
const CACHED_FIRST: i32 = -348;
/// The difference between the decimal exponents of neighbours.
const CACHED_STEP: i32 = 8;

/// The significands of 10^-348, 10^-340, … 10^340, rounded to 64 bits.
#[rustfmt::skip]
const CACHED_POWERS: [u64; 87] = [
    0xfa8fd5a0081c0288,
    0xbaaee17fa23ebf76,
    0x8b16fb203055ac76,
    0xcf42894a5dce35ea,
    0x9a6bb0aa55653b2d,
    0xe61acf033d1a45df,
    0xab70fe17c79ac6ca,
    0xff77b1fcbebcdc4f,
    0xbe5691ef416bd60c,
    0x8dd01fad907ffc3c,
    0xd3515c2831559a83,
    0x9d71ac8fada6c9b5,
    0xea9c227723ee8bcb,
    0xaecc49914078536d,
    0x823c12795db6ce57,
    0xc21094364dfb5637,
    0x9096ea6f3848984f,
    0xd77485cb25823ac7,
    0xa086cfcd97bf97f4,
    0xef340a98172aace5,
    0xb23867fb2a35b28e,
    0x84c8d4dfd2c63f3b,
    0xc5dd44271ad3cdba,
    0x936b9fcebb25c996,
    0xdbac6c247d62a584,
    0xa3ab66580d5fdaf6,
    0xf3e2f893dec3f126,
    0xb5b5ada8aaff80b8,
    0x87625f056c7c4a8b,
    0xc9bcff6034c13053,
    0x964e858c91ba2655,
    0xdff9772470297ebd,
    0xa6dfbd9fb8e5b88f,
    0xf8a95fcf88747d94,
    0xb94470938fa89bcf,
    0x8a08f0f8bf0f156b,
    0xcdb02555653131b6,
    0x993fe2c6d07b7fac,
    0xe45c10c42a2b3b06,
    0xaa242499697392d3,
    0xfd87b5f28300ca0e,
    0xbce5086492111aeb,
    0x8cbccc096f5088cc,
    0xd1b71758e219652c,
    0x9c40000000000000,
    0xe8d4a51000000000,
    0xad78ebc5ac620000,
    0x813f3978f8940984,
    0xc097ce7bc90715b3,
    0x8f7e32ce7bea5c70,
    0xd5d238a4abe98068,
    0x9f4f2726179a2245,
    0xed63a231d4c4fb27,
    0xb0de65388cc8ada8,
    0x83c7088e1aab65db,
    0xc45d1df942711d9a,
    0x924d692ca61be758,
    0xda01ee641a708dea,
    0xa26da3999aef774a,
    0xf209787bb47d6b85,
    0xb454e4a179dd1877,
    0x865b86925b9bc5c2,
    0xc83553c5c8965d3d,
    0x952ab45cfa97a0b3,
    0xde469fbd99a05fe3,
    0xa59bc234db398c25,
    0xf6c69a72a3989f5c,
    0xb7dcbf5354e9bece,
    0x88fcf317f22241e2,
    0xcc20ce9bd35c78a5,
    0x98165af37b2153df,
    0xe2a0b5dc971f303a,
    0xa8d9d1535ce3b396,
    0xfb9b7cd9a4a7443c,
    0xbb764c4ca7a44410,
    0x8bab8eefb6409c1a,
    0xd01fef10a657842c,
    0x9b10a4e5e9913129,
    0xe7109bfba19c0c9d,
    0xac2820d9623bf429,
    0x80444b5e7aa7cf85,
    0xbf21e44003acdd2d,
    0x8e679c2f5e44ff8f,
    0xd433179d9c8cb841,
    0x9e19db92b4e31ba9,
    0xeb96bf6ebadf77d9,
    0xaf87023b9bf0ee6b,
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(value: f64) -> String {
        format_f64(value).as_str().to_owned()
    }

    /// Each of these was read back from a sorted set of upstream.
    #[test]
    fn layouts() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (3.0, "3"),
            (-1e10, "-10000000000"),
            (1e18, "1000000000000000000"),
            (4611686018427387904.0, "4611686018427387904"),
            (-4611686018427388928.0, "-4611686018427389000"),
            (5e18, "5e+18"),
            (9223372036854775807.0, "9223372036854776000"),
            (1e19, "1e+19"),
            (123456789012345678901234567890.0, "1.2345678901234568e+29"),
            (1e100, "1e+100"),
            (0.1, "0.1"),
            (0.30000000000000004, "0.30000000000000004"),
            (12345.6789, "12345.6789"),
            (1234567890.5, "1234567890.5"),
            (1234567.1234567, "1.2345671234567e+6"),
            (1111111111.1111112, "1.1111111111111112e+9"),
            (-1e-5, "-0.00001"),
            (0.000001, "0.000001"),
            (0.0000001, "1e-7"),
            (1.5e-5, "0.000015"),
            (0.00000123, "1.23e-6"),
            (5e-324, "5e-324"),
            (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ] {
            assert_eq!(text(value), expected);
        }
    }

    /// Where Grisu2 misses the shortest digits, or the closest of them, and upstream therefore shows others.
    #[test]
    fn not_the_shortest() {
        for (value, expected) in [
            (7918.87509, "7918.8750899999995"),
            (3.7e22, "36999999999999998000000"),
            (2e23, "199999999999999980000000"),
            (8e23, "7.999999999999999e+23"),
            (1.6e24, "1.5999999999999999e+24"),
            (3.522101828684135e-133, "3.5221018286841346e-133"),
            (1.7777281807690498e15, "1777728180769049.7"),
            (-8.961251097126688e12, "-8961251097126.687"),
            (2.2394457257961803e122, "2.2394457257961802e+122"),
        ] {
            assert_eq!(text(value), expected);
        }
    }

    /// Prices, percentages and the like come out as they went in.
    #[test]
    fn short_decimals_print_as_written() {
        for cents in 1..200_000 {
            let value = f64::from(cents) / 100.0;
            assert_eq!(text(value), value.to_string());
        }
    }

    #[test]
    fn fixed_decimals() {
        for (value, decimals, expected) in [
            (0.0, 4, "0.0000"),
            (0.775, 4, "0.7750"),
            (166274.1516, 4, "166274.1516"),
            (0.00004, 4, "0.0000"),
            (-0.00001, 4, "0.0000"),
            (-0.5, 4, "-0.5000"),
            (0.5, 17, "0.50000000000000000"),
            (12.0, 1, "12.0"),
            (0.25, 1, "0.2"),
            (9e18, 17, "92.23372036854775807"),
        ] {
            assert_eq!(format_fixed(value, decimals).as_str(), expected);
        }
    }

    /// The table against its definition: twice the error is at most one unit in the last place.
    #[test]
    fn cached_powers_are_rounded_correctly() {
        use crate::ds::longdouble::BigUint;
        for (index, &significand) in CACHED_POWERS.iter().enumerate() {
            let k = CACHED_FIRST + CACHED_STEP * index as i32;
            let exponent = binary_exponent(k);
            let mut rounded = BigUint::from(2 * u128::from(significand));
            let (mut exact, mut unit) = (BigUint::from(2), BigUint::from(1));
            // Multiply both sides of rounded · 2^exponent = exact · 5^k · 2^k by what makes them integers.
            if k >= 0 {
                exact.multiply_power_of_five(k.unsigned_abs());
            } else {
                rounded.multiply_power_of_five(k.unsigned_abs());
                unit.multiply_power_of_five(k.unsigned_abs());
            }
            let shift = exponent - k;
            if shift >= 0 {
                rounded.shift_left(shift.unsigned_abs());
                unit.shift_left(shift.unsigned_abs());
            } else {
                exact.shift_left(shift.unsigned_abs());
            }
            let (mut larger, smaller) = if rounded > exact { (rounded, exact) } else { (exact, rounded) };
            larger.subtract(&smaller);
            assert!(larger <= unit && significand >> 63 == 1, "10^{k}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn reads_back(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            prop_assert_eq!(text(value).parse::<f64>().map(f64::to_bits), Ok(bits));
        }
    }
}
