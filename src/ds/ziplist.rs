//! Ziplists, read only: what listpacks were before RDB version 10, in files and payloads of that time.
//!
//! ```text
//! byte 0           4           8        10                                        size - 1
//!      ┌───────────┬───────────┬────────┬───────────┬───────────┬─ ─ ─┬───────────┬──────┐
//!      │ size      │ last      │ count  │ entry     │ entry     │     │ entry     │ 0xff │
//!      └───────────┴───────────┴────────┴───────────┴───────────┴─ ─ ─┴───────────┴──────┘
//!        u32, LE     u32, LE     u16, LE
//! ```
//!
//! `last` is where the last entry begins (where the end mark is, if there is no entry). A count of 65535 means "count
//! yourself". An entry consists of the size of the entry *before* it, an encoding, and content:
//!
//! | size of the entry before            | bytes |
//! |-------------------------------------|-------|
//! | 0 to 253                            | 1     |
//! | any                                 | 0xfe, then 4 bytes, LE |
//!
//! | first byte of the encoding | follows                           | value                      |
//! |----------------------------|-----------------------------------|----------------------------|
//! | `00nnnnnn`                 | n bytes                           | string of 0 to 63 bytes    |
//! | `01nnnnnn`                 | 1 byte of length (BE), n bytes    | string of up to 16383 bytes |
//! | `10000000`                 | 4 bytes of length (BE), n bytes   | string of any length       |
//! | `0xc0`, `0xd0`, `0xe0`     | 2, 4 or 8 bytes, LE               | integer                    |
//! | `0xf0`, `0xfe`             | 3 bytes LE, 1 byte                | integer                    |
//! | `0xf1` to `0xfd`           |                                   | integer 0 to 12            |
//!
//! It was the size of the entry before, whose change could cascade through all that follow, that listpacks did away with.
//! [`Ziplist::from_bytes`] checks everything once, so that walking cannot fail.

use super::listpack::{Listpack, Value};

/// Bytes before the first entry.
const HEADER: usize = 10;
/// The byte behind the last entry.
const END: u8 = 0xff;
/// Four bytes of size follow.
const BIG_SIZE: u8 = 0xfe;
/// The count that stands for itself and all above.
const COUNT_UNKNOWN: usize = u16::MAX as usize;

/// A ziplist whose bytes were checked.
#[derive(Clone, Copy, Debug)]
pub struct Ziplist<'a> {
    entries: &'a [u8],
    len: usize,
}

impl<'a> Ziplist<'a> {
    /// Checks bytes from a file or a `RESTORE`: the size as stated, whole entries to the very end, each with the right size
    /// of the one before it, the last one where it should be, and as many as stated.
    pub fn from_bytes(bytes: &'a [u8]) -> Option<Ziplist<'a>> {
        if bytes.len() <= HEADER || bytes[bytes.len() - 1] != END {
            return None;
        }
        let size = u32::from_le_bytes(*bytes.first_chunk()?) as usize;
        let last = u32::from_le_bytes(*bytes[4..].first_chunk()?) as usize;
        let stated = usize::from(u16::from_le_bytes(*bytes[8..].first_chunk()?));
        if size != bytes.len() {
            return None;
        }
        let entries = &bytes[HEADER..bytes.len() - 1];
        let (mut at, mut before, mut count) = (0, 0, 0);
        while at < entries.len() {
            let (stated_before, entry) = split_size(&entries[at..])?;
            if stated_before != before {
                return None;
            }
            let (_, rest) = split_value(entry)?;
            let end = entries.len() - rest.len();
            before = end - at;
            at = end;
            count += 1;
        }
        let whole = last == HEADER + at - before && (stated == count || stated == COUNT_UNKNOWN);
        whole.then_some(Ziplist { entries, len: count })
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The values, from the first to the last.
    pub fn iter(&self) -> Iter<'a> {
        Iter { rest: self.entries }
    }

    /// The same values as a listpack.
    pub fn to_listpack(&self) -> Listpack {
        let mut list = Listpack::new();
        list.append_all(&self.iter().collect::<Vec<_>>());
        list
    }
}

/// The values of a ziplist.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Iter<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        let (_, entry) = split_size(self.rest)?;
        let (value, rest) = split_value(entry)?;
        self.rest = rest;
        Some(value)
    }
}

/// Splits off the size of the entry before.
fn split_size(bytes: &[u8]) -> Option<(usize, &[u8])> {
    match bytes {
        [END, ..] | [] => None,
        [BIG_SIZE, rest @ ..] => {
            let (size, rest) = rest.split_first_chunk()?;
            Some((u32::from_le_bytes(*size) as usize, rest))
        }
        [size, rest @ ..] => Some((usize::from(*size), rest)),
    }
}

/// Splits off encoding and content. Strings that spell an integer become one, as everywhere in a listpack.
fn split_value(bytes: &[u8]) -> Option<(Value<'_>, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    let (length, rest) = match first >> 6 {
        0 => (usize::from(first & 0x3f), rest),
        1 => {
            let (low, rest) = rest.split_first()?;
            (usize::from(first & 0x3f) << 8 | usize::from(*low), rest)
        }
        2 => {
            let (length, rest) = rest.split_first_chunk()?;
            (u32::from_be_bytes(*length) as usize, rest)
        }
        _ => return split_integer(first, rest),
    };
    let (text, rest) = rest.split_at_checked(length)?;
    Some((Value::from(text), rest))
}

