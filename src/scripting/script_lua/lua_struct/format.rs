//! Format texts of the `struct` library, and the integers that they describe.
//!
//! | option            | what it stands for                                                   | bytes        |
//! |-------------------|----------------------------------------------------------------------|--------------|
//! | `b` `B`           | signed and unsigned integer                                          | 1            |
//! | `h` `H`           | the same                                                             | 2            |
//! | `i` `I`           | the same, of 4 bytes or as many as a number behind the letter says   | 4, or 0 to 32|
//! | `l` `L` `T`       | signed, unsigned, unsigned                                           | 8            |
//! | `f` `d`           | float                                                                | 4, 8         |
//! | `s`               | string up to a NUL                                                   | its own      |
//! | `c`               | so many bytes of a string; `c0` is one whose length was read before  | 1, or number |
//! | `x`               | a byte of padding                                                    | 1            |
//! | `<` `>`           | from here on little-endian (the start) or big-endian                 | 0            |
//! | `!`               | from here on align to at most 8, or the number behind it             | 0            |
//! | blank             | nothing                                                              | 0            |
//!
//! An object of *n* bytes begins at a multiple of *n*, or of the alignment if that is less; it is 1 at the start. What a
//! letter means on a 64-bit machine is upstream's meaning there. Integers of more than eight bytes hold the value's
//! eight bytes and zeroes, and are read back in a way that no standard describes, but which is what x86-64 does.

/// Largest size of an integer.
const MAX_INTEGER_SIZE: usize = 32;

/// The alignment that `!` stands for.
const NATURAL_ALIGNMENT: i32 = 8;

/// Why a format cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormatError {
    /// A number behind an option exceeds an `i32`.
    NumberOverflow,
    /// An integer of so many bytes.
    IntegerTooLarge(i32),
    /// An alignment that is not a power of two.
    BadAlignment(i32),
    /// A letter that is no option.
    BadOption(u8),
}

/// One option of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its letter.
    pub option: u8,
    /// The bytes that it takes, zero if that depends on the data.
    pub size: usize,
}

impl Item {
    /// Whether this is an integer, and if so whether it has a sign.
    pub fn is_signed_integer(&self) -> Option<bool> {
        match self.option {
            b'b' | b'h' | b'l' | b'i' => Some(true),
            b'B' | b'H' | b'L' | b'I' | b'T' => Some(false),
            _ => None,
        }
    }
}

/// Reads a format, and keeps the byte order and alignment that it has set.
pub struct Format<'f> {
    rest: &'f [u8],
    align: usize,
    big_endian: bool,
}

impl<'f> Format<'f> {
    /// Starts at the front of a format, which ends at its first NUL if it has one.
    pub fn new(text: &'f [u8]) -> Format<'f> {
        // Formats are short.
        let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
        Format { rest: &text[..end], align: 1, big_endian: false }
    }

    /// The next option, with the number behind it if it takes one. Letters without meaning are options here:
    /// [`Format::control`] refuses them.
    #[inline]
    pub fn next_item(&mut self) -> Result<Option<Item>, FormatError> {
        let [option, rest @ ..] = self.rest else { return Ok(None) };
        self.rest = rest;
        let size = match option {
            b'b' | b'B' | b'x' => 1,
            b'h' | b'H' => 2,
            b'f' => 4,
            b'd' | b'l' | b'L' | b'T' => 8,
            b'c' => self.number(1)? as usize,
            b'i' | b'I' => match self.number(4)? {
                size if size as usize <= MAX_INTEGER_SIZE => size as usize,
                size => return Err(FormatError::IntegerTooLarge(size)),
            },
            _ => 0,
        };
        Ok(Some(Item { option: *option, size }))
    }

    /// A decimal number, which is never negative, or `default` where no digit stands.
    fn number(&mut self, default: i32) -> Result<i32, FormatError> {
        let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return Ok(default);
        }
        let (number, rest) = self.rest.split_at(digits);
        self.rest = rest;
        let next = |number: i32, digit: &u8| number.checked_mul(10)?.checked_add(i32::from(digit - b'0'));
        number.iter().try_fold(0, next).ok_or(FormatError::NumberOverflow)
    }

    /// The padding that `item` needs in front at this position.
    pub fn padding(&self, position: usize, item: Item) -> usize {
        if item.size == 0 || item.option == b'c' {
            return 0;
        }
        let step = item.size.min(self.align);
        step.wrapping_sub(position & (step - 1)) & (step - 1)
    }

    /// Obeys an option that sets something, and refuses what is none.
    pub fn control(&mut self, option: u8) -> Result<(), FormatError> {
        match option {
            b' ' => {}
            b'<' => self.big_endian = false,
            b'>' => self.big_endian = true,
            b'!' => match self.number(NATURAL_ALIGNMENT)? {
                align if align.count_ones() == 1 => self.align = align as usize,
                align => return Err(FormatError::BadAlignment(align)),
            },
            other => return Err(FormatError::BadOption(other)),
        }
        Ok(())
    }

    /// Appends an integer of this many bytes.
    #[inline]
    pub fn write_integer(&self, out: &mut Vec<u8>, value: u64, size: usize) {
        let start = out.len();
        // All eight bytes, which takes less than to copy those that are wanted.
        match (self.big_endian, size) {
            (false, _) => out.extend_from_slice(&value.to_le_bytes()),
            (true, 1..=8) => out.extend_from_slice(&(value << (64 - 8 * size)).to_be_bytes()),
            (true, _) => {
                out.resize(start + size.saturating_sub(8), 0);
                out.extend_from_slice(&value.to_be_bytes());
            }
        }
        out.resize(start + size, 0);
    }

