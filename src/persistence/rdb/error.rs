//! What can go wrong with a file or a payload.

use std::borrow::Cow;
use std::fmt;
use std::io;

use super::format::{Forced, configured_name};
use crate::persistence::rio::ReadError;

/// Why a file or payload cannot be written or read. [`fmt::Display`] gives upstream's text for the log.
#[derive(Debug)]
pub enum Error {
    /// Writing or reading failed.
    Io(io::Error),
    /// The bytes end too early.
    End {
        /// Bytes read until then.
        offset: u64,
    },
    /// The bytes are not in the format.
    Corrupt {
        /// Bytes read until then.
        offset: u64,
        /// What is wrong.
        reason: Cow<'static, str>,
    },
    /// The first bytes are not those of a file of this format.
    Signature(Box<[u8]>),
    /// The version is not known.
    Version(i64),
    /// The checksum is another; holds the one stated and the one computed.
    Checksum(u64, u64),
    /// A key is there twice; holds the key and its database.
    Duplicate(Box<[u8]>, usize),
    /// It needs what is not there (a module, a library's engine), with the whole text.
    Unsupported(String),
    /// `rdb-version` forces a version that cannot hold the data.
    Forced(Forced),
    /// The payload's footer is of a newer version, or of other bytes.
    Footer,
}

impl Error {
    pub(super) fn corrupt(offset: u64, reason: impl Into<Cow<'static, str>>) -> Error {
        Error::Corrupt { offset, reason: reason.into() }
    }

    pub(super) fn read(error: ReadError, offset: u64) -> Error {
        match error {
            ReadError::End => Error::End { offset },
            ReadError::Io(error) => Error::Io(error),
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        Error::Io(error)
    }
}

impl From<Forced> for Error {
    fn from(forced: Forced) -> Error {
        Error::Forced(forced)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io(error) => write!(f, "{error}"),
            Error::End { offset } => {
                write!(f, "Internal error in RDB reading offset {offset}: Unexpected EOF reading RDB file")
            }
            Error::Corrupt { offset, reason } => {
                write!(f, "Internal error in RDB reading offset {offset}: {reason}")
            }
            Error::Signature(bytes) => {
                write!(f, "Wrong signature trying to load DB from file: {}", bytes.escape_ascii())
            }
            Error::Version(version) => write!(f, "Can't handle RDB format version {version}"),
            Error::Checksum(stated, computed) => {
                write!(f, "Wrong RDB checksum expected: ({stated:x}) but got ({computed:x}). Aborting now.")
            }
            Error::Duplicate(key, db) => {
                write!(f, "RDB has duplicated key '{}' in DB {db}", key.escape_ascii())
            }
            Error::Unsupported(text) => f.write_str(text),
            Error::Forced(Forced(version)) => write!(
                f,
                "The data need RDB version {}, and 'rdb-version' is {}",
                super::VERSION,
                configured_name(*version)
            ),
            Error::Footer => f.write_str("DUMP payload version or checksum are wrong"),
        }
    }
}

impl std::error::Error for Error {}
