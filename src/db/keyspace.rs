//! Commands on keys of any type, and on whole databases.

use std::ops::Range;

use bytes::Bytes;

use crate::db::LookupFlags;
use crate::db::kvstore::KvStore;
use crate::db::notify::{NotifyFlags, notify_keyspace_event};
use crate::db::object::EntryRef;
use crate::db::scan::{self, ScanOptions, Scanned};
use crate::db::{blocked, lazyfree, multi};
use crate::ds::glob;
use crate::persistence::save;
use crate::server::{Client, CmdError, CmdResult, Server};

/// Deletes the keys from argument 1 on, and replies how many there were.
fn delete_generic(srv: &mut Server, c: &mut Client, lazily: bool) -> CmdResult {
    let mut deleted = 0;
    for i in 1..c.argv.len() {
        let key = c.argv.key(i);
        if srv.delete_with(c.db, key, lazily) {
            srv.signal_modified(c.db, key.bytes, 1);
            notify_keyspace_event(srv, NotifyFlags::GENERIC, "del", key.bytes, c.db);
            deleted += 1;
        }
    }
    c.out.int(deleted);
    Ok(())
}

/// `DEL key [key ...]`
pub fn del(srv: &mut Server, c: &mut Client) -> CmdResult {
    delete_generic(srv, c, srv.config.lazyfree_lazy_user_del)
}

/// `UNLINK key [key ...]`
pub fn unlink(srv: &mut Server, c: &mut Client) -> CmdResult {
    delete_generic(srv, c, true)
}

fn count_present(srv: &mut Server, c: &mut Client, flags: LookupFlags) -> CmdResult {
    let mut count = 0;
    for i in 1..c.argv.len() {
        count += i64::from(srv.lookup(c.db, c.argv.key(i), flags).is_some());
    }
    c.out.int(count);
    Ok(())
}

/// `EXISTS key [key ...]`
pub fn exists(srv: &mut Server, c: &mut Client) -> CmdResult {
    count_present(srv, c, LookupFlags::NO_TOUCH)
}

/// `TOUCH key [key ...]`
pub fn touch(srv: &mut Server, c: &mut Client) -> CmdResult {
    count_present(srv, c, LookupFlags::NONE)
}

/// `TYPE key`
pub fn type_(srv: &mut Server, c: &mut Client) -> CmdResult {
    let entry = srv.lookup(c.db, c.argv.key(1), LookupFlags::NO_TOUCH);
    c.out.simple(entry.map_or("none", |e| e.value_type().name()));
    Ok(())
}

/// `RANDOMKEY`
pub fn randomkey(srv: &mut Server, c: &mut Client) -> CmdResult {
    match srv.random_key(c.db) {
        Some(entry) => c.out.bulk(entry.key()),
        None => c.out.null(),
    }
    Ok(())
}

/// `KEYS pattern`
pub fn keys(srv: &mut Server, c: &mut Client) -> CmdResult {
    let now_ms = srv.clock.unix_ms;
    let pattern = c.argv.get(1);
    let all = pattern == b"*";
    let mark = c.out.mark();
    let mut count = 0;
    for entry in srv.dbs[c.db].keys.iter() {
        if (all || glob::matches(pattern, entry.key(), false)) && !entry.expired(now_ms) {
            c.out.bulk(entry.key());
            count += 1;
        }
    }
    c.out.insert_at(mark, |out| out.array(count));
    Ok(())
}

/// `SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]`
pub fn scan(srv: &mut Server, c: &mut Client) -> CmdResult {
    let cursor = scan::cursor(&c.argv, 1)?;
    let options = ScanOptions::parse(&c.argv, 2, Scanned::Keys)?;
    let now_ms = srv.clock.unix_ms;
    let is_of_type = |entry: EntryRef<'_>| {
        options.type_name.is_none_or(|name| entry.value_type().name().as_bytes().eq_ignore_ascii_case(name))
    };
    let keys = &srv.dbs[c.db].keys;
    let mut expired: Vec<Bytes> = Vec::new();
    scan::reply(&mut c.out, &options, cursor, |cursor, page| {
        keys.scan(cursor, |entry| {
            let admitted = page.admits(entry.key());
            if admitted && entry.expired(now_ms) {
                expired.push(Bytes::copy_from_slice(entry.key()));
            } else if admitted && is_of_type(entry) {
                page.show(entry.key());
            }
        })
    });
    for key in &expired {
        srv.delete_expired(c.db, srv.key_of(key));
    }
    Ok(())
}

