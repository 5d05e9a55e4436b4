//! MessagePack's bytes, as far as Lua has values for them.
//!
//! Every object begins with a byte that says what it is, and for small ones says all:
//!
//! | first byte    | object                            | followed by                        |
//! |---------------|-----------------------------------|------------------------------------|
//! | `00`–`7f`     | the integer itself                |                                    |
//! | `80`–`8f`     | map of so many pairs              | keys and values in turn            |
//! | `90`–`9f`     | array of so many elements         | the elements                       |
//! | `a0`–`bf`     | string of so many bytes           | the bytes                          |
//! | `c0`          | nil                               |                                    |
//! | `c2`, `c3`    | false, true                       |                                    |
//! | `ca`, `cb`    | float                             | 4 or 8 bytes, IEEE 754             |
//! | `cc`–`cf`     | unsigned integer                  | 1, 2, 4 or 8 bytes                 |
//! | `d0`–`d3`     | signed integer                    | 1, 2, 4 or 8 bytes                 |
//! | `d9`–`db`     | string                            | its length in 1, 2 or 4 bytes, it  |
//! | `dc`, `dd`    | array                             | its length in 2 or 4 bytes, it     |
//! | `de`, `df`    | map                               | its pairs in 2 or 4 bytes, they    |
//! | `e0`–`ff`     | the negative integer -32 to -1    |                                    |
//!
//! All numbers are big-endian. The remaining first bytes (`c1`, and the binary and extension types) are refused. An
//! unsigned integer of 2^63 or more comes out negative, as it does upstream.

/// An object, or the head of one that consists of others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Object<'m> {
    /// Nothing.
    Nil,
    /// A truth value.
    Boolean(bool),
    /// Any number; Lua has doubles only.
    Number(f64),
    /// A string of any bytes.
    String(&'m [u8]),
    /// So many objects follow.
    Array(usize),
    /// So many pairs of key and value follow.
    Map(usize),
}

/// Why a message cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// It ends too early.
    MissingBytes,
    /// A first byte that no object has.
    BadFormat,
}

/// Reads a message from its front.
pub struct Reader<'m> {
    rest: &'m [u8],
}

impl<'m> Reader<'m> {
    /// Starts at the front of `message`.
    pub fn new(message: &'m [u8]) -> Reader<'m> {
        Reader { rest: message }
    }

    /// The bytes that are left.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Reads an object or the head of one.
    pub fn next_object(&mut self) -> Result<Object<'m>, Error> {
        let [first] = self.array()?;
        Ok(match first {
            0x00..=0x7f => Object::Number(f64::from(first)),
            0x80..=0x8f => Object::Map(usize::from(first & 0x0f)),
            0x90..=0x9f => Object::Array(usize::from(first & 0x0f)),
            0xa0..=0xbf => self.string(usize::from(first & 0x1f))?,
            0xc0 => Object::Nil,
            0xc2 => Object::Boolean(false),
            0xc3 => Object::Boolean(true),
            0xca => Object::Number(f64::from(f32::from_be_bytes(self.array()?))),
            0xcb => Object::Number(f64::from_be_bytes(self.array()?)),
            0xcc => Object::Number(f64::from(u8::from_be_bytes(self.array()?))),
            0xcd => Object::Number(f64::from(u16::from_be_bytes(self.array()?))),
            0xce => Object::Number(f64::from(u32::from_be_bytes(self.array()?))),
            0xd0 => Object::Number(f64::from(i8::from_be_bytes(self.array()?))),
            0xd1 => Object::Number(f64::from(i16::from_be_bytes(self.array()?))),
            0xd2 => Object::Number(f64::from(i32::from_be_bytes(self.array()?))),
            0xcf | 0xd3 => Object::Number(i64::from_be_bytes(self.array()?) as f64),
            0xd9 => self.length_8().and_then(|length| self.string(length))?,
            0xda => self.length_16().and_then(|length| self.string(length))?,
            0xdb => self.length_32().and_then(|length| self.string(length))?,
            0xdc => Object::Array(self.length_16()?),
            0xdd => Object::Array(self.length_32()?),
            0xde => Object::Map(self.length_16()?),
            0xdf => Object::Map(self.length_32()?),
            0xe0..=0xff => Object::Number(f64::from(first as i8)),
            _ => return Err(Error::BadFormat),
        })
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (front, rest) = self.rest.split_first_chunk().ok_or(Error::MissingBytes)?;
        self.rest = rest;
        Ok(*front)
    }

