//! Quoting: lines split into arguments, and strings made printable.
//!
//! Inline commands, configuration files, ACL files and the command line share one syntax for a list of arguments, which
//! [`split_args`] reads. [`repr`] writes any string in that syntax, and log messages, `MONITOR` and `ACL LIST` show
//! strings so. `split_args` reads back exactly what `repr` has written.

use super::numbers::is_space;

/// Splits a line into its arguments, or returns `None` if its quotes are not balanced.
///
/// Arguments are separated by blanks. Within double quotes, `\n`, `\r`, `\t`, `\b`, `\a` stand for the usual control
/// characters, `\xHH` for any byte, and a backslash before any other byte for that byte. Within single quotes only `\'`
/// is special. A quote may open in the middle of an argument (`a"b c"` is one), but one that closes must be followed by
/// a blank or the end. A NUL outside of quotes ends the line; inside them, it makes them unbalanced.
///
/// ```
/// use ochre::ds::sds::split_args;
/// let args = split_args(br#"set key "two words\n""#).unwrap();
/// assert_eq!(args, [b"set".to_vec(), b"key".to_vec(), b"two words\n".to_vec()]);
/// assert_eq!(split_args(b"set key \"two"), None);
/// ```
pub fn split_args(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut args = Vec::new();
    let mut rest = line;
    loop {
        rest = &rest[rest.iter().take_while(|&&byte| is_space(byte)).count()..];
        if matches!(rest, [] | [0, ..]) {
            return Some(args);
        }
        let (arg, behind) = split_one(rest)?;
        args.push(arg);
        rest = behind;
    }
}

/// Reads the argument at the start of `rest`. Returns it and what is behind it.
fn split_one(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut arg = Vec::new();
    loop {
        match rest {
            [] | [b' ' | b'\n' | b'\r' | b'\t' | 0, ..] => return Some((arg, rest)),
            [quote @ (b'"' | b'\''), quoted @ ..] => {
                rest = if *quote == b'"' {
                    double_quoted(quoted, &mut arg)?
                } else {
                    single_quoted(quoted, &mut arg)?
                };
                // What closes a quotation closes the argument.
                return match rest {
                    [] | [0, ..] => Some((arg, rest)),
                    [byte, ..] if is_space(*byte) => Some((arg, rest)),
                    _ => None,
                };
            }
            [byte, behind @ ..] => {
                arg.push(*byte);
                rest = behind;
            }
        }
    }
}

/// Reads up to the closing double quote. Returns what is behind it.
fn double_quoted<'a>(mut rest: &'a [u8], arg: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        let (byte, behind) = match *rest {
            [] | [0, ..] | [b'\\'] | [b'\\', 0, ..] => return None,
            [b'"', ref behind @ ..] => return Some(behind),
            [b'\\', b'x', high, low, ref behind @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                (hex_digit(high) << 4 | hex_digit(low), behind)
            }
            [b'\\', escaped, ref behind @ ..] => (unescape(escaped), behind),
            [byte, ref behind @ ..] => (byte, behind),
        };
        arg.push(byte);
        rest = behind;
    }
}

/// Reads up to the closing single quote. Returns what is behind it.
fn single_quoted<'a>(mut rest: &'a [u8], arg: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        let (byte, behind) = match *rest {
            [] | [0, ..] => return None,
            [b'\'', ref behind @ ..] => return Some(behind),
            [b'\\', b'\'', ref behind @ ..] => (b'\'', behind),
            [byte, ref behind @ ..] => (byte, behind),
        };
        arg.push(byte);
        rest = behind;
    }
}

fn unescape(escaped: u8) -> u8 {
    match escaped {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

fn hex_digit(digit: u8) -> u8 {
    char::from(digit).to_digit(16).expect("the caller has looked") as u8
}

/// Appends `text` in double quotes, with escapes for all that is not printable ASCII.
///
/// ```
/// let mut out = Vec::new();
/// ochre::ds::sds::repr(&mut out, b"say \"hi\"\n\xff");
/// assert_eq!(out, br#""say \"hi\"\n\xff""#);
/// ```
pub fn repr(out: &mut Vec<u8>, text: &[u8]) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text;
    while let Some(&byte) = rest.first() {
        let plain = rest.iter().take_while(|&&byte| is_plain(byte)).count();
        if plain > 0 {
            out.extend_from_slice(&rest[..plain]);
            rest = &rest[plain..];
        } else {
            escape(out, byte);
            rest = &rest[1..];
        }
    }
    out.push(b'"');
}

/// Whether `text` must be quoted so that [`split_args`] gives it back. (Upstream forgets the single quote, and the empty text.)
pub fn needs_repr(text: &[u8]) -> bool {
    text.is_empty() || !text.iter().all(|&byte| is_plain(byte) && !matches!(byte, b' ' | b'\''))
}

fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')
}

