//! The errors a command can end with. Each text that clients match on is written once, here.

use std::borrow::Cow;

/// What a command procedure returns; the dispatcher turns an error into the reply.
pub type CmdResult = Result<(), CmdError>;

/// An error reply, named by what went wrong. The texts are upstream's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CmdError {
    /// The key holds a value of another type.
    WrongType,
    /// An argument or value is no 64-bit signed integer.
    NotAnInteger,
    /// An argument or value is no finite or infinite float.
    NotAFloat,
    /// The arguments do not form a valid call.
    Syntax,
    /// The key does not exist, where it must.
    NoSuchKey,
    /// An index or offset lies outside of what is allowed.
    OutOfRange,
    /// Source and destination are the same object, where they must differ.
    SameObject,
    /// An expiry that is not positive or overflows; holds the command's full name.
    InvalidExpire(&'static str),
    /// A value would grow past `proto-max-bulk-len`.
    StringTooLong,
    /// An increment would leave the 64-bit range.
    IncrementOverflow,
    /// A container command was called with an unknown subcommand; holds what was sent and the container's name.
    UnknownSubcommand(Box<(Vec<u8>, String)>),
    /// Wrong number of arguments for the command of this full name.
    Arity(&'static str),
    /// Any other text, complete with its code (`ERR …`, `NOPERM …`) and without the dash.
    Other(Cow<'static, str>),
    /// As [`CmdError::Other`], for texts that carry bytes of the client's.
    Bytes(Box<[u8]>),
}

impl CmdError {
    /// An error with a fixed text, code included.
    pub const fn text(text: &'static str) -> CmdError {
        CmdError::Other(Cow::Borrowed(text))
    }

    /// The dataset is being loaded, and the command needs it.
    pub const LOADING: CmdError = CmdError::text("LOADING Redis is loading the dataset in memory");

    /// Writes code and text into `out`, as it stands behind the dash of the reply.
    pub fn write(&self, out: &mut Vec<u8>) {
        let text: Cow<'_, str> = match self {
            CmdError::WrongType => {
                Cow::Borrowed("WRONGTYPE Operation against a key holding the wrong kind of value")
            }
            CmdError::NotAnInteger => Cow::Borrowed("ERR value is not an integer or out of range"),
            CmdError::NotAFloat => Cow::Borrowed("ERR value is not a valid float"),
            CmdError::Syntax => Cow::Borrowed("ERR syntax error"),
            CmdError::NoSuchKey => Cow::Borrowed("ERR no such key"),
            CmdError::OutOfRange => Cow::Borrowed("ERR index out of range"),
            CmdError::SameObject => Cow::Borrowed("ERR source and destination objects are the same"),
            CmdError::InvalidExpire(name) => {
                Cow::Owned(format!("ERR invalid expire time in '{name}' command"))
            }
            CmdError::StringTooLong => {
                Cow::Borrowed("ERR string exceeds maximum allowed size (proto-max-bulk-len)")
            }
            CmdError::IncrementOverflow => Cow::Borrowed("ERR increment or decrement would overflow"),
            CmdError::Arity(name) => {
                Cow::Owned(format!("ERR wrong number of arguments for '{name}' command"))
            }
            CmdError::UnknownSubcommand(what) => {
                let (sent, container) = what.as_ref();
                out.extend_from_slice(b"ERR unknown subcommand '");
                out.extend_from_slice(&sent[..sent.len().min(128)]);
                out.extend_from_slice(format!("'. Try {container} HELP.").as_bytes());
                return;
            }
            CmdError::Other(text) => Cow::Borrowed(text.as_ref()),
            CmdError::Bytes(bytes) => return out.extend_from_slice(bytes),
        };
        out.extend_from_slice(text.as_bytes());
    }

    /// Code and text as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }
}

/// An error whose text is put together at run time: `err!("ERR no such user '{}'", name)`.
#[macro_export]
macro_rules! cmd_err {
    ($($arg:tt)*) => { $crate::server::CmdError::Other(std::borrow::Cow::Owned(format!($($arg)*))) };
}
