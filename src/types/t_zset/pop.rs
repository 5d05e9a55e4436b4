//! Taking the least or the greatest members: ZPOPMIN, ZMPOP, and those that wait for some.

use super::{publish_removal, reply_member};
use crate::db::blocked::{self, TimeoutUnit};
use crate::db::object::Type;
use crate::db::object::zset::ZSet;
use crate::server::{Client, CmdError, CmdResult, Server};
use bytes::Bytes;

/// From which end members are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Min,
    Max,
}

impl End {
    fn event(self) -> &'static str {
        match self {
            End::Min => "zpopmin",
            End::Max => "zpopmax",
        }
    }

    /// The command that takes from this end of one key.
    fn command(self) -> &'static [u8] {
        match self {
            End::Min => b"ZPOPMIN",
            End::Max => b"ZPOPMAX",
        }
    }
}

/// The form of the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reply {
    /// Member, score, member, score.
    Flat,
    /// A pair for each member.
    Pairs,
    /// The key, and member and score of one member.
    KeyAndFlat,
    /// The key, and a list of pairs.
    KeyAndPairs,
}

/// Takes up to `count` members from one end of the set at `key`, and replies with them. Returns how many these were:
/// `None` if there is no such key, which is left to the caller to reply.
fn take(
    srv: &mut Server,
    c: &mut Client,
    key_arg: usize,
    end: End,
    count: usize,
    reply: Reply,
) -> Result<Option<usize>, CmdError> {
    let key = c.argv.key(key_arg);
    let Some(mut entry) = srv.lookup_write::<ZSet>(c.db, key)? else { return Ok(None) };
    let mut set = entry.object_mut::<ZSet>();
    let len = set.len();
    let taken = count.min(len);
    if matches!(reply, Reply::KeyAndFlat | Reply::KeyAndPairs) {
        c.out.array(if reply == Reply::KeyAndFlat { 3 } else { 2 });
        c.out.bulk(key.bytes);
    }
    match reply {
        Reply::Flat => c.out.array(2 * taken),
        Reply::Pairs | Reply::KeyAndPairs => c.out.array(taken),
        Reply::KeyAndFlat => {}
    }
    let ranks = if end == End::Min { 0..taken } else { len - taken..len };
    let elements = set.range(ranks.clone());
    let show = |(member, score)| {
        if matches!(reply, Reply::Pairs | Reply::KeyAndPairs) {
            c.out.array(2);
        }
        reply_member(&mut c.out, member);
        c.out.double(score);
    };
    match end {
        End::Min => elements.for_each(show),
        End::Max => elements.rev().for_each(show),
    }
    set.remove_range(ranks);
    drop(set);
    drop(entry);
    if taken > 0 {
        publish_removal(srv, c.db, end.event(), key, taken, taken == len);
    }
    Ok(Some(taken))
}

/// `ZPOPMIN key [count]`
pub fn zpopmin(srv: &mut Server, c: &mut Client) -> CmdResult {
    pop(srv, c, End::Min)
}

/// `ZPOPMAX key [count]`
pub fn zpopmax(srv: &mut Server, c: &mut Client) -> CmdResult {
    pop(srv, c, End::Max)
}

fn pop(srv: &mut Server, c: &mut Client, end: End) -> CmdResult {
    let count = match c.argv.len() {
        2 => None,
        3 => Some(usize::try_from(c.argv.int(2).unwrap_or(-1)).map_err(|_| MUST_BE_POSITIVE)?),
        _ => return Err(CmdError::Syntax),
    };
    let reply = if count.is_some() && c.out.resp3() { Reply::Pairs } else { Reply::Flat };
    if take(srv, c, 1, end, count.unwrap_or(1), reply)?.is_none() {
        c.out.array(0);
    }
    Ok(())
}

const MUST_BE_POSITIVE: CmdError = CmdError::text("ERR value is out of range, must be positive");

/// A request to take from the first of several keys that has members.
struct Request {
    /// The arguments that are the keys.
    keys: std::ops::Range<usize>,
    end: End,
    /// Most members, if the command says how many.
    count: Option<usize>,
}

