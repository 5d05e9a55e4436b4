//! Streams: XADD and its kin, XRANGE, XREAD, consumer groups.
//!
//! What a stream is and does is in [`db::object`](crate::db::object::Stream); here arguments are read, replies written, and
//! those told who have to be: waiting clients, listeners, replicas.
//!
//! | file      | commands                                                            |
//! |-----------|---------------------------------------------------------------------|
//! | [`add`]   | XADD, XTRIM, XDEL, XSETID, XLEN                                     |
//! | [`range`] | XRANGE, XREVRANGE                                                   |
//! | [`read`]  | XREAD, XREADGROUP                                                   |
//! | [`group`] | XGROUP, XACK, XPENDING                                              |
//! | [`claim`] | XCLAIM, XAUTOCLAIM                                                  |
//! | [`info`]  | XINFO                                                               |
//!
//! # What replicas are told
//!
//! Nothing that depends on the time of day, on chance, or on how nodes are filled: XADD leaves the id that was made and the trim
//! that was done. What a group of consumers has been given is told as XCLAIM, an entry each, with the time and number of its
//! delivery, and where the group is as XGROUP SETID ([`tell`]). So a replica needs neither a clock nor the reading clients.

pub mod add;
pub mod claim;
pub mod group;
pub mod info;
pub mod range;
pub mod read;
mod tell;
#[cfg(test)]
mod tests;

pub use add::{xadd, xdel, xlen, xsetid, xtrim};
pub use claim::{xautoclaim, xclaim};
pub use group::{
    xack, xgroup_create, xgroup_createconsumer, xgroup_delconsumer, xgroup_destroy, xgroup_help,
    xgroup_setid, xpending,
};
pub use info::{xinfo_consumers, xinfo_groups, xinfo_help, xinfo_stream};
pub use range::{xrange, xrevrange};
pub use read::{xread, xreadgroup};

use crate::db::notify::{NotifyFlags, notify_keyspace_event};
use crate::db::object::stream::{Entry, IdText, StreamId};
use crate::ds::listpack::Value;
use crate::server::{Argv, CmdError, Key, Out, Server};

const INVALID_ID: CmdError = CmdError::text("ERR Invalid stream ID specified as stream command argument");

/// Publishes an event of the class of streams.
#[inline]
fn publish(srv: &mut Server, db: usize, event: &str, key: Key<'_>) {
    notify_keyspace_event(srv, NotifyFlags::STREAM, event, key.bytes, db);
}

/// Argument `i` as an id: neither `-` nor `+`, and with number 0 if it has only a time.
fn id_arg(argv: &Argv, i: usize) -> Result<StreamId, CmdError> {
    StreamId::parse_strict(argv.get(i), 0).ok_or(INVALID_ID)
}

/// Arguments from `from` on as ids.
fn id_args(argv: &Argv, from: usize) -> Result<Vec<StreamId>, CmdError> {
    (from..argv.len()).map(|i| id_arg(argv, i)).collect()
}

/// Argument `i` as the beginning of an interval, which `(` excludes.
fn interval_start(argv: &Argv, i: usize) -> Result<StreamId, CmdError> {
    match excluded(argv.get(i)) {
        Some(text) => StreamId::parse_strict(text, 0)
            .ok_or(INVALID_ID)?
            .next()
            .ok_or(CmdError::text("ERR invalid start ID for the interval")),
        None => StreamId::parse(argv.get(i), 0).ok_or(INVALID_ID),
    }
}

/// Argument `i` as the end of an interval, which `(` excludes.
fn interval_end(argv: &Argv, i: usize) -> Result<StreamId, CmdError> {
    match excluded(argv.get(i)) {
        Some(text) => StreamId::parse_strict(text, u64::MAX)
            .ok_or(INVALID_ID)?
            .previous()
            .ok_or(CmdError::text("ERR invalid end ID for the interval")),
        None => StreamId::parse(argv.get(i), u64::MAX).ok_or(INVALID_ID),
    }
}

/// What follows an opening parenthesis.
fn excluded(text: &[u8]) -> Option<&[u8]> {
    text.strip_prefix(b"(").filter(|rest| !rest.is_empty())
}

/// Replies with an id.
#[inline]
fn reply_id(out: &mut Out, id: StreamId) {
    out.bulk(id.format(&mut IdText::default()));
}

/// Replies with an entry: its id, and its fields in a row.
#[inline]
fn reply_entry(out: &mut Out, entry: Entry<'_>) {
    out.array(2);
    reply_id(out, entry.id);
    out.array(entry.fields.len() * 2);
    for (name, value) in entry.fields {
        reply_value(out, name);
        reply_value(out, value);
    }
}

#[inline]
fn reply_value(out: &mut Out, value: Value<'_>) {
    match value {
        Value::Integer(number) => out.bulk_int(number),
        Value::String(text) => out.bulk(text),
    }
}

/// Replies with as many entries as there are.
fn reply_entries<'a>(out: &mut Out, entries: impl Iterator<Item = Entry<'a>>) -> usize {
    let mark = out.mark();
    let mut count = 0;
    for entry in entries {
        reply_entry(out, entry);
        count += 1;
    }
    out.insert_at(mark, |out| out.array(count));
    count
}

/// What an error shows of an argument: all before the first NUL.
fn shown(argument: &[u8]) -> &[u8] {
    &argument[..memchr::memchr(0, argument).unwrap_or(argument.len())]
}

/// An error of parts.
fn error_of(parts: &[&[u8]]) -> CmdError {
    CmdError::Bytes(parts.concat().into_boxed_slice())
}

/// There is no such key, or it has no such group.
fn no_key_or_group(key: &[u8], group: &[u8], end: &[u8]) -> CmdError {
    error_of(&[b"NOGROUP No such key '", shown(key), b"' or consumer group '", shown(group), b"'", end])
}

/// The key has no such group.
fn no_group(key: &[u8], group: &[u8]) -> CmdError {
    error_of(&[b"NOGROUP No such consumer group '", shown(group), b"' for key name '", shown(key), b"'"])
}

/// A subcommand was called with arguments that do not fit it.
fn bad_subcommand(argv: &Argv, container: &[u8]) -> CmdError {
    let sent = shown(argv.get(1));
    error_of(&[
        b"ERR unknown subcommand or wrong number of arguments for '",
        &sent[..sent.len().min(128)],
        b"'. Try ",
        container,
        b" HELP.",
    ])
}
