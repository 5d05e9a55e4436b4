//! How replies are printed.
//!
//! [`Style::Standard`] is for people: types are named, strings quoted, elements numbered and indented. [`Style::Raw`] is
//! for pipes: the bytes and nothing else. CSV and the two kinds of JSON are for other programs. Every form reproduces
//! upstream's to the byte, its oddities included, because scripts parse them.

use crate::ds::sds::repr;

use super::resp::Reply;

/// The form in which replies are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// For people: `1) "a"`.
    Standard,
    /// The bytes of each element, one a line.
    Raw,
    /// One line of comma-separated, quoted values a reply.
    Csv,
    /// JSON; strings keep their bytes and escape only what JSON requires.
    Json,
    /// JSON in ASCII: strings are quoted as in [`Style::Standard`], with the backslashes doubled.
    QuotedJson,
}

/// A style and the separators that [`Style::Raw`] puts in.
#[derive(Clone, Debug)]
pub struct Printer {
    /// The form of everything that is printed.
    pub style: Style,
    /// What stands between the elements of a raw reply.
    pub element_delimiter: Vec<u8>,
    /// What ends a raw reply.
    pub reply_delimiter: Vec<u8>,
}

impl Printer {
    /// A reply to a command, ready to be printed. `verbatim` is set for commands such as INFO whose reply is a text
    /// laid out for reading: it is printed as it is, whatever the style.
    pub fn format(&self, reply: &Reply, verbatim: bool) -> Vec<u8> {
        let mut out = Vec::new();
        match self.style {
            _ if verbatim => self.raw(&mut out, reply),
            Style::Standard => standard(&mut out, reply, ""),
            Style::Raw => {
                self.raw(&mut out, reply);
                out.extend_from_slice(&self.reply_delimiter);
            }
            Style::Csv => {
                csv(&mut out, reply);
                out.push(b'\n');
            }
            Style::Json | Style::QuotedJson => {
                json(&mut out, reply, self.style);
                out.push(b'\n');
            }
        }
        out
    }

    /// A message that the server sent unasked. People see an invalidation as a short line of its own.
    pub fn format_push(&self, push: &Reply) -> Vec<u8> {
        if self.style == Style::Standard
            && let Some([name, Reply::Array(keys)]) = push.elements()
            && name.text().is_some_and(|name| name.starts_with(b"invalidate"))
        {
            return invalidation(keys);
        }
        self.format(push, false)
    }

    fn raw(&self, out: &mut Vec<u8>, reply: &Reply) {
        match reply {
            Reply::Nil => {}
            Reply::Error(text) => {
                out.extend_from_slice(text);
                out.push(b'\n');
            }
            Reply::Status(text)
            | Reply::Bulk(text)
            | Reply::Verbatim(text)
            | Reply::Double(text)
            | Reply::BigNumber(text) => out.extend_from_slice(text),
            Reply::Boolean(value) => {
                out.extend_from_slice(if *value { b"(true)" } else { b"(false)" });
            }
            Reply::Integer(value) => integer(out, *value),
            Reply::Array(items) | Reply::Set(items) | Reply::Push(items) => {
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.extend_from_slice(&self.element_delimiter);
                    }
                    self.raw(out, item);
                }
            }
            Reply::Map(pairs) => {
                for (i, (key, value)) in pairs.iter().enumerate() {
                    if i > 0 {
                        out.extend_from_slice(&self.element_delimiter);
                    }
                    self.raw(out, key);
                    out.push(b' ');
                    self.raw(out, value);
                }
            }
        }
    }
}

