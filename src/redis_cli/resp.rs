//! The reply side of the Redis protocol, RESP2 and RESP3, for a client.
//!
//! A [`Decoder`] is fed whatever the socket delivers and gives back whole [`Reply`] values. It keeps its place between
//! two reads, so that a reply of a million elements that arrives in ten thousand pieces is parsed once and not ten
//! thousand times: the aggregates that are still open lie on an explicit stack, and the search for the end of an
//! unfinished line resumes where it stopped.
//!
//! The peer is not trusted:
//!
//! - aggregates nest at most [`MAX_DEPTH`] deep, so that neither decoding nor printing nor dropping a reply can exhaust
//!   the thread's stack;
//! - a declared length only ever bounds a loop. Memory grows with the bytes that arrived, never with a number read
//!   from them;
//! - every length is range-checked before arithmetic is done on it.
//!
//! The texts of [`ProtocolError`] are those that users of redis-cli know (they come from the hiredis library).

use std::fmt;

/// How many aggregates may be open inside each other.
pub const MAX_DEPTH: usize = 64;

/// The longest bulk string that is accepted, in bytes. A server allows at most `proto-max-bulk-len`, 512 MiB unless
/// configured otherwise; this leaves room for a generous configuration and still catches nonsense.
const MAX_BULK_LEN: i64 = 1 << 40;

/// The most elements an aggregate may declare.
const MAX_ELEMENTS: i64 = u32::MAX as i64;

/// How many elements an aggregate gets room for before any of them has arrived.
const INITIAL_CAPACITY: usize = 64;

/// One value sent by the server.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// `+`: a status such as `OK`.
    Status(Vec<u8>),
    /// `-` or `!`: an error, its code included.
    Error(Vec<u8>),
    /// `:`
    Integer(i64),
    /// `$` or a RESP3 streamed-in-one-piece blob.
    Bulk(Vec<u8>),
    /// `=`: text that is meant to be shown as it is; the three-letter format has been cut off.
    Verbatim(Vec<u8>),
    /// `,`: the digits as the server wrote them.
    Double(Vec<u8>),
    /// `(`: an integer of any size, in decimal.
    BigNumber(Vec<u8>),
    /// `#`
    Boolean(bool),
    /// `_`, `$-1` or `*-1`.
    Nil,
    /// `*`
    Array(Vec<Reply>),
    /// `~`
    Set(Vec<Reply>),
    /// `%`: key and value pairs in the server's order.
    Map(Vec<(Reply, Reply)>),
    /// `>`: a message that is no answer to a command.
    Push(Vec<Reply>),
}

impl Reply {
    /// The text of a reply that is one: a status, an error, or a string of either kind.
    pub fn text(&self) -> Option<&[u8]> {
        match self {
            Reply::Status(text) | Reply::Error(text) | Reply::Bulk(text) | Reply::Verbatim(text) => {
                Some(text)
            }
            _ => None,
        }
    }

    /// Whether the server refused the command.
    pub fn is_error(&self) -> bool {
        matches!(self, Reply::Error(_))
    }

    /// The elements of an array, set or push.
    pub fn elements(&self) -> Option<&[Reply]> {
        match self {
            Reply::Array(items) | Reply::Set(items) | Reply::Push(items) => Some(items),
            _ => None,
        }
    }

    /// The pairs of a map, or of the flat array that stands for a map in RESP2; a last element without a partner is
    /// left out.
    pub fn pairs(&self) -> Vec<(&Reply, &Reply)> {
        match self {
            Reply::Map(pairs) => pairs.iter().map(|(key, value)| (key, value)).collect(),
            Reply::Array(items) => items.chunks_exact(2).map(|pair| (&pair[0], &pair[1])).collect(),
            _ => Vec::new(),
        }
    }
}

