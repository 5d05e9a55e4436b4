//! Bytes as lengths and strings.

use std::borrow::Cow;

use bytes::Bytes;

use super::error::Error;
use super::format::length;
use crate::db::object::{INLINE_MAX, NewStr, StrRef};
use crate::ds::{lzf, numbers};
use crate::persistence::rio::Source;

/// A number of elements is believed up to this where nothing is known about the bytes left.
const BELIEVED_MAX: u64 = 1 << 14;

/// Reads the format.
pub(super) struct Decoder<'s, S: Source> {
    /// Where from.
    pub source: &'s mut S,
    /// The last string that was compressed, or an integer. Its memory serves the next.
    unpacked: Vec<u8>,
}

/// The first part of a string.
enum Head {
    Plain(u64),
    Integer(i64),
    Lzf { packed: u64, unpacked: u64 },
}

impl<'s, S: Source> Decoder<'s, S> {
    pub fn new(source: &'s mut S) -> Decoder<'s, S> {
        Decoder { source, unpacked: Vec::new() }
    }

    /// The error that something is wrong here.
    #[cold]
    pub fn corrupt(&self, reason: impl Into<Cow<'static, str>>) -> Error {
        Error::corrupt(self.source.offset(), reason)
    }

    /// The next bytes.
    #[inline]
    pub fn take(&mut self, n: usize) -> Result<&[u8], Error> {
        let offset = self.source.offset();
        self.source.take(n).map_err(|error| Error::read(error, offset))
    }

    /// The next byte.
    #[inline]
    pub fn byte(&mut self) -> Result<u8, Error> {
        self.take(1).map(|bytes| bytes[0])
    }

    /// The next bytes, as many as fit.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        self.take(N).map(|bytes| *bytes.first_chunk().expect("as many were asked for"))
    }

    /// Eight bytes, the lowest first.
    pub fn word(&mut self) -> Result<u64, Error> {
        self.array().map(u64::from_le_bytes)
    }

    /// A length, where no string in another form is expected.
    #[inline]
    pub fn length(&mut self) -> Result<u64, Error> {
        match self.head()? {
            Head::Plain(n) => Ok(n),
            _ => Err(self.corrupt("a length was expected")),
        }
    }

    /// A number of elements, each of at least `bytes` bytes, which the bytes left may hold.
    pub fn count(&mut self, bytes: u64) -> Result<usize, Error> {
        let count = self.length()?;
        if count > self.source.left() / bytes {
            return Err(Error::End { offset: self.source.offset() });
        }
        Ok(count as usize)
    }

    #[inline]
    fn head(&mut self) -> Result<Head, Error> {
        let first = self.byte()?;
        Ok(match first >> 6 {
            length::BITS_6 => Head::Plain(u64::from(first & 0x3f)),
            length::BITS_14 => Head::Plain(u64::from(first & 0x3f) << 8 | u64::from(self.byte()?)),
            length::ENCODED => return self.encoded_head(first & 0x3f),
            _ => match first {
                length::BITS_32 => Head::Plain(u32::from_be_bytes(self.array()?).into()),
                length::BITS_64 => Head::Plain(u64::from_be_bytes(self.array()?)),
                _ => {
                    return Err(self.corrupt(format!("Unknown length encoding {first} in rdbLoadLen()")));
                }
            },
        })
    }

    fn encoded_head(&mut self, form: u8) -> Result<Head, Error> {
        Ok(match form {
            length::INT_8 => Head::Integer(self.byte()? as i8 as i64),
            length::INT_16 => Head::Integer(i16::from_le_bytes(self.array()?).into()),
            length::INT_32 => Head::Integer(i32::from_le_bytes(self.array()?).into()),
            length::LZF => Head::Lzf { packed: self.length()?, unpacked: self.length()? },
            form => return Err(self.corrupt(format!("Unknown RDB string encoding type {form}"))),
        })
    }

    /// A string, which is lent.
    #[inline]
    pub fn text(&mut self) -> Result<StrRef<'_>, Error> {
        match self.head()? {
            Head::Plain(n) => self.take(size(n)).map(StrRef::Inline),
            Head::Integer(n) => Ok(StrRef::Int(n)),
            Head::Lzf { packed, unpacked } => self.unpack(packed, unpacked).map(StrRef::Inline),
        }
    }

    /// A string that is compressed, which is lent.
    fn unpack(&mut self, packed: u64, unpacked: u64) -> Result<&[u8], Error> {
        let offset = self.source.offset();
        let packed = self.source.take(size(packed)).map_err(|error| Error::read(error, offset))?;
        match lzf::decompress_into(&mut self.unpacked, packed, size(unpacked)) {
            Some(()) => Ok(&self.unpacked),
            None => Err(self.corrupt("Invalid LZF compressed string")),
        }
    }

    /// The same in an allocation of its own.
    fn unpack_block(&mut self, packed: u64, unpacked: u64) -> Result<Bytes, Error> {
        let block = lzf::decompress(self.take(size(packed))?, size(unpacked));
        block.map(Bytes::from).ok_or_else(|| self.corrupt("Invalid LZF compressed string"))
    }

    /// A string, which is lent, an integer's as its digits.
    pub fn bytes(&mut self) -> Result<&[u8], Error> {
        match self.head()? {
            Head::Plain(n) => self.take(size(n)),
            Head::Integer(n) => {
                self.unpacked.clear();
                numbers::write_i64(&mut self.unpacked, n);
                Ok(&self.unpacked)
            }
            Head::Lzf { packed, unpacked } => self.unpack(packed, unpacked),
        }
    }

    /// Puts a string into `into`, for which it is lent no longer.
    #[inline]
    pub fn bytes_into(&mut self, into: &mut Vec<u8>) -> Result<(), Error> {
        let bytes = self.bytes()?;
        into.clear();
        into.extend_from_slice(bytes);
        Ok(())
    }

    /// A string in an allocation of its own.
    pub fn block(&mut self) -> Result<Bytes, Error> {
        match self.head()? {
            Head::Plain(n) => self.plain_block(n),
            Head::Integer(n) => Ok(Bytes::from(itoa::Buffer::new().format(n).as_bytes().to_vec())),
            Head::Lzf { packed, unpacked } => self.unpack_block(packed, unpacked),
        }
    }

    fn plain_block(&mut self, n: u64) -> Result<Bytes, Error> {
        let offset = self.source.offset();
        self.source.take_vec(size(n)).map(Bytes::from).map_err(|error| Error::read(error, offset))
    }

    /// A string to be the value of a key: large ones in a block of their own, others lent.
    #[inline]
    pub fn string_value(&mut self) -> Result<NewStr<'_>, Error> {
        match self.head()? {
            Head::Plain(n) if n <= INLINE_MAX as u64 => self.take(size(n)).map(NewStr::encode),
            Head::Plain(n) => self.plain_block(n).map(NewStr::Share),
            Head::Integer(n) => Ok(NewStr::Int(n)),
            Head::Lzf { packed, unpacked } if unpacked <= INLINE_MAX as u64 => {
                self.unpack(packed, unpacked).map(NewStr::encode)
            }
            Head::Lzf { packed, unpacked } => self.unpack_block(packed, unpacked).map(NewStr::Share),
        }
    }

    /// So much of a number of elements as memory may be provided for, when each has at least `bytes` bytes.
    pub fn believed(&self, elements: u64, bytes: u64) -> usize {
        let left = self.source.left();
        let most = if left == u64::MAX { BELIEVED_MAX } else { left / bytes };
        elements.min(most) as usize
    }
}

/// A length as one in memory: what exceeds that is not there either.
fn size(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