impl Request {
    /// What `numkeys key [key ...] MIN | MAX [COUNT count]` says, from argument `at` on.
    fn parse(c: &Client, at: usize) -> Result<Request, CmdError> {
        let argv = &c.argv;
        let positive = |i: usize, error: &'static str| {
            let number = argv.int(i).ok().and_then(|n| usize::try_from(n).ok()).filter(|&n| n > 0);
            number.ok_or(CmdError::text(error))
        };
        let keys = positive(at, "ERR numkeys should be greater than 0")?;
        let end_at = keys.checked_add(at + 1).filter(|&i| i < argv.len()).ok_or(CmdError::Syntax)?;
        let end = match argv.get(end_at) {
            word if word.eq_ignore_ascii_case(b"min") => End::Min,
            word if word.eq_ignore_ascii_case(b"max") => End::Max,
            _ => return Err(CmdError::Syntax),
        };
        let mut count = None;
        let mut i = end_at + 1;
        while i < argv.len() {
            if count.is_some() || !argv.is(i, b"count") || i + 1 == argv.len() {
                return Err(CmdError::Syntax);
            }
            count = Some(positive(i + 1, "ERR count should be greater than 0")?);
            i += 2;
        }
        Ok(Request { keys: at + 1..end_at, end, count: Some(count.unwrap_or(1)) })
    }

    /// Takes members from the first key that has some, and replies with them; whether there was one. What is left behind
    /// for replicas does not wait, and names the key.
    fn serve(&self, srv: &mut Server, c: &mut Client) -> Result<bool, CmdError> {
        let reply = if self.count.is_some() { Reply::KeyAndPairs } else { Reply::KeyAndFlat };
        for i in self.keys.clone() {
            let Some(taken) = take(srv, c, i, self.end, self.count.unwrap_or(1), reply)? else { continue };
            let mut digits = itoa::Buffer::new();
            let command = [self.end.command(), c.argv.get(i), digits.format(taken).as_bytes()];
            srv.propagate_as(if self.count.is_some() { &command } else { &command[..2] });
            return Ok(true);
        }
        Ok(false)
    }

    /// Serves the request now, or when one of the keys has members, or not at all once its time is up.
    fn serve_or_block(&self, srv: &mut Server, c: &mut Client, timeout: usize) -> CmdResult {
        let deadline_ms = blocked::timeout_arg(srv, &c.argv, timeout, TimeoutUnit::Seconds)?;
        if self.serve(srv, c)? {
            return Ok(());
        }
        if !c.may_block() {
            c.out.null_array();
            return Ok(());
        }
        let keys: Vec<Bytes> = self.keys.clone().map(|i| c.argv.bytes(i)).collect();
        let keys: Vec<&[u8]> = keys.iter().map(|key| &key[..]).collect();
        blocked::block_for_keys(srv, c, Type::ZSet, &keys, deadline_ms, false);
        Ok(())
    }
}

/// `ZMPOP numkeys key [key ...] MIN | MAX [COUNT count]`
pub fn zmpop(srv: &mut Server, c: &mut Client) -> CmdResult {
    let request = Request::parse(c, 1)?;
    if !request.serve(srv, c)? {
        c.out.null_array();
    }
    Ok(())
}

/// `BZMPOP timeout numkeys key [key ...] MIN | MAX [COUNT count]`
pub fn bzmpop(srv: &mut Server, c: &mut Client) -> CmdResult {
    Request::parse(c, 2)?.serve_or_block(srv, c, 1)
}

/// `BZPOPMIN key [key ...] timeout`
pub fn bzpopmin(srv: &mut Server, c: &mut Client) -> CmdResult {
    let timeout = c.argv.len() - 1;
    Request { keys: 1..timeout, end: End::Min, count: None }.serve_or_block(srv, c, timeout)
}

/// `BZPOPMAX key [key ...] timeout`
pub fn bzpopmax(srv: &mut Server, c: &mut Client) -> CmdResult {
    let timeout = c.argv.len() - 1;
    Request { keys: 1..timeout, end: End::Max, count: None }.serve_or_block(srv, c, timeout)
}

#[cfg(test)]
mod tests {
    use crate::server::testing::Bench;

    #[test]
    fn what_is_propagated_neither_waits_nor_computes() {
        let mut bench = Bench::new();
        bench.check_propagation(
            "ZADD z 1 a 2 b 3 c 4 d 5 e 6 f -> ZADD z 1 a 2 b 3 c 4 d 5 e 6 f
             ZADD z 1 a -> nothing
             ZINCRBY z 1 a -> ZINCRBY z 1 a
             ZPOPMIN z 2 -> ZPOPMIN z 2
             ZMPOP 2 none z MAX -> ZPOPMAX z 1
             BZPOPMIN none z 0 -> ZPOPMIN z
             BZMPOP 0 2 none z MIN COUNT 9 -> ZPOPMIN z 2
             BZPOPMAX z 0 -> nothing
             ZMPOP 1 z MIN -> nothing
             ZREM z a -> nothing
             GEOADD g CH 13.361389 38.115556 Palermo 0 0 o -> ZADD g CH 3479099956230698 Palermo 3377699720527872 o
             GEOADD g NX 1 1 o -> nothing
             GEOSEARCHSTORE d g FROMLONLAT 0 0 BYRADIUS 1 m -> GEOSEARCHSTORE d g FROMLONLAT 0 0 BYRADIUS 1 m
             ZUNIONSTORE d 1 none -> ZUNIONSTORE d 1 none
             ZUNIONSTORE d 1 none -> nothing",
        );
    }
}
