//! The numbers of the format. `docs/rdb.md` says what stands behind each.

use crate::server::config::{Named, RdbVersion};

/// The newest version, read and written.
pub const VERSION: u16 = 12;

/// The oldest version that is written, when it is asked for.
pub const MIN_WRITTEN: u16 = 10;

/// The version that is written for data which do not need a newer one.
const USUAL: u16 = 11;

/// The version for expiries of fields.
const FIELD_EXPIRY: u16 = 12;

/// The version from which on files end with a checksum.
pub(super) const CHECKSUM_SINCE: u16 = 5;

/// `rdb-version` forces a version that cannot hold the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forced(pub u16);

/// The version to write: the lowest that can hold the data, or the one that is forced.
///
/// # Errors
/// If that one cannot.
pub(super) fn version_for(field_expiry: bool, configured: RdbVersion) -> Result<u16, Forced> {
    let needed = if field_expiry { FIELD_EXPIRY } else { USUAL };
    match configured.forced() {
        None => Ok(needed),
        Some(version) if field_expiry && version < FIELD_EXPIRY => Err(Forced(version)),
        Some(version) => Ok(version),
    }
}

/// What `rdb-version` is called with that version.
pub(super) fn configured_name(version: u16) -> &'static str {
    RdbVersion::NAMES
        .iter()
        .find(|(_, named)| named.forced() == Some(version))
        .map_or("auto", |(name, _)| name)
}

/// Bytes that begin an item of a file and are no type.
pub(super) mod opcode {
    pub const SLOT_INFO: u8 = 244;
    pub const FUNCTION2: u8 = 245;
    pub const FUNCTION_PRE_GA: u8 = 246;
    pub const MODULE_AUX: u8 = 247;
    pub const IDLE: u8 = 248;
    pub const FREQ: u8 = 249;
    pub const AUX: u8 = 250;
    pub const RESIZE_DB: u8 = 251;
    pub const EXPIRE_TIME_MS: u8 = 252;
    pub const EXPIRE_TIME: u8 = 253;
    pub const SELECT_DB: u8 = 254;
    pub const EOF: u8 = 255;
}

/// Types of values, by encoding.
pub(super) mod kind {
    pub const STRING: u8 = 0;
    pub const LIST: u8 = 1;
    pub const SET: u8 = 2;
    pub const ZSET: u8 = 3;
    pub const HASH: u8 = 4;
    pub const ZSET_2: u8 = 5;
    pub const MODULE_PRE_GA: u8 = 6;
    pub const MODULE_2: u8 = 7;
    pub const HASH_ZIPMAP: u8 = 9;
    pub const LIST_ZIPLIST: u8 = 10;
    pub const SET_INTSET: u8 = 11;
    pub const ZSET_ZIPLIST: u8 = 12;
    pub const HASH_ZIPLIST: u8 = 13;
    pub const LIST_QUICKLIST: u8 = 14;
    pub const STREAM_LISTPACKS: u8 = 15;
    pub const HASH_LISTPACK: u8 = 16;
    pub const ZSET_LISTPACK: u8 = 17;
    pub const LIST_QUICKLIST_2: u8 = 18;
    pub const STREAM_LISTPACKS_2: u8 = 19;
    pub const SET_LISTPACK: u8 = 20;
    pub const STREAM_LISTPACKS_3: u8 = 21;
    pub const HASH_METADATA_PRE_GA: u8 = 22;
    pub const HASH_LISTPACK_EX_PRE_GA: u8 = 23;
    pub const HASH_METADATA: u8 = 24;
    pub const HASH_LISTPACK_EX: u8 = 25;

    /// Whether a key with a value of this type may follow.
    pub fn is_known(byte: u8) -> bool {
        matches!(byte, STRING..=MODULE_2 | HASH_ZIPMAP..=HASH_LISTPACK_EX)
    }
}

/// How a length begins, in the top two bits.
pub(super) mod length {
    pub const BITS_6: u8 = 0;
    pub const BITS_14: u8 = 1;
    /// The whole byte says how many bits follow.
    pub const BITS_32: u8 = 0x80;
    pub const BITS_64: u8 = 0x81;
    /// No length but a string in another form, which the low six bits name.
    pub const ENCODED: u8 = 3;
    pub const INT_8: u8 = 0;
    pub const INT_16: u8 = 1;
    pub const INT_32: u8 = 2;
    pub const LZF: u8 = 3;
}

/// Nodes of a list.
pub(super) mod node {
    pub const PLAIN: u64 = 1;
    pub const PACKED: u64 = 2;
}

/// What a group's count of read entries is when it is not known.
pub(super) const ENTRIES_READ_UNKNOWN: u64 = u64::MAX;
