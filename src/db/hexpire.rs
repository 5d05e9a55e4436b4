//! Fields of hashes with a time to live: what happens to those whose time has passed.
//!
//! As keys do, fields disappear when a command comes across them and, unasked, in an active cycle. The difference is how
//! the cycle finds them: a database keeps the first expiry of each of its hashes in order
//! ([`KvStore::next_due`](super::kvstore::KvStore::next_due)), and each hash that of its fields, so the cycle takes what
//! is due and looks at nothing else. It costs nothing while nothing is due.
//!
//! Either way replicas and the append-only file are told of an `HDEL`, because a field's expiry is the master's decision.

use crate::db::notify::{NotifyFlags, notify_keyspace_event};
use crate::db::object::{Collection, Hash};
use crate::io::monotonic;
use crate::server::{Key, Server, cron};

/// Fields that the cycle removes between two looks at the clock.
const FIELDS_PER_STEP: usize = 64;

/// Percent of the cron's period that the cycle may take.
const PERCENT: u64 = 10;

/// What became of a field whose expiry has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expired {
    /// It is still there: nothing may be deleted now, or it was not there.
    Kept,
    /// It was removed.
    Field,
    /// It was removed, and with it, being the last, the key.
    Key,
}

/// Removes a field whose expiry has passed. What is published is up to the caller: [`announce`].
pub fn remove_field(srv: &mut Server, db: usize, key: Key<'_>, name: &[u8]) -> Expired {
    if srv.expiry_paused() {
        return Expired::Kept;
    }
    let Some(mut entry) = srv.dbs[db].keys.find_mut(key) else { return Expired::Kept };
    let mut hash = entry.object_mut::<Hash>();
    let (removed, emptied) = (hash.remove(name), hash.is_empty());
    drop(hash);
    drop(entry);
    if !removed {
        return Expired::Kept;
    }
    count_removed(srv, db, key, &[name]);
    if emptied {
        srv.delete(db, key);
    }
    srv.signal_modified(db, key.bytes, 0);
    if emptied { Expired::Key } else { Expired::Field }
}

/// Publishes what [`remove_field`] did.
pub fn announce(srv: &mut Server, db: usize, key: &[u8], expired: Expired) {
    if expired != Expired::Kept {
        notify_keyspace_event(srv, NotifyFlags::HASH, "hexpired", key, db);
    }
    if expired == Expired::Key {
        notify_keyspace_event(srv, NotifyFlags::GENERIC, "del", key, db);
    }
}

/// Removes all fields of a hash whose expiry has passed, and publishes it.
pub fn remove_due(srv: &mut Server, db: usize, key: Key<'_>) {
    if srv.expiry_paused() {
        return;
    }
    let now_ms = srv.clock.expiry_ms as i64;
    let Some(mut entry) = srv.dbs[db].keys.find_mut(key) else { return };
    let (names, emptied) = pop(&mut entry.object_mut(), now_ms, usize::MAX);
    drop(entry);
    after_pop(srv, db, key, &names, emptied);
}

/// Takes up to `most` due fields out of a hash; says which, and whether none is left.
fn pop(hash: &mut Hash, now_ms: i64, most: usize) -> (Vec<Vec<u8>>, bool) {
    let names = std::iter::from_fn(|| hash.pop_due(now_ms)).take(most).collect();
    (names, hash.is_empty())
}

/// What follows when fields were taken out because they were due.
fn after_pop(srv: &mut Server, db: usize, key: Key<'_>, names: &[Vec<u8>], emptied: bool) {
    if names.is_empty() {
        return;
    }
    count_removed(srv, db, key, names);
    if emptied {
        srv.delete(db, key);
    }
    srv.signal_modified(db, key.bytes, 0);
    announce(srv, db, key.bytes, if emptied { Expired::Key } else { Expired::Field });
}

/// Counts fields that were removed because their expiry has passed, and has them removed elsewhere.
pub fn count_removed<N: AsRef<[u8]>>(srv: &mut Server, db: usize, key: Key<'_>, names: &[N]) {
    srv.stats.expired_subkeys += names.len() as u64;
    for name in names {
        srv.also_propagate(db, &[b"HDEL", key.bytes, name.as_ref()]);
    }
}

/// Removes due fields of all databases: runs in the cron.
pub fn active_cycle(srv: &mut Server) {
    if srv.expiry_paused() {
        return;
    }
    let now_ms = srv.clock.expiry_ms as i64;
    let (start_ns, limit_ns) = (monotonic::now_ns(), cron::share_ns(srv, PERCENT).max(1));
    // Databases take turns at being the first, in case the time does not suffice for all.
    let count = srv.dbs.len();
    let first = srv.cron.field_expire_db;
    for db in (first..first + count).map(|db| db % count) {
        srv.cron.field_expire_db = db;
        while step(srv, db, now_ms) {
            if monotonic::now_ns() - start_ns > limit_ns {
                srv.cron.field_expire_db = (db + 1) % count;
                return;
            }
        }
    }
}

/// Removes some due fields of the hash whose turn it is; says whether there was one.
fn step(srv: &mut Server, db: usize, now_ms: i64) -> bool {
    let Some(mut entry) = srv.dbs[db].keys.next_due(now_ms) else { return false };
    let key = entry.view().key().to_vec();
    let (names, emptied) = pop(&mut entry.object_mut(), now_ms, FIELDS_PER_STEP);
    drop(entry);
    after_pop(srv, db, srv.key_of(&key), &names, emptied);
    true
}
