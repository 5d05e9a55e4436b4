//! Ids of a stream's entries. The [module above](super) says where they are used.

use std::fmt;

use crate::ds::numbers;

/// Texts longer than this are no ids.
const TEXT_MAX: usize = 127;

/// The id of an entry: a time in milliseconds and a number within it, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    /// Unix time in milliseconds, unless the client chose to count something else.
    pub ms: u64,
    /// Number among the ids of that time.
    pub seq: u64,
}

/// An id's bytes, most significant first, so that they sort as the ids do.
pub type IdBytes = [u8; 16];

/// What an argument asks for where an id may be left to the server in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdSpec {
    /// `*`: all of it.
    Auto,
    /// `ms-*`: the number.
    AutoSeq(u64),
    /// Nothing.
    Given(StreamId),
}

impl StreamId {
    /// `0-0`, which no entry has.
    pub const MIN: StreamId = StreamId { ms: 0, seq: 0 };
    /// The greatest id.
    pub const MAX: StreamId = StreamId { ms: u64::MAX, seq: u64::MAX };

    /// The id of these two.
    pub const fn new(ms: u64, seq: u64) -> StreamId {
        StreamId { ms, seq }
    }

    /// The id as a key of the tree of nodes.
    #[inline]
    pub fn to_bytes(self) -> IdBytes {
        (u128::from(self.ms) << 64 | u128::from(self.seq)).to_be_bytes()
    }

    /// The id that [`StreamId::to_bytes`] made these of.
    #[inline]
    pub fn from_bytes(bytes: &IdBytes) -> StreamId {
        let number = u128::from_be_bytes(*bytes);
        StreamId { ms: (number >> 64) as u64, seq: number as u64 }
    }

    /// The next greater id.
    pub fn next(self) -> Option<StreamId> {
        match self.seq.checked_add(1) {
            Some(seq) => Some(StreamId { seq, ..self }),
            None => self.ms.checked_add(1).map(|ms| StreamId { ms, seq: 0 }),
        }
    }

    /// The next smaller id.
    pub fn previous(self) -> Option<StreamId> {
        match self.seq.checked_sub(1) {
            Some(seq) => Some(StreamId { seq, ..self }),
            None => self.ms.checked_sub(1).map(|ms| StreamId { ms, seq: u64::MAX }),
        }
    }

    /// The id so much further, as nodes of a stream express the ids of their entries.
    pub(super) fn offset(self, ms: i64, seq: i64) -> StreamId {
        StreamId { ms: self.ms.wrapping_add(ms as u64), seq: self.seq.wrapping_add(seq as u64) }
    }

    /// What [`StreamId::offset`] takes to get from `base` to this one.
    pub(super) fn offset_from(self, base: StreamId) -> (i64, i64) {
        (self.ms.wrapping_sub(base.ms) as i64, self.seq.wrapping_sub(base.seq) as i64)
    }

    /// Reads `ms-seq`, or `ms` alone, which means `missing_seq` of it.
    pub fn parse_strict(text: &[u8], missing_seq: u64) -> Option<StreamId> {
        let text = ended(text)?;
        match text.iter().position(|&byte| byte == b'-') {
            Some(dash) => {
                let (ms, seq) = (&text[..dash], &text[dash + 1..]);
                Some(StreamId { ms: numbers::parse_u64(ms)?, seq: numbers::parse_u64(seq)? })
            }
            None => Some(StreamId { ms: numbers::parse_u64(text)?, seq: missing_seq }),
        }
    }

    /// Reads the same, and `-` and `+` as the smallest and the greatest id.
    pub fn parse(text: &[u8], missing_seq: u64) -> Option<StreamId> {
        match ended(text)? {
            b"-" => Some(StreamId::MIN),
            b"+" => Some(StreamId::MAX),
            text => StreamId::parse_strict(text, missing_seq),
        }
    }

    /// Writes the id as text to the start of `buffer`, and returns it.
    #[inline]
    pub fn format(self, buffer: &mut IdText) -> &[u8] {
        let mut digits = itoa::Buffer::new();
        let ms = digits.format(self.ms).as_bytes();
        let len = ms.len();
        buffer.0[..len].copy_from_slice(ms);
        buffer.0[len] = b'-';
        let seq = digits.format(self.seq).as_bytes();
        let end = len + 1 + seq.len();
        buffer.0[len + 1..end].copy_from_slice(seq);
        &buffer.0[..end]
    }

    /// The id as text.
    pub fn to_text(self) -> Vec<u8> {
        self.format(&mut IdText::default()).to_vec()
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

/// Room for the text of any id.
#[derive(Debug)]
pub struct IdText([u8; 41]);

impl Default for IdText {
    fn default() -> IdText {
        IdText([0; 41])
    }
}

impl IdSpec {
    /// Reads an id, `*`, or `ms-*`.
    pub fn parse(text: &[u8]) -> Option<IdSpec> {
        if text == b"*" {
            return Some(IdSpec::Auto);
        }
        match ended(text)?.strip_suffix(b"-*") {
            Some(ms) if !ms.contains(&b'-') => numbers::parse_u64(ms).map(IdSpec::AutoSeq),
            _ => StreamId::parse_strict(text, 0).map(IdSpec::Given),
        }
    }
}

/// What C sees of a text: all before the first NUL.
fn ended(text: &[u8]) -> Option<&[u8]> {
    let end = memchr::memchr(0, text).unwrap_or(text.len());
    (text.len() <= TEXT_MAX).then(|| &text[..end])
}
