//! The tokens of a JSON text.
//!
//! Knows no Lua. It takes what upstream's parser takes, which differs from the standard (RFC 8259) so:
//!
//! - a NUL byte ends the text wherever it stands, as it ends a C string;
//! - bytes above 127 pass as they are, and so do control characters within strings;
//! - with lenient numbers (the default) everything counts that C's `strtod` reads: see [`super::number`];
//! - an escaped surrogate must be one of a pair, and the pair becomes one character of UTF-8.
//!
//! A string without escapes, which is nearly every string, is a slice of the text. Only one with escapes is copied, into
//! a buffer that is used again for the next.

use super::number;

/// A token. Errors are tokens as well: what to say of them depends on what was expected in their place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Token<'t> {
    /// `{`
    ObjectBegin,
    /// `}`
    ObjectEnd,
    /// `[`
    ArrayBegin,
    /// `]`
    ArrayEnd,
    /// A string, with its escapes resolved.
    String(&'t [u8]),
    /// A number.
    Number(f64),
    /// `true` or `false`.
    Boolean(bool),
    /// `null`.
    Null,
    /// `:`
    Colon,
    /// `,`
    Comma,
    /// The end of the text.
    End,
    /// No token, and why.
    Bad(&'static str),
}

impl Token<'_> {
    /// How error messages call the token.
    pub fn name(&self) -> &'static str {
        match self {
            Token::ObjectBegin => "T_OBJ_BEGIN",
            Token::ObjectEnd => "T_OBJ_END",
            Token::ArrayBegin => "T_ARR_BEGIN",
            Token::ArrayEnd => "T_ARR_END",
            Token::String(_) => "T_STRING",
            Token::Number(_) => "T_NUMBER",
            Token::Boolean(_) => "T_BOOLEAN",
            Token::Null => "T_NULL",
            Token::Colon => "T_COLON",
            Token::Comma => "T_COMMA",
            Token::End => "T_END",
            Token::Bad(reason) => reason,
        }
    }
}

/// Bytes that are looked at together.
const WORD: usize = size_of::<u64>();

/// Where in `word` the first quote, backslash or NUL stands.
#[inline]
fn first_special(word: [u8; WORD]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([0x01; WORD]);
    const TOPS: u64 = u64::from_ne_bytes([0x80; WORD]);
    let word = u64::from_le_bytes(word);
    // The top bit of each byte that is zero; and perhaps of others, but those stand behind one that is.
    let zeroes = |word: u64| word.wrapping_sub(ONES) & !word & TOPS;
    let equal = |byte: u8| zeroes(word ^ (ONES * u64::from(byte)));
    let found = equal(b'"') | equal(b'\\') | zeroes(word);
    (found != 0).then(|| found.trailing_zeros() as usize / 8)
}

/// Reads a text token by token.
pub struct Scanner<'t> {
    text: &'t [u8],
    at: usize,
    token_at: usize,
    lenient_numbers: bool,
    unescaped: Vec<u8>,
}

impl<'t> Scanner<'t> {
    /// Starts at the front of `text`.
    pub fn new(text: &'t [u8], lenient_numbers: bool) -> Scanner<'t> {
        Scanner { text, at: 0, token_at: 0, lenient_numbers, unescaped: Vec::new() }
    }

    /// Bytes that were read so far.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Where the last token began; of a bad one, where it went wrong.
    pub fn token_position(&self) -> usize {
        self.token_at
    }

    /// The byte at `at`. Behind the text stands a NUL, as behind every string of Lua.
    fn byte(&self, at: usize) -> u8 {
        self.text.get(at).copied().unwrap_or(0)
    }

    fn skip_blanks(&mut self) {
        while matches!(self.byte(self.at), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
    }

    /// Reads the next token if it is this punctuation mark, and tells whether it is.
    #[inline]
    pub fn skip(&mut self, mark: u8) -> bool {
        self.skip_blanks();
        let found = self.byte(self.at) == mark;
        self.at += usize::from(found);
        found
    }

    /// Reads the next token. At the end, and at a token that is bad, it stays there.
    pub fn next_token(&mut self) -> Token<'_> {
        self.skip_blanks();
        self.token_at = self.at;
        let token = match self.byte(self.at) {
            b'"' => return self.string(),
            b'-' | b'0'..=b'9' => return self.number(),
            b'{' => Token::ObjectBegin,
            b'}' => Token::ObjectEnd,
            b'[' => Token::ArrayBegin,
            b']' => Token::ArrayEnd,
            b',' => Token::Comma,
            b':' => Token::Colon,
            0 => return Token::End,
            b'f' | b'i' | b'I' | b'n' | b'N' | b't' | b'+' => return self.word(),
            _ => return Token::Bad("invalid token"),
        };
        self.at += 1;
        token
    }

    fn word(&mut self) -> Token<'_> {
        let rest = &self.text[self.at..];
        for (word, token) in
            [(&b"true"[..], Token::Boolean(true)), (b"false", Token::Boolean(false)), (b"null", Token::Null)]
        {
            if rest.starts_with(word) {
                self.at += word.len();
                return token;
            }
        }
        if self.lenient_numbers && !is_strict_number(rest) {
            return self.number();
        }
        Token::Bad("invalid token")
    }

