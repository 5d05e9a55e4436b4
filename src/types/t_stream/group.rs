//! Groups of consumers, and what they have not acknowledged: XGROUP, XACK, XPENDING.

use super::read::announce_consumer;
use super::{
    bad_subcommand, id_arg, id_args, interval_end, interval_start, no_group, no_key_or_group, publish,
    reply_id,
};
use crate::db::blocked;
use crate::db::object::stream::{Group, Nack, StreamId};
use crate::db::object::{Entry, Stream, Type};
use crate::server::{Argv, Client, CmdError, CmdResult, Server};

const KEY_REQUIRED: CmdError = CmdError::text(
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option \
     to create an empty stream automatically.",
);

/// The options of XGROUP CREATE and XGROUP SETID.
#[derive(Debug, Default)]
struct Options {
    /// MKSTREAM.
    create_stream: bool,
    /// ENTRIESREAD.
    entries_read: Option<u64>,
}

impl Options {
    fn parse(argv: &Argv, may_create: bool) -> Result<Options, CmdError> {
        let mut options = Options::default();
        let mut i = 5;
        while i < argv.len() {
            if may_create && argv.is(i, b"mkstream") {
                options.create_stream = true;
                i += 1;
            } else if i + 1 < argv.len() && argv.is(i, b"entriesread") {
                options.entries_read =
                    match argv.int(i + 1)? {
                        -1 => None,
                        read => Some(u64::try_from(read).map_err(|_| {
                            CmdError::text("ERR value for ENTRIESREAD must be positive or -1")
                        })?),
                    };
                i += 2;
            } else {
                return Err(bad_subcommand(argv, b"XGROUP"));
            }
        }
        Ok(options)
    }
}

/// The id that argument 4 holds, where `$` stands for the last one; `strict` forbids `-` and `+`.
fn position(argv: &Argv, last_id: StreamId, strict: bool) -> Result<StreamId, CmdError> {
    match argv.get(4) {
        b"$" => Ok(last_id),
        _ if strict => id_arg(argv, 4),
        text => StreamId::parse(text, 0).ok_or(super::INVALID_ID),
    }
}

/// `XGROUP CREATE key group id | $ [MKSTREAM] [ENTRIESREAD entries-read]`
pub fn xgroup_create(srv: &mut Server, c: &mut Client) -> CmdResult {
    let options = Options::parse(&c.argv, true)?;
    let key = c.argv.key(2);
    let name = c.argv.get(3);
    let too_many = c.argv.len() > 8;
    let created = if let Some(mut entry) = srv.lookup_write::<Stream>(c.db, key)? {
        if too_many {
            return Err(bad_subcommand(&c.argv, b"XGROUP"));
        }
        let mut stream = entry.object_mut::<Stream>();
        let last_id = position(&c.argv, stream.log.last_id(), true)?;
        stream.create_group(name, last_id, options.entries_read)
    } else {
        if !options.create_stream {
            return Err(KEY_REQUIRED);
        }
        if too_many {
            return Err(bad_subcommand(&c.argv, b"XGROUP"));
        }
        let mut stream = Stream::new();
        let last_id = position(&c.argv, StreamId::MIN, true)?;
        stream.create_group(name, last_id, options.entries_read);
        let entry = Entry::with_object(key.bytes, stream, None, srv.initial_clock());
        srv.add_entry(c.db, key, entry);
        srv.signal_modified(c.db, key.bytes, 0);
        true
    };
    if !created {
        return Err(CmdError::text("BUSYGROUP Consumer Group name already exists"));
    }
    srv.dirty(1);
    publish(srv, c.db, "xgroup-create", key);
    c.out.ok();
    Ok(())
}

/// `XGROUP SETID key group id | $ [ENTRIESREAD entries-read]`
pub fn xgroup_setid(srv: &mut Server, c: &mut Client) -> CmdResult {
    let options = Options::parse(&c.argv, false)?;
    let key = c.argv.key(2);
    {
        let mut entry = srv.lookup_write::<Stream>(c.db, key)?.ok_or(KEY_REQUIRED)?;
        let mut stream = entry.object_mut::<Stream>();
        let last_id = stream.log.last_id();
        let group = stream.groups.get_mut(c.argv.get(3)).ok_or_else(|| no_group(key.bytes, c.argv.get(3)))?;
        if c.argv.len() > 7 {
            return Err(bad_subcommand(&c.argv, b"XGROUP"));
        }
        group.last_id = position(&c.argv, last_id, false)?;
        group.entries_read = options.entries_read;
    }
    srv.dirty(1);
    publish(srv, c.db, "xgroup-setid", key);
    c.out.ok();
    Ok(())
}