fn integer(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// The part of `text` before a zero byte: statuses and errors have always been printed as C strings.
fn c_string(text: &[u8]) -> &[u8] {
    &text[..memchr::memchr(0, text).unwrap_or(text.len())]
}

/// Appends `reply` in the style for people; `indent` is what stands before every line of it but the first.
fn standard(out: &mut Vec<u8>, reply: &Reply, indent: &str) {
    let mut line = |parts: &[&[u8]]| {
        parts.iter().for_each(|part| out.extend_from_slice(part));
        out.push(b'\n');
    };
    match reply {
        Reply::Error(text) => line(&[b"(error) ", c_string(text)]),
        Reply::Status(text) => line(&[c_string(text)]),
        Reply::Integer(value) => line(&[b"(integer) ", itoa::Buffer::new().format(*value).as_bytes()]),
        Reply::Double(digits) => line(&[b"(double) ", digits]),
        Reply::BigNumber(digits) => line(&[b"(big number) ", digits]),
        Reply::Verbatim(text) => line(&[text]),
        Reply::Nil => line(&[b"(nil)"]),
        Reply::Boolean(true) => line(&[b"(true)"]),
        Reply::Boolean(false) => line(&[b"(false)"]),
        Reply::Bulk(bytes) => {
            repr(out, bytes);
            out.push(b'\n');
        }
        Reply::Array(items) if items.is_empty() => line(&[b"(empty array)"]),
        Reply::Set(items) if items.is_empty() => line(&[b"(empty set)"]),
        Reply::Push(items) if items.is_empty() => line(&[b"(empty push)"]),
        Reply::Map(pairs) if pairs.is_empty() => line(&[b"(empty hash)"]),
        // A push is numbered like an array.
        Reply::Array(items) | Reply::Push(items) => standard_items(out, items, ')', indent),
        Reply::Set(items) => standard_items(out, items, '~', indent),
        Reply::Map(pairs) => standard_pairs(out, pairs, indent),
    }
}

/// How many characters the largest of `count` numbers takes.
fn index_width(count: usize) -> usize {
    itoa::Buffer::new().format(count).len()
}

/// The number in front of an element. The first is not indented, because it continues the line of its parent.
fn standard_index(out: &mut Vec<u8>, index: usize, width: usize, mark: char, indent: &str) {
    let indent = if index == 0 { "" } else { indent };
    out.extend_from_slice(format!("{indent}{:>width$}{mark} ", index + 1).as_bytes());
}

fn standard_items(out: &mut Vec<u8>, items: &[Reply], mark: char, indent: &str) {
    let width = index_width(items.len());
    let inner = format!("{indent}{:width$}  ", "");
    for (i, item) in items.iter().enumerate() {
        standard_index(out, i, width, mark, indent);
        standard(out, item, &inner);
    }
}

fn standard_pairs(out: &mut Vec<u8>, pairs: &[(Reply, Reply)], indent: &str) {
    let width = index_width(pairs.len());
    let inner = format!("{indent}{:width$}  ", "");
    for (i, (key, value)) in pairs.iter().enumerate() {
        standard_index(out, i, width, '#', indent);
        standard(out, key, &inner);
        out.pop();
        out.extend_from_slice(b" => ");
        if takes_several_lines(value) {
            out.push(b'\n');
            out.extend_from_slice(inner.as_bytes());
        }
        standard(out, value, &inner);
    }
}

/// Whether [`standard`] prints more than one line for `reply`.
fn takes_several_lines(reply: &Reply) -> bool {
    match reply {
        Reply::Array(items) | Reply::Set(items) | Reply::Push(items) => match items.as_slice() {
            [] => false,
            [only] => takes_several_lines(only),
            _ => true,
        },
        Reply::Map(pairs) => match pairs.as_slice() {
            [] => false,
            [(_, value)] => takes_several_lines(value),
            _ => true,
        },
        _ => false,
    }
}

fn invalidation(keys: &[Reply]) -> Vec<u8> {
    let mut out = b"-> invalidate: ".to_vec();
    for (i, key) in keys.iter().enumerate() {
        if i > 0 {
            out.extend_from_slice(b", ");
        }
        out.push(b'\'');
        out.extend_from_slice(key.text().unwrap_or_default());
        out.push(b'\'');
    }
    out.push(b'\n');
    out
}

fn csv(out: &mut Vec<u8>, reply: &Reply) {
    let flat = |out: &mut Vec<u8>, items: &mut dyn Iterator<Item = &Reply>| {
        for (i, item) in items.enumerate() {
            if i > 0 {
                out.push(b',');
            }
            csv(out, item);
        }
    };
    match reply {
        Reply::Error(text) => {
            out.extend_from_slice(b"ERROR,");
            repr(out, c_string(text));
        }
        Reply::Status(text) | Reply::Bulk(text) | Reply::Verbatim(text) => repr(out, text),
        Reply::Integer(value) => integer(out, *value),
        Reply::Double(digits) | Reply::BigNumber(digits) => out.extend_from_slice(digits),
        Reply::Nil => out.extend_from_slice(b"NULL"),
        Reply::Boolean(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        Reply::Array(items) | Reply::Set(items) | Reply::Push(items) => flat(out, &mut items.iter()),
        Reply::Map(pairs) => flat(out, &mut pairs.iter().flat_map(|(key, value)| [key, value])),
    }
}

fn json(out: &mut Vec<u8>, reply: &Reply, style: Style) {
    match reply {
        Reply::Error(text) => {
            out.extend_from_slice(b"error:");
            json_string(out, c_string(text), style);
        }
        Reply::Status(text) | Reply::Bulk(text) | Reply::Verbatim(text) => json_string(out, text, style),
        Reply::Integer(value) => integer(out, *value),
        Reply::Double(digits) | Reply::BigNumber(digits) => out.extend_from_slice(digits),
        Reply::Nil => out.extend_from_slice(b"null"),
        Reply::Boolean(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        Reply::Array(items) | Reply::Set(items) | Reply::Push(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                json(out, item, style);
            }
            out.push(b']');
        }
        Reply::Map(pairs) => {
            out.push(b'{');
            for (i, (key, value)) in pairs.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                json_key(out, key, style);
                out.push(b':');
                json(out, value, style);
            }
            out.push(b'}');
        }
    }
}

/// Keys of JSON objects are strings; keys of RESP3 maps may be anything, and are put between quotes.
fn json_key(out: &mut Vec<u8>, key: &Reply, style: Style) {
    if key.text().is_some() {
        return json(out, key, style);
    }
    out.push(b'"');
    json(out, key, style);
    out.push(b'"');
}

fn json_string(out: &mut Vec<u8>, text: &[u8], style: Style) {
    if style == Style::QuotedJson {
        let mut quoted = Vec::with_capacity(text.len() + 2);
        repr(&mut quoted, text);
        for byte in quoted {
            if byte == b'\\' {
                out.push(b'\\');
            }
            out.push(byte);
        }
        return;
    }
    out.push(b'"');
    for &byte in text {
        match byte {
            b'\\' | b'"' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0..=0x1f => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(style: Style, reply: &Reply) -> String {
        let printer = Printer { style, element_delimiter: b"\n".to_vec(), reply_delimiter: b"\n".to_vec() };
        String::from_utf8(printer.format(reply, false)).unwrap()
    }

    fn bulk(text: &str) -> Reply {
        Reply::Bulk(text.as_bytes().to_vec())
    }

    fn sample() -> Reply {
        Reply::Map(vec![
            (bulk("name"), bulk("a \"b\"\n")),
            (Reply::Integer(1), Reply::Array(vec![Reply::Nil, Reply::Set(vec![Reply::Boolean(true)])])),
            (Reply::Status(b"s".to_vec()), Reply::Array(vec![Reply::Double(b"1.5".to_vec())])),
        ])
    }

    #[test]
    fn people_see_numbers_types_and_quotes() {
        assert_eq!(
            printed(Style::Standard, &sample()),
            "1# \"name\" => \"a \\\"b\\\"\\n\"\n\
             2# (integer) 1 => \n   1) (nil)\n   2) 1~ (true)\n\
             3# s => 1) (double) 1.5\n"
        );
    }

    #[test]
    fn nested_arrays_are_indented_by_the_width_of_the_largest_number() {
        let pair = Reply::Array(vec![bulk("x"), bulk("y")]);
        let ten = Reply::Array(std::iter::repeat_n(pair, 10).collect());
        let text = printed(Style::Standard, &ten);
        assert!(text.starts_with(" 1) 1) \"x\"\n    2) \"y\"\n 2) 1) \"x\"\n"), "{text}");
        assert!(text.ends_with("10) 1) \"x\"\n    2) \"y\"\n"), "{text}");
    }

    #[test]
    fn raw_is_the_bytes() {
        assert_eq!(printed(Style::Raw, &sample()), "name a \"b\"\n\n1 \n(true)\ns 1.5\n");
        assert_eq!(printed(Style::Raw, &Reply::Error(b"ERR x".to_vec())), "ERR x\n\n");
        assert_eq!(printed(Style::Raw, &Reply::Nil), "\n");
    }

    #[test]
    fn csv_is_flat() {
        assert_eq!(printed(Style::Csv, &sample()), "\"name\",\"a \\\"b\\\"\\n\",1,NULL,true,\"s\",1.5\n");
        assert_eq!(printed(Style::Csv, &Reply::Error(b"ERR x".to_vec())), "ERROR,\"ERR x\"\n");
    }

    #[test]
    fn json_quotes_keys_and_escapes_controls() {
        assert_eq!(
            printed(Style::Json, &sample()),
            "{\"name\":\"a \\\"b\\\"\\n\",\"1\":[null,[true]],\"s\":[1.5]}\n"
        );
        assert_eq!(printed(Style::Json, &bulk("\u{f0}\x01\\")), "\"\u{f0}\\u0001\\\\\"\n");
        assert_eq!(printed(Style::QuotedJson, &bulk("\u{f0}\x01")), "\"\\\\xc3\\\\xb0\\\\x01\"\n");
    }

    #[test]
    fn empty_aggregates_have_names() {
        for (reply, name) in [
            (Reply::Array(vec![]), "(empty array)\n"),
            (Reply::Set(vec![]), "(empty set)\n"),
            (Reply::Map(vec![]), "(empty hash)\n"),
            (Reply::Push(vec![]), "(empty push)\n"),
        ] {
            assert_eq!(printed(Style::Standard, &reply), name);
        }
    }

    #[test]
    fn invalidations_are_told_in_a_line() {
        let push = Reply::Push(vec![bulk("invalidate"), Reply::Array(vec![bulk("a"), bulk("b")])]);
        let printer = Printer {
            style: Style::Standard,
            element_delimiter: b"\n".to_vec(),
            reply_delimiter: b"\n".to_vec(),
        };
        assert_eq!(printer.format_push(&push), b"-> invalidate: 'a', 'b'\n");
    }
}
