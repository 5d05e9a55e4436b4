//! What SCAN, SSCAN, HSCAN and ZSCAN have in common: their cursor, their options, and the reply a page at a time.
//!
//! A command parses ([`cursor`], [`ScanOptions::parse`]) and has [`reply`] walk: it is given a step, which shows what is at
//! a cursor to a [`Page`] and says where to go on, and calls it until the page is full.
//!
//! ```text
//!     scan::reply(&mut c.out, &options, cursor, |cursor, page| {
//!         set.scan(cursor, |member| {
//!             if page.admits(member) {
//!                 page.show(member);
//!             }
//!         })
//!     });
//! ```

use crate::ds::{glob, numbers};
use crate::server::{Argv, CmdError, Out};

/// Elements that a page has when COUNT says nothing.
const DEFAULT_COUNT: usize = 10;

/// A walk takes no more steps than this many times COUNT, however little it meets.
const STEPS_PER_COUNT: usize = 10;

/// What is scanned: it decides which options there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scanned {
    /// The keys of a database.
    Keys,
    /// A set or a sorted set.
    Members,
    /// A hash.
    Fields,
}

/// The options of a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanOptions<'a> {
    /// MATCH, unless everything matches.
    pub pattern: Option<&'a [u8]>,
    /// COUNT.
    pub count: usize,
    /// TYPE, of keys only.
    pub type_name: Option<&'a [u8]>,
    /// NOVALUES, of hashes only.
    pub no_values: bool,
}

impl<'a> ScanOptions<'a> {
    /// Reads the arguments from number `from` on.
    pub fn parse(argv: &'a Argv, from: usize, what: Scanned) -> Result<ScanOptions<'a>, CmdError> {
        let mut options =
            ScanOptions { pattern: None, count: DEFAULT_COUNT, type_name: None, no_values: false };
        let mut i = from;
        while i < argv.len() {
            let has_value = i + 1 < argv.len();
            if argv.is(i, b"count") && has_value {
                let count = argv.int(i + 1)?;
                options.count = usize::try_from(count).ok().filter(|n| *n > 0).ok_or(CmdError::Syntax)?;
            } else if argv.is(i, b"match") && has_value {
                options.pattern = Some(argv.get(i + 1)).filter(|pattern| *pattern != b"*");
            } else if argv.is(i, b"type") && has_value && what == Scanned::Keys {
                options.type_name = Some(argv.get(i + 1));
            } else if argv.is(i, b"novalues") {
                if what != Scanned::Fields {
                    return Err(CmdError::text("ERR NOVALUES option can only be used in HSCAN"));
                }
                options.no_values = true;
                i += 1;
                continue;
            } else {
                return Err(CmdError::Syntax);
            }
            i += 2;
        }
        Ok(options)
    }

    /// Whether MATCH admits an element of this name.
    #[inline]
    pub fn admits(&self, name: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| glob::matches(pattern, name, false))
    }
}

/// The cursor that argument `i` holds.
///
/// It may be any number of 64 bits: digits, or what C's `strtoull` makes of the text.
pub fn cursor(argv: &Argv, i: usize) -> Result<u64, CmdError> {
    parse_cursor(argv.get(i)).ok_or(CmdError::text("ERR invalid cursor"))
}

fn parse_cursor(text: &[u8]) -> Option<u64> {
    if let Some(number) = numbers::parse_i64(text) {
        return u64::try_from(number).ok();
    }
    // A string in C ends at its first zero.
    let text = text.split(|byte| *byte == 0).next()?;
    let spaces = text.iter().take_while(|byte| matches!(byte, 0x09..=0x0d | b' ')).count();
    let (negative, digits) = match &text[spaces..] {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let digits =
        std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
    let number: u64 = digits.parse().ok()?;
    Some(if negative { number.wrapping_neg() } else { number })
}

/// What a scan's step shows elements to.
#[derive(Debug)]
pub struct Page<'a> {
    out: &'a mut Out,
    options: &'a ScanOptions<'a>,
    /// Elements met.
    seen: usize,
    /// Strings written.
    written: usize,
}

impl Page<'_> {
    /// Counts an element as met, and tells whether MATCH admits its name.
    #[inline]
    pub fn admits(&mut self, name: &[u8]) -> bool {
        self.seen += 1;
        self.options.admits(name)
    }

    /// Puts a string on the page.
    #[inline]
    pub fn show(&mut self, text: &[u8]) {
        self.out.bulk(text);
        self.written += 1;
    }
}