/// `XGROUP DESTROY key group`
pub fn xgroup_destroy(srv: &mut Server, c: &mut Client) -> CmdResult {
    let key = c.argv.key(2);
    let removed = {
        let mut entry = srv.lookup_write::<Stream>(c.db, key)?.ok_or(KEY_REQUIRED)?;
        entry.object_mut::<Stream>().groups.remove(c.argv.get(3))
    };
    if removed.is_some() {
        srv.dirty(1);
        publish(srv, c.db, "xgroup-destroy", key);
        // Those who wait to read with the group must hear that it is gone.
        blocked::signal_key_as_ready(srv, c.db, key.bytes, Type::Stream);
    }
    c.out.int(i64::from(removed.is_some()));
    Ok(())
}

/// Does something to the group that arguments 2 and 3 name.
fn with_group<R>(
    srv: &mut Server,
    c: &Client,
    act: impl FnOnce(&mut Group, &[u8]) -> R,
) -> Result<R, CmdError> {
    let key = c.argv.key(2);
    let mut entry = srv.lookup_write::<Stream>(c.db, key)?.ok_or(KEY_REQUIRED)?;
    let mut stream = entry.object_mut::<Stream>();
    let group = stream.groups.get_mut(c.argv.get(3)).ok_or_else(|| no_group(key.bytes, c.argv.get(3)))?;
    Ok(act(group, c.argv.get(4)))
}

/// `XGROUP CREATECONSUMER key group consumer`
pub fn xgroup_createconsumer(srv: &mut Server, c: &mut Client) -> CmdResult {
    let now_ms = srv.clock.unix_ms as i64;
    let created = with_group(srv, c, |group, name| {
        let missing = group.find_consumer(name).is_none();
        if missing {
            group.create_consumer(name, now_ms);
        }
        missing
    })?;
    if created {
        announce_consumer(srv, c.db, c.argv.key(2));
    }
    c.out.int(i64::from(created));
    Ok(())
}

/// `XGROUP DELCONSUMER key group consumer`
pub fn xgroup_delconsumer(srv: &mut Server, c: &mut Client) -> CmdResult {
    let deleted = with_group(srv, c, |group, name| {
        group.find_consumer(name).map(|consumer| group.delete_consumer(consumer))
    })?;
    if deleted.is_some() {
        srv.dirty(1);
        publish(srv, c.db, "xgroup-delconsumer", c.argv.key(2));
    }
    c.out.count(deleted.unwrap_or(0));
    Ok(())
}

/// `XGROUP HELP`
pub fn xgroup_help(_srv: &mut Server, c: &mut Client) -> CmdResult {
    c.out.help(
        "XGROUP",
        &[
            "CREATE <key> <groupname> <id|$> [option]",
            "    Make a group that reads what follows the id. Options:",
            "    * MKSTREAM",
            "      If there is no such key, make an empty stream first.",
            "    * ENTRIESREAD entries_read",
            "      How many entries the group counts as read already.",
            "CREATECONSUMER <key> <groupname> <consumer>",
            "    Add a consumer to a group.",
            "DELCONSUMER <key> <groupname> <consumer>",
            "    Remove a consumer and what it has not acknowledged.",
            "DESTROY <key> <groupname>",
            "    Remove a group.",
            "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
            "    Have a group read what follows the id.",
        ],
    );
    Ok(())
}

/// `XACK key group id [id ...]`
pub fn xack(srv: &mut Server, c: &mut Client) -> CmdResult {
    let key = c.argv.key(1);
    let name = c.argv.get(2);
    // Hits and misses count as those of a command that reads.
    let found = srv.lookup_read::<Stream>(c.db, key)?.is_some_and(|stream| stream.groups.contains(name));
    let mut acknowledged = 0;
    if found {
        let ids = id_args(&c.argv, 3)?;
        if let Some(mut entry) = srv.lookup_write::<Stream>(c.db, key)?
            && let Some(group) = entry.object_mut::<Stream>().groups.get_mut(name)
        {
            acknowledged = ids.into_iter().filter(|id| group.acknowledge(*id).is_some()).count();
        }
    }
    srv.dirty(acknowledged);
    c.out.count(acknowledged);
    Ok(())
}