fn escape(out: &mut Vec<u8>, byte: u8) {
    let letter = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x07 => b'a',
        0x08 => b'b',
        _ => {
            const HEX: [u8; 16] = *b"0123456789abcdef";
            let [high, low] = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
            return out.extend_from_slice(&[b'\\', b'x', high, low]);
        }
    };
    out.extend_from_slice(&[b'\\', letter]);
}

/// Replaces each byte of `text` that occurs in `from` by the byte at the same place in `to`, which is as long.
pub fn map_chars(text: &mut [u8], from: &[u8], to: &[u8]) {
    assert_eq!(from.len(), to.len());
    for byte in text {
        if let Some(index) = from.iter().position(|candidate| candidate == byte) {
            *byte = to[index];
        }
    }
}

/// `text` without the bytes of `set` at both of its ends.
pub fn trim<'a>(text: &'a [u8], set: &[u8]) -> &'a [u8] {
    let Some(start) = text.iter().position(|byte| !set.contains(byte)) else { return &[] };
    let end = text.iter().rposition(|byte| !set.contains(byte)).map_or(start, |last| last + 1);
    &text[start..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(line: &[u8]) -> Option<Vec<String>> {
        let args = split_args(line)?;
        Some(args.iter().map(|arg| arg.escape_ascii().to_string()).collect())
    }

    #[test]
    fn splits() {
        let cases: &[(&[u8], &[&str])] = &[
            (b"", &[]),
            (b" \t\r\n\x0b\x0c", &[]),
            (b"a b  c", &["a", "b", "c"]),
            (b"\"a b\" 'c d'", &["a b", "c d"]),
            (b"\"\" ''", &["", ""]),
            (b"a\"b c\"", &["ab c"]),
            (b"a'b c'", &["ab c"]),
            (b"\"\\x41\\x0g\\n\\r\\t\\q\\\"\\\\\"", &["Ax0g\\n\\r\\tq\\\"\\\\"]),
            (b"\"\\a\\b\\xfF\"", &["\\x07\\x08\\xff"]),
            (b"'\\n\\'\\x41\"'", &["\\\\n\\'\\\\x41\\\""]),
            (b"a\\ b", &["a\\\\", "b"]),
            (b"\"a\"\x0b'b'", &["a", "b"]),
            // A vertical tab separates only where an argument might begin.
            (b"a\x0bb", &["a\\x0bb"]),
            (b"a\0b", &["a"]),
            (b"\"a\"\0b", &["a"]),
            (b"a\xff", &["a\\xff"]),
        ];
        for (line, args) in cases {
            let args: Vec<String> = args.iter().map(|arg| arg.to_string()).collect();
            assert_eq!(split(line), Some(args), "{}", line.escape_ascii());
        }
    }

    #[test]
    fn unbalanced() {
        let lines: &[&[u8]] = &[
            b"\"a",
            b"'a",
            b"\"",
            b"'",
            b"a\"",
            b"\"a\"b",
            b"'a'b",
            b"\"a\"\"b\"",
            b"\"a\\",
            b"\"a\\\"",
            b"\"\\x4",
            b"'a\\'",
            b"\"a\0\"",
            b"'a\0'",
            b"\"\\\0\"",
            b"x \"a\"'b'",
        ];
        for line in lines {
            assert_eq!(split_args(line), None, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn quotes() {
        let mut out = Vec::new();
        repr(&mut out, b"a \"b\" \\ \n\r\t\x07\x08\x00\x7f\xe9");
        assert_eq!(out, b"\"a \\\"b\\\" \\\\ \\n\\r\\t\\a\\b\\x00\\x7f\\xe9\"");
        assert!(needs_repr(b"a b") && needs_repr(b"\"") && needs_repr(b"\\") && needs_repr(b"\xe9"));
        assert!(needs_repr(b"it's") && needs_repr(b"") && !needs_repr(b"plain-text_1"));
    }

    #[test]
    fn maps_and_trims() {
        let mut text = *b"hello";
        map_chars(&mut text, b"ho", b"01");
        assert_eq!(&text, b"0ell1");
        assert_eq!(trim(b" \r\nx y\n", b" \r\n"), b"x y");
        assert_eq!(trim(b"   ", b" "), b"");
        assert_eq!(trim(b"", b" "), b"");
        assert_eq!(trim(b"x", b" "), b"x");
    }

    proptest! {
        #[test]
        fn what_is_quoted_reads_back(texts: Vec<Vec<u8>>) {
            let mut line = Vec::new();
            for text in &texts {
                repr(&mut line, text);
                line.push(b' ');
            }
            prop_assert!(line.is_ascii());
            prop_assert_eq!(split_args(&line), Some(texts));
        }

        #[test]
        fn plain_words_need_no_quotes(text in "[!-~]{1,20}") {
            prop_assume!(!needs_repr(text.as_bytes()));
            prop_assert_eq!(split_args(text.as_bytes()), Some(vec![text.into_bytes()]));
        }

        #[test]
        fn any_line_is_safe(line: Vec<u8>) {
            split_args(&line);
        }
    }
}