/// The server broke the protocol; the stream cannot be used any further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// A reply began with a byte that starts no type.
    UnknownType(u8),
    /// A `:` or a length line did not hold an integer.
    BadInteger,
    /// A `,` line did not hold a floating-point number.
    BadDouble,
    /// A `#` line held neither `t` nor `f`.
    BadBoolean,
    /// A `_` line was not empty.
    BadNil,
    /// A `(` line did not hold decimal digits.
    BadBigNumber,
    /// A bulk length below -1 or beyond any limit.
    BulkLength,
    /// An aggregate length below -1 or beyond any limit.
    AggregateLength,
    /// A verbatim string without its three-letter format and colon.
    BadVerbatim,
    /// More than [`MAX_DEPTH`] aggregates inside each other.
    TooDeep,
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProtocolError::UnknownType(byte) => {
                f.write_str("Protocol error, got ")?;
                match byte {
                    b'\\' | b'"' => write!(f, "\"\\{}\"", *byte as char)?,
                    b'\n' => f.write_str("\"\\n\"")?,
                    b'\r' => f.write_str("\"\\r\"")?,
                    b'\t' => f.write_str("\"\\t\"")?,
                    0x07 => f.write_str("\"\\a\"")?,
                    0x08 => f.write_str("\"\\b\"")?,
                    b' '..=b'~' => write!(f, "\"{}\"", *byte as char)?,
                    _ => write!(f, "\"\\x{byte:02x}\"")?,
                }
                f.write_str(" as reply type byte")
            }
            ProtocolError::BadInteger => f.write_str("Bad integer value"),
            ProtocolError::BadDouble => f.write_str("Bad double value"),
            ProtocolError::BadBoolean => f.write_str("Bad bool value"),
            ProtocolError::BadNil => f.write_str("Bad nil value"),
            ProtocolError::BadBigNumber => f.write_str("Bad bignum value"),
            ProtocolError::BulkLength => f.write_str("Bulk string length out of range"),
            ProtocolError::AggregateLength => f.write_str("Multi-bulk length out of range"),
            ProtocolError::BadVerbatim => {
                f.write_str("Verbatim string 4 bytes of content type are missing or incorrectly encoded.")
            }
            ProtocolError::TooDeep => {
                write!(f, "No support for nested multi bulk replies with depth > {MAX_DEPTH}")
            }
        }
    }
}

impl std::error::Error for ProtocolError {}

/// The kinds of aggregate, which differ only in what the finished elements become.
#[derive(Clone, Copy)]
enum Aggregate {
    Array,
    Set,
    Map,
    Push,
}

/// An aggregate whose elements are still arriving.
struct Open {
    kind: Aggregate,
    /// How many more elements belong to it; a map counts keys and values.
    missing: u64,
    items: Vec<Reply>,
}

impl Open {
    fn close(self) -> Reply {
        match self.kind {
            Aggregate::Array => Reply::Array(self.items),
            Aggregate::Set => Reply::Set(self.items),
            Aggregate::Push => Reply::Push(self.items),
            Aggregate::Map => {
                let mut pairs = Vec::with_capacity(self.items.len() / 2);
                let mut items = self.items.into_iter();
                while let (Some(key), Some(value)) = (items.next(), items.next()) {
                    pairs.push((key, value));
                }
                Reply::Map(pairs)
            }
        }
    }
}

/// A string whose length line has been read and whose bytes are awaited.
#[derive(Clone, Copy)]
struct Blob {
    kind: u8,
    len: usize,
}

/// What one step of the decoder came to.
enum Step {
    /// A value without elements, or an aggregate that has none.
    Value(Reply),
    /// An aggregate was opened, or a blob announced: there is more to read.
    Progress,
    /// The next bytes have not arrived.
    Starved,
}

/// Turns bytes into replies; see the module's description.
#[derive(Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// Where the unread part of `buffer` begins.
    start: usize,
    /// How many unread bytes are known to hold no line end.
    scanned: usize,
    blob: Option<Blob>,
    open: Vec<Open>,
}

impl Decoder {
    /// A decoder at the beginning of a stream.
    pub fn new() -> Decoder {
        Decoder::default()
    }