/// Gives the value of argument 1's key the name of argument 2; with `only_new`, unless that name is taken.
fn rename_generic(srv: &mut Server, c: &mut Client, only_new: bool) -> CmdResult {
    let (from, to) = (c.argv.key(1), c.argv.key(2));
    if srv.lookup_mut(c.db, from).is_none() {
        return Err(CmdError::NoSuchKey);
    }
    let same = from.bytes == to.bytes;
    if !same {
        if srv.exists(c.db, to) {
            if only_new {
                c.out.int(0);
                return Ok(());
            }
            srv.delete(c.db, to);
        }
        let entry = srv.dbs[c.db].keys.remove(from).ok_or(CmdError::NoSuchKey)?;
        blocked::signal_key_deleted(srv, c.db, from.bytes);
        srv.add_entry(c.db, to, entry.rename(to.bytes));
        srv.signal_modified(c.db, from.bytes, 1);
        srv.signal_modified(c.db, to.bytes, 0);
        notify_keyspace_event(srv, NotifyFlags::GENERIC, "rename_from", from.bytes, c.db);
        notify_keyspace_event(srv, NotifyFlags::GENERIC, "rename_to", to.bytes, c.db);
    }
    if only_new {
        c.out.int(i64::from(!same))
    } else {
        c.out.ok()
    }
    Ok(())
}

/// `RENAME key newkey`
pub fn rename(srv: &mut Server, c: &mut Client) -> CmdResult {
    rename_generic(srv, c, false)
}

/// `RENAMENX key newkey`
pub fn renamenx(srv: &mut Server, c: &mut Client) -> CmdResult {
    rename_generic(srv, c, true)
}

/// The database whose number argument `i` holds.
fn db_index(srv: &Server, c: &Client, i: usize) -> Result<usize, CmdError> {
    let number = c.argv.int(i)?;
    if i32::try_from(number).is_err() {
        return Err(CmdError::text(
            "ERR value is out of range, value must between -2147483648 and 2147483647",
        ));
    }
    in_range(srv, number)
}

fn in_range(srv: &Server, number: i64) -> Result<usize, CmdError> {
    usize::try_from(number)
        .ok()
        .filter(|db| *db < srv.dbs.len())
        .ok_or(CmdError::text("ERR DB index is out of range"))
}

/// `MOVE key db`
pub fn move_(srv: &mut Server, c: &mut Client) -> CmdResult {
    let key = c.argv.key(1);
    let target = db_index(srv, c, 2)?;
    if target == c.db {
        return Err(CmdError::SameObject);
    }
    if srv.lookup_mut(c.db, key).is_none() || srv.exists(target, key) {
        c.out.int(0);
        return Ok(());
    }
    let entry = srv.dbs[c.db].keys.remove(key).ok_or(CmdError::NoSuchKey)?;
    blocked::signal_key_deleted(srv, c.db, key.bytes);
    srv.add_entry(target, key, entry);
    srv.signal_modified(c.db, key.bytes, 1);
    srv.signal_modified(target, key.bytes, 0);
    notify_keyspace_event(srv, NotifyFlags::GENERIC, "move_from", key.bytes, c.db);
    notify_keyspace_event(srv, NotifyFlags::GENERIC, "move_to", key.bytes, target);
    c.out.int(1);
    Ok(())
}

/// `COPY source destination [DB destination-db] [REPLACE]`
pub fn copy(srv: &mut Server, c: &mut Client) -> CmdResult {
    let (from, to) = (c.argv.key(1), c.argv.key(2));
    let (mut target, mut replace) = (c.db, false);
    let mut i = 3;
    while i < c.argv.len() {
        if c.argv.is(i, b"replace") {
            replace = true;
        } else if c.argv.is(i, b"db") && i + 1 < c.argv.len() {
            target = db_index(srv, c, i + 1)?;
            i += 1;
        } else {
            return Err(CmdError::Syntax);
        }
        i += 1;
    }
    if target == c.db && from.bytes == to.bytes {
        return Err(CmdError::SameObject);
    }
    let Some(source) = srv.lookup(c.db, from, LookupFlags::NONE) else {
        c.out.int(0);
        return Ok(());
    };
    let copied = source.copy_to(to.bytes);
    if srv.exists(target, to) {
        if !replace {
            c.out.int(0);
            return Ok(());
        }
        srv.delete(target, to);
    }
    srv.add_entry(target, to, copied);
    srv.signal_modified(target, to.bytes, 1);
    notify_keyspace_event(srv, NotifyFlags::GENERIC, "copy_to", to.bytes, target);
    c.out.int(1);
    Ok(())
}

