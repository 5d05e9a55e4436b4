//! A dataset as commands: what a base file holds with `aof-use-rdb-preamble no`.
//!
//! Each database begins with a SELECT; each key is the fewest commands that make it again, with at most
//! [`ITEMS_PER_COMMAND`] elements each, so that playing them back needs no more memory at a time than running them did:
//!
//! | value      | commands                                                                                      |
//! |------------|-----------------------------------------------------------------------------------------------|
//! | string     | `SET`                                                                                         |
//! | list       | `RPUSH` …                                                                                     |
//! | set        | `SADD` …                                                                                      |
//! | sorted set | `ZADD` …                                                                                      |
//! | hash       | `HMSET` …, an `HPEXPIREAT` for each field that has an expiry                                   |
//! | stream     | an `XADD` for each entry, `XSETID`; `XGROUP CREATE` for each group, and for each of its consumers `XCLAIM` for each entry that is pending, or `XGROUP CREATECONSUMER` |
//! | expiry     | `PEXPIREAT`                                                                                   |
//!
//! XCLAIM refuses to make an entry pending that is not in the stream. Those which are pending and deleted are therefore added
//! first, claimed, and trimmed away again, before the stream is made that there is. Upstream loses them.
//!
//! Functions come first, as `FUNCTION LOAD` with the source of each library.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::ops::ControlFlow;

use crate::db::object::stream::{Consumer, Group, StreamId};
use crate::db::object::{Collection, EntryRef, Hash, List, Set, Stream, Type, ZSet, zset};
use crate::ds::numbers::format_f64;
use crate::persistence::dismiss::Dismissal;
use crate::persistence::pause_between_keys;
use crate::persistence::rdb::Dataset;
use crate::server::Server;

use super::write::{put_bulk, put_command, put_count, timestamp_annotation};

/// Most elements in one command: upstream's `AOF_REWRITE_ITEMS_PER_CMD`.
pub const ITEMS_PER_COMMAND: usize = 64;

/// Bytes that are collected before they are written.
const CHUNK: usize = 256 * 1024;

/// Writes the whole dataset. `progress` is called behind each key with the number of those that are done. A child has its
/// dismissal.
///
/// # Errors
/// What `out` says.
pub fn write_dataset(
    srv: &Server,
    out: &mut dyn Write,
    dismissal: Option<Dismissal>,
    progress: &mut dyn FnMut(u64),
) -> io::Result<()> {
    let mut buf = Vec::with_capacity(CHUNK + CHUNK / 4);
    if srv.config.aof_timestamp_enabled {
        let now_s = crate::server::time::unix_us() / 1_000_000;
        buf.extend_from_slice(timestamp_annotation(now_s).as_bytes());
    }
    for source in Dataset::of(srv).functions {
        put_command(&mut buf, [&b"FUNCTION"[..], b"LOAD", source].into_iter());
    }
    let mut keys = 0;
    for db in srv.dbs.iter().filter(|db| !db.is_empty()) {
        put_command(&mut buf, [&b"SELECT"[..], db.id.to_string().as_bytes()].into_iter());
        for entry in db.keys.iter() {
            write_key(&mut buf, out, entry)?;
            if let Some(dismissal) = dismissal {
                dismissal.entry(entry);
            }
            keys += 1;
            pause_between_keys(srv.config.rdb_key_save_delay, keys);
            progress(keys);
        }
    }
    out.write_all(&buf)
}

/// Writes out what was collected, if it is much.
fn drain(buf: &mut Vec<u8>, out: &mut dyn Write) -> io::Result<()> {
    if buf.len() >= CHUNK {
        out.write_all(buf)?;
        buf.clear();
    }
    Ok(())
}