    /// Adds bytes that were received.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.start == self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
        } else if self.start > self.buffer.len() / 2 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole reply, or `None` when more bytes are needed for it.
    ///
    /// # Errors
    ///
    /// A [`ProtocolError`], after which the decoder must not be used again.
    pub fn next_reply(&mut self) -> Result<Option<Reply>, ProtocolError> {
        loop {
            let step = match self.blob {
                Some(blob) => self.read_blob(blob)?,
                None => self.read_line()?,
            };
            match step {
                Step::Starved => return Ok(None),
                Step::Progress => {}
                Step::Value(value) => {
                    if let Some(whole) = self.place(value) {
                        return Ok(Some(whole));
                    }
                }
            }
        }
    }

    /// Puts a finished value into the innermost open aggregate, closing every aggregate that this completes. Returns
    /// the value when none is open any more.
    fn place(&mut self, mut value: Reply) -> Option<Reply> {
        while let Some(top) = self.open.last_mut() {
            top.items.push(value);
            top.missing -= 1;
            if top.missing > 0 {
                return None;
            }
            value = self.open.pop()?.close();
        }
        Some(value)
    }

    fn unread(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// Reads a type byte and the line behind it.
    fn read_line(&mut self) -> Result<Step, ProtocolError> {
        let unread = self.unread();
        if let Some(&kind) = unread.first()
            && !b"+-:$=!,(#_*~%>".contains(&kind)
        {
            return Err(ProtocolError::UnknownType(kind));
        }
        let Some(end) = memchr::memmem::find(&unread[self.scanned..], b"\r\n").map(|at| at + self.scanned)
        else {
            // The last byte may be the first half of the line end.
            self.scanned = unread.len().saturating_sub(1);
            return Ok(Step::Starved);
        };
        let (kind, line) = (unread[0], &unread[1..end]);
        let step = match kind {
            b'+' => Step::Value(Reply::Status(line.to_vec())),
            b'-' => Step::Value(Reply::Error(line.to_vec())),
            b':' => Step::Value(Reply::Integer(parse_integer(line)?)),
            b',' => Step::Value(Reply::Double(parse_double(line)?)),
            b'(' => Step::Value(Reply::BigNumber(parse_big_number(line)?)),
            b'#' => Step::Value(Reply::Boolean(parse_boolean(line)?)),
            b'_' if line.is_empty() => Step::Value(Reply::Nil),
            b'_' => return Err(ProtocolError::BadNil),
            b'$' | b'=' | b'!' => match parse_integer(line)? {
                -1 => Step::Value(Reply::Nil),
                len @ 0..=MAX_BULK_LEN => {
                    let len = usize::try_from(len).map_err(|_| ProtocolError::BulkLength)?;
                    self.blob = Some(Blob { kind, len });
                    Step::Progress
                }
                _ => return Err(ProtocolError::BulkLength),
            },
            _ => {
                let kind = match kind {
                    b'~' => Aggregate::Set,
                    b'%' => Aggregate::Map,
                    b'>' => Aggregate::Push,
                    _ => Aggregate::Array,
                };
                let len = parse_integer(line)?;
                self.open_aggregate(kind, len)?
            }
        };
        self.start += end + 2;
        self.scanned = 0;
        Ok(step)
    }

    fn open_aggregate(&mut self, kind: Aggregate, len: i64) -> Result<Step, ProtocolError> {
        let missing = match (len, kind) {
            (-1, _) => return Ok(Step::Value(Reply::Nil)),
            (0..=MAX_ELEMENTS, Aggregate::Map) => 2 * len.unsigned_abs(),
            (0..=MAX_ELEMENTS, _) => len.unsigned_abs(),
            _ => return Err(ProtocolError::AggregateLength),
        };
        if self.open.len() == MAX_DEPTH {
            return Err(ProtocolError::TooDeep);
        }
        let capacity = usize::try_from(missing).unwrap_or(usize::MAX).min(INITIAL_CAPACITY);
        let open = Open { kind, missing, items: Vec::with_capacity(capacity) };
        if missing == 0 {
            return Ok(Step::Value(open.close()));
        }
        self.open.push(open);
        Ok(Step::Progress)
    }

    /// Reads the bytes of a string whose length is known, and the line end behind them.
    fn read_blob(&mut self, Blob { kind, len }: Blob) -> Result<Step, ProtocolError> {
        let unread = self.unread();
        if unread.len() < len + 2 {
            return Ok(Step::Starved);
        }
        let bytes = &unread[..len];
        let value = match kind {
            b'$' => Reply::Bulk(bytes.to_vec()),
            b'!' => Reply::Error(bytes.to_vec()),
            _ if bytes.get(3) == Some(&b':') => Reply::Verbatim(bytes[4..].to_vec()),
            _ => return Err(ProtocolError::BadVerbatim),
        };
        self.start += len + 2;
        self.blob = None;
        Ok(Step::Value(value))
    }
}

fn parse_integer(line: &[u8]) -> Result<i64, ProtocolError> {
    std::str::from_utf8(line).ok().and_then(|text| text.parse().ok()).ok_or(ProtocolError::BadInteger)
}

/// Checks the digits of a double and keeps them as they are, because they are only ever shown.
fn parse_double(line: &[u8]) -> Result<Vec<u8>, ProtocolError> {
    let text = std::str::from_utf8(line).map_err(|_| ProtocolError::BadDouble)?;
    text.parse::<f64>().map_err(|_| ProtocolError::BadDouble)?;
    Ok(line.to_vec())
}

fn parse_big_number(line: &[u8]) -> Result<Vec<u8>, ProtocolError> {
    let digits = line.strip_prefix(b"-").unwrap_or(line);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(ProtocolError::BadBigNumber);
    }
    Ok(line.to_vec())
}

