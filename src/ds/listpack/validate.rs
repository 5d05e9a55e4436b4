//! Bytes from a stranger, before anything else looks at them.

use super::encoding::{back_length, back_length_size, checked_size, decode};
use super::{COUNT_UNKNOWN, EMPTY, END, HEADER, Value};

/// Whether `bytes` are a listpack: the size as stated, whole elements to the very end, each with a back length that agrees
/// with its encoding, and as many as stated.
pub fn validate(bytes: &[u8]) -> bool {
    validate_with(bytes, |_| true)
}

/// Like [`validate`], and `accept` has to accept each value, in order.
pub fn validate_with<'a>(bytes: &'a [u8], mut accept: impl FnMut(Value<'a>) -> bool) -> bool {
    let Some(mut strange) = Strange::new(bytes) else { return false };
    strange.all(&mut accept) && strange.is_whole()
}

/// The values in bytes that may be a listpack, each of which is checked when its turn comes. They end where an element is
/// not sound; so whoever has seen them all asks whether [`Strange::is_whole`].
#[derive(Debug)]
pub struct Strange<'a> {
    rest: &'a [u8],
    count: usize,
    stated: usize,
}

impl<'a> Strange<'a> {
    /// The values in these bytes; none if their first and last bytes are not a listpack's.
    pub fn new(bytes: &'a [u8]) -> Option<Strange<'a>> {
        if bytes.len() < EMPTY {
            return None;
        }
        let [s0, s1, s2, s3, c0, c1] = *bytes.first_chunk::<HEADER>()?;
        let (size, stated) = (u32::from_le_bytes([s0, s1, s2, s3]), u16::from_le_bytes([c0, c1]));
        let rest = bytes[HEADER..].strip_suffix(&[END])?;
        (size as usize == bytes.len()).then_some(Strange { rest, count: 0, stated: stated.into() })
    }

    /// Whether all elements were seen, and are as many as stated: then the bytes are a listpack.
    pub fn is_whole(&self) -> bool {
        self.rest.is_empty() && (self.stated == self.count || self.stated == COUNT_UNKNOWN)
    }
}

impl<'a> Iterator for Strange<'a> {
    type Item = Value<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<Value<'a>> {
        // Nearly all elements are small integers and short strings, whose back length is one byte.
        let (value, rest) = match self.rest {
            [first @ ..0x80, 1, rest @ ..] => (Value::Integer(i64::from(*first)), rest),
            [first @ 0x80..0xc0, rest @ ..] => {
                let len = usize::from(first & 0x3f);
                let (text, rest) = rest.split_at_checked(len)?;
                let (back, rest) = rest.split_first()?;
                if usize::from(*back) != len + 1 {
                    return None;
                }
                (Value::String(text), rest)
            }
            [] => return None,
            rest => split_element(rest)?,
        };
        self.rest = rest;
        self.count += 1;
        Some(value)
    }
}

/// Splits the first element off, if it is all there.
#[inline(never)]
fn split_element(bytes: &[u8]) -> Option<(Value<'_>, &[u8])> {
    let size = checked_size(bytes)?;
    let (element, rest) = bytes.split_at_checked(size + back_length_size(size))?;
    (back_length(element) == Some(size)).then(|| (decode(element).0, rest))
}
