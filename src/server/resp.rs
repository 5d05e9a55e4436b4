//! The request parser: bytes of a client's to arguments, for the multibulk and the inline form.
//!
//! [`parse`] looks at one command at a time. It either completes it, needs more bytes, or finds a protocol error.
//! What it learned of an incomplete command stays in [`Progress`], so that a request that arrives a byte at a time,
//! or with a million arguments, is not parsed from its start again.
//!
//! Limits are upstream's: an inline request and each header line have at most [`INLINE_MAX`] bytes, a multibulk at
//! most `i32::MAX` arguments, a bulk at most `proto-max-bulk-len` bytes; a client that has not authenticated is held
//! to [`UNAUTH_ARGS`] arguments of [`UNAUTH_BULK`] bytes. Nothing is allocated for a length before its bytes come.

use memchr::memchr;

use crate::ds::sds;
use crate::server::argv::{Argv, BIG_ARG};

/// Longest inline request, and longest header line.
pub const INLINE_MAX: usize = 64 * 1024;
/// Most arguments of a client that has not authenticated.
pub const UNAUTH_ARGS: i64 = 10;
/// Longest argument of a client that has not authenticated.
pub const UNAUTH_BULK: i64 = 16 * 1024;

/// What holds for the client whose bytes are parsed.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// `proto-max-bulk-len`.
    pub max_bulk: i64,
    /// Whether a password is due that has not been given.
    pub unauthenticated: bool,
}

/// How far the command at the front of the buffer is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Arguments that are still to come; 0 before a multibulk header was read.
    pub args_left: usize,
    /// Length of the argument whose header was read, or -1.
    pub bulk_len: i64,
    /// Whether a multibulk header was read.
    pub multibulk: bool,
}

impl Progress {
    /// Before the first byte of a command.
    pub const START: Progress = Progress { args_left: 0, bulk_len: -1, multibulk: false };
}

impl Default for Progress {
    fn default() -> Progress {
        Progress::START
    }
}

/// What [`parse`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A command; its arguments were added to the [`Argv`]. An empty line or array is a command of none.
    Command,
    /// Bytes are missing.
    Incomplete,
    /// Bytes are missing, and the argument at hand has this length: at least [`BIG_ARG`]; its own bytes begin at
    /// the position reached.
    Big(usize),
    /// The client breaks the protocol: the error's text, and whether the connection cannot go on.
    Error(String),
}

fn error(text: &str) -> Parsed {
    Parsed::Error(format!("Protocol error: {text}"))
}

/// Parses the command that starts (or goes on) at `*pos` of `argv`'s buffer, of which the first `end` bytes are
/// filled, and moves `*pos` past what was understood.
#[inline]
pub fn parse(argv: &mut Argv, pos: &mut usize, end: usize, p: &mut Progress, limits: Limits) -> Parsed {
    if !p.multibulk {
        match argv.buffer()[..end].get(*pos) {
            None => return Parsed::Incomplete,
            Some(b'*') => match multibulk_header(argv, pos, end, p, limits) {
                Parsed::Command if p.args_left > 0 => {}
                other => return other,
            },
            Some(_) => return inline(argv, pos, end),
        }
    }
    while p.args_left > 0 {
        if p.bulk_len < 0 {
            p.args_left -= argv.push_short_bulks(pos, end, p.args_left);
            if p.args_left == 0 {
                break;
            }
            match bulk_header(argv, pos, end, p, limits) {
                Parsed::Command => {}
                other => return other,
            }
        }
        let len = p.bulk_len as usize;
        if end - *pos < len + 2 {
            return if len >= BIG_ARG { Parsed::Big(len) } else { Parsed::Incomplete };
        }
        argv.push(*pos, len);
        *pos += len + 2;
        p.args_left -= 1;
        p.bulk_len = -1;
    }
    *p = Progress::START;
    Parsed::Command
}

