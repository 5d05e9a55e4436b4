//! What is to be known of a stream: XINFO.

use super::{bad_subcommand, no_group, reply_entries, reply_entry, reply_id};
use crate::db::object::Stream;
use crate::db::object::stream::{Body, Consumer, Group, StreamId};
use crate::server::{Argv, Client, CmdError, CmdResult, Out, Server};

/// Entries that XINFO STREAM FULL shows of each sort unless COUNT says otherwise.
const COUNT: usize = 10;

/// `XINFO HELP`
pub fn xinfo_help(_srv: &mut Server, c: &mut Client) -> CmdResult {
    c.out.help(
        "XINFO",
        &[
            "CONSUMERS <key> <groupname>",
            "    List the consumers of a group.",
            "GROUPS <key>",
            "    List the groups of a stream.",
            "STREAM <key> [FULL [COUNT <count>]",
            "    Describe a stream, in full with entries and groups.",
        ],
    );
    Ok(())
}

/// `XINFO CONSUMERS key group`
pub fn xinfo_consumers(srv: &mut Server, c: &mut Client) -> CmdResult {
    let now_ms = srv.clock.unix_ms as i64;
    let key = c.argv.key(2);
    let stream = srv.lookup_read::<Stream>(c.db, key)?.ok_or(CmdError::NoSuchKey)?;
    let name = c.argv.get(3);
    let group = stream.groups.get(name).ok_or_else(|| no_group(key.bytes, name))?;
    c.out.array(group.consumers_len());
    for consumer in group.consumers() {
        let inactive_ms = if consumer.active_ms == -1 { -1 } else { now_ms.wrapping_sub(consumer.active_ms) };
        c.out.map(4);
        c.out.bulk(b"name");
        c.out.bulk(consumer.name());
        c.out.bulk(b"pending");
        c.out.count(consumer.pending().len());
        c.out.bulk(b"idle");
        c.out.int(now_ms.wrapping_sub(consumer.seen_ms).max(0));
        c.out.bulk(b"inactive");
        c.out.int(inactive_ms);
    }
    Ok(())
}

/// `XINFO GROUPS key`
pub fn xinfo_groups(srv: &mut Server, c: &mut Client) -> CmdResult {
    let stream = srv.lookup_read::<Stream>(c.db, c.argv.key(2))?.ok_or(CmdError::NoSuchKey)?;
    c.out.array(stream.groups.len());
    for (name, group) in &stream.groups {
        c.out.map(6);
        c.out.bulk(b"name");
        c.out.bulk(name);
        c.out.bulk(b"consumers");
        c.out.count(group.consumers_len());
        c.out.bulk(b"pending");
        c.out.count(group.pending().len());
        reply_position(&mut c.out, &stream, group);
    }
    Ok(())
}

/// Where a group is: three pairs of a map.
fn reply_position(out: &mut Out, stream: &Body, group: &Group) {
    out.bulk(b"last-delivered-id");
    reply_id(out, group.last_id);
    out.bulk(b"entries-read");
    match group.entries_read {
        Some(read) => out.int(read as i64),
        None => out.null(),
    }
    out.bulk(b"lag");
    match stream.lag(group) {
        Some(lag) => out.int(lag),
        None => out.null(),
    }
}

/// Whether XINFO STREAM is to show all, and how many of each sort.
fn full_count(argv: &Argv) -> Result<Option<usize>, CmdError> {
    let bad = || bad_subcommand(argv, b"XINFO");
    match argv.len() {
        3 => return Ok(None),
        4 | 6 if argv.is(3, b"full") => {}
        _ => return Err(bad()),
    }
    if argv.len() == 4 {
        return Ok(Some(COUNT));
    }
    if !argv.is(4, b"count") {
        return Err(bad());
    }
    Ok(Some(match argv.int(5)? {
        ..0 => COUNT,
        0 => usize::MAX,
        count => count as usize,
    }))
}

/// `XINFO STREAM key [FULL [COUNT count]]`
pub fn xinfo_stream(srv: &mut Server, c: &mut Client) -> CmdResult {
    let stream = srv.lookup_read::<Stream>(c.db, c.argv.key(2))?.ok_or(CmdError::NoSuchKey)?;
    let full = full_count(&c.argv)?;
    let out = &mut c.out;
    out.map(if full.is_some() { 9 } else { 10 });
    reply_counters(out, &stream);
    match full {
        Some(count) => {
            out.bulk(b"entries");
            reply_entries(out, stream.log.range(StreamId::MIN, StreamId::MAX).take(count));
            out.bulk(b"groups");
            out.array(stream.groups.len());
            for (name, group) in &stream.groups {
                reply_group(out, &stream, name, group, count);
            }
        }
        None => {
            out.bulk(b"groups");
            out.count(stream.groups.len());
            let log = &stream.log;
            let first = log.range(StreamId::MIN, StreamId::MAX).next();
            let last = log.range_backward(StreamId::MIN, StreamId::MAX).next();
            for (name, entry) in [("first-entry", first), ("last-entry", last)] {
                out.bulk(name.as_bytes());
                match entry {
                    Some(entry) => reply_entry(out, entry),
                    None => out.null(),
                }
            }
        }
    }
    Ok(())
}

/// Seven pairs of a map.
fn reply_counters(out: &mut Out, stream: &Body) {
    let counters = stream.log.counters();
    out.bulk(b"length");
    out.int(counters.len as i64);
    out.bulk(b"radix-tree-keys");
    out.count(stream.log.node_count());
    out.bulk(b"radix-tree-nodes");
    out.count(stream.log.tree_node_count());
    out.bulk(b"last-generated-id");
    reply_id(out, counters.last_id);
    out.bulk(b"max-deleted-entry-id");
    reply_id(out, counters.max_deleted_id);
    out.bulk(b"entries-added");
    out.int(counters.added as i64);
    out.bulk(b"recorded-first-entry-id");
    reply_id(out, counters.first_id);
}

fn reply_group(out: &mut Out, stream: &Body, name: &[u8], group: &Group, count: usize) {
    out.map(7);
    out.bulk(b"name");
    out.bulk(name);
    reply_position(out, stream, group);
    out.bulk(b"pel-count");
    out.count(group.pending().len());
    out.bulk(b"pending");
    out.array(group.pending().len().min(count));
    for (id, nack) in group.pending().iter().take(count) {
        out.array(4);
        reply_id(out, id);
        out.bulk(group.consumer(nack.consumer).name());
        out.int(nack.delivered_ms);
        out.int(nack.deliveries as i64);
    }
    out.bulk(b"consumers");
    out.array(group.consumers_len());
    for consumer in group.consumers() {
        reply_consumer(out, group, consumer, count);
    }
}

fn reply_consumer(out: &mut Out, group: &Group, consumer: &Consumer, count: usize) {
    out.map(5);
    out.bulk(b"name");
    out.bulk(consumer.name());
    out.bulk(b"seen-time");
    out.int(consumer.seen_ms);
    out.bulk(b"active-time");
    out.int(consumer.active_ms);
    out.bulk(b"pel-count");
    out.count(consumer.pending().len());
    out.bulk(b"pending");
    out.array(consumer.pending().len().min(count));
    for (id, ()) in consumer.pending().iter().take(count) {
        let Some(nack) = group.pending().get(id) else { continue };
        out.array(3);
        reply_id(out, id);
        out.int(nack.delivered_ms);
        out.int(nack.deliveries as i64);
    }
}
