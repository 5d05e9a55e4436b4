//! The first line of a library: which engine it is written for, and its name.
//!
//! ```text
//!   #!lua name=mylib\n
//!   redis.register_function('f', function(keys, args) … end)
//! ```
//!
//! The line is split like a command line, so that values may be quoted. The engine's name and the word `name=` may be in
//! any case; there are no other attributes.

use crate::ds::sds;

use super::error::LoadError;

/// The engine that libraries are written for. There is one.
pub const ENGINE: &str = "LUA";

/// A source, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// The library's name.
    pub name: Box<[u8]>,
    /// What is to be compiled: the source from the end of the first line on, that line's break included, so that lines
    /// keep their numbers.
    pub code: &'a [u8],
}

/// Reads the first line of a source.
pub fn parse(source: &[u8]) -> Result<Header<'_>, LoadError> {
    if !source.starts_with(b"#!") {
        return Err(LoadError::NoHeader);
    }
    // A NUL ends the line, and so leaves it without the break that it must have.
    let end = memchr::memchr2(b'\n', 0, source).filter(|&at| source[at] == b'\n');
    let (line, code) = source.split_at(end.ok_or(LoadError::BadHeader)?);
    let words = sds::split_args(line).ok_or(LoadError::BadHeader)?;
    let (engine, attributes) = words.split_first().ok_or(LoadError::BadHeader)?;
    let name = read_name(attributes)?;
    if !is_name(&name) {
        return Err(LoadError::BadName);
    }
    match engine.get(2..) {
        Some(engine) if engine.eq_ignore_ascii_case(ENGINE.as_bytes()) => Ok(Header { name, code }),
        other => Err(LoadError::NoEngine(other.unwrap_or_default().into())),
    }
}

fn read_name(attributes: &[Vec<u8>]) -> Result<Box<[u8]>, LoadError> {
    let mut name = None;
    for attribute in attributes {
        let Some((_, value)) =
            attribute.split_at_checked(5).filter(|(w, _)| w.eq_ignore_ascii_case(b"name="))
        else {
            return Err(LoadError::UnknownAttribute(attribute.as_slice().into()));
        };
        if name.replace(value).is_some() {
            return Err(LoadError::NameTwice);
        }
    }
    name.map(Box::from).ok_or(LoadError::NoName)
}

/// Whether a library or a function may be called so: letters, digits and underscores.
pub fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|&byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(source: &str) -> String {
        parse(source.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_header_names_engine_and_library() {
        let parsed = parse(b"#!lua name=lib_1\nreturn 1").unwrap();
        assert_eq!((parsed.name.as_ref(), parsed.code), (&b"lib_1"[..], &b"\nreturn 1"[..]));
        for line in ["#!LUA NAME=\"lib_1\"\n", "#!Lua\tname='lib_1'  \r\n", "\"#!lua\" name=lib_1\n"] {
            // What quotes the engine hides the mark as well.
            let parsed = parse(line.as_bytes()).map(|parsed| parsed.name);
            let expected =
                if line.starts_with('#') { Ok(b"lib_1"[..].into()) } else { Err(LoadError::NoHeader) };
            assert_eq!(parsed, expected, "{line}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_header_is_said() {
        let name = "Library names can only contain letters, numbers, or underscores(_) and must be at least one \
                    character long";
        for (source, expected) in [
            ("", "Missing library metadata"),
            ("return 1", "Missing library metadata"),
            ("#!lua name=a", "Invalid library metadata"),
            ("#!lua name=\"a\n", "Invalid library metadata"),
            ("#!lua name=a\0\n", "Invalid library metadata"),
            ("#!lua\n", "Library name was not given"),
            ("#!\n", "Library name was not given"),
            ("#!lua name=\n", name),
            ("#!lua name=a-b\n", name),
            ("#!js name=a-b\n", name),
            ("#!lua name=name=x\n", name),
            ("#!lua name=a name=b\n", "Invalid metadata value, name argument was given multiple times"),
            ("#!lua name=a name\n", "Invalid metadata value given: name"),
            ("#!lua foo=bar name=a\n", "Invalid metadata value given: foo=bar"),
            ("#!js name=a\n", "Engine 'js' not found"),
            ("#! name=a\n", "Engine '' not found"),
        ] {
            assert_eq!(error(source), expected, "{source:?}");
        }
    }
}
