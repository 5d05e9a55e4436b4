//! Why a library is refused.

use std::fmt;

use crate::persistence::rdb::NoLibraries;

/// Why a library, or a payload of libraries, is refused. The texts are upstream's, without the code `ERR`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadError {
    /// The source does not begin with `#!`.
    NoHeader,
    /// The first line has no end, or its quotes are not balanced.
    BadHeader,
    /// The first line names the library twice.
    NameTwice,
    /// The first line says something that is not known: this.
    UnknownAttribute(Box<[u8]>),
    /// The first line does not name the library.
    NoName,
    /// The name of a library or function is empty, or has characters that names do not have.
    BadName,
    /// There is no engine of this name.
    NoEngine(Box<[u8]>),
    /// There is a library of this name.
    LibraryExists(Box<[u8]>),
    /// There is a library of the name of one that a payload brings.
    LibraryExistsAlready(Box<[u8]>),
    /// Another library has a function of this name.
    FunctionExists(Box<[u8]>),
    /// The library has registered two functions of the same name.
    FunctionTwice,
    /// The library has registered no function.
    NoFunctions,
    /// The source is not valid; why, in the words of the compiler.
    Compile(Box<[u8]>),
    /// The source ended with an error when it ran.
    Register(Box<[u8]>),
    /// The payload is of an unknown version, or was damaged.
    BadPayload,
    /// The payload is no list of libraries.
    Damaged,
    /// The payload has functions in the form of a release candidate of 7.0.
    PreGa,
    /// The payload has something that is no library.
    NoLibrary,
}

impl LoadError {
    /// The text as bytes: names are any bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (before, what, behind): (&str, &[u8], &str) = match self {
            LoadError::NoHeader => ("Missing library metadata", b"", ""),
            LoadError::BadHeader => ("Invalid library metadata", b"", ""),
            LoadError::NameTwice => {
                ("Invalid metadata value, name argument was given multiple times", b"", "")
            }
            LoadError::UnknownAttribute(attribute) => ("Invalid metadata value given: ", attribute, ""),
            LoadError::NoName => ("Library name was not given", b"", ""),
            LoadError::BadName => (BAD_NAME, b"", ""),
            LoadError::NoEngine(name) => ("Engine '", name, "' not found"),
            LoadError::LibraryExists(name) => ("Library '", name, "' already exists"),
            LoadError::LibraryExistsAlready(name) => ("Library ", name, " already exists"),
            LoadError::FunctionExists(name) => ("Function ", name, " already exists"),
            LoadError::FunctionTwice => ("Function already exists in the library", b"", ""),
            LoadError::NoFunctions => ("No functions registered", b"", ""),
            LoadError::Compile(why) => ("Error compiling function: ", why, ""),
            LoadError::Register(why) => ("Error registering functions: ", why, ""),
            LoadError::BadPayload => ("DUMP payload version or checksum are wrong", b"", ""),
            LoadError::Damaged => ("Failed loading library payload", b"", ""),
            LoadError::PreGa => ("Pre-GA function format not supported", b"", ""),
            LoadError::NoLibrary => ("given type is not a function", b"", ""),
        };
        [before.as_bytes(), what, behind.as_bytes()].concat()
    }
}

/// The names of functions are held to the rule, and the text, of the names of libraries.
const BAD_NAME: &str = "Library names can only contain letters, numbers, or underscores(_) and must be at least one character long";

impl From<NoLibraries> for LoadError {
    fn from(error: NoLibraries) -> LoadError {
        match error {
            NoLibraries::PreGa => LoadError::PreGa,
            NoLibraries::OtherType => LoadError::NoLibrary,
            NoLibraries::Damaged => LoadError::Damaged,
        }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.to_bytes()))
    }
}

impl std::error::Error for LoadError {}