/// Encodes a key with its value and its expiry.
fn write_key(buf: &mut Vec<u8>, out: &mut dyn Write, entry: EntryRef<'_>) -> io::Result<()> {
    let key = entry.key();
    let mut batch = Batch { buf, out, key, error: None };
    match entry.value_type() {
        Type::String => {
            let mut digits = itoa::Buffer::new();
            put_command(batch.buf, [&b"SET"[..], key, entry.string().bytes(&mut digits)].into_iter());
        }
        Type::List => write_list(&mut batch, &entry.object::<List>()),
        Type::Set => write_set(&mut batch, &entry.object::<Set>()),
        Type::ZSet => write_zset(&mut batch, &entry.object::<ZSet>()),
        Type::Hash => write_hash(&mut batch, &entry.object::<Hash>()),
        Type::Stream => write_stream(&mut batch, &entry.object::<Stream>()),
    }
    batch.drain();
    if let Some(error) = batch.error {
        return Err(error);
    }
    if let Some(at_ms) = entry.expiry() {
        let at_ms = at_ms.to_string();
        put_command(buf, [&b"PEXPIREAT"[..], key, at_ms.as_bytes()].into_iter());
    }
    drain(buf, out)
}

/// The commands of one key. The first error is kept, and what follows it is dropped.
struct Batch<'b> {
    buf: &'b mut Vec<u8>,
    out: &'b mut dyn Write,
    key: &'b [u8],
    error: Option<io::Error>,
}

impl Batch<'_> {
    fn drain(&mut self) {
        if self.error.is_some() {
            self.buf.clear();
        } else {
            self.error = drain(self.buf, self.out).err();
        }
    }

    /// Begins a command of `name`, the key, and so many more arguments.
    fn begin(&mut self, name: &[u8], args: usize) {
        self.drain();
        put_count(self.buf, 2 + args);
        put_bulk(self.buf, name);
        put_bulk(self.buf, self.key);
    }

    fn arg(&mut self, arg: &[u8]) {
        put_bulk(self.buf, arg);
    }

    /// A whole command, the key among its arguments.
    fn command(&mut self, args: &[&[u8]]) {
        self.drain();
        put_command(self.buf, args.iter().copied());
    }
}

/// Begins a command whenever the last one is full: element `i` of `total`, of `width` arguments each.
fn begin_if_full(batch: &mut Batch<'_>, name: &[u8], i: usize, total: usize, width: usize) {
    if i.is_multiple_of(ITEMS_PER_COMMAND) {
        batch.begin(name, (total - i).min(ITEMS_PER_COMMAND) * width);
    }
}

fn write_list(batch: &mut Batch<'_>, list: &List) {
    let total = list.len();
    let mut i = 0;
    list.visit(0..total, |element| {
        begin_if_full(batch, b"RPUSH", i, total, 1);
        batch.arg(element.text(&mut itoa::Buffer::new()));
        i += 1;
        ControlFlow::Continue(())
    });
}

fn write_set(batch: &mut Batch<'_>, set: &Set) {
    let total = set.len();
    for (i, member) in set.iter().enumerate() {
        begin_if_full(batch, b"SADD", i, total, 1);
        batch.arg(member.text(&mut itoa::Buffer::new()));
    }
}

fn write_zset(batch: &mut Batch<'_>, set: &ZSet) {
    let total = set.len();
    for (i, (member, score)) in set.iter().enumerate() {
        begin_if_full(batch, b"ZADD", i, total, 2);
        batch.arg(&format_f64(score));
        batch.arg(zset::text(member, &mut itoa::Buffer::new()));
    }
}

fn write_hash(batch: &mut Batch<'_>, hash: &Hash) {
    let total = hash.len();
    let (mut name_digits, mut value_digits) = (itoa::Buffer::new(), itoa::Buffer::new());
    for (i, field) in hash.iter().enumerate() {
        begin_if_full(batch, b"HMSET", i, total, 2);
        batch.arg(field.name.bytes(&mut name_digits));
        batch.arg(field.value.bytes(&mut value_digits));
    }
    // All fields are there before the first of them may go: a hash without fields would lose its expiry.
    for field in hash.iter() {
        let Some(at_ms) = field.expiry else { continue };
        batch.begin(b"HPEXPIREAT", 4);
        batch.arg(value_digits.format(at_ms).as_bytes());
        batch.arg(b"FIELDS");
        batch.arg(b"1");
        batch.arg(field.name.bytes(&mut name_digits));
    }
}