/// What XPENDING is to show of the single entries.
struct PendingRange {
    min_idle_ms: i64,
    start: StreamId,
    end: StreamId,
    count: usize,
    /// The number of the argument that names a consumer.
    consumer: Option<usize>,
}

impl PendingRange {
    fn parse(argv: &Argv) -> Result<Option<PendingRange>, CmdError> {
        if argv.len() == 3 {
            return Ok(None);
        }
        if !(6..=9).contains(&argv.len()) {
            return Err(CmdError::Syntax);
        }
        let (mut first, mut min_idle_ms) = (3, 0);
        if argv.is(3, b"idle") {
            min_idle_ms = argv.int(4)?;
            if argv.len() < 8 {
                return Err(CmdError::Syntax);
            }
            first = 5;
        }
        let count = argv.int(first + 2)?.max(0) as usize;
        let (start, end) = (interval_start(argv, first)?, interval_end(argv, first + 1)?);
        let consumer = Some(first + 3).filter(|arg| *arg < argv.len());
        Ok(Some(PendingRange { min_idle_ms, start, end, count, consumer }))
    }
}

/// `XPENDING key group [[IDLE min-idle-time] start end count [consumer]]`
pub fn xpending(srv: &mut Server, c: &mut Client) -> CmdResult {
    let range = PendingRange::parse(&c.argv)?;
    let key = c.argv.key(1);
    let now_ms = srv.clock.unix_ms as i64;
    let stream = srv.lookup_read::<Stream>(c.db, key)?;
    let group = stream.as_ref().and_then(|stream| stream.groups.get(c.argv.get(2)));
    let group = group.ok_or_else(|| no_key_or_group(key.bytes, c.argv.get(2), b""))?;
    match range {
        None => reply_overview(c, group),
        Some(range) => reply_pending(c, group, &range, now_ms),
    }
    Ok(())
}

fn reply_overview(c: &mut Client, group: &Group) {
    let pending = group.pending();
    c.out.array(4);
    c.out.count(pending.len());
    let (Some((first, _)), Some((last, _))) = (pending.first(), pending.last()) else {
        c.out.null();
        c.out.null();
        c.out.null_array();
        return;
    };
    reply_id(&mut c.out, first);
    reply_id(&mut c.out, last);
    let mark = c.out.mark();
    let mut count = 0;
    for consumer in group.consumers().filter(|consumer| !consumer.pending().is_empty()) {
        c.out.array(2);
        c.out.bulk(consumer.name());
        c.out.bulk_int(consumer.pending().len() as i64);
        count += 1;
    }
    c.out.insert_at(mark, |out| out.array(count));
}

fn reply_pending(c: &mut Client, group: &Group, range: &PendingRange, now_ms: i64) {
    let mark = c.out.mark();
    let mut count = 0;
    let mut show = |id: StreamId, nack: &Nack| {
        let idle_ms = now_ms.wrapping_sub(nack.delivered_ms);
        if count == range.count {
            return false;
        }
        if range.min_idle_ms == 0 || idle_ms >= range.min_idle_ms {
            c.out.array(4);
            reply_id(&mut c.out, id);
            c.out.bulk(group.consumer(nack.consumer).name());
            c.out.int(idle_ms.max(0));
            c.out.int(nack.deliveries as i64);
            count += 1;
        }
        true
    };
    let ids = range.start..=range.end;
    match range.consumer.map(|arg| group.find_consumer(c.argv.get(arg))) {
        None => _ = group.pending().range(ids).all(|(id, nack)| show(id, nack)),
        Some(None) => {}
        Some(Some(consumer)) => {
            let mut own = group.consumer(consumer).pending().range(ids);
            _ = own.all(|(id, ())| group.pending().get(id).is_none_or(|nack| show(id, nack)));
        }
    }
    c.out.insert_at(mark, |out| out.array(count));
}