fn parse_boolean(line: &[u8]) -> Result<bool, ProtocolError> {
    match line {
        b"t" | b"T" => Ok(true),
        b"f" | b"F" => Ok(false),
        _ => Err(ProtocolError::BadBoolean),
    }
}

/// Appends a command in the form in which a server expects it: an array of bulk strings.
pub fn encode_command<A: AsRef<[u8]>>(out: &mut Vec<u8>, args: &[A]) {
    let mut digits = itoa::Buffer::new();
    out.push(b'*');
    out.extend_from_slice(digits.format(args.len()).as_bytes());
    out.extend_from_slice(b"\r\n");
    for arg in args {
        let arg = arg.as_ref();
        out.push(b'$');
        out.extend_from_slice(digits.format(arg.len()).as_bytes());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode_all(bytes: &[u8]) -> Result<Vec<Reply>, ProtocolError> {
        let mut decoder = Decoder::new();
        decoder.feed(bytes);
        let mut replies = Vec::new();
        while let Some(reply) = decoder.next_reply()? {
            replies.push(reply);
        }
        Ok(replies)
    }

    fn bulk(text: &str) -> Reply {
        Reply::Bulk(text.as_bytes().to_vec())
    }

    #[test]
    fn every_type_is_understood() {
        let stream = b"+OK\r\n-ERR no\r\n:-42\r\n$3\r\na\r\n\r\n$-1\r\n*-1\r\n_\r\n#t\r\n#f\r\n,3.14\r\n,inf\r\n(-12345678901234567890\r\n=7\r\ntxt:abc\r\n!5\r\nERR x\r\n";
        assert_eq!(
            decode_all(stream).unwrap(),
            vec![
                Reply::Status(b"OK".to_vec()),
                Reply::Error(b"ERR no".to_vec()),
                Reply::Integer(-42),
                bulk("a\r\n"),
                Reply::Nil,
                Reply::Nil,
                Reply::Nil,
                Reply::Boolean(true),
                Reply::Boolean(false),
                Reply::Double(b"3.14".to_vec()),
                Reply::Double(b"inf".to_vec()),
                Reply::BigNumber(b"-12345678901234567890".to_vec()),
                Reply::Verbatim(b"abc".to_vec()),
                Reply::Error(b"ERR x".to_vec()),
            ]
        );
    }

    #[test]
    fn aggregates_nest() {
        let stream = b"*2\r\n%1\r\n$1\r\nk\r\n~1\r\n:1\r\n*0\r\n>1\r\n$1\r\nm\r\n";
        assert_eq!(
            decode_all(stream).unwrap(),
            vec![
                Reply::Array(vec![
                    Reply::Map(vec![(bulk("k"), Reply::Set(vec![Reply::Integer(1)]))]),
                    Reply::Array(vec![]),
                ]),
                Reply::Push(vec![bulk("m")]),
            ]
        );
    }

    #[test]
    fn nonsense_is_refused() {
        let cases: &[(&[u8], ProtocolError)] = &[
            (b"HTTP/1.1 200\r\n", ProtocolError::UnknownType(b'H')),
            (b"|1\r\n", ProtocolError::UnknownType(b'|')),
            (b":12x\r\n", ProtocolError::BadInteger),
            (b"$-2\r\n", ProtocolError::BulkLength),
            (b"$9223372036854775807\r\n", ProtocolError::BulkLength),
            (b"*-2\r\n", ProtocolError::AggregateLength),
            (b"*9223372036854775807\r\n", ProtocolError::AggregateLength),
            (b"%4294967296\r\n", ProtocolError::AggregateLength),
            (b",abc\r\n", ProtocolError::BadDouble),
            (b"#x\r\n", ProtocolError::BadBoolean),
            (b"_1\r\n", ProtocolError::BadNil),
            (b"(\r\n", ProtocolError::BadBigNumber),
            (b"=3\r\ntxt\r\n", ProtocolError::BadVerbatim),
        ];
        for (stream, expected) in cases {
            assert_eq!(decode_all(stream).as_ref(), Err(expected), "{:?}", String::from_utf8_lossy(stream));
        }
    }

    #[test]
    fn the_type_byte_is_judged_before_the_line_ends() {
        let mut decoder = Decoder::new();
        decoder.feed(b"x");
        assert_eq!(decoder.next_reply(), Err(ProtocolError::UnknownType(b'x')));
    }

    #[test]
    fn nesting_is_bounded() {
        let mut stream = b"*1\r\n".repeat(MAX_DEPTH);
        stream.extend_from_slice(b":1\r\n");
        assert_eq!(decode_all(&stream).unwrap().len(), 1);
        let stream = b"*1\r\n".repeat(MAX_DEPTH + 1);
        assert_eq!(decode_all(&stream), Err(ProtocolError::TooDeep));
    }

    #[test]
    fn a_declared_length_allocates_nothing() {
        let mut decoder = Decoder::new();
        decoder.feed(b"*4294967295\r\n$1000000000000\r\nabc");
        assert_eq!(decoder.next_reply(), Ok(None));
        assert!(decoder.buffer.capacity() < 1024);
        assert!(decoder.open[0].items.capacity() <= INITIAL_CAPACITY);
    }

    #[test]
    fn commands_are_encoded_as_arrays_of_bulks() {
        let mut out = Vec::new();
        encode_command(&mut out, &[b"SET".as_slice(), b"k", b"\r\n"]);
        assert_eq!(out, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\n\r\n\r\n");
    }

    fn reply() -> impl Strategy<Value = Reply> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..12);
        let line = || "[ -~]{0,12}".prop_map(String::into_bytes);
        let leaf = prop_oneof![
            line().prop_map(Reply::Status),
            line().prop_map(Reply::Error),
            any::<i64>().prop_map(Reply::Integer),
            bytes().prop_map(Reply::Bulk),
            bytes().prop_map(Reply::Verbatim),
            any::<bool>().prop_map(Reply::Boolean),
            Just(Reply::Nil),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            let items = || proptest::collection::vec(inner.clone(), 0..5);
            prop_oneof![
                items().prop_map(Reply::Array),
                items().prop_map(Reply::Set),
                items().prop_map(Reply::Push),
                proptest::collection::vec((inner.clone(), inner.clone()), 0..4).prop_map(Reply::Map),
            ]
        })
    }

    fn encode(out: &mut Vec<u8>, reply: &Reply) {
        let mut header = |kind: char, n: usize| out.extend_from_slice(format!("{kind}{n}\r\n").as_bytes());
        match reply {
            Reply::Status(text) => out.extend_from_slice(&[b"+", text.as_slice(), b"\r\n"].concat()),
            Reply::Error(text) => out.extend_from_slice(&[b"-", text.as_slice(), b"\r\n"].concat()),
            Reply::Integer(n) => out.extend_from_slice(format!(":{n}\r\n").as_bytes()),
            Reply::Bulk(bytes) => {
                header('$', bytes.len());
                out.extend_from_slice(&[bytes.as_slice(), b"\r\n"].concat());
            }
            Reply::Verbatim(bytes) => {
                header('=', bytes.len() + 4);
                out.extend_from_slice(&[b"txt:", bytes.as_slice(), b"\r\n"].concat());
            }
            Reply::Boolean(b) => out.extend_from_slice(if *b { b"#t\r\n" } else { b"#f\r\n" }),
            Reply::Nil => out.extend_from_slice(b"_\r\n"),
            Reply::Array(items) | Reply::Set(items) | Reply::Push(items) => {
                header(
                    match reply {
                        Reply::Array(_) => '*',
                        Reply::Set(_) => '~',
                        _ => '>',
                    },
                    items.len(),
                );
                items.iter().for_each(|item| encode(out, item));
            }
            Reply::Map(pairs) => {
                header('%', pairs.len());
                for (key, value) in pairs {
                    encode(out, key);
                    encode(out, value);
                }
            }
            Reply::Double(_) | Reply::BigNumber(_) => unreachable!("the strategy makes none"),
        }
    }

    proptest! {
        #[test]
        fn replies_survive_any_fragmentation(replies in proptest::collection::vec(reply(), 1..4), piece in 1usize..40) {
            let mut stream = Vec::new();
            replies.iter().for_each(|reply| encode(&mut stream, reply));
            let mut decoder = Decoder::new();
            let mut seen = Vec::new();
            for chunk in stream.chunks(piece) {
                decoder.feed(chunk);
                while let Some(reply) = decoder.next_reply().unwrap() {
                    seen.push(reply);
                }
            }
            prop_assert_eq!(seen, replies);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            // Whatever it makes of them, it must return.
            let _ = decode_all(&bytes);
        }

        #[test]
        fn bytes_that_look_like_the_protocol_never_panic(text in "([-+:$*~%>#_,(=!]([-0-9tf]{0,4}|[ -~]{0,5})\r\n){0,24}") {
            let _ = decode_all(text.as_bytes());
        }
    }
}
