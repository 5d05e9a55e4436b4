//! Natural numbers of any size: the little that exact conversion between decimal and binary needs.

use std::cmp::Ordering;

/// The largest power of ten in 64 bits, and its number of zeros.
const CHUNK: u64 = 10_000_000_000_000_000_000;
const CHUNK_DIGITS: usize = 19;

/// A natural number, as 64-bit limbs from the least significant to the most significant, which is not zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BigUint {
    limbs: Vec<u64>,
}

impl From<u128> for BigUint {
    fn from(value: u128) -> BigUint {
        let mut number = BigUint { limbs: vec![value as u64, (value >> 64) as u64] };
        number.trim();
        number
    }
}

impl BigUint {
    /// The value of ASCII decimal digits.
    pub fn from_digits(digits: impl Iterator<Item = u8>) -> BigUint {
        let mut number = BigUint::from(0);
        let (mut chunk, mut factor) = (0u64, 1u64);
        for digit in digits {
            debug_assert!(digit.is_ascii_digit());
            chunk = chunk * 10 + u64::from(digit - b'0');
            factor *= 10;
            if factor == CHUNK {
                number.multiply_add(factor, chunk);
                (chunk, factor) = (0, 1);
            }
        }
        number.multiply_add(factor, chunk);
        number
    }

    /// Multiplies by `5^exponent`.
    pub fn multiply_power_of_five(&mut self, exponent: u32) {
        const STEP: u32 = 27;
        const POWER: u64 = 5u64.pow(STEP);
        for _ in 0..exponent / STEP {
            self.multiply_add(POWER, 0);
        }
        self.multiply_add(5u64.pow(exponent % STEP), 0);
    }

    /// Multiplies by `2^count`.
    pub fn shift_left(&mut self, count: u32) {
        if self.is_zero() {
            return;
        }
        let (limbs, bits) = ((count / 64) as usize, count % 64);
        if bits > 0 {
            self.multiply_add(1 << bits, 0);
        }
        self.limbs.splice(0..0, std::iter::repeat_n(0, limbs));
    }

    /// Subtracts a number that is not greater.
    pub fn subtract(&mut self, other: &BigUint) {
        let mut borrow = false;
        for (index, limb) in self.limbs.iter_mut().enumerate() {
            let subtrahend = other.limbs.get(index).copied().unwrap_or(0);
            let (difference, below) = limb.overflowing_sub(subtrahend);
            let (difference, below_too) = difference.overflowing_sub(u64::from(borrow));
            (*limb, borrow) = (difference, below || below_too);
        }
        assert!(!borrow && other.limbs.len() <= self.limbs.len(), "the difference is negative");
        self.trim();
    }

    /// Whether this is zero.
    pub fn is_zero(&self) -> bool {
        self.limbs.is_empty()
    }

    /// The number of bits without leading zeros.
    pub fn bits(&self) -> u32 {
        self.limbs.last().map_or(0, |top| self.limbs.len() as u32 * 64 - top.leading_zeros())
    }

    /// The 128 most significant bits (or all, if there are fewer), the number of bits behind these, and whether one of
    /// those is set.
    pub fn leading_bits(&self) -> (u128, u32, bool) {
        let behind = self.bits().saturating_sub(128);
        let (limbs, bits) = ((behind / 64) as usize, behind % 64);
        let limb = |index: usize| u128::from(self.limbs.get(limbs + index).copied().unwrap_or(0));
        let mut leading = limb(0) >> bits | limb(1) << (64 - bits);
        if bits > 0 {
            leading |= limb(2) << (128 - bits);
        }
        let rest = self.limbs[..limbs].iter().any(|&limb| limb != 0) || limb(0) & ((1 << bits) - 1) != 0;
        (leading, behind, rest)
    }

    /// Appends the decimal digits.
    pub fn write(mut self, out: &mut Vec<u8>) {
        let mut chunks = vec![];
        while !self.is_zero() {
            chunks.push(self.divide(CHUNK));
        }
        let mut buffer = itoa::Buffer::new();
        let first = chunks.pop().unwrap_or(0);
        out.extend_from_slice(buffer.format(first).as_bytes());
        for chunk in chunks.into_iter().rev() {
            let digits = buffer.format(chunk).as_bytes();
            out.extend(std::iter::repeat_n(b'0', CHUNK_DIGITS - digits.len()));
            out.extend_from_slice(digits);
        }
    }

