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
    if bytes.len() < EMPTY || bytes[bytes.len() - 1] != END {
        return false;
    }
    let [s0, s1, s2, s3, c0, c1] = *bytes.first_chunk::<HEADER>().expect("the length was checked");
    let (size, stated) = (u32::from_le_bytes([s0, s1, s2, s3]), usize::from(u16::from_le_bytes([c0, c1])));
    if size as usize != bytes.len() {
        return false;
    }
    let mut rest = &bytes[HEADER..bytes.len() - 1];
    let mut count = 0;
    while !rest.is_empty() {
        let Some((value, behind)) = split_element(rest) else { return false };
        if !accept(value) {
            return false;
        }
        rest = behind;
        count += 1;
    }
    stated == count || stated == COUNT_UNKNOWN
}

/// Splits the first element off, if it is all there.
fn split_element(bytes: &[u8]) -> Option<(Value<'_>, &[u8])> {
    let size = checked_size(bytes)?;
    let (element, rest) = bytes.split_at_checked(size + back_length_size(size))?;
    (back_length(element) == Some(size)).then(|| (decode(element).0, rest))
}
