//! Zipmaps, read only: small hashes in files of Redis 2.4 and before.
//!
//! ```text
//! ┌───────┬──────────┬──────┬───────────┬───────┬───────┬─ ─ ─ ─ ┬─ ─ ─┬──────┐
//! │ count │ length   │ name │ length    │ slack │ value │ (slack) │     │ 0xff │
//! └───────┴──────────┴──────┴───────────┴───────┴───────┴─ ─ ─ ─ ┴─ ─ ─┴──────┘
//!   1 byte  1 or 5            1 or 5      1 byte
//! ```
//!
//! A count of 254 or 255 means "count yourself". A length is one byte up to 253, or 254 and four bytes, little-endian.
//! `slack` says how many bytes behind the value mean nothing: they are left from a longer one.

/// The byte behind the last field.
const END: u8 = 0xff;
/// Four bytes of length follow; as a count, it is not known.
const BIG: u8 = 0xfe;

/// A zipmap whose bytes were checked.
#[derive(Clone, Copy, Debug)]
pub struct Zipmap<'a> {
    fields: &'a [u8],
    len: usize,
}

impl<'a> Zipmap<'a> {
    /// Checks bytes from a file or a `RESTORE`: whole fields to the very end, as many as stated.
    pub fn from_bytes(bytes: &'a [u8]) -> Option<Zipmap<'a>> {
        let [stated, fields @ .., END] = bytes else { return None };
        let (mut rest, mut len) = (fields, 0);
        while !rest.is_empty() {
            (_, _, rest) = split_field(rest)?;
            len += 1;
        }
        (*stated >= BIG || usize::from(*stated) == len).then_some(Zipmap { fields, len })
    }

    /// The number of fields.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let mut rest = self.fields;
        std::iter::from_fn(move || {
            let (name, value, behind) = split_field(rest)?;
            rest = behind;
            Some((name, value))
        })
    }
}

fn split_field(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (length, rest) = split_length(bytes)?;
    let (name, rest) = rest.split_at_checked(length)?;
    let (length, rest) = split_length(rest)?;
    let (slack, rest) = rest.split_first()?;
    let (value, rest) = rest.split_at_checked(length)?;
    Some((name, value, rest.get(usize::from(*slack)..)?))
}

fn split_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    match bytes {
        [] | [END, ..] => None,
        [BIG, rest @ ..] => {
            let (length, rest) = rest.split_first_chunk()?;
            Some((u32::from_le_bytes(*length) as usize, rest))
        }
        [length, rest @ ..] => Some((usize::from(*length), rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_are_read_and_slack_is_not() {
        let bytes = b"\x02\x03foo\x03\x00bar\x05hello\x05\x02worldxx\xff";
        let map = Zipmap::from_bytes(bytes).unwrap();
        let fields: Vec<_> = map.iter().collect();
        assert_eq!(fields, [(&b"foo"[..], &b"bar"[..]), (b"hello", b"world")]);
        assert_eq!(map.len(), 2);
        let long = [&b"\xfe\x01k\xfe\x2c\x01\x00\x00\x00"[..], &[b'v'; 300], b"\xff"].concat();
        let map = Zipmap::from_bytes(&long).unwrap();
        assert_eq!(map.iter().next(), Some((&b"k"[..], &[b'v'; 300][..])));
    }

    #[test]
    fn what_does_not_add_up_is_refused() {
        assert!(Zipmap::from_bytes(b"\x00\xff").is_some_and(|map| map.is_empty()));
        for bad in [
            &b""[..],
            b"\x00",
            b"\x01\xff",
            b"\x01\x03foo\x03\x00ba\xff",
            b"\x02\x03foo\x03\x00bar\xff",
            b"\x01\x03foo\x03\x05bar\xff",
            b"\x01\xfe\xff\xff\xff\xff\xff",
            b"\x01\x03foo\x03\x00bar",
        ] {
            assert!(Zipmap::from_bytes(bad).is_none(), "{}", bad.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_safe(mut bytes in proptest::collection::vec(0u8..8, 2..60)) {
            *bytes.last_mut().unwrap() = END;
            bytes[0] = BIG;
            if let Some(map) = Zipmap::from_bytes(&bytes) {
                prop_assert_eq!(map.iter().count(), map.len());
            }
        }
    }
}
