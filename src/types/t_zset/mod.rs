//! Sorted sets.
//!
//! The value is [`ZSet`]; the commands are here, by what they do: `add`, `remove`, `range` (all of ZRANGE's family, and
//! the ranges of other commands), `setops` (unions, intersections, differences), `pop` (blocking or not), `random`, and in
//! this file those that look up one thing.
//!
//! A member in hand is a [`Value`], which in a small set may be an integer. A range of any kind becomes a range of ranks
//! before anything is done with it.

mod add;
mod pop;
mod random;
mod range;
mod remove;
mod setops;

pub use add::{zadd, zincrby};
pub use pop::{bzmpop, bzpopmax, bzpopmin, zmpop, zpopmax, zpopmin};
pub use random::zrandmember;
pub use range::{
    zcount, zlexcount, zrange, zrangebylex, zrangebyscore, zrangestore, zrevrange, zrevrangebylex,
    zrevrangebyscore,
};
pub use remove::{zrem, zremrangebylex, zremrangebyrank, zremrangebyscore};
pub use setops::{zdiff, zdiffstore, zinter, zintercard, zinterstore, zunion, zunionstore};

pub(super) use add::{Request, add_elements};

use crate::db::notify::{NotifyFlags, notify_keyspace_event};
use crate::db::object::zset::{Limits, ZSet, text};
use crate::db::scan::{self, ScanOptions, Scanned};
use crate::ds::listpack::Value;
use crate::ds::numbers::{format_17_digits, format_f64};
use crate::server::{Client, CmdError, CmdResult, Key, Out, Server};

/// How large a sorted set may become as a listpack, as configured.
pub(crate) fn limits(srv: &Server) -> Limits {
    Limits {
        entries: srv.config.zset_max_listpack_entries as usize,
        value: srv.config.zset_max_listpack_value as usize,
    }
}

/// Publishes an event of sorted sets.
pub(super) fn publish(srv: &mut Server, db: usize, event: &str, key: Key<'_>) {
    notify_keyspace_event(srv, NotifyFlags::ZSET, event, key.bytes, db);
}

/// Counts and publishes a removal: `event`, and that the key is gone if it is `emptied`.
fn publish_removal(srv: &mut Server, db: usize, event: &str, key: Key<'_>, removed: usize, emptied: bool) {
    if emptied {
        srv.delete(db, key);
    }
    srv.signal_modified(db, key.bytes, removed);
    publish(srv, db, event, key);
    if emptied {
        notify_keyspace_event(srv, NotifyFlags::GENERIC, "del", key.bytes, db);
    }
}

/// Stores a result under `key` and replies how many elements it has; an empty one deletes the key. `changes` is what a
/// result that is not empty counts towards save points.
pub(super) fn store_result(
    srv: &mut Server,
    c: &mut Client,
    destination: usize,
    result: ZSet,
    event: &str,
    changes: usize,
) {
    let key = c.argv.key(destination);
    let len = result.len();
    if len > 0 {
        srv.set_object(c.db, key, result);
        publish(srv, c.db, event, key);
        srv.dirty(changes);
    } else if srv.delete(c.db, key) {
        srv.signal_modified(c.db, key.bytes, 1);
        notify_keyspace_event(srv, NotifyFlags::GENERIC, "del", key.bytes, c.db);
    }
    c.out.count(len);
}

/// Replies with a member.
#[inline]
fn reply_member(out: &mut Out, member: Value<'_>) {
    match member {
        Value::Integer(n) => out.bulk_int(n),
        Value::String(text) => out.bulk(text),
    }
}

/// Begins a reply of `len` elements, with their scores or without.
fn begin_elements(out: &mut Out, len: usize, with_scores: bool) {
    out.array(if with_scores && !out.resp3() { len.saturating_mul(2) } else { len });
}

/// Replies with an element of a list that was begun by [`begin_elements`]: a pair in RESP3, two items in RESP2.
#[inline]
fn reply_element(out: &mut Out, member: Value<'_>, score: f64, with_score: bool) {
    if with_score && out.resp3() {
        out.array(2);
    }
    reply_member(out, member);
    if with_score {
        out.double(score);
    }
}