    fn length_8(&mut self) -> Result<usize, Error> {
        Ok(usize::from(u8::from_be_bytes(self.array()?)))
    }

    fn length_16(&mut self) -> Result<usize, Error> {
        Ok(usize::from(u16::from_be_bytes(self.array()?)))
    }

    fn length_32(&mut self) -> Result<usize, Error> {
        Ok(u32::from_be_bytes(self.array()?) as usize)
    }

    fn string(&mut self, length: usize) -> Result<Object<'m>, Error> {
        let (front, rest) = self.rest.split_at_checked(length).ok_or(Error::MissingBytes)?;
        self.rest = rest;
        Ok(Object::String(front))
    }
}

/// Appends nil.
pub fn write_nil(out: &mut Vec<u8>) {
    out.push(0xc0);
}

/// Appends a truth value.
pub fn write_boolean(out: &mut Vec<u8>, value: bool) {
    out.push(if value { 0xc3 } else { 0xc2 });
}

/// Appends a number in its shortest form: an integer if it is one, else a float of four bytes if that loses nothing.
pub fn write_number(out: &mut Vec<u8>, value: f64) {
    /// The first double that is too large for an `i64`.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    let integer = value as i64;
    if integer as f64 == value && value < LIMIT {
        write_integer(out, integer);
    } else if f64::from(value as f32) == value {
        out.push(0xca);
        out.extend_from_slice(&(value as f32).to_be_bytes());
    } else {
        out.push(0xcb);
        out.extend_from_slice(&value.to_be_bytes());
    }
}

fn write_integer(out: &mut Vec<u8>, value: i64) {
    // The narrowest form's bytes are the last ones of the widest.
    let bytes = value.to_be_bytes();
    let (first, width) = match value {
        -32..=127 => return out.push(bytes[7]),
        128..=0xff => (0xcc, 1),
        0x100..=0xffff => (0xcd, 2),
        0x1_0000..=0xffff_ffff => (0xce, 4),
        0x1_0000_0000.. => (0xcf, 8),
        -0x80..=-33 => (0xd0, 1),
        -0x8000..=-0x81 => (0xd1, 2),
        -0x8000_0000..=-0x8001 => (0xd2, 4),
        _ => (0xd3, 8),
    };
    out.push(first);
    out.extend_from_slice(&bytes[8 - width..]);
}

/// Appends a string. Of the length of one beyond 4 GiB, only the lower 32 bits are written.
pub fn write_string(out: &mut Vec<u8>, text: &[u8]) {
    match text.len() {
        length @ 0..=31 => out.push(0xa0 | length as u8),
        length @ 32..=0xff => out.extend_from_slice(&[0xd9, length as u8]),
        length => write_length(out, length, 0xda),
    }
    out.extend_from_slice(text);
}

/// Appends the head of an array; the elements are to follow.
pub fn write_array_head(out: &mut Vec<u8>, elements: usize) {
    match elements {
        0..=15 => out.push(0x90 | elements as u8),
        _ => write_length(out, elements, 0xdc),
    }
}

/// Appends the head of a map; the pairs are to follow.
pub fn write_map_head(out: &mut Vec<u8>, pairs: usize) {
    match pairs {
        0..=15 => out.push(0x80 | pairs as u8),
        _ => write_length(out, pairs, 0xde),
    }
}