/// The ids that are pending in some group and whose entries are gone, in order.
fn pending_without_entry(stream: &Stream) -> BTreeSet<StreamId> {
    let pending = stream.groups.iter().flat_map(|(_, group)| group.pending().iter());
    pending.map(|(id, _)| id).filter(|id| stream.log.get(*id).is_none()).collect()
}

/// Makes all groups, and what is pending in them of entries that are gone. XCLAIM refuses those; so they are there while it
/// runs. What follows begins with an empty stream again.
fn write_pending_without_entry(batch: &mut Batch<'_>, stream: &Stream, gone: &BTreeSet<StreamId>) {
    let key = batch.key;
    for id in gone {
        batch.command(&[b"XADD", key, &id.to_text(), b"x", b"y"]);
    }
    for (name, group) in stream.groups.iter() {
        batch.command(&[b"XGROUP", b"CREATE", key, name, b"0"]);
        for consumer in group.consumers() {
            write_pending(batch, name, group, consumer, |id| gone.contains(&id));
        }
    }
    batch.command(&[b"XTRIM", key, b"MAXLEN", b"0"]);
    batch.command(&[b"XSETID", key, b"0-0"]);
}

fn write_stream(batch: &mut Batch<'_>, stream: &Stream) {
    let key = batch.key;
    let counters = stream.log.counters();
    let gone = pending_without_entry(stream);
    if !gone.is_empty() {
        write_pending_without_entry(batch, stream, &gone);
    }
    for entry in stream.log.range(StreamId::MIN, StreamId::MAX) {
        let fields: Vec<(Vec<u8>, Vec<u8>)> =
            entry.fields.map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
        batch.begin(b"XADD", 1 + 2 * fields.len());
        batch.arg(&entry.id.to_text());
        for (name, value) in &fields {
            batch.arg(name);
            batch.arg(value);
        }
    }
    if counters.len == 0 {
        // There is no other command that leaves an empty stream.
        batch.command(&[b"XADD", key, b"MAXLEN", b"0", b"0-1", b"x", b"y"]);
    }
    let (last, added) = (counters.last_id.to_text(), counters.added.to_string());
    let deleted = counters.max_deleted_id.to_text();
    batch.command(&[b"XSETID", key, &last, b"ENTRIESADDED", added.as_bytes(), b"MAXDELETEDID", &deleted]);
    for (name, group) in stream.groups.iter() {
        write_group(batch, name, group, &gone);
    }
}

fn write_group(batch: &mut Batch<'_>, name: &[u8], group: &Group, gone: &BTreeSet<StreamId>) {
    let key = batch.key;
    let read = group.entries_read.map_or("-1".to_owned(), |read| read.to_string());
    let last = group.last_id.to_text();
    let subcommand: &[u8] = if gone.is_empty() { b"CREATE" } else { b"SETID" };
    batch.command(&[b"XGROUP", subcommand, key, name, &last, b"ENTRIESREAD", read.as_bytes()]);
    for consumer in group.consumers() {
        if consumer.pending().is_empty() {
            batch.command(&[b"XGROUP", b"CREATECONSUMER", key, name, consumer.name()]);
        } else {
            write_pending(batch, name, group, consumer, |id| !gone.contains(&id));
        }
    }
}

/// What is pending for a consumer of the ids that are `wanted`.
fn write_pending(
    batch: &mut Batch<'_>,
    name: &[u8],
    group: &Group,
    consumer: &Consumer,
    wanted: impl Fn(StreamId) -> bool,
) {
    let key = batch.key;
    for (id, ()) in consumer.pending().iter().filter(|(id, ())| wanted(*id)) {
        // What is pending for a consumer is pending in its group.
        let Some(nack) = group.pending().get(id) else { continue };
        let (time, count, id) = (nack.delivered_ms.to_string(), nack.deliveries.to_string(), id.to_text());
        batch.command(&[
            b"XCLAIM",
            key,
            name,
            consumer.name(),
            b"0",
            &id,
            b"TIME",
            time.as_bytes(),
            b"RETRYCOUNT",
            count.as_bytes(),
            b"JUSTID",
            b"FORCE",
        ]);
    }
}
