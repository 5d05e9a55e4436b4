//! Entries behind an id, of several streams, now or when there are some: XREAD and XREADGROUP.

use super::tell::{self, Told};
use super::{no_key_or_group, publish, reply_entries, reply_entry, reply_id};
use crate::db::blocked::{self, TimeoutUnit};
use crate::db::object::stream::{Body, ConsumerId, Group, Log, StreamId};
use crate::db::object::{Stream, Type};
use crate::server::{Argv, Client, CmdError, CmdResult, Key, Server};

/// What is read of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// What comes after this id; for a group, of what the consumer was given already.
    After(StreamId),
    /// What no consumer of the group was given.
    New,
}

/// The options, as numbers of arguments where they are names.
#[derive(Debug)]
struct Options {
    /// The group's name, with the consumer's behind it.
    group: Option<usize>,
    no_ack: bool,
    /// No more entries of each stream than this.
    count: usize,
    /// Whether to wait, and until when.
    block: Option<Option<u64>>,
    /// The first key; the ids follow the keys.
    first_key: usize,
    streams: usize,
}

impl Options {
    fn parse(srv: &Server, argv: &Argv, for_group: bool) -> Result<Options, CmdError> {
        let mut options =
            Options { group: None, no_ack: false, count: usize::MAX, block: None, first_key: 0, streams: 0 };
        let mut i = 1;
        while i < argv.len() {
            let more = argv.len() - 1 - i;
            if more > 0 && argv.is(i, b"block") {
                i += 1;
                options.block = Some(blocked::timeout_arg(srv, argv, i, TimeoutUnit::Milliseconds)?);
            } else if more > 0 && argv.is(i, b"count") {
                i += 1;
                options.count = match argv.int(i)? {
                    ..=0 => usize::MAX,
                    count => count as usize,
                };
            } else if more > 0 && argv.is(i, b"streams") {
                options.first_key = i + 1;
                options.streams = more / 2;
                if !more.is_multiple_of(2) {
                    return Err(unbalanced(for_group));
                }
                break;
            } else if more > 1 && argv.is(i, b"group") {
                if !for_group {
                    return Err(CmdError::text(
                        "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.",
                    ));
                }
                options.group = Some(i + 1);
                i += 2;
            } else if argv.is(i, b"noack") {
                if !for_group {
                    return Err(CmdError::text(
                        "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.",
                    ));
                }
                options.no_ack = true;
            } else {
                return Err(CmdError::Syntax);
            }
            i += 1;
        }
        if options.first_key == 0 {
            return Err(CmdError::Syntax);
        }
        if for_group && options.group.is_none() {
            return Err(CmdError::text("ERR Missing GROUP option for XREADGROUP"));
        }
        Ok(options)
    }

    /// The number of the id's argument for the stream of this number.
    fn id_arg(&self, stream: usize) -> usize {
        self.first_key + self.streams + stream
    }
}

fn unbalanced(for_group: bool) -> CmdError {
    CmdError::text(if for_group {
        "ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' must be specified."
    } else {
        "ERR Unbalanced 'xread' list of streams: for each stream key an ID, '+', or '$' must be specified."
    })
}

/// `XREAD [COUNT count] [BLOCK ms] STREAMS key [key ...] id [id ...]`
pub fn xread(srv: &mut Server, c: &mut Client) -> CmdResult {
    let options = Options::parse(srv, &c.argv, false)?;
    let from: Vec<Wanted> =
        (0..options.streams).map(|number| xread_from(srv, c, &options, number)).collect::<Result<_, _>>()?;
    let mark = c.out.mark();
    let mut served = 0;
    for (number, from) in from.iter().enumerate() {
        let Wanted::After(after) = *from else { continue };
        let key = c.argv.key(options.first_key + number);
        let Some(stream) = srv.lookup_read::<Stream>(c.db, key)? else { continue };
        if let Some(start) = after.next()
            && stream.log.last_entry_id() >= Some(start)
        {
            begin_stream(c, options.first_key + number);
            let entries = stream.log.range(start, StreamId::MAX);
            reply_entries(&mut c.out, entries.take(options.count));
            served += 1;
        }
    }
    if served > 0 {
        c.out.insert_at(mark, |out| if out.resp3() { out.map(served) } else { out.array(served) });
        return Ok(());
    }
    wait_or_give_up(srv, c, &options, &from);
    Ok(())
}

