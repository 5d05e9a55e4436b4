//! RDB: the dataset in one file, and one value in a payload of `DUMP`.
//!
//! `docs/rdb.md` draws the format byte by byte. In short: a magic with a version, then items that begin with a byte, which is
//! either an opcode or the type of a key's value, and at the end a checksum. A payload is one such value without its key, with
//! the version and the checksum behind it.
//!
//! | file        | what it does                                            |
//! |-------------|---------------------------------------------------------|
//! | `format.rs` | the numbers: opcodes, types, versions                   |
//! | `encode.rs` | lengths, strings and values to bytes                    |
//! | `save.rs`   | a whole file                                            |
//! | `decode.rs` | bytes to lengths and strings                            |
//! | `value.rs`  | bytes to values, in every encoding there ever was       |
//! | `stream.rs` | bytes to streams, which are a chapter of their own      |
//! | `load.rs`   | a whole file                                            |
//! | `check.rs`  | redis-check-rdb                                         |
//! | `payload.rs`| payloads: the footer, single values, function libraries |
//!
//! # Versions
//!
//! What is written has the lowest version that can hold it: 11, or 12 if a field of a hash has an expiry. So a file can be
//! taken back to Redis 7.2, and to Valkey. `rdb-version` forces another; [`MIN_WRITTEN`] is what Redis 7.0 reads. The version
//! stands in front of everything and so must be known before the first byte: databases know whether any field has an expiry.
//!
//! Everything since version 1 is read. Old encodings become present ones, and what exceeds the configured limits of compact
//! encodings is converted.
//!
//! # Hostile bytes
//!
//! Files and payloads are checked in full, always: every listpack is walked, and looked through for duplicates, before it
//! becomes a value; no memory is allocated for a length that nothing vouches for. `sanitize-dump-payload`, which has upstream
//! choose between that and trust, makes no difference here.

pub mod check;
mod decode;
mod encode;
mod error;
mod format;
mod load;
mod payload;
mod save;
mod stream;
#[cfg(test)]
mod tests;
mod value;

pub use error::Error;
pub use format::{Forced, MIN_WRITTEN, VERSION};
pub use load::{LoadInfo, LoadOptions, load};
pub use payload::{
    NoLibraries, Restored, dump_payload, function_sources, functions_payload, restore_payload, verify,
};
pub use save::{Clocks, Dataset, SaveInfo, SaveOptions, save};
pub use value::{Limits, Skipped};
