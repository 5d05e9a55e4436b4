//! Removing members, by name or by range.

use super::publish_removal;
use super::range::{Kind, Range};
use crate::db::object::zset::ZSet;
use crate::server::{Client, CmdResult, Server};

/// `ZREM key member [member ...]`
pub fn zrem(srv: &mut Server, c: &mut Client) -> CmdResult {
    let key = c.argv.key(1);
    let mut removed = 0;
    let mut emptied = false;
    if let Some(mut entry) = srv.lookup_write::<ZSet>(c.db, key)? {
        let mut set = entry.object_mut::<ZSet>();
        for member in c.argv.iter_from(2) {
            removed += usize::from(set.remove(member).is_some());
            if set.is_empty() {
                emptied = true;
                break;
            }
        }
    }
    if removed > 0 {
        publish_removal(srv, c.db, "zrem", key, removed, emptied);
    }
    c.out.count(removed);
    Ok(())
}

/// `ZREMRANGEBYRANK key start stop`
pub fn zremrangebyrank(srv: &mut Server, c: &mut Client) -> CmdResult {
    remove_range(srv, c, Kind::Rank, "zremrangebyrank")
}

/// `ZREMRANGEBYSCORE key min max`
pub fn zremrangebyscore(srv: &mut Server, c: &mut Client) -> CmdResult {
    remove_range(srv, c, Kind::Score, "zremrangebyscore")
}

/// `ZREMRANGEBYLEX key min max`
pub fn zremrangebylex(srv: &mut Server, c: &mut Client) -> CmdResult {
    remove_range(srv, c, Kind::Lex, "zremrangebylex")
}

fn remove_range(srv: &mut Server, c: &mut Client, kind: Kind, event: &str) -> CmdResult {
    let range = Range::parse(&c.argv, kind, 2, 3)?;
    let key = c.argv.key(1);
    let mut removed = 0;
    let mut emptied = false;
    if let Some(mut entry) = srv.lookup_write::<ZSet>(c.db, key)? {
        let mut set = entry.object_mut::<ZSet>();
        let ranks = range.ranks(&set, false);
        removed = set.remove_range(ranks);
        emptied = set.is_empty();
    }
    if removed > 0 {
        publish_removal(srv, c.db, event, key, removed, emptied);
    }
    c.out.count(removed);
    Ok(())
}