fn split_integer(first: u8, rest: &[u8]) -> Option<(Value<'_>, &[u8])> {
    let (value, rest) = match first {
        0xc0 => {
            let (bytes, rest) = rest.split_first_chunk()?;
            (i64::from(i16::from_le_bytes(*bytes)), rest)
        }
        0xd0 => {
            let (bytes, rest) = rest.split_first_chunk()?;
            (i64::from(i32::from_le_bytes(*bytes)), rest)
        }
        0xe0 => {
            let (bytes, rest) = rest.split_first_chunk()?;
            (i64::from_le_bytes(*bytes), rest)
        }
        0xf0 => {
            let (&[a, b, c], rest) = rest.split_first_chunk()?;
            (i64::from(i32::from_le_bytes([0, a, b, c]) >> 8), rest)
        }
        0xfe => {
            let (byte, rest) = rest.split_first()?;
            (i64::from(*byte as i8), rest)
        }
        0xf1..=0xfd => (i64::from(first - 0xf1), rest),
        _ => return None,
    };
    Some((Value::Integer(value), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Writes one, with every value in the encoding given by its number.
    pub fn build(entries: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER];
        let (mut before, mut last) = (0usize, HEADER);
        for entry in entries {
            let start = bytes.len();
            if before < 254 {
                bytes.push(before as u8);
            } else {
                bytes.push(BIG_SIZE);
                bytes.extend((before as u32).to_le_bytes());
            }
            bytes.extend(entry);
            last = start;
            before = bytes.len() - start;
        }
        bytes.push(END);
        let size = bytes.len() as u32;
        bytes[..4].copy_from_slice(&size.to_le_bytes());
        bytes[4..8].copy_from_slice(&(last as u32).to_le_bytes());
        bytes[8..10].copy_from_slice(&(entries.len() as u16).to_le_bytes());
        bytes
    }

    fn string(text: &[u8]) -> Vec<u8> {
        let mut entry = match text.len() {
            length @ 0..64 => vec![length as u8],
            length @ 64..16384 => vec![0x40 | (length >> 8) as u8, length as u8],
            length => [&[0x80][..], &(length as u32).to_be_bytes()].concat(),
        };
        entry.extend(text);
        entry
    }

    #[test]
    fn every_encoding_is_read() {
        let long = vec![b'x'; 20_000];
        let entries = [
            string(b"abc"),
            string(&long[..300]),
            string(&long),
            vec![0xc0, 0x2e, 0xfb],
            vec![0xd0, 0x00, 0x00, 0x00, 0x80],
            [&[0xe0][..], &i64::MIN.to_le_bytes()].concat(),
            vec![0xf0, 0xff, 0xff, 0xff],
            vec![0xfe, 0x80],
            vec![0xf1],
            vec![0xfd],
            string(b"17"),
        ];
        let bytes = build(&entries);
        let list = Ziplist::from_bytes(&bytes).unwrap();
        let expected = [
            Value::String(b"abc"),
            Value::String(&long[..300]),
            Value::String(&long),
            Value::Integer(-1234),
            Value::Integer(i64::from(i32::MIN)),
            Value::Integer(i64::MIN),
            Value::Integer(-1),
            Value::Integer(-128),
            Value::Integer(0),
            Value::Integer(12),
            Value::Integer(17),
        ];
        assert_eq!(list.iter().collect::<Vec<_>>(), expected);
        assert_eq!(list.to_listpack().iter().collect::<Vec<_>>(), expected);
        assert_eq!(list.len(), expected.len());
    }

    #[test]
    fn what_does_not_add_up_is_refused() {
        let good = build(&[string(b"a"), string(b"b")]);
        assert!(Ziplist::from_bytes(&good).is_some());
        assert!(Ziplist::from_bytes(&build(&[])).is_some_and(|list| list.is_empty()));
        for (at, byte) in [(0, 99), (4, 0), (8, 3), (10, 1), (11, 0xff), (12 + 1, 9), (good.len() - 1, 0)] {
            let mut bad = good.clone();
            bad[at] = byte;
            assert!(Ziplist::from_bytes(&bad).is_none(), "byte {at}");
        }
        let mut uncounted = good.clone();
        uncounted[8..10].copy_from_slice(&[0xff, 0xff]);
        assert_eq!(Ziplist::from_bytes(&uncounted).map(|list| list.len()), Some(2));
    }

    proptest! {
        #[test]
        fn any_bytes_are_safe(mut bytes in proptest::collection::vec(any::<u8>(), 11..80)) {
            let size = bytes.len() as u32;
            bytes[..4].copy_from_slice(&size.to_le_bytes());
            *bytes.last_mut().unwrap() = END;
            if let Some(list) = Ziplist::from_bytes(&bytes) {
                prop_assert_eq!(list.iter().count(), list.len());
            }
        }
    }
}