/// The number on the line at `*pos` behind its type byte. `None` when the line is not complete.
#[inline]
fn line_number(buf: &[u8], pos: &mut usize) -> Option<Result<i64, ()>> {
    // Nearly every header is a digit or two; those need no search for the line's end.
    let line = &buf[*pos + 1..];
    if let [d @ b'0'..=b'9', b'\r', _, ..] = line {
        *pos += 4;
        return Some(Ok(i64::from(d - b'0')));
    }
    if let [d @ b'1'..=b'9', e @ b'0'..=b'9', b'\r', _, ..] = line {
        *pos += 5;
        return Some(Ok(i64::from(d - b'0') * 10 + i64::from(e - b'0')));
    }
    let len = memchr(b'\r', line)?;
    if len + 1 >= line.len() {
        return None;
    }
    let number = crate::ds::numbers::parse_i64(&line[..len]).ok_or(());
    *pos += len + 3;
    Some(number)
}

#[inline]
fn multibulk_header(argv: &mut Argv, pos: &mut usize, end: usize, p: &mut Progress, l: Limits) -> Parsed {
    let buf = &argv.buffer()[..end];
    let number = match line_number(buf, pos) {
        None if end - *pos > INLINE_MAX => return error("too big mbulk count string"),
        None => return Parsed::Incomplete,
        Some(number) => number,
    };
    match number {
        Ok(n) if n > i64::from(i32::MAX) => error("invalid multibulk length"),
        Ok(n) if n > UNAUTH_ARGS && l.unauthenticated => error("unauthenticated multibulk length"),
        Ok(n) if n <= 0 => Parsed::Command,
        Ok(n) => {
            *p = Progress { args_left: n as usize, bulk_len: -1, multibulk: true };
            Parsed::Command
        }
        Err(()) => error("invalid multibulk length"),
    }
}

#[inline]
fn bulk_header(argv: &mut Argv, pos: &mut usize, end: usize, p: &mut Progress, l: Limits) -> Parsed {
    let buf = &argv.buffer()[..end];
    let Some(&first) = buf.get(*pos) else { return Parsed::Incomplete };
    if first != b'$' {
        // Upstream looks for the line's end first; a line that has none yet is not judged.
        if memchr(b'\r', &buf[*pos..]).is_none() {
            return if end - *pos > INLINE_MAX {
                error("too big bulk count string")
            } else {
                Parsed::Incomplete
            };
        }
        return error(&format!("expected '$', got '{}'", char::from(first)));
    }
    let number = match line_number(buf, pos) {
        None if end - *pos > INLINE_MAX => return error("too big bulk count string"),
        None => return Parsed::Incomplete,
        Some(number) => number,
    };
    match number {
        Ok(n) if n < 0 || n > l.max_bulk => error("invalid bulk length"),
        Ok(n) if n > UNAUTH_BULK && l.unauthenticated => error("unauthenticated bulk length"),
        Ok(n) => {
            p.bulk_len = n;
            Parsed::Command
        }
        Err(()) => error("invalid bulk length"),
    }
}

/// A line of words, quoted as a shell would.
#[cold]
fn inline(argv: &mut Argv, pos: &mut usize, end: usize) -> Parsed {
    let line = &argv.buffer()[*pos..end];
    let Some(len) = memchr(b'\n', line) else {
        return if line.len() > INLINE_MAX { error("too big inline request") } else { Parsed::Incomplete };
    };
    let text = line[..len].strip_suffix(b"\r").unwrap_or(&line[..len]);
    let Some(words) = sds::split_args(text) else { return error("unbalanced quotes in request") };
    *pos += len + 1;
    for word in words {
        argv.push_big(word.into());
    }
    Parsed::Command
}

/// A request as its arguments.
pub type Request = Vec<Vec<u8>>;