    fn number(&mut self) -> Token<'_> {
        let rest = &self.text[self.at..];
        if !self.lenient_numbers && !is_strict_number(rest) {
            return Token::Bad("invalid number");
        }
        match number::read_number(rest) {
            Some((value, length)) => {
                self.at += length;
                Token::Number(value)
            }
            None => Token::Bad("invalid number"),
        }
    }

    fn string(&mut self) -> Token<'_> {
        self.at += 1;
        let start = self.at;
        let end = self.plain_run(start);
        if self.byte(end) == b'"' {
            self.at = end + 1;
            return Token::String(&self.text[start..end]);
        }
        self.unescaped.clear();
        match self.unescape(start, end) {
            Ok(()) => Token::String(&self.unescaped),
            Err(reason) => {
                self.token_at = self.at;
                Token::Bad(reason)
            }
        }
    }

    /// Where the first quote, backslash or NUL at or behind `start` stands, or the end of the text.
    #[inline]
    fn plain_run(&self, start: usize) -> usize {
        /// Strings are short, most of them; from this length on a search that sets up vectors is faster.
        const SHORT: usize = 32;
        let rest = &self.text[start..];
        let (words, tail) = rest.as_chunks();
        for (number, word) in words.iter().take(SHORT / WORD).enumerate() {
            if let Some(length) = first_special(*word) {
                return start + number * WORD + length;
            }
        }
        let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0);
        let length = match rest.get(SHORT..) {
            Some(far) => memchr::memchr3(b'"', b'\\', 0, far).map(|length| SHORT + length),
            None => tail.iter().position(special).map(|length| rest.len() - tail.len() + length),
        };
        length.map_or(self.text.len(), |length| start + length)
    }

    /// Reads a string whose first run without escapes is from `start` to `end`. Stops behind its quote, or where it errs.
    fn unescape(&mut self, mut start: usize, mut end: usize) -> Result<(), &'static str> {
        loop {
            self.unescaped.extend_from_slice(&self.text[start..end]);
            self.at = end;
            match self.byte(end) {
                b'"' => {
                    self.at += 1;
                    return Ok(());
                }
                b'\\' => start = end + self.escape(end)?,
                _ => return Err("unexpected end of string"),
            }
            end = self.plain_run(start);
        }
    }

    /// Appends what the escape at `at` stands for, and returns the escape's length.
    fn escape(&mut self, at: usize) -> Result<usize, &'static str> {
        let byte = match self.byte(at + 1) {
            byte @ (b'"' | b'\\' | b'/') => byte,
            b'b' => 8,
            b't' => b'\t',
            b'n' => b'\n',
            b'f' => 12,
            b'r' => b'\r',
            b'u' => return self.unicode_escape(at).ok_or("invalid unicode escape code"),
            _ => return Err("invalid escape code"),
        };
        self.unescaped.push(byte);
        Ok(2)
    }

    fn unicode_escape(&mut self, at: usize) -> Option<usize> {
        const LENGTH: usize = 6;
        let first = self.code_unit(at)?;
        let (code_point, length) = match first {
            0xd800..=0xdbff => {
                let low = self.code_unit(at + LENGTH).filter(|unit| (0xdc00..=0xdfff).contains(unit))?;
                (0x10000 + ((first & 0x3ff) << 10 | (low & 0x3ff)), 2 * LENGTH)
            }
            unit => (unit, LENGTH),
        };
        let character = char::from_u32(code_point)?;
        self.unescaped.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        Some(length)
    }

    /// The code unit of UTF-16 in an escape `\uXXXX` at `at`.
    fn code_unit(&self, at: usize) -> Option<u32> {
        if self.byte(at) != b'\\' || self.byte(at + 1) != b'u' {
            return None;
        }
        (at + 2..at + 6).try_fold(0, |unit, at| Some(unit << 4 | char::from(self.byte(at)).to_digit(16)?))
    }
}