/// What XREAD is to read of the stream of this number.
fn xread_from(srv: &mut Server, c: &Client, options: &Options, number: usize) -> Result<Wanted, CmdError> {
    let stream = srv.lookup_read::<Stream>(c.db, c.argv.key(options.first_key + number))?;
    let log = stream.as_ref().map(|stream| &stream.log);
    let after = match c.argv.get(options.id_arg(number)) {
        b"$" => log.map_or(StreamId::MIN, Log::last_id),
        // All but the last entry are passed over.
        b"+" => log.and_then(Log::last_entry_id).and_then(StreamId::previous).unwrap_or(StreamId::MIN),
        b">" => {
            return Err(CmdError::text(
                "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.",
            ));
        }
        text => StreamId::parse_strict(text, 0).ok_or(super::INVALID_ID)?,
    };
    Ok(Wanted::After(after))
}

/// Begins the reply for a stream: its name, and what was read of it behind that.
fn begin_stream(c: &mut Client, key_arg: usize) {
    if !c.out.resp3() {
        c.out.array(2);
    }
    c.out.bulk(c.argv.get(key_arg));
}

/// Has the client wait if it wants to and may, or tells it that there is nothing.
fn wait_or_give_up(srv: &mut Server, c: &mut Client, options: &Options, from: &[Wanted]) {
    let Some(deadline_ms) = options.block.filter(|_| c.may_block()) else {
        c.out.null_array();
        return;
    };
    let keys: Vec<Vec<u8>> =
        (0..options.streams).map(|number| c.argv.get(options.first_key + number).to_vec()).collect();
    let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    blocked::block_for_keys(srv, c, Type::Stream, &keys, deadline_ms, options.group.is_some());
    // "From now on" means this moment, and not that at which the command runs again.
    let is_now = |number: usize| c.argv.get(options.id_arg(number)) == b"$";
    if (0..options.streams).any(is_now) {
        let mut args: Vec<Vec<u8>> = c.argv.iter().map(<[u8]>::to_vec).collect();
        for (number, from) in from.iter().enumerate() {
            if let (Wanted::After(after), true) = (from, is_now(number)) {
                args[options.id_arg(number)] = after.to_text();
            }
        }
        blocked::set_waiting_argv(c, Argv::from_args(&args));
    }
}

/// `XREADGROUP GROUP group consumer [COUNT count] [BLOCK ms] [NOACK] STREAMS key [key ...] id [id ...]`
pub fn xreadgroup(srv: &mut Server, c: &mut Client) -> CmdResult {
    srv.prevent_propagation();
    let options = Options::parse(srv, &c.argv, true)?;
    let group = options.group.unwrap_or_default();
    let from: Vec<Wanted> = (0..options.streams)
        .map(|number| xreadgroup_from(srv, c, &options, group, number))
        .collect::<Result<_, _>>()?;
    let mark = c.out.mark();
    let mut served = 0;
    for (number, from) in from.iter().enumerate() {
        served += usize::from(serve_group(srv, c, &options, number, *from));
    }
    if served > 0 {
        c.out.insert_at(mark, |out| if out.resp3() { out.map(served) } else { out.array(served) });
        return Ok(());
    }
    wait_or_give_up(srv, c, &options, &from);
    Ok(())
}

/// What XREADGROUP is to read of the stream of this number.
fn xreadgroup_from(
    srv: &mut Server,
    c: &Client,
    options: &Options,
    group: usize,
    number: usize,
) -> Result<Wanted, CmdError> {
    let key = c.argv.key(options.first_key + number);
    let name = c.argv.get(group);
    let stream = srv.lookup_read::<Stream>(c.db, key)?;
    if stream.is_none_or(|stream| !stream.groups.contains(name)) {
        return Err(no_key_or_group(key.bytes, name, b" in XREADGROUP with GROUP option"));
    }
    match c.argv.get(options.id_arg(number)) {
        b"$" => Err(meaningless('$')),
        b"+" => Err(meaningless('+')),
        b">" => Ok(Wanted::New),
        text => match StreamId::parse_strict(text, 0).ok_or(super::INVALID_ID)? {
            // As upstream, which uses it as a mark.
            StreamId::MAX => Ok(Wanted::New),
            id => Ok(Wanted::After(id)),
        },
    }
}

fn meaningless(id: char) -> CmdError {
    crate::cmd_err!(
        "ERR The {id} ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by \
         specifying a proper ID, or use the > ID to get new messages. The {id} ID would just return an empty result set."
    )
}