    /// Multiplies by one number and adds another.
    fn multiply_add(&mut self, factor: u64, addend: u64) {
        let mut carry = addend;
        for limb in &mut self.limbs {
            let product = u128::from(*limb) * u128::from(factor) + u128::from(carry);
            (*limb, carry) = (product as u64, (product >> 64) as u64);
        }
        if carry > 0 {
            self.limbs.push(carry);
        }
    }

    /// Divides and returns the remainder.
    fn divide(&mut self, divisor: u64) -> u64 {
        let mut remainder = 0;
        for limb in self.limbs.iter_mut().rev() {
            let dividend = u128::from(remainder) << 64 | u128::from(*limb);
            *limb = (dividend / u128::from(divisor)) as u64;
            remainder = (dividend % u128::from(divisor)) as u64;
        }
        self.trim();
        remainder
    }

    fn trim(&mut self) {
        while self.limbs.last() == Some(&0) {
            self.limbs.pop();
        }
    }
}

impl Ord for BigUint {
    fn cmp(&self, other: &BigUint) -> Ordering {
        let lengths = self.limbs.len().cmp(&other.limbs.len());
        lengths.then_with(|| self.limbs.iter().rev().cmp(other.limbs.iter().rev()))
    }
}

impl PartialOrd for BigUint {
    fn partial_cmp(&self, other: &BigUint) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(number: BigUint) -> String {
        let mut out = Vec::new();
        number.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn zero() {
        assert!(BigUint::from(0).is_zero());
        assert_eq!(text(BigUint::from(0)), "0");
        assert_eq!(BigUint::from_digits("000".bytes()), BigUint::from(0));
        assert_eq!(BigUint::from(0).leading_bits(), (0, 0, false));
    }

    proptest! {
        #[test]
        fn digits_round_trip(digits in "[1-9][0-9]{0,200}") {
            prop_assert_eq!(text(BigUint::from_digits(digits.bytes())), digits);
        }

        #[test]
        fn agrees_with_u128(a: u64, b: u64, shift in 0u32..64, power in 0u32..27) {
            let product = u128::from(a >> (shift / 2)) * u128::from(5u64.pow(power));
            let mut number = BigUint::from(u128::from(a >> (shift / 2)));
            number.multiply_power_of_five(power);
            prop_assert_eq!(&number, &BigUint::from(product));
            prop_assert_eq!(number.bits(), 128 - product.leading_zeros());
            prop_assert_eq!(number.cmp(&BigUint::from(u128::from(b))), product.cmp(&u128::from(b)));
            if product >= u128::from(b) {
                number.subtract(&BigUint::from(u128::from(b)));
                prop_assert_eq!(number, BigUint::from(product - u128::from(b)));
            }
        }

        #[test]
        fn shifts_show_in_the_leading_bits(value: u128, shift in 0u32..400, low in 0u64..2) {
            let mut number = BigUint::from(value);
            let bits = number.bits();
            number.shift_left(shift);
            prop_assert_eq!(number.bits(), if value == 0 { 0 } else { bits + shift });
            if value != 0 && bits + shift >= 128 && shift > 0 {
                number.multiply_add(1, low);
                let expected = (value << (128 - bits), bits + shift - 128, bits + shift > 128 && low == 1);
                let (leading, behind, rest) = number.leading_bits();
                prop_assert_eq!((leading & !1, behind, rest), (expected.0 & !1, expected.1, expected.2));
            }
        }

        #[test]
        fn powers_of_ten_print_as_such(zeros in 0u32..300) {
            let mut number = BigUint::from(1);
            number.multiply_power_of_five(zeros);
            number.shift_left(zeros);
            prop_assert_eq!(text(number), format!("1{}", "0".repeat(zeros as usize)));
        }
    }
}
