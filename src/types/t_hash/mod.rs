//! Hashes: HSET and its kin, counters, whole hashes.
//!
//! A field whose expiry has passed is there until somebody removes it, but no command may show it. Commands on single
//! fields remove what they come across (`db::hexpire`); commands on whole hashes pass over it; HLEN counts it, because
//! anything else would take a walk. Writing a value clears the expiry of a field, counting it up keeps it.
//!
//! What is about expiries is in `expire.rs`, what sets or gets fields together with them in `combined.rs`, and
//! HRANDFIELD in `random.rs`.

mod combined;
mod expire;
mod random;
#[cfg(test)]
mod tests;

pub use combined::{hgetdel, hgetex, hsetex};
pub use expire::{
    hexpire, hexpireat, hexpiretime, hpersist, hpexpire, hpexpireat, hpexpiretime, hpttl, httl,
};
pub use random::hrandfield;

use crate::db::hexpire::{self, Expired};
use crate::db::notify::{NotifyFlags, notify_keyspace_event};
use crate::db::object::hash::{Field, Limits};
use crate::db::object::{Collection, Entry, Expiry, Hash, NewStr, StrRef};
use crate::db::scan::{self, ScanOptions, Scanned};
use crate::ds::longdouble::LongDouble;
use crate::server::{Argv, Client, CmdError, CmdResult, Key, Out, Server};

/// Up to which size hashes are listpacks.
pub(crate) fn limits(srv: &Server) -> Limits {
    Limits {
        entries: usize::try_from(srv.config.hash_max_listpack_entries).unwrap_or(usize::MAX),
        value: usize::try_from(srv.config.hash_max_listpack_value).unwrap_or(usize::MAX),
    }
}

/// The time that expiries are compared with.
fn now_ms(srv: &Server) -> i64 {
    srv.clock.expiry_ms as i64
}

/// Argument `i` as a value to store.
fn new_value(argv: &Argv, i: usize) -> NewStr<'_> {
    match argv.big_arg(i) {
        Some(bytes) => NewStr::Share(bytes.clone()),
        None => NewStr::Copy(argv.get(i)),
    }
}

fn publish(srv: &mut Server, db: usize, event: &str, key: Key<'_>) {
    notify_keyspace_event(srv, NotifyFlags::HASH, event, key.bytes, db);
}

/// Deletes a key whose last field has gone, and publishes that.
fn delete_empty(srv: &mut Server, db: usize, key: Key<'_>) {
    srv.delete(db, key);
    notify_keyspace_event(srv, NotifyFlags::GENERIC, "del", key.bytes, db);
}

/// Changes the hash of `key`, or a new one if there is none; a new one is kept if it has fields then.
fn change<R>(
    srv: &mut Server,
    db: usize,
    key: Key<'_>,
    change: impl FnOnce(&mut Hash) -> R,
) -> Result<R, CmdError> {
    if let Some(mut entry) = srv.lookup_write::<Hash>(db, key)? {
        return Ok(change(&mut entry.object_mut()));
    }
    let mut hash = Hash::new();
    let result = change(&mut hash);
    if !hash.is_empty() {
        let entry = Entry::with_object(key.bytes, hash, None, srv.initial_clock());
        srv.add_entry(db, key, entry);
    }
    Ok(result)
}

/// What a command that writes finds of a field.
enum Present<T> {
    Live(T),
    Expired,
    Missing,
}

impl<T> Present<T> {
    /// What `look` makes of the field, unless it has expired at `now_ms`.
    fn of(field: Option<Field<'_>>, now_ms: i64, look: impl FnOnce(Field<'_>) -> T) -> Present<T> {
        match field {
            None => Present::Missing,
            Some(field) if field.expired(now_ms) => Present::Expired,
            Some(field) => Present::Live(look(field)),
        }
    }
}