/// Replies with what the consumer is to be given of a stream, if anything; returns whether it did.
fn serve_group(srv: &mut Server, c: &mut Client, options: &Options, number: usize, from: Wanted) -> bool {
    let group_arg = options.group.unwrap_or_default();
    let now_ms = srv.clock.unix_ms as i64;
    let mut told = Told::new(srv);
    let (served, created) = {
        let key = c.argv.key(options.first_key + number);
        let Ok(Some(mut entry)) = srv.lookup_write::<Stream>(c.db, key) else { return false };
        let mut stream = entry.object_mut::<Stream>();
        let Body { log, groups } = &mut **stream;
        let Some(group) = groups.get_mut(c.argv.get(group_arg)) else { return false };
        let name = c.argv.get(group_arg + 1);
        let found = group.find_consumer(name);
        let consumer = found.unwrap_or_else(|| group.create_consumer(name, now_ms));
        group.consumer_mut(consumer).seen_ms = now_ms;
        let served = match from {
            Wanted::After(after) => {
                begin_stream(c, options.first_key + number);
                reply_history(c, log, group, consumer, after, options.count, now_ms);
                true
            }
            Wanted::New if log.last_entry_id() > Some(group.last_id) => {
                begin_stream(c, options.first_key + number);
                let reading = Reading { consumer, no_ack: options.no_ack, count: options.count, now_ms };
                reply_new(c, log, group, &reading, &mut told);
                true
            }
            Wanted::New => false,
        };
        (served, found.is_none())
    };
    let key = c.argv.key(options.first_key + number);
    let group = c.argv.get(group_arg);
    // The lookup was one of a command that reads.
    srv.stats.keyspace_hits += 1;
    if created {
        announce_consumer(srv, c.db, key);
        if options.no_ack {
            tell::consumer_created(srv, c.db, key.bytes, group, c.argv.get(group_arg + 1));
        }
    }
    told.send(srv, c.db, key.bytes, group);
    // What a consumer has been given already is shown again without a change that replicas would hear of.
    srv.dirty(usize::from(served && from == Wanted::New));
    served
}

/// What follows when a consumer came into being.
pub(super) fn announce_consumer(srv: &mut Server, db: usize, key: Key<'_>) {
    srv.dirty(1);
    publish(srv, db, "xgroup-createconsumer", key);
}

/// Replies with what the consumer was given before and has not acknowledged.
fn reply_history(
    c: &mut Client,
    log: &Log,
    group: &mut Group,
    consumer: ConsumerId,
    after: StreamId,
    count: usize,
    now_ms: i64,
) {
    let start = after.next().unwrap_or(StreamId::MIN);
    let own = group.consumer(consumer).pending().range(start..=StreamId::MAX);
    let ids: Vec<StreamId> = own.take(count).map(|(id, ())| id).collect();
    c.out.array(ids.len());
    for id in ids {
        match log.get(id) {
            Some(entry) => {
                reply_entry(&mut c.out, entry);
                group.redeliver(id, now_ms);
            }
            // It was delivered, and has been deleted since.
            None => {
                c.out.array(2);
                reply_id(&mut c.out, id);
                c.out.null_array();
            }
        }
    }
}

/// How a consumer reads.
struct Reading {
    consumer: ConsumerId,
    no_ack: bool,
    count: usize,
    now_ms: i64,
}

/// Replies with what no consumer of the group was given yet, and gives it to this one.
fn reply_new(c: &mut Client, log: &Log, group: &mut Group, reading: &Reading, told: &mut Told) {
    let start = group.last_id.next().unwrap_or(StreamId::MIN);
    let mut moved = false;
    let entries = log.range(start, StreamId::MAX).take(reading.count).inspect(|entry| {
        let id = entry.id;
        if id > group.last_id {
            advance(log, group, id);
            moved = true;
        }
        if !reading.no_ack {
            let nack = group.deliver(id, reading.consumer, reading.now_ms);
            group.consumer_mut(reading.consumer).active_ms = reading.now_ms;
            told.claim(group, id, nack);
        }
    });
    reply_entries(&mut c.out, entries);
    if moved {
        told.position(group);
    }
}

/// Moves the group on to the entry `id`, the next one that is there.
fn advance(log: &Log, group: &mut Group, id: StreamId) {
    let counters = log.counters();
    match group.entries_read {
        Some(read) if group.last_id >= counters.first_id && !log.may_lack_entries_after(group.last_id) => {
            group.entries_read = Some(read.wrapping_add(1));
        }
        _ if counters.added > 0 => group.entries_read = log.reads_up_to(id),
        _ => {}
    }
    group.last_id = id;
}