/// Parses `bytes` as if they arrived in pieces that end at `cuts`, and returns the requests, and the error if there is
/// one: what tests and fuzzing drive.
pub fn parse_pieces(bytes: &[u8], cuts: &[usize], limits: Limits) -> (Vec<Request>, Option<String>) {
    let mut argv = Argv::default();
    argv.swap_buffer(&mut bytes.to_vec());
    let (mut pos, mut progress, mut base, mut found) = (0, Progress::START, 0, Vec::new());
    for end in cuts.iter().copied().filter(|c| *c <= bytes.len()).chain([bytes.len()]) {
        while pos <= end {
            match parse(&mut argv, &mut pos, end, &mut progress, limits) {
                Parsed::Command => {
                    argv.select(base, argv.total() - base, 0, 0);
                    found.push(argv.iter().map(<[u8]>::to_vec).collect());
                    base = argv.total();
                }
                Parsed::Incomplete | Parsed::Big(_) => break,
                Parsed::Error(text) => return (found, Some(text)),
            }
        }
    }
    (found, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits { max_bulk: 512 * 1024 * 1024, unauthenticated: false };

    fn one(bytes: &str) -> (Vec<Request>, Option<String>) {
        parse_pieces(bytes.as_bytes(), &[], LIMITS)
    }

    #[test]
    fn reads_both_forms() {
        let (found, error) = one("*2\r\n$3\r\nGET\r\n$1\r\nk\r\nset k \"a b\"\r\n\r\n*0\r\n*-1\r\nPING\n");
        let expected: Vec<Request> = vec![
            vec![b"GET".to_vec(), b"k".to_vec()],
            vec![b"set".to_vec(), b"k".to_vec(), b"a b".to_vec()],
            vec![],
            vec![],
            vec![],
            vec![b"PING".to_vec()],
        ];
        assert_eq!((found, error), (expected, None));
    }

    #[test]
    fn words_errors_as_upstream() {
        for (bytes, text) in [
            ("*3\r\n$3\r\nSET\r\n$1\r\nx\r\nfooz\r\n", "expected '$', got 'f'"),
            ("*1\r\n$-10\r\n", "invalid bulk length"),
            ("*1\r\n$2000000000\r\n", "invalid bulk length"),
            ("*1\r\n$blabla\r\n", "invalid bulk length"),
            ("*3000000000\r\n", "invalid multibulk length"),
            ("*x\r\n", "invalid multibulk length"),
            ("set \"a\r\n", "unbalanced quotes in request"),
        ] {
            assert_eq!(one(bytes).1, Some(format!("Protocol error: {text}")), "{bytes:?}");
        }
        let long = "a".repeat(INLINE_MAX + 1);
        assert_eq!(one(&long).1.unwrap(), "Protocol error: too big inline request");
        assert_eq!(one(&format!("*{long}")).1.unwrap(), "Protocol error: too big mbulk count string");
        assert_eq!(one(&format!("*1\r\n${long}")).1.unwrap(), "Protocol error: too big bulk count string");
    }

    #[test]
    fn holds_strangers_to_little() {
        let limits = Limits { unauthenticated: true, ..LIMITS };
        let text = |bytes: &str| parse_pieces(bytes.as_bytes(), &[], limits).1.unwrap();
        assert_eq!(text("*100\r\n"), "Protocol error: unauthenticated multibulk length");
        assert_eq!(text("*1\r\n$20000\r\n"), "Protocol error: unauthenticated bulk length");
    }

    #[test]
    fn asks_for_a_big_argument() {
        let mut argv = Argv::default();
        let bytes = b"*2\r\n$3\r\nGET\r\n$40000\r\nabc";
        argv.swap_buffer(&mut bytes.to_vec());
        let (mut pos, mut p) = (0, Progress::START);
        assert_eq!(parse(&mut argv, &mut pos, bytes.len(), &mut p, LIMITS), Parsed::Big(40000));
        assert_eq!((&bytes[pos..], p.args_left), (&b"abc"[..], 1));
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter(
            requests in prop::collection::vec(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..6), 1..6),
            mut cuts in prop::collection::vec(0usize..2000, 0..40),
        ) {
            cuts.sort_unstable();
            let mut bytes = Vec::new();
            for request in &requests {
                bytes.extend_from_slice(format!("*{}\r\n", request.len()).as_bytes());
                for arg in request {
                    bytes.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
                    bytes.extend_from_slice(arg);
                    bytes.extend_from_slice(b"\r\n");
                }
            }
            prop_assert_eq!(parse_pieces(&bytes, &cuts, LIMITS), (requests, None));
        }

        #[test]
        fn garbage_is_survived(bytes in prop::collection::vec(any::<u8>(), 0..300), cut in 0usize..300) {
            parse_pieces(&bytes, &[cut], LIMITS);
        }
    }
}