/// Appends a length of two bytes behind `first`, or of four behind the byte that comes next.
fn write_length(out: &mut Vec<u8>, length: usize, first: u8) {
    match u16::try_from(length) {
        Ok(length) => {
            out.push(first);
            out.extend_from_slice(&length.to_be_bytes());
        }
        Err(_) => {
            out.push(first + 1);
            out.extend_from_slice(&(length as u32).to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(value: f64) -> Vec<u8> {
        let mut out = Vec::new();
        write_number(&mut out, value);
        out
    }

    fn read(message: &[u8]) -> Result<Object<'_>, Error> {
        Reader::new(message).next_object()
    }

    #[test]
    fn numbers_take_their_shortest_form() {
        for (value, bytes) in [
            (0.0, &b"\x00"[..]),
            (-0.0, b"\x00"),
            (127.0, b"\x7f"),
            (128.0, b"\xcc\x80"),
            (255.0, b"\xcc\xff"),
            (256.0, b"\xcd\x01\x00"),
            (65535.0, b"\xcd\xff\xff"),
            (65536.0, b"\xce\x00\x01\x00\x00"),
            (4294967295.0, b"\xce\xff\xff\xff\xff"),
            (4294967296.0, b"\xcf\x00\x00\x00\x01\x00\x00\x00\x00"),
            (-1.0, b"\xff"),
            (-32.0, b"\xe0"),
            (-33.0, b"\xd0\xdf"),
            (-128.0, b"\xd0\x80"),
            (-129.0, b"\xd1\xff\x7f"),
            (-32768.0, b"\xd1\x80\x00"),
            (-32769.0, b"\xd2\xff\xff\x7f\xff"),
            (-2147483648.0, b"\xd2\x80\x00\x00\x00"),
            (-2147483649.0, b"\xd3\xff\xff\xff\xff\x7f\xff\xff\xff"),
            (-9223372036854775808.0, b"\xd3\x80\x00\x00\x00\x00\x00\x00\x00"),
            (9223372036854775808.0, b"\xca\x5f\x00\x00\x00"),
            (1.5, b"\xca\x3f\xc0\x00\x00"),
            (f64::INFINITY, b"\xca\x7f\x80\x00\x00"),
            (f64::NEG_INFINITY, b"\xca\xff\x80\x00\x00"),
            (0.1, b"\xcb\x3f\xb9\x99\x99\x99\x99\x99\x9a"),
        ] {
            assert_eq!(number(value), bytes, "{value}");
            let expected = if value == 0.0 { 0.0 } else { value };
            assert_eq!(read(bytes), Ok(Object::Number(expected)), "{value}");
        }
        assert_eq!(number(f64::NAN).len(), 9);
    }

    #[test]
    fn unsigned_integers_wrap_at_two_to_the_63() {
        assert_eq!(read(b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), Ok(Object::Number(-1.0)));
        assert_eq!(read(b"\xd3\xff\xff\xff\xff\xff\xff\xff\xff"), Ok(Object::Number(-1.0)));
    }

    #[test]
    fn heads_grow_with_lengths() {
        let head = |write: fn(&mut Vec<u8>, usize), length| {
            let mut out = Vec::new();
            write(&mut out, length);
            out
        };
        assert_eq!(head(write_array_head, 15), b"\x9f");
        assert_eq!(head(write_array_head, 16), b"\xdc\x00\x10");
        assert_eq!(head(write_array_head, 65536), b"\xdd\x00\x01\x00\x00");
        assert_eq!(head(write_map_head, 15), b"\x8f");
        assert_eq!(head(write_map_head, 65535), b"\xde\xff\xff");
        assert_eq!(head(write_map_head, 65536), b"\xdf\x00\x01\x00\x00");
        for (length, bytes) in
            [(31, &b"\xbf"[..]), (32, b"\xd9\x20"), (256, b"\xda\x01\x00"), (65536, b"\xdb\0\x01\0\0")]
        {
            let mut out = Vec::new();
            let text = vec![b'x'; length];
            write_string(&mut out, &text);
            assert!(out.starts_with(bytes), "{length}");
            assert_eq!(read(&out), Ok(Object::String(&text)));
        }
    }

    #[test]
    fn refused_bytes_and_truncated_objects() {
        for first in [0xc1, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8] {
            assert_eq!(read(&[first; 20]), Err(Error::BadFormat), "{first:x}");
        }
        for message in [
            &b""[..],
            b"\xa1",
            b"\xcc",
            b"\xcd\0",
            b"\xce\0\0\0",
            b"\xcf\0\0\0\0\0\0\0",
            b"\xca\0\0\0",
            b"\xcb\0\0\0\0\0\0\0",
            b"\xd9",
            b"\xd9\x02a",
            b"\xda\0",
            b"\xdb\xff\xff\xff\xffa",
            b"\xdc\0",
            b"\xdf\0\0\0",
        ] {
            assert_eq!(read(message), Err(Error::MissingBytes), "{}", message.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn numbers_come_back(bits: u64) {
            let value = f64::from_bits(bits);
            match read(&number(value)) {
                Ok(Object::Number(read)) => prop_assert!(read == value || (read.is_nan() && value.is_nan())),
                other => prop_assert!(false, "{other:?}"),
            }
        }

        #[test]
        fn integers_come_back(value: i64) {
            let message = number(value as f64);
            prop_assert_eq!(read(&message), Ok(Object::Number(value as f64)));
        }
    }
}
