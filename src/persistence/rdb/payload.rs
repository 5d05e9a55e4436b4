//! Payloads: what DUMP and FUNCTION DUMP answer, and RESTORE and FUNCTION RESTORE take.
//!
//! ```text
//! ┌──────┬─ ─ ─ ─┬─────────┬──────────┐
//! │ type │ value │ version │ checksum │
//! └──────┴─ ─ ─ ─┴─────────┴──────────┘
//!   1 byte         u16, LE   u64, LE, of all before
//! ```
//!
//! Libraries of functions have the opcode for one in the place of the type, and their source as a string; there may be many.

use super::decode::Decoder;
use super::encode::Encoder;
use super::error::Error;
use super::format::{Forced, VERSION, kind, opcode, version_for};
use super::value::{self, Around, Limits, Skipped};
use crate::db::object::{Entry, EntryRef};
use crate::ds::crc64::crc64;
use crate::persistence::rio::{Memory, Source, Writer};
use crate::server::config::RdbVersion;

/// Bytes of version and checksum.
const FOOTER: usize = 2 + 8;

/// What was in a payload: an entry, or the reason why there is none to keep.
pub type Restored = Result<Entry, Skipped>;

fn memory_encoder(version: u16, compress: bool) -> Encoder<'static> {
    Encoder::new(Writer::to_memory(), version, compress)
}

/// The value of an entry, as DUMP answers it.
///
/// # Errors
/// If the configured version cannot hold it.
pub fn dump_payload(entry: EntryRef<'_>, configured: RdbVersion, compress: bool) -> Result<Vec<u8>, Forced> {
    let version = version_for(entry.next_expiry().is_some(), configured)?;
    let mut encoder = memory_encoder(version, compress);
    let kind = encoder.kind(entry);
    encoder.out.byte(kind);
    encoder.value(entry);
    let mut payload = encoder.out.into_bytes();
    seal(&mut payload, version);
    Ok(payload)
}

/// An entry under `key` of the value in a payload that [`verify`] has accepted, with an expiry and an access clock.
///
/// # Errors
/// If it is not in the format.
pub fn restore_payload(
    body: &[u8],
    key: &[u8],
    expiry: Option<i64>,
    clock: u32,
    limits: &Limits,
) -> Result<Restored, Error> {
    let mut memory = Memory::new(body);
    let mut from = Decoder::new(&mut memory);
    let kind = from.byte()?;
    if !kind::is_known(kind) {
        return Err(from.corrupt(format!("Unknown RDB encoding type {kind}")));
    }
    value::entry(&mut from, kind, Around { key, expiry, clock }, limits)
}

/// Sources of libraries, as FUNCTION DUMP answers them: of the configured version, as every version can hold them.
pub fn functions_payload<'a>(
    sources: impl Iterator<Item = &'a [u8]>,
    configured: RdbVersion,
    compress: bool,
) -> Vec<u8> {
    let version = version_for(false, configured).unwrap_or(VERSION);
    let mut encoder = memory_encoder(version, compress);
    for source in sources {
        encoder.out.byte(opcode::FUNCTION2);
        encoder.string(source);
    }
    let mut payload = encoder.out.into_bytes();
    seal(&mut payload, version);
    payload
}

/// Why a payload is no list of libraries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoLibraries {
    /// It has functions in the form of a release candidate of 7.0.
    PreGa,
    /// It has something else.
    OtherType,
    /// A source is not in the format.
    Damaged,
}

/// The sources of libraries in a payload that [`verify`] has accepted.
///
/// # Errors
/// If it is not in the format, or has anything else in it.
pub fn function_sources(body: &[u8]) -> Result<Vec<Vec<u8>>, NoLibraries> {
    let mut memory = Memory::new(body);
    let mut from = Decoder::new(&mut memory);
    let mut sources = Vec::new();
    while from.source.left() > 0 {
        match from.byte() {
            Ok(opcode::FUNCTION2) => {
                sources.push(from.bytes().map_err(|_| NoLibraries::Damaged)?.to_vec());
            }
            Ok(opcode::FUNCTION_PRE_GA) => return Err(NoLibraries::PreGa),
            _ => return Err(NoLibraries::OtherType),
        }
    }
    Ok(sources)
}

/// Adds the footer.
fn seal(payload: &mut Vec<u8>, version: u16) {
    payload.extend(version.to_le_bytes());
    payload.extend(crc64(0, payload).to_le_bytes());
}

/// What is in front of the footer, if that is right. A checksum that is not to be looked at may be anything.
///
/// # Errors
/// [`Error::Footer`].
pub fn verify(payload: &[u8], checksum: bool) -> Result<&[u8], Error> {
    let (body, footer) =
        payload.len().checked_sub(FOOTER).map(|at| payload.split_at(at)).ok_or(Error::Footer)?;
    let (version, sum) = footer.split_first_chunk().ok_or(Error::Footer)?;
    let summed = &payload[..payload.len() - sum.len()];
    let right = !checksum || crc64(0, summed).to_le_bytes() == sum;
    if u16::from_le_bytes(*version) > VERSION || !right {
        return Err(Error::Footer);
    }
    Ok(body)
}