/// Replies with the cursor to go on with and what `step` shows from `cursor` on, until that are as many elements as COUNT
/// says or the end is reached.
///
/// A step is given the cursor and returns the next; 0 is the end.
pub fn reply(
    out: &mut Out,
    options: &ScanOptions<'_>,
    mut cursor: u64,
    mut step: impl FnMut(u64, &mut Page<'_>) -> u64,
) {
    let mark = out.mark();
    let mut page = Page { out, options, seen: 0, written: 0 };
    for _ in 0..options.count.saturating_mul(STEPS_PER_COUNT) {
        cursor = step(cursor, &mut page);
        if cursor == 0 || page.seen >= options.count {
            break;
        }
    }
    let written = page.written;
    out.insert_at(mark, |out| {
        out.array(2);
        out.bulk(itoa::Buffer::new().format(cursor).as_bytes());
        out.array(written);
    });
}

/// Replies as to a scan of what is not there.
pub fn reply_empty(out: &mut Out) {
    out.array(2);
    out.bulk(b"0");
    out.array(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(what: Scanned, words: &[&str]) -> Result<(Option<Vec<u8>>, usize, bool), CmdError> {
        let argv = Argv::from_args(words);
        let options = ScanOptions::parse(&argv, 0, what)?;
        Ok((options.pattern.map(<[u8]>::to_vec), options.count, options.no_values))
    }

    #[test]
    fn options() {
        assert_eq!(parse(Scanned::Members, &[]), Ok((None, 10, false)));
        assert_eq!(
            parse(Scanned::Keys, &["MATCH", "a*", "Count", "7"]),
            Ok((Some(b"a*".to_vec()), 7, false))
        );
        assert_eq!(parse(Scanned::Fields, &["novalues", "match", "*"]), Ok((None, 10, true)));
        assert_eq!(parse(Scanned::Keys, &["type", "set"]), Ok((None, 10, false)));
        for words in [&["type", "set"][..], &["count", "0"], &["count"], &["match"], &["count", "-1"], &["x"]]
        {
            assert_eq!(parse(Scanned::Members, words), Err(CmdError::Syntax), "{words:?}");
        }
        assert_eq!(parse(Scanned::Members, &["count", "x"]), Err(CmdError::NotAnInteger));
        let refused = CmdError::text("ERR NOVALUES option can only be used in HSCAN");
        assert_eq!(parse(Scanned::Keys, &["novalues"]), Err(refused));
    }

    #[test]
    fn cursors_are_what_c_takes_for_a_number() {
        for (text, number) in [
            ("0", Some(0)),
            ("18446744073709551615", Some(u64::MAX)),
            ("+1", Some(1)),
            ("01", Some(1)),
            (" \t1", Some(1)),
            ("\u{b} \u{b}1", Some(1)),
            ("-01", Some(u64::MAX)),
            (" -1", Some(u64::MAX)),
            ("01\0x", Some(1)),
            ("-1", None),
            ("", None),
            ("+", None),
            (" ", None),
            ("1 ", None),
            ("+-1", None),
            ("- 1", None),
            ("x", None),
            ("18446744073709551616", None),
        ] {
            assert_eq!(parse_cursor(text.as_bytes()), number, "{text:?}");
        }
    }

    #[test]
    fn pages_end_when_they_are_full() {
        let argv = Argv::from_args(&["count", "5", "match", "?"]);
        let options = ScanOptions::parse(&argv, 0, Scanned::Members).unwrap();
        let mut out = Out::default();
        let mut step = |cursor: u64, page: &mut Page<'_>| {
            for name in [cursor.to_string(), "no match".into()] {
                if page.admits(name.as_bytes()) {
                    page.show(name.as_bytes());
                }
            }
            (cursor + 1) % 9
        };
        let mark = out.mark();
        reply(&mut out, &options, 3, &mut step);
        reply(&mut out, &options, 8, &mut step);
        reply_empty(&mut out);
        let expected = "*2\r\n$1\r\n6\r\n*3\r\n$1\r\n3\r\n$1\r\n4\r\n$1\r\n5\r\n*2\r\n$1\r\n0\r\n*1\r\n$1\r\n8\r\n*2\r\n$1\r\n0\r\n*0\r\n";
        assert_eq!(String::from_utf8(out.since(mark)).unwrap(), expected);
    }

    #[test]
    fn empty_steps_are_counted() {
        let argv = Argv::from_args(&["count", "2"]);
        let options = ScanOptions::parse(&argv, 0, Scanned::Members).unwrap();
        let mut steps = 0;
        reply(&mut Out::default(), &options, 0, |cursor, _| {
            steps += 1;
            cursor + 1
        });
        assert_eq!(steps, 20);
    }
}