/// What `look` makes of a field that is about to be written; one that has expired is removed, and that published.
fn look_to_write<T>(
    srv: &mut Server,
    db: usize,
    key: Key<'_>,
    name: &[u8],
    look: impl FnOnce(Field<'_>) -> T,
) -> Result<Option<T>, CmdError> {
    let now_ms = now_ms(srv);
    let Some(entry) = srv.lookup_write::<Hash>(db, key)? else { return Ok(None) };
    let found = Present::of(entry.view().object::<Hash>().get(name), now_ms, look);
    drop(entry);
    Ok(match found {
        Present::Live(found) => Some(found),
        Present::Missing => None,
        Present::Expired => {
            let expired = hexpire::remove_field(srv, db, key, name);
            hexpire::announce(srv, db, key.bytes, expired);
            None
        }
    })
}

// ---- setting ----

/// Sets the fields of arguments 2 on; returns how many are new.
fn set_pairs(srv: &mut Server, c: &Client, command: &'static str) -> Result<usize, CmdError> {
    if !c.argv.len().is_multiple_of(2) {
        return Err(CmdError::Arity(command));
    }
    let (key, limits) = (c.argv.key(1), limits(srv));
    let pairs = c.argv.len() / 2 - 1;
    let created = change(srv, c.db, key, |hash| {
        hash.prepare(pairs, c.argv.iter_from(2).map(<[u8]>::len), limits);
        let was_there = |i| hash.set(c.argv.get(i), new_value(&c.argv, i + 1), Expiry::Clear, limits);
        (2..c.argv.len()).step_by(2).map(was_there).filter(|was_there| !was_there).count()
    })?;
    srv.signal_modified(c.db, key.bytes, pairs);
    publish(srv, c.db, "hset", key);
    Ok(created)
}

/// `HSET key field value [field value ...]`
pub fn hset(srv: &mut Server, c: &mut Client) -> CmdResult {
    let created = set_pairs(srv, c, "hset")?;
    c.out.count(created);
    Ok(())
}

/// `HMSET key field value [field value ...]`
pub fn hmset(srv: &mut Server, c: &mut Client) -> CmdResult {
    set_pairs(srv, c, "hmset")?;
    c.out.ok();
    Ok(())
}

/// `HSETNX key field value`
pub fn hsetnx(srv: &mut Server, c: &mut Client) -> CmdResult {
    let (key, name, limits) = (c.argv.key(1), c.argv.get(2), limits(srv));
    if look_to_write(srv, c.db, key, name, |_| ())?.is_some() {
        c.out.int(0);
        return Ok(());
    }
    change(srv, c.db, key, |hash| {
        hash.prepare(1, c.argv.iter_from(2).map(<[u8]>::len), limits);
        hash.set(name, new_value(&c.argv, 3), Expiry::Clear, limits)
    })?;
    srv.signal_modified(c.db, key.bytes, 1);
    publish(srv, c.db, "hset", key);
    c.out.int(1);
    Ok(())
}

/// `HINCRBY key field increment`
pub fn hincrby(srv: &mut Server, c: &mut Client) -> CmdResult {
    let by = c.argv.int(3)?;
    let (key, name, limits) = (c.argv.key(1), c.argv.get(2), limits(srv));
    let old = match look_to_write(srv, c.db, key, name, |field| field.value.as_int())? {
        Some(None) => return Err(CmdError::text("ERR hash value is not an integer")),
        Some(Some(old)) => old,
        None => 0,
    };
    let sum = old.checked_add(by).ok_or(CmdError::IncrementOverflow)?;
    change(srv, c.db, key, |hash| hash.set(name, NewStr::Int(sum), Expiry::Keep, limits))?;
    srv.signal_modified(c.db, key.bytes, 1);
    publish(srv, c.db, "hincrby", key);
    c.out.int(sum);
    Ok(())
}

/// `HINCRBYFLOAT key field increment`
pub fn hincrbyfloat(srv: &mut Server, c: &mut Client) -> CmdResult {
    let by = LongDouble::parse(c.argv.get(3)).ok_or(CmdError::NotAFloat)?;
    if by.is_infinite() {
        return Err(CmdError::text("ERR value is NaN or Infinity"));
    }
    let (key, name, limits) = (c.argv.key(1), c.argv.get(2), limits(srv));
    let parse = |field: Field<'_>| LongDouble::parse(field.value.bytes(&mut itoa::Buffer::new()));
    let old = match look_to_write(srv, c.db, key, name, parse)? {
        Some(None) => return Err(CmdError::text("ERR hash value is not a float")),
        Some(Some(old)) => old,
        None => LongDouble::from(0),
    };
    let nan_or_infinite = CmdError::text("ERR increment would produce NaN or Infinity");
    let sum = old.checked_add(by).ok_or(nan_or_infinite)?.format();
    change(srv, c.db, key, |hash| hash.set(name, NewStr::Copy(&sum), Expiry::Keep, limits))?;
    srv.signal_modified(c.db, key.bytes, 1);
    publish(srv, c.db, "hincrbyfloat", key);
    // Another machine's floats may differ in the last digit: the result is what all must have.
    srv.propagate_as(&[b"HSET", key.bytes, name, &sum]);
    c.out.bulk(&sum);
    Ok(())
}

// ---- single fields ----

/// Replies with what `show` makes of the value of argument 2's field, or what `missing` says.
fn read_field(
    srv: &mut Server,
    c: &mut Client,
    show: impl FnOnce(StrRef<'_>, &mut Out),
    missing: fn(&mut Out),
) -> CmdResult {
    let (key, name, now_ms) = (c.argv.key(1), c.argv.get(2), now_ms(srv));
    let hash = srv.lookup_read::<Hash>(c.db, key)?;
    let field = hash.as_ref().and_then(|hash| hash.get(name));
    match Present::of(field, now_ms, |field| show(field.value, &mut c.out)) {
        Present::Live(()) => {}
        Present::Missing => missing(&mut c.out),
        Present::Expired => {
            missing(&mut c.out);
            let expired = hexpire::remove_field(srv, c.db, key, name);
            hexpire::announce(srv, c.db, key.bytes, expired);
        }
    }
    Ok(())
}

/// `HGET key field`
pub fn hget(srv: &mut Server, c: &mut Client) -> CmdResult {
    read_field(srv, c, |value, out| value.write_to(out), Out::null)
}

/// `HSTRLEN key field`
pub fn hstrlen(srv: &mut Server, c: &mut Client) -> CmdResult {
    read_field(srv, c, |value, out| out.count(value.len()), |out| out.int(0))
}

/// `HEXISTS key field`
pub fn hexists(srv: &mut Server, c: &mut Client) -> CmdResult {
    read_field(srv, c, |_, out| out.int(1), |out| out.int(0))
}

/// `HMGET key field [field ...]`
pub fn hmget(srv: &mut Server, c: &mut Client) -> CmdResult {
    let (key, now_ms) = (c.argv.key(1), now_ms(srv));
    let hash = srv.lookup_read::<Hash>(c.db, key)?;
    let mut stale = Vec::new();
    c.out.array(c.argv.len() - 2);
    for i in 2..c.argv.len() {
        let field = hash.as_ref().and_then(|hash| hash.get(c.argv.get(i)));
        match Present::of(field, now_ms, |field| field.value.write_to(&mut c.out)) {
            Present::Live(()) => continue,
            Present::Expired => stale.push(i),
            Present::Missing => {}
        }
        c.out.null();
    }
    let (mut fields, mut emptied) = (0, false);
    for i in stale {
        match hexpire::remove_field(srv, c.db, key, c.argv.get(i)) {
            Expired::Kept => {}
            Expired::Field => fields += 1,
            Expired::Key => emptied = true,
        }
    }
    // One event for all of them; none, as upstream, if all was one field and that the last.
    if fields > 0 {
        hexpire::announce(srv, c.db, key.bytes, if emptied { Expired::Key } else { Expired::Field });
    }
    Ok(())
}

/// `HDEL key field [field ...]`
pub fn hdel(srv: &mut Server, c: &mut Client) -> CmdResult {
    let key = c.argv.key(1);
    let Some(mut entry) = srv.lookup_write::<Hash>(c.db, key)? else {
        c.out.int(0);
        return Ok(());
    };
    let mut hash = entry.object_mut::<Hash>();
    let deleted = c.argv.iter_from(2).filter(|name| hash.remove(name)).count();
    let emptied = hash.is_empty();
    drop(hash);
    drop(entry);
    if deleted > 0 {
        srv.signal_modified(c.db, key.bytes, deleted);
        publish(srv, c.db, "hdel", key);
        if emptied {
            delete_empty(srv, c.db, key);
        }
    }
    c.out.count(deleted);
    Ok(())
}

// ---- whole hashes ----

/// `HLEN key`
pub fn hlen(srv: &mut Server, c: &mut Client) -> CmdResult {
    let hash = srv.lookup_read::<Hash>(c.db, c.argv.key(1))?;
    c.out.count(hash.map_or(0, |hash| hash.len()));
    Ok(())
}

/// Replies with all fields, each as `show` says, in a collection that `begin` begins.
fn read_all(
    srv: &mut Server,
    c: &mut Client,
    begin: fn(&mut Out, usize),
    show: fn(Field<'_>, &mut Out),
) -> CmdResult {
    let now_ms = now_ms(srv);
    let Some(hash) = srv.lookup_read::<Hash>(c.db, c.argv.key(1))? else {
        begin(&mut c.out, 0);
        return Ok(());
    };
    if hash.next_expiry().is_none_or(|at_ms| at_ms >= now_ms) {
        begin(&mut c.out, hash.len());
        hash.iter().for_each(|field| show(field, &mut c.out));
        return Ok(());
    }
    let mark = c.out.mark();
    let mut live = 0;
    for field in hash.iter().filter(|field| !field.expired(now_ms)) {
        show(field, &mut c.out);
        live += 1;
    }
    c.out.insert_at(mark, |out| begin(out, live));
    Ok(())
}

/// `HGETALL key`
pub fn hgetall(srv: &mut Server, c: &mut Client) -> CmdResult {
    read_all(srv, c, Out::map, |field, out| {
        field.name.write_to(out);
        field.value.write_to(out);
    })
}

/// `HKEYS key`
pub fn hkeys(srv: &mut Server, c: &mut Client) -> CmdResult {
    read_all(srv, c, Out::array, |field, out| field.name.write_to(out))
}

/// `HVALS key`
pub fn hvals(srv: &mut Server, c: &mut Client) -> CmdResult {
    read_all(srv, c, Out::array, |field, out| field.value.write_to(out))
}

/// `HSCAN key cursor [MATCH pattern] [COUNT count] [NOVALUES]`
pub fn hscan(srv: &mut Server, c: &mut Client) -> CmdResult {
    let cursor = scan::cursor(&c.argv, 2)?;
    let now_ms = now_ms(srv);
    let Some(hash) = srv.lookup_read::<Hash>(c.db, c.argv.key(1))? else {
        scan::reply_empty(&mut c.out);
        return Ok(());
    };
    let options = ScanOptions::parse(&c.argv, 3, Scanned::Fields)?;
    let mut digits = itoa::Buffer::new();
    scan::reply(&mut c.out, &options, cursor, |cursor, page| {
        hash.scan(cursor, |field| {
            if page.admits(field.name.bytes(&mut digits)) && !field.expired(now_ms) {
                page.show(field.name.bytes(&mut digits));
                if !options.no_values {
                    page.show(field.value.bytes(&mut digits));
                }
            }
        })
    });
    Ok(())
}
