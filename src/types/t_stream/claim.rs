//! Entries that change hands: XCLAIM and XAUTOCLAIM.

use super::read::announce_consumer;
use super::tell::Told;
use super::{error_of, id_arg, interval_start, no_key_or_group, reply_entry, reply_id, shown};
use crate::db::object::Stream;
use crate::db::object::stream::{Body, ConsumerId, Deliveries, Group, Log, StreamId};
use crate::server::{Argv, Client, CmdError, CmdResult, Server};

/// Pending entries that XAUTOCLAIM claims at most unless told otherwise.
const COUNT: usize = 100;

/// Pending entries that XAUTOCLAIM looks at for each that it may claim.
const ATTEMPTS: usize = 10;

/// Whether key and group of arguments 1 and 2 are there; hits and misses count as those of a command that reads.
fn has_group(srv: &mut Server, c: &Client) -> Result<bool, CmdError> {
    let stream = srv.lookup_read::<Stream>(c.db, c.argv.key(1))?;
    Ok(stream.is_some_and(|stream| stream.groups.contains(c.argv.get(2))))
}

fn missing(c: &Client) -> CmdError {
    no_key_or_group(c.argv.get(1), c.argv.get(2), b"")
}

/// Argument `i` as an integer, or the error `text`.
fn int_or(argv: &Argv, i: usize, text: &'static str) -> Result<i64, CmdError> {
    argv.int(i).map_err(|_| CmdError::text(text))
}

/// What one command does to entries and their consumers.
struct Claiming<'a> {
    log: &'a Log,
    group: &'a mut Group,
    to: ConsumerId,
    just_id: bool,
    now_ms: i64,
    told: Told,
    /// Changes to the dataset.
    changes: usize,
}

impl Claiming<'_> {
    /// Forgets a pending entry that is no longer in the stream.
    fn forget(&mut self, id: StreamId) {
        if let Some(nack) = self.group.pending().get(id).copied() {
            self.told.claim(self.group, id, nack);
            self.group.acknowledge(id);
            self.changes += 1;
        }
    }

    /// Gives an entry that is in the stream to the consumer, and replies with it.
    fn claim(&mut self, c: &mut Client, id: StreamId, delivered_ms: i64, how: Deliveries) {
        let nack = self.group.claim(id, self.to, delivered_ms, how);
        match self.log.get(id) {
            Some(entry) if !self.just_id => reply_entry(&mut c.out, entry),
            _ => reply_id(&mut c.out, id),
        }
        self.group.consumer_mut(self.to).active_ms = self.now_ms;
        self.told.claim(self.group, id, nack);
        self.changes += 1;
    }
}