    /// The integer that these bytes hold.
    #[inline]
    pub fn read_integer(&self, bytes: &[u8], signed: bool) -> f64 {
        let push = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        let mut value =
            if self.big_endian { bytes.iter().fold(0, push) } else { bytes.iter().rev().fold(0, push) };
        if !signed {
            return value as f64;
        }
        // The sign and all above it. Beyond eight bytes the shift's distance is taken modulo 64.
        let sign = u64::MAX.wrapping_shl((bytes.len() as u32 * 8).wrapping_sub(1));
        if value & sign != 0 {
            value |= sign;
        }
        value as i64 as f64
    }

    /// Brings the little-endian bytes of a float into the format's order, or back.
    pub fn order<const N: usize>(&self, mut bytes: [u8; N]) -> [u8; N] {
        if self.big_endian {
            bytes.reverse();
        }
        bytes
    }
}

/// A number as an unsigned integer, as x86-64 converts it: modulo 2^64 for negative ones, and with fixed answers for what
/// does not fit, which are part of what scripts see.
pub fn to_unsigned(number: f64) -> u64 {
    const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
    let truncate = |number: f64| {
        if (-TWO_TO_63..TWO_TO_63).contains(&number) { number as i64 as u64 } else { 1 << 63 }
    };
    if number >= TWO_TO_63 { truncate(number - TWO_TO_63) ^ 1 << 63 } else { truncate(number) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn items(text: &[u8]) -> Result<Vec<(char, usize)>, FormatError> {
        let mut format = Format::new(text);
        let mut items = Vec::new();
        while let Some(item) = format.next_item()? {
            items.push((char::from(item.option), item.size));
        }
        Ok(items)
    }

    #[test]
    fn sizes() {
        assert_eq!(
            items(b"bHi3Ic5cc0sxfdlT\0b").unwrap(),
            [
                ('b', 1),
                ('H', 2),
                ('i', 3),
                ('I', 4),
                ('c', 5),
                ('c', 1),
                ('c', 0),
                ('s', 0),
                ('x', 1),
                ('f', 4),
                ('d', 8),
                ('l', 8),
                ('T', 8),
            ]
        );
        assert_eq!(items(b"i0").unwrap(), [('i', 0)]);
        assert_eq!(items(b"i32").unwrap(), [('i', 32)]);
        assert_eq!(items(b"i33"), Err(FormatError::IntegerTooLarge(33)));
        assert_eq!(items(b"c2147483647").unwrap(), [('c', i32::MAX as usize)]);
        assert_eq!(items(b"c2147483648"), Err(FormatError::NumberOverflow));
        assert_eq!(items(b"i99999999999999999999"), Err(FormatError::NumberOverflow));
    }

    #[test]
    fn controls() {
        let mut format = Format::new(b"4");
        assert_eq!(format.control(b'!'), Ok(()));
        assert_eq!(format.align, 4);
        assert_eq!(format.control(b'!'), Ok(()));
        assert_eq!(format.align, 8);
        assert_eq!(format.control(b'z'), Err(FormatError::BadOption(b'z')));
        assert_eq!(Format::new(b"3").control(b'!'), Err(FormatError::BadAlignment(3)));
        assert_eq!(Format::new(b"0").control(b'!'), Err(FormatError::BadAlignment(0)));
        assert_eq!(Format::new(b"1073741824").control(b'!'), Ok(()));
    }

    #[test]
    fn padding_goes_to_the_next_multiple() {
        let mut format = Format::new(b"4");
        let item = |option, size| Item { option, size };
        assert_eq!(format.padding(3, item(b'i', 4)), 0);
        format.control(b'!').unwrap();
        assert_eq!(format.padding(3, item(b'i', 4)), 1);
        assert_eq!(format.padding(1, item(b'd', 8)), 3);
        assert_eq!(format.padding(1, item(b'h', 2)), 1);
        assert_eq!(format.padding(1, item(b'c', 4)), 0);
        assert_eq!(format.padding(1, item(b's', 0)), 0);
        assert_eq!(format.padding(usize::MAX, item(b'i', 4)), 1);
    }

    /// Each of these was asked of upstream.
    #[test]
    fn integers_beyond_the_usual() {
        let format = Format::new(b"");
        assert_eq!(format.read_integer(&[44, 1, 0, 0, 0, 0, 0, 0, 0], true), -84.0);
        assert_eq!(format.read_integer(&[44, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], true), 300.0);
        assert_eq!(format.read_integer(&[], true), 0.0);
        let mut out = Vec::new();
        format.write_integer(&mut out, u64::MAX, 10);
        assert_eq!(out, [255, 255, 255, 255, 255, 255, 255, 255, 0, 0]);
    }

    #[test]
    fn numbers_out_of_range() {
        assert_eq!(to_unsigned(-1.5), u64::MAX);
        assert_eq!(to_unsigned(1e19), 10_000_000_000_000_000_000);
        assert_eq!(to_unsigned(1e20), 0);
        assert_eq!(to_unsigned(-1e20), 1 << 63);
        assert_eq!(to_unsigned(f64::NAN), 1 << 63);
        assert_eq!(to_unsigned(f64::INFINITY), 0);
    }

    proptest! {
        #[test]
        fn integers_come_back(value: i32, size in 4usize..9, big: bool) {
            let mut format = Format::new(b"");
            format.control(if big { b'>' } else { b'<' }).unwrap();
            let mut out = Vec::new();
            format.write_integer(&mut out, i64::from(value) as u64, size);
            prop_assert_eq!(out.len(), size);
            prop_assert_eq!(format.read_integer(&out, true), f64::from(value));
            prop_assert_eq!(format.order(format.order([1, 2, 3, 4])), [1, 2, 3, 4]);
        }
    }
}
