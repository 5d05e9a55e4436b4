//! Elements as bytes. The [module above](super) draws them.

use crate::ds::numbers::{parse_i64, write_i64};

/// The byte behind the last element.
pub(super) const END: u8 = 0xff;

/// The element is a string whose length follows in four bytes.
const STRING_32: u8 = 0xf0;
/// The element is an integer of two, three, four or eight bytes.
const INTEGER_16: u8 = 0xf1;
const INTEGER_24: u8 = 0xf2;
const INTEGER_32: u8 = 0xf3;
const INTEGER_64: u8 = 0xf4;

/// The bounds of integers in 13 and in 24 bits.
const INTEGERS_13: std::ops::Range<i64> = -(1 << 12)..1 << 12;
const INTEGERS_24: std::ops::Range<i64> = -(1 << 23)..1 << 23;

/// An element's value, read from a listpack or to be written into one.
///
/// A string that is the canonical text of an integer is stored as that integer and read back as such: who stores
/// `b"42"` gets `Integer(42)`. [`PartialEq`] compares what is stored; use [`Value::is`] to compare with a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Value<'a> {
    /// An integer.
    Integer(i64),
    /// A string that is not an integer's text.
    String(&'a [u8]),
}

impl<'a> From<i64> for Value<'a> {
    fn from(value: i64) -> Value<'a> {
        Value::Integer(value)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    /// Recognises integers.
    fn from(text: &'a [u8]) -> Value<'a> {
        parse_i64(text).map_or(Value::String(text), Value::Integer)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Value<'a> {
    fn from(text: &'a [u8; N]) -> Value<'a> {
        Value::from(text.as_slice())
    }
}

impl<'a> From<&'a Vec<u8>> for Value<'a> {
    fn from(text: &'a Vec<u8>) -> Value<'a> {
        Value::from(text.as_slice())
    }
}

impl<'a> Value<'a> {
    /// Appends the value as text.
    pub fn write(self, out: &mut Vec<u8>) {
        match self {
            Value::Integer(value) => write_i64(out, value),
            Value::String(text) => out.extend_from_slice(text),
        }
    }

    /// The value as text.
    pub fn to_vec(self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    /// Whether the value's text is `text`.
    pub fn is(self, text: &[u8]) -> bool {
        match self {
            Value::Integer(value) => parse_i64(text) == Some(value),
            Value::String(own) => own == text,
        }
    }

    /// The integer, if it is one. A string may come from a file whose writer did not recognise one.
    #[inline]
    pub fn as_integer(self) -> Option<i64> {
        match self {
            Value::Integer(value) => Some(value),
            Value::String(text) => parse_i64(text),
        }
    }

    /// The bytes that an element with this value takes in a listpack.
    pub fn element_size(self) -> usize {
        Encoded::new(self).size()
    }
}

/// An element about to be written: its first bytes, then a string's.
pub(super) struct Encoded<'a> {
    head: [u8; 9],
    head_length: u8,
    tail: &'a [u8],
}

impl<'a> Encoded<'a> {
    pub fn new(value: Value<'a>) -> Encoded<'a> {
        match value {
            Value::Integer(value) => Encoded::integer(value),
            Value::String(text) => Encoded::string(text),
        }
    }

    fn integer(value: i64) -> Encoded<'a> {
        let bytes = value.to_le_bytes();
        match value {
            0..=0x7f => Encoded::from_head(&[bytes[0]], &[]),
            _ if INTEGERS_13.contains(&value) => Encoded::from_head(&[0xc0 | bytes[1] & 0x1f, bytes[0]], &[]),
            _ if i16::try_from(value).is_ok() => Encoded::tagged(INTEGER_16, &bytes[..2]),
            _ if INTEGERS_24.contains(&value) => Encoded::tagged(INTEGER_24, &bytes[..3]),
            _ if i32::try_from(value).is_ok() => Encoded::tagged(INTEGER_32, &bytes[..4]),
            _ => Encoded::tagged(INTEGER_64, &bytes),
        }
    }

    fn string(text: &'a [u8]) -> Encoded<'a> {
        let length = u32::try_from(text.len()).expect("strings in a listpack are shorter than 4 GiB");
        let bytes = length.to_le_bytes();
        match length {
            0..=0x3f => Encoded::from_head(&[0x80 | bytes[0]], text),
            0x40..=0xfff => Encoded::from_head(&[0xe0 | bytes[1], bytes[0]], text),
            _ => Encoded { tail: text, ..Encoded::tagged(STRING_32, &bytes) },
        }
    }

    fn tagged(tag: u8, bytes: &[u8]) -> Encoded<'a> {
        let mut head = [0; 9];
        head[0] = tag;
        head[1..=bytes.len()].copy_from_slice(bytes);
        Encoded { head, head_length: bytes.len() as u8 + 1, tail: &[] }
    }

    fn from_head(bytes: &[u8], tail: &'a [u8]) -> Encoded<'a> {
        let mut head = [0; 9];
        head[..bytes.len()].copy_from_slice(bytes);
        Encoded { head, head_length: bytes.len() as u8, tail }
    }

    /// Appends the whole element.
    fn append_to(&self, out: &mut Vec<u8>) {
        let at = out.len();
        out.resize(at + self.size(), 0);
        self.write(&mut out[at..]);
    }

    fn parts(&self) -> (&[u8], &'a [u8]) {
        (&self.head[..usize::from(self.head_length)], self.tail)
    }

    /// The bytes of the whole element.
    pub fn size(&self) -> usize {
        let size = usize::from(self.head_length) + self.tail.len();
        size + back_length_size(size)
    }

    /// Writes the whole element to the start of `out` and returns what is behind it.
    pub fn write<'b>(&self, out: &'b mut [u8]) -> &'b mut [u8] {
        let (head, tail) = self.parts();
        let (out_head, out) = out.split_at_mut(head.len());
        out_head.copy_from_slice(head);
        let (out_tail, out) = out.split_at_mut(tail.len());
        out_tail.copy_from_slice(tail);
        let size = head.len() + tail.len();
        let (back, out) = out.split_at_mut(back_length_size(size));
        write_back_length(back, size);
        out
    }
}

/// Appends an element with this value; small integers and short strings, which nearly all are, without detours.
#[inline]
pub(super) fn append(value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Integer(value @ 0..=0x7f) => out.extend_from_slice(&[value as u8, 1]),
        Value::String(text) if text.len() <= 0x3f => {
            let len = text.len() as u8;
            out.reserve(text.len() + 2);
            out.push(0x80 | len);
            out.extend_from_slice(text);
            out.push(len + 1);
        }
        _ => Encoded::new(value).append_to(out),
    }
}

/// The value of the element at the start of `bytes`, and its size without the back length.
#[inline]
pub(super) fn decode(bytes: &[u8]) -> (Value<'_>, usize) {
    let first = bytes[0];
    match first {
        0x00..=0x7f => (Value::Integer(i64::from(first)), 1),
        0x80..=0xbf => {
            let size = 1 + usize::from(first & 0x3f);
            (Value::String(&bytes[1..size]), size)
        }
        0xc0..=0xdf => {
            // Shift the sign bit of 13 to where the sign of 16 is, and back.
            let bits = u16::from_be_bytes([first & 0x1f, bytes[1]]) << 3;
            (Value::Integer(i64::from(bits as i16 >> 3)), 2)
        }
        0xe0..=0xef => {
            let size = 2 + usize::from(u16::from_be_bytes([first & 0x0f, bytes[1]]));
            (Value::String(&bytes[2..size]), size)
        }
        STRING_32 => {
            let size = 5 + u32::from_le_bytes(fixed(&bytes[1..])) as usize;
            (Value::String(&bytes[5..size]), size)
        }
        INTEGER_16 => (Value::Integer(i16::from_le_bytes(fixed(&bytes[1..])).into()), 3),
        INTEGER_24 => {
            let [a, b, c] = fixed(&bytes[1..]);
            (Value::Integer((i32::from_le_bytes([0, a, b, c]) >> 8).into()), 4)
        }
        INTEGER_32 => (Value::Integer(i32::from_le_bytes(fixed(&bytes[1..])).into()), 5),
        INTEGER_64 => (Value::Integer(i64::from_le_bytes(fixed(&bytes[1..]))), 9),
        _ => unreachable!("no element starts with {first:#x}"),
    }
}

fn fixed<const N: usize>(bytes: &[u8]) -> [u8; N] {
    *bytes.first_chunk().expect("elements are complete")
}

/// The size, without the back length, of the element at the start of `bytes`.
#[inline]
pub(super) fn size(bytes: &[u8]) -> usize {
    checked_size(bytes).expect("elements are complete")
}

/// The same, for bytes that may be anything: `None` if no element begins so. The size may exceed what is there.
#[inline]
pub(super) fn checked_size(bytes: &[u8]) -> Option<usize> {
    Some(match *bytes {
        [0x00..=0x7f, ..] => 1,
        [first @ 0x80..=0xbf, ..] => 1 + usize::from(first & 0x3f),
        [0xc0..=0xdf, ..] => 2,
        [first @ 0xe0..=0xef, second, ..] => 2 + usize::from(u16::from_be_bytes([first & 0x0f, second])),
        [STRING_32, a, b, c, d, ..] => 5 + u32::from_le_bytes([a, b, c, d]) as usize,
        [INTEGER_16, ..] => 3,
        [INTEGER_24, ..] => 4,
        [INTEGER_32, ..] => 5,
        [INTEGER_64, ..] => 9,
        _ => return None,
    })
}

/// The greatest sizes whose back length has one, two, three and four bytes. (Upstream leaves out the last of most.)
const BACK_LENGTH_BOUNDS: [usize; 4] = [127, (1 << 14) - 2, (1 << 21) - 2, (1 << 28) - 2];

/// The bytes that the back length of an element of this size takes.
#[inline]
pub(super) fn back_length_size(size: usize) -> usize {
    if size <= BACK_LENGTH_BOUNDS[0] {
        return 1;
    }
    1 + BACK_LENGTH_BOUNDS.iter().take_while(|&&bound| size > bound).count()
}

/// Fills `out` with a back length: seven bits a byte, most significant first, so that a reader coming from behind meets
/// the last ones first. The top bit of a byte tells him that there is another before it.
fn write_back_length(out: &mut [u8], size: usize) {
    let mut rest = size;
    for byte in out.iter_mut().rev() {
        *byte = rest as u8 | 0x80;
        rest >>= 7;
    }
    out[0] &= 0x7f;
}

/// Reads the back length that ends where `bytes` ends: an element's size without it. `None` if it has no beginning
/// within five bytes.
#[inline]
pub(super) fn back_length(bytes: &[u8]) -> Option<usize> {
    let mut size = 0;
    for (index, byte) in bytes.iter().rev().take(BACK_LENGTH_BOUNDS.len() + 1).enumerate() {
        size |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some(size);
        }
    }
    None
}