/// Does something to the group of arguments 1 and 2, on behalf of the consumer of argument 3, which comes into being if it has
/// to; then tells what was done.
fn on_behalf(
    srv: &mut Server,
    c: &mut Client,
    just_id: bool,
    act: impl FnOnce(&mut Claiming<'_>, &mut Client),
) -> CmdResult {
    let now_ms = srv.clock.unix_ms as i64;
    let told = Told::new(srv);
    let (told, changes, created) = {
        let mut entry = srv.lookup_write::<Stream>(c.db, c.argv.key(1))?.ok_or_else(|| missing(c))?;
        let mut stream = entry.object_mut::<Stream>();
        let Body { log, groups } = &mut **stream;
        let group = groups.get_mut(c.argv.get(2)).ok_or_else(|| missing(c))?;
        let found = group.find_consumer(c.argv.get(3));
        let to = found.unwrap_or_else(|| group.create_consumer(c.argv.get(3), now_ms));
        group.consumer_mut(to).seen_ms = now_ms;
        let mut claiming = Claiming { log, group, to, just_id, now_ms, told, changes: 0 };
        act(&mut claiming, c);
        (claiming.told, claiming.changes, found.is_none())
    };
    if created {
        announce_consumer(srv, c.db, c.argv.key(1));
    }
    srv.dirty(changes);
    told.send(srv, c.db, c.argv.get(1), c.argv.get(2));
    srv.prevent_propagation();
    Ok(())
}

/// The options of XCLAIM.
struct Options {
    ids: Vec<StreamId>,
    /// When the entries count as delivered.
    delivered_ms: i64,
    retry_count: Option<u64>,
    force: bool,
    just_id: bool,
    last_id: StreamId,
}

impl Options {
    fn parse(argv: &Argv, now_ms: i64) -> Result<Options, CmdError> {
        let ids: Vec<StreamId> =
            (5..argv.len()).map_while(|i| StreamId::parse_strict(argv.get(i), 0)).collect();
        let mut i = 5 + ids.len();
        let mut options = Options {
            ids,
            delivered_ms: -1,
            retry_count: None,
            force: false,
            just_id: false,
            last_id: StreamId::MIN,
        };
        while i < argv.len() {
            let more = i + 1 < argv.len();
            if argv.is(i, b"force") {
                options.force = true;
            } else if argv.is(i, b"justid") {
                options.just_id = true;
            } else if more && argv.is(i, b"idle") {
                i += 1;
                let idle_ms = int_or(argv, i, "ERR Invalid IDLE option argument for XCLAIM")?;
                options.delivered_ms = now_ms.wrapping_sub(idle_ms);
            } else if more && argv.is(i, b"time") {
                i += 1;
                options.delivered_ms = int_or(argv, i, "ERR Invalid TIME option argument for XCLAIM")?;
            } else if more && argv.is(i, b"retrycount") {
                i += 1;
                let count = int_or(argv, i, "ERR Invalid RETRYCOUNT option argument for XCLAIM")?;
                options.retry_count = u64::try_from(count).ok();
            } else if more && argv.is(i, b"lastid") {
                i += 1;
                options.last_id = id_arg(argv, i)?;
            } else {
                return Err(error_of(&[b"ERR Unrecognized XCLAIM option '", shown(argv.get(i)), b"'"]));
            }
            i += 1;
        }
        // A client's clock may be ahead of ours: that is no reason to refuse.
        if options.delivered_ms < 0 || options.delivered_ms > now_ms {
            options.delivered_ms = now_ms;
        }
        Ok(options)
    }

    fn deliveries(&self) -> Deliveries {
        match self.retry_count {
            Some(count) => Deliveries::Set(count),
            None if self.just_id => Deliveries::Keep,
            None => Deliveries::CountOne,
        }
    }
}

/// `XCLAIM key group consumer min-idle-time id [id ...] [IDLE ms] [TIME unix-time-ms] [RETRYCOUNT count] [FORCE] [JUSTID]
/// [LASTID last-id]`
pub fn xclaim(srv: &mut Server, c: &mut Client) -> CmdResult {
    if !has_group(srv, c)? {
        return Err(missing(c));
    }
    let min_idle_ms = int_or(&c.argv, 4, "ERR Invalid min-idle-time argument for XCLAIM")?.max(0);
    let now_ms = srv.clock.unix_ms as i64;
    let options = Options::parse(&c.argv, now_ms)?;
    on_behalf(srv, c, options.just_id, |claiming, c| {
        let moved = options.last_id > claiming.group.last_id;
        if moved {
            claiming.group.last_id = options.last_id;
        }
        let mark = c.out.mark();
        let mut count = 0;
        for &id in &options.ids {
            if claiming.log.get(id).is_none() {
                claiming.forget(id);
                continue;
            }
            let wanted = match claiming.group.pending().get(id) {
                Some(nack) => min_idle_ms == 0 || now_ms.wrapping_sub(nack.delivered_ms) >= min_idle_ms,
                None => options.force,
            };
            if wanted {
                claiming.claim(c, id, options.delivered_ms, options.deliveries());
                count += 1;
            }
        }
        c.out.insert_at(mark, |out| out.array(count));
        // Each XCLAIM that replicas are told brings the id along.
        if moved && claiming.changes == 0 {
            claiming.told.position(claiming.group);
            claiming.changes += 1;
        }
    })
}

/// The options of XAUTOCLAIM.
struct AutoOptions {
    min_idle_ms: i64,
    start: StreamId,
    count: usize,
    just_id: bool,
}

impl AutoOptions {
    fn parse(argv: &Argv) -> Result<AutoOptions, CmdError> {
        let min_idle_ms = int_or(argv, 4, "ERR Invalid min-idle-time argument for XAUTOCLAIM")?.max(0);
        let start = interval_start(argv, 5)?;
        let mut options = AutoOptions { min_idle_ms, start, count: COUNT, just_id: false };
        let mut i = 6;
        while i < argv.len() {
            if i + 1 < argv.len() && argv.is(i, b"count") {
                let bad = || CmdError::text("ERR COUNT must be > 0");
                let max = i64::MAX / size_of::<StreamId>() as i64;
                let count = argv.int(i + 1).map_err(|_| bad())?;
                options.count =
                    Some(count).filter(|count| (1..=max).contains(count)).ok_or_else(bad)? as usize;
                i += 1;
            } else if argv.is(i, b"justid") {
                options.just_id = true;
            } else {
                return Err(CmdError::Syntax);
            }
            i += 1;
        }
        Ok(options)
    }
}

/// `XAUTOCLAIM key group consumer min-idle-time start [COUNT count] [JUSTID]`
pub fn xautoclaim(srv: &mut Server, c: &mut Client) -> CmdResult {
    // The lookup counts even if the arguments are wrong, which is said first.
    let found = has_group(srv, c);
    let AutoOptions { min_idle_ms, start, count, just_id } = AutoOptions::parse(&c.argv)?;
    if !found? {
        return Err(missing(c));
    }
    let mut deleted: Vec<StreamId> = Vec::new();
    if deleted.try_reserve_exact(count).is_err() {
        return Err(CmdError::text(
            "ERR Insufficient memory, failed allocating transient memory, COUNT too high.",
        ));
    }
    on_behalf(srv, c, just_id, |claiming, c| {
        let how = if just_id { Deliveries::Keep } else { Deliveries::CountOne };
        let mark = c.out.mark();
        let (mut claimed, mut attempts) = (0, count.saturating_mul(ATTEMPTS));
        let mut next = first_pending(claiming.group, Some(start));
        while let Some((id, delivered_ms)) = next
            && attempts > 0
            && claimed + deleted.len() < count
        {
            attempts -= 1;
            if claiming.log.get(id).is_none() {
                claiming.forget(id);
                deleted.push(id);
            } else if min_idle_ms == 0 || claiming.now_ms.wrapping_sub(delivered_ms) >= min_idle_ms {
                claiming.claim(c, id, claiming.now_ms, how);
                claimed += 1;
            }
            next = first_pending(claiming.group, id.next());
        }
        let cursor = next.map_or(StreamId::MIN, |(id, _)| id);
        c.out.insert_at(mark, |out| {
            out.array(3);
            reply_id(out, cursor);
            out.array(claimed);
        });
        c.out.array(deleted.len());
        deleted.iter().for_each(|id| reply_id(&mut c.out, *id));
    })
}

/// The first pending entry from an id on, and when it was delivered.
fn first_pending(group: &Group, from: Option<StreamId>) -> Option<(StreamId, i64)> {
    group.pending().range(from?..=StreamId::MAX).next().map(|(id, nack)| (id, nack.delivered_ms))
}