/// `SELECT index`
pub fn select(srv: &mut Server, c: &mut Client) -> CmdResult {
    c.db = db_index(srv, c, 1)?;
    c.out.ok();
    Ok(())
}

/// `SWAPDB index1 index2`
pub fn swapdb(srv: &mut Server, c: &mut Client) -> CmdResult {
    let first = c.argv.int(1).map_err(|_| CmdError::text("ERR invalid first DB index"))?;
    let second = c.argv.int(2).map_err(|_| CmdError::text("ERR invalid second DB index"))?;
    let (a, b) = (in_range(srv, first)?, in_range(srv, second)?);
    if a != b {
        multi::touch_watched_database(srv, a, Some(b));
        multi::touch_watched_database(srv, b, Some(a));
        srv.dbs.swap(a, b);
        (srv.dbs[a].id, srv.dbs[b].id) = (a, b);
        blocked::signal_database_changed(srv, a);
        blocked::signal_database_changed(srv, b);
    }
    srv.dirty(1);
    c.out.ok();
    Ok(())
}

/// `DBSIZE`
pub fn dbsize(srv: &mut Server, c: &mut Client) -> CmdResult {
    c.out.count(srv.dbs[c.db].len());
    Ok(())
}

/// Whether FLUSHDB or FLUSHALL is to free in the background.
fn flush_is_async(srv: &Server, c: &Client) -> Result<bool, CmdError> {
    match c.argv.len() {
        1 => Ok(srv.config.lazyfree_lazy_user_flush),
        2 if c.argv.is(1, b"async") => Ok(true),
        2 if c.argv.is(1, b"sync") => Ok(false),
        _ => Err(CmdError::Syntax),
    }
}

/// Empties a database and returns what was in it.
fn take_keys(srv: &mut Server, db: usize) -> KvStore {
    multi::touch_watched_database(srv, db, None);
    let database = &mut srv.dbs[db];
    let keys = std::mem::take(&mut database.keys);
    (database.avg_ttl_ms, database.expires_cursor) = (0, 0);
    blocked::signal_database_changed(srv, db);
    keys
}

/// Forgets every key of every database, at once and without a word to those who are told of changes: for a load that
/// follows.
pub fn empty(srv: &mut Server) {
    for db in 0..srv.dbs.len() {
        drop(take_keys(srv, db));
    }
}

/// Empties the databases and replies; at once, or when all is freed.
fn flush(srv: &mut Server, c: &mut Client, databases: Range<usize>) -> CmdResult {
    let in_background = flush_is_async(srv, c)?;
    let keys: Vec<KvStore> = databases.map(|db| take_keys(srv, db)).collect();
    let removed: usize = keys.iter().map(KvStore::len).sum();
    srv.dirty(removed);
    // Who listens may still have keys: those that have expired here.
    srv.force_propagation();
    if removed > 0 && !in_background && c.may_block() {
        blocked::block_for_flush(srv, c);
        lazyfree::dispose_databases(srv, keys, Some(c.handle));
        return Ok(());
    }
    if removed > 0 && in_background {
        lazyfree::dispose_databases(srv, keys, None);
    }
    c.out.ok();
    Ok(())
}

/// `FLUSHDB [ASYNC | SYNC]`
pub fn flushdb(srv: &mut Server, c: &mut Client) -> CmdResult {
    flush(srv, c, c.db..c.db + 1)
}

/// `FLUSHALL [ASYNC | SYNC]`
pub fn flushall(srv: &mut Server, c: &mut Client) -> CmdResult {
    flush(srv, c, 0..srv.dbs.len())?;
    save::follow_flush(srv);
    Ok(())
}