/// Whether a number at the front of `text` may stand in JSON, as far as its first bytes tell. What is no number at all
/// may pass.
fn is_strict_number(text: &[u8]) -> bool {
    let magnitude = match text {
        [b'+', ..] => return false,
        [b'-', magnitude @ ..] => magnitude,
        magnitude => magnitude,
    };
    match magnitude {
        [b'0', b'x' | b'X' | b'0'..=b'9', ..] => false,
        [a, b, c, ..] => {
            let word = [a, b, c].map(u8::to_ascii_lowercase);
            word != *b"inf" && word != *b"nan"
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tokens of a text up to its end or first error, in letters, with the position of the last.
    fn tokens(text: &[u8], lenient: bool) -> (String, usize) {
        let mut scanner = Scanner::new(text, lenient);
        let mut found = Vec::new();
        loop {
            let (word, last) = match scanner.next_token() {
                Token::String(bytes) => (format!("{:?}", bytes.escape_ascii().to_string()), false),
                Token::Number(value) => (format!("{value:?}"), false),
                Token::Boolean(value) => (value.to_string(), false),
                token @ (Token::End | Token::Bad(_)) => (token.name().to_string(), true),
                token => (token.name().to_string(), false),
            };
            found.push(word);
            if last {
                return (found.join(" "), scanner.token_position());
            }
        }
    }

    #[track_caller]
    fn check(text: &[u8], expected: &str, position: usize) {
        assert_eq!(tokens(text, true), (expected.to_string(), position), "{}", text.escape_ascii());
    }

    #[test]
    fn punctuation_and_words() {
        check(b" {\t}[\n]:,\r", "T_OBJ_BEGIN T_OBJ_END T_ARR_BEGIN T_ARR_END T_COLON T_COMMA T_END", 10);
        check(b"true false null", "true false T_NULL T_END", 15);
        check(b"nulltrue", "T_NULL true T_END", 8);
        check(b"nul", "invalid token", 0);
        check(b"True", "invalid token", 0);
        check(b"1 tru", "1.0 invalid token", 2);
        check(b"'", "invalid token", 0);
        check(b"\xff", "invalid token", 0);
        check(b"", "T_END", 0);
    }

    #[test]
    fn a_nul_ends_the_text() {
        check(b"12\0garbage", "12.0 T_END", 2);
        check(b"\"a\0\"", "unexpected end of string", 2);
        check(b"\"a\\\0\"", "invalid escape code", 2);
        check(b"\"\\u00\0", "invalid unicode escape code", 1);
    }

    #[test]
    fn numbers_lenient_and_strict() {
        check(b"1 -2.5e3 007 0x10 +1", "1.0 -2500.0 7.0 16.0 1.0 T_END", 20);
        check(b"inf -Infinity nan", "inf -inf NaN T_END", 17);
        check(b"1.2.3", "1.2 invalid token", 3);
        check(b"-", "invalid number", 0);
        check(b"+x", "invalid number", 0);
        for (text, expected) in [
            ("12", "12.0 T_END"),
            ("-0.5", "-0.5 T_END"),
            ("01", "invalid number"),
            ("0x1", "invalid number"),
            ("-inf", "invalid number"),
            ("-NAN", "invalid number"),
            ("nan", "invalid token"),
            ("+1", "invalid token"),
            ("-", "invalid number"),
        ] {
            assert_eq!(tokens(text.as_bytes(), false).0, expected, "{text}");
        }
    }

    #[test]
    fn strings() {
        check(b"\"\"", "\"\" T_END", 2);
        check(b"\"plain\"", "\"plain\" T_END", 7);
        check(
            b"\"a string that is longer than sixteen bytes\\n.\"",
            "\"a string that is longer than sixteen bytes\\\\n.\" T_END",
            47,
        );
        check(
            b"\"\\\"\\\\\\/\\b\\t\\n\\f\\r\"",
            "\"\\\\\\\"\\\\\\\\/\\\\x08\\\\t\\\\n\\\\x0c\\\\r\" T_END",
            18,
        );
        check(b"\"tab\there\"", "\"tab\\\\there\" T_END", 10);
        check(b"\"\xff\"", "\"\\\\xff\" T_END", 3);
        check(b"\"abc", "unexpected end of string", 4);
        check(b"\"ab\\x\"", "invalid escape code", 3);
    }

    #[test]
    fn unicode_escapes() {
        let decoded = |text: &str| match Scanner::new(format!("\"{text}\"").as_bytes(), true).next_token() {
            Token::String(bytes) => Ok(bytes.to_vec()),
            Token::Bad(reason) => Err(reason),
            token => panic!("{token:?}"),
        };
        assert_eq!(decoded("\\u0041\\u00e9\\u20AC"), Ok("Aé€".as_bytes().to_vec()));
        assert_eq!(decoded("\\u0000"), Ok(vec![0]));
        assert_eq!(decoded("\\ud83d\\ude00!"), Ok("😀!".as_bytes().to_vec()));
        assert_eq!(decoded("\\uffff"), Ok("\u{ffff}".as_bytes().to_vec()));
        for bad in [
            "\\ud83d",
            "\\ud83dx",
            "\\ud83d\\n",
            "\\ud83d\\u0041",
            "\\ude00",
            "\\u12",
            "\\u12g4",
            "\\u+123",
            "\\U0041",
        ] {
            assert!(decoded(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_prefix_of_a_text_is_read_to_an_end() {
        let text = br#"{"a":[1,-2.5e+3,"x\u00e9\ud83d\ude00\\",true,false,null,{}],"b":0x1.8p3,"c":nan(1)}"#;
        for end in 0..=text.len() {
            for lenient in [false, true] {
                let (_, position) = tokens(&text[..end], lenient);
                assert!(position <= end);
            }
        }
    }
}