/// Replies with elements, with their scores or without.
fn reply_elements<'a>(
    out: &mut Out,
    elements: impl ExactSizeIterator<Item = (Value<'a>, f64)>,
    with_scores: bool,
) {
    begin_elements(out, elements.len(), with_scores);
    for (member, score) in elements {
        reply_element(out, member, score, with_scores);
    }
}

/// `ZCARD key`
pub fn zcard(srv: &mut Server, c: &mut Client) -> CmdResult {
    let len = srv.lookup_read::<ZSet>(c.db, c.argv.key(1))?.map_or(0, |set| set.len());
    c.out.count(len);
    Ok(())
}

fn reply_score(out: &mut Out, score: Option<f64>) {
    match score {
        Some(score) => out.double(score),
        None => out.null(),
    }
}

/// `ZSCORE key member`
pub fn zscore(srv: &mut Server, c: &mut Client) -> CmdResult {
    let set = srv.lookup_read::<ZSet>(c.db, c.argv.key(1))?;
    reply_score(&mut c.out, set.and_then(|set| set.score(c.argv.get(2))));
    Ok(())
}

/// `ZMSCORE key member [member ...]`
pub fn zmscore(srv: &mut Server, c: &mut Client) -> CmdResult {
    let set = srv.lookup_read::<ZSet>(c.db, c.argv.key(1))?;
    c.out.array(c.argv.len() - 2);
    for member in c.argv.iter_from(2) {
        reply_score(&mut c.out, set.as_ref().and_then(|set| set.score(member)));
    }
    Ok(())
}

/// `ZRANK key member [WITHSCORE]`
pub fn zrank(srv: &mut Server, c: &mut Client) -> CmdResult {
    rank(srv, c, "zrank", false)
}

/// `ZREVRANK key member [WITHSCORE]`
pub fn zrevrank(srv: &mut Server, c: &mut Client) -> CmdResult {
    rank(srv, c, "zrevrank", true)
}

fn rank(srv: &mut Server, c: &mut Client, name: &'static str, reversed: bool) -> CmdResult {
    let with_score = match c.argv.len() {
        3 => false,
        4 if c.argv.is(3, b"withscore") => true,
        4 => return Err(CmdError::Syntax),
        _ => return Err(CmdError::Arity(name)),
    };
    let set = srv.lookup_read::<ZSet>(c.db, c.argv.key(1))?;
    let found = set.as_ref().and_then(|set| Some((set.rank(c.argv.get(2))?, set.len())));
    match found {
        Some(((rank, score), len)) => {
            if with_score {
                c.out.array(2);
            }
            c.out.count(if reversed { len - 1 - rank } else { rank });
            if with_score {
                c.out.double(score);
            }
        }
        None if with_score => c.out.null_array(),
        None => c.out.null(),
    }
    Ok(())
}

/// `ZSCAN key cursor [MATCH pattern] [COUNT count]`
pub fn zscan(srv: &mut Server, c: &mut Client) -> CmdResult {
    let cursor = scan::cursor(&c.argv, 2)?;
    let Some(set) = srv.lookup_read::<ZSet>(c.db, c.argv.key(1))? else {
        scan::reply_empty(&mut c.out);
        return Ok(());
    };
    let options = ScanOptions::parse(&c.argv, 3, Scanned::Members)?;
    scan::reply(&mut c.out, &options, cursor, |cursor, page| {
        set.scan(cursor, |member, score| {
            let digits = &mut itoa::Buffer::new();
            let member = text(member, digits);
            if page.admits(member) {
                page.show(member);
                // Upstream prints what it keeps as a number with all its digits here, and here alone.
                match *set {
                    ZSet::Listpack(_) => page.show(&format_f64(score)),
                    ZSet::Skiplist(_) => page.show(format_17_digits(score).as_bytes()),
                }
            }
        })
    });
    Ok(())
}
