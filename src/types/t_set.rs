//! Sets: members, random members, and the algebra of several sets.
//!
//! The value itself, with its encodings, is [`db::object::set`](crate::db::object::set). Here are the commands: which
//! arguments there are, what is replied, published and passed on.
//!
//! # Several sets
//!
//! A command that combines sets first looks each key up, so that what belongs to a lookup is done (expiry, hits and
//! misses, the type), and then borrows all of them from the database at once: [`Operands`]. Nothing is copied unless the
//! result is stored. A result that is replied goes to the output as it is found, and its length in front of it when
//! it is known. What has to be remembered meanwhile (SUNION: what was replied; SDIFF by its second algorithm: what is
//! subtracted) is a table of references.

use std::collections::HashSet;
use std::ops::Range;

use crate::db::notify::{NotifyFlags, notify_keyspace_event};
use crate::db::object::set::{Item, Limits, Probe};
use crate::db::object::{Collection, Entry, ObjectRef, Set};
use crate::db::scan::{self, ScanOptions, Scanned};
use crate::ds::intset::IntSet;
use crate::ds::listpack::{Listpack, Value};
use crate::server::{Argv, Client, CmdError, CmdResult, Key, Out, Server};

/// Members in each of the SREMs that an SPOP of many is passed on as.
const POPS_PASSED_ON: usize = 1024;

/// Up to which size sets are compact.
pub(crate) fn limits(srv: &Server) -> Limits {
    Limits {
        intset_entries: srv.config.set_max_intset_entries as usize,
        listpack_entries: srv.config.set_max_listpack_entries as usize,
        listpack_value: srv.config.set_max_listpack_value as usize,
    }
}

/// Publishes an event of the class of sets.
#[inline]
fn publish(srv: &mut Server, db: usize, event: &str, key: Key<'_>) {
    notify_keyspace_event(srv, NotifyFlags::SET, event, key.bytes, db);
}

/// Deletes a set that has lost its last member, and publishes that.
fn delete_empty(srv: &mut Server, db: usize, key: Key<'_>) {
    srv.delete(db, key);
    notify_keyspace_event(srv, NotifyFlags::GENERIC, "del", key.bytes, db);
}

/// Adds the arguments from number 2 on, and returns how many are new.
fn add_arguments(set: &mut Set, argv: &Argv, limits: Limits) -> usize {
    argv.iter_from(2).filter(|member| set.add(Item::Bytes(member), limits)).count()
}

/// `SADD key member [member ...]`
pub fn sadd(srv: &mut Server, c: &mut Client) -> CmdResult {
    let (key, limits, count) = (c.argv.key(1), limits(srv), c.argv.len() - 2);
    let added = if let Some(mut entry) = srv.lookup_write::<Set>(c.db, key)? {
        let mut set = entry.object_mut::<Set>();
        set.prepare_for(count, limits);
        add_arguments(&mut set, &c.argv, limits)
    } else {
        let mut set = Set::with_hint(Item::Bytes(c.argv.get(2)), count, limits);
        let added = add_arguments(&mut set, &c.argv, limits);
        srv.add_entry(c.db, key, Entry::with_object(key.bytes, set, None, srv.initial_clock()));
        added
    };
    if added > 0 {
        srv.signal_modified(c.db, key.bytes, added);
        publish(srv, c.db, "sadd", key);
    }
    c.out.count(added);
    Ok(())
}

/// `SREM key member [member ...]`
pub fn srem(srv: &mut Server, c: &mut Client) -> CmdResult {
    let key = c.argv.key(1);
    let Some(mut entry) = srv.lookup_write::<Set>(c.db, key)? else {
        c.out.int(0);
        return Ok(());
    };
    let mut set = entry.object_mut::<Set>();
    let (mut removed, mut emptied) = (0, false);
    for member in c.argv.iter_from(2) {
        if set.remove(Item::Bytes(member)) {
            removed += 1;
            emptied = set.is_empty();
            if emptied {
                break;
            }
        }
    }
    drop(set);
    drop(entry);
    if removed > 0 {
        srv.signal_modified(c.db, key.bytes, removed);
        publish(srv, c.db, "srem", key);
    }
    if emptied {
        delete_empty(srv, c.db, key);
    }
    c.out.count(removed);
    Ok(())
}

/// `SMOVE source destination member`
pub fn smove(srv: &mut Server, c: &mut Client) -> CmdResult {
    let (from, to, member) = (c.argv.key(1), c.argv.key(2), Item::Bytes(c.argv.get(3)));
    if srv.lookup_write::<Set>(c.db, from)?.is_none() {
        c.out.int(0);
        return Ok(());
    }
    let to_exists = srv.lookup_write::<Set>(c.db, to)?.is_some();
    let Some(mut entry) = srv.lookup_write::<Set>(c.db, from)? else { return Err(CmdError::NoSuchKey) };
    let mut set = entry.object_mut::<Set>();
    if from.bytes == to.bytes {
        c.out.int(i64::from(set.contains(member)));
        return Ok(());
    }
    if !set.remove(member) {
        c.out.int(0);
        return Ok(());
    }
    let emptied = set.is_empty();
    drop(set);
    drop(entry);
    publish(srv, c.db, "srem", from);
    if emptied {
        delete_empty(srv, c.db, from);
    }
    srv.signal_modified(c.db, from.bytes, 1);
    if receive(srv, c.db, to, to_exists, member) {
        srv.signal_modified(c.db, to.bytes, 1);
        publish(srv, c.db, "sadd", to);
    }
    c.out.int(1);
    Ok(())
}

/// Adds a moved member to the set that it goes to, and tells whether it is new there.
fn receive(srv: &mut Server, db: usize, key: Key<'_>, exists: bool, member: Item<'_>) -> bool {
    let limits = limits(srv);
    if exists && let Ok(Some(mut entry)) = srv.lookup_write::<Set>(db, key) {
        return entry.object_mut::<Set>().add(member, limits);
    }
    let mut set = Set::with_hint(member, 1, limits);
    set.add(member, limits);
    srv.add_entry(db, key, Entry::with_object(key.bytes, set, None, srv.initial_clock()));
    true
}

/// `SISMEMBER key member`
pub fn sismember(srv: &mut Server, c: &mut Client) -> CmdResult {
    let set = srv.lookup_read::<Set>(c.db, c.argv.key(1))?;
    let found = set.is_some_and(|set| set.contains(Item::Bytes(c.argv.get(2))));
    c.out.int(found.into());
    Ok(())
}

/// `SMISMEMBER key member [member ...]`
pub fn smismember(srv: &mut Server, c: &mut Client) -> CmdResult {
    let set = srv.lookup_read::<Set>(c.db, c.argv.key(1))?;
    c.out.array(c.argv.len() - 2);
    for member in c.argv.iter_from(2) {
        let found = set.as_ref().is_some_and(|set| set.contains(Item::Bytes(member)));
        c.out.int(found.into());
    }
    Ok(())
}

/// `SCARD key`
pub fn scard(srv: &mut Server, c: &mut Client) -> CmdResult {
    let set = srv.lookup_read::<Set>(c.db, c.argv.key(1))?;
    c.out.count(set.map_or(0, |set| set.len()));
    Ok(())
}

/// `SMEMBERS key`
pub fn smembers(srv: &mut Server, c: &mut Client) -> CmdResult {
    match srv.lookup_read::<Set>(c.db, c.argv.key(1))? {
        Some(set) => reply_all(&mut c.out, &set),
        None => c.out.set(0),
    }
    Ok(())
}

/// Replies with all members of a set.
fn reply_all(out: &mut Out, set: &Set) {
    out.set(set.len());
    set.iter().for_each(|item| item.write_to(out));
}

/// `SPOP key [count]`
pub fn spop(srv: &mut Server, c: &mut Client) -> CmdResult {
    match c.argv.len() {
        2 => spop_one(srv, c),
        3 => spop_many(srv, c),
        _ => Err(CmdError::Syntax),
    }
}

fn spop_one(srv: &mut Server, c: &mut Client) -> CmdResult {
    let key = c.argv.key(1);
    let wanted = srv.propagation.wanted;
    let Some(mut entry) = srv.lookup_write::<Set>(c.db, key)? else {
        c.out.null();
        return Ok(());
    };
    let mut popped = None;
    let mut set = entry.object_mut::<Set>();
    set.pop(&mut rand::rng(), |item| {
        item.write_to(&mut c.out);
        popped = wanted.then(|| item.to_vec());
    });
    let emptied = set.is_empty();
    drop(set);
    drop(entry);
    publish(srv, c.db, "spop", key);
    if let Some(member) = popped {
        srv.propagate_as(&[b"SREM", key.bytes, &member]);
    }
    if emptied {
        delete_empty(srv, c.db, key);
    }
    srv.signal_modified(c.db, key.bytes, 1);
    Ok(())
}

fn spop_many(srv: &mut Server, c: &mut Client) -> CmdResult {
    let key = c.argv.key(1);
    let out_of_range = CmdError::text("ERR value is out of range, must be positive");
    let count = c.argv.int(2).ok().and_then(|count| usize::try_from(count).ok()).ok_or(out_of_range)?;
    let (limits, wanted) = (limits(srv), srv.propagation.wanted);
    let Some(mut entry) = srv.lookup_write::<Set>(c.db, key)? else {
        c.out.set(0);
        return Ok(());
    };
    let mut set = entry.object_mut::<Set>();
    if count == 0 {
        c.out.set(0);
        return Ok(());
    }
    let len = set.len();
    if count >= len {
        reply_all(&mut c.out, &set);
        drop(set);
        drop(entry);
        publish(srv, c.db, "spop", key);
        delete_empty(srv, c.db, key);
        let command: &[u8] = if srv.config.lazyfree_lazy_server_del { b"UNLINK" } else { b"DEL" };
        srv.propagate_as(&[command, key.bytes]);
        srv.signal_modified(c.db, key.bytes, len);
        return Ok(());
    }
    let mut popped = Vec::new();
    c.out.set(count);
    set.pop_some(count, limits, &mut rand::rng(), |item| {
        item.write_to(&mut c.out);
        if wanted {
            popped.push(item.to_vec());
        }
    });
    drop(set);
    drop(entry);
    publish(srv, c.db, "spop", key);
    for members in popped.chunks(POPS_PASSED_ON) {
        let args: Vec<&[u8]> =
            [&b"SREM"[..], key.bytes].into_iter().chain(members.iter().map(Vec::as_slice)).collect();
        srv.also_propagate(c.db, &args);
    }
    srv.prevent_propagation();
    srv.signal_modified(c.db, key.bytes, count);
    Ok(())
}

/// `SRANDMEMBER key [count]`
pub fn srandmember(srv: &mut Server, c: &mut Client) -> CmdResult {
    match c.argv.len() {
        2 => {}
        3 => return srandmember_many(srv, c),
        _ => return Err(CmdError::Syntax),
    }
    match srv.lookup_read::<Set>(c.db, c.argv.key(1))?.as_ref().and_then(|set| set.random(&mut rand::rng())) {
        Some(item) => item.write_to(&mut c.out),
        None => c.out.null(),
    }
    Ok(())
}

fn srandmember_many(srv: &mut Server, c: &mut Client) -> CmdResult {
    let count = c.argv.int(2)?;
    if count == i64::MIN {
        return Err(CmdError::text(
            "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
        ));
    }
    let Some(set) = srv.lookup_read::<Set>(c.db, c.argv.key(1))? else {
        c.out.array(0);
        return Ok(());
    };
    let (rng, draws) = (&mut rand::rng(), count.unsigned_abs() as usize);
    if count < 0 {
        c.out.array(draws);
        // Who may not have that much is closed; there is no need to go on then.
        set.random_many(draws, rng, |item| {
            item.write_to(&mut c.out);
            !c.out.overrun()
        });
    } else {
        c.out.array(draws.min(set.len()));
        set.random_unique(draws, rng, |item| item.write_to(&mut c.out));
    }
    Ok(())
}

/// The sets that a command combines, in the order of its keys; `None` stands for a key that is not there.
struct Operands<'a> {
    sets: Vec<Option<ObjectRef<'a, Set>>>,
    /// Whether the first is among the others once more.
    first_again: bool,
}

impl<'a> Operands<'a> {
    /// Those whose keys are the arguments of these numbers.
    fn lookup(
        srv: &'a mut Server,
        db: usize,
        argv: &Argv,
        args: Range<usize>,
    ) -> Result<Operands<'a>, CmdError> {
        let keys: Vec<Key<'_>> = args.map(|i| argv.key(i)).collect();
        for key in &keys {
            srv.lookup_read::<Set>(db, *key)?;
        }
        let (now_ms, database) = (srv.clock.expiry_ms, &srv.dbs[db].keys);
        let find = |key: &Key<'_>| {
            // A lookup has deleted what had expired, unless nothing may be at present.
            let entry = database.find(*key).filter(|entry| !entry.expired(now_ms))?;
            Some(entry.object::<Set>())
        };
        let first_again = keys[1..].iter().any(|key| key.bytes == keys[0].bytes);
        Ok(Operands { sets: keys.iter().map(find).collect(), first_again })
    }

    /// Those that are there.
    fn present(&self) -> impl Iterator<Item = &Set> {
        self.sets.iter().flatten().map(|set| &**set)
    }

    /// All, the smallest first, unless one is missing.
    fn by_size(&self) -> Option<Vec<&Set>> {
        let mut sets: Vec<&Set> = self.sets.iter().map(|set| set.as_deref()).collect::<Option<_>>()?;
        sets.sort_by_key(|set| set.len());
        Some(sets)
    }
}

/// Shows the members that all sets have, until `show` returns false.
fn intersect<'s>(sets: &[&'s Set], mut show: impl FnMut(Item<'s>) -> bool) {
    let Some((smallest, others)) = sets.split_first() else { return };
    for item in smallest.iter() {
        let mut probe = Probe::new(item);
        if others.iter().all(|set| set.contains_probe(&mut probe)) && !show(item) {
            return;
        }
    }
}

/// `SINTER key [key ...]`
pub fn sinter(srv: &mut Server, c: &mut Client) -> CmdResult {
    let operands = Operands::lookup(srv, c.db, &c.argv, 1..c.argv.len())?;
    let Some(sets) = operands.by_size() else {
        c.out.set(0);
        return Ok(());
    };
    reply_shown(&mut c.out, |out, count| {
        intersect(&sets, |item| {
            item.write_to(out);
            *count += 1;
            true
        });
    });
    Ok(())
}

/// Replies with a set of the strings that `show` writes and counts.
fn reply_shown(out: &mut Out, show: impl FnOnce(&mut Out, &mut usize)) {
    let mark = out.mark();
    let mut count = 0;
    show(out, &mut count);
    out.insert_at(mark, |out| out.set(count));
}

/// `SINTERCARD numkeys key [key ...] [LIMIT limit]`
pub fn sintercard(srv: &mut Server, c: &mut Client) -> CmdResult {
    let positive = |i: usize| c.argv.int(i).ok().and_then(|n| usize::try_from(n).ok());
    let keys =
        positive(1).filter(|n| *n > 0).ok_or(CmdError::text("ERR numkeys should be greater than 0"))?;
    if keys > c.argv.len() - 2 {
        return Err(CmdError::text("ERR Number of keys can't be greater than number of args"));
    }
    let mut limit = 0;
    let mut i = 2 + keys;
    while i < c.argv.len() {
        if !c.argv.is(i, b"limit") || i + 1 == c.argv.len() {
            return Err(CmdError::Syntax);
        }
        limit = positive(i + 1).ok_or(CmdError::text("ERR LIMIT can't be negative"))?;
        i += 2;
    }
    let operands = Operands::lookup(srv, c.db, &c.argv, 2..2 + keys)?;
    let mut count = 0;
    intersect(&operands.by_size().unwrap_or_default(), |_| {
        count += 1;
        count != limit
    });
    c.out.count(count);
    Ok(())
}

/// `SINTERSTORE destination key [key ...]`
pub fn sinterstore(srv: &mut Server, c: &mut Client) -> CmdResult {
    let limits = limits(srv);
    let operands = Operands::lookup(srv, c.db, &c.argv, 2..c.argv.len())?;
    let sets = operands.by_size().unwrap_or_default();
    let mut result = match sets.first() {
        Some(Set::IntSet(_)) => Set::IntSet(IntSet::new()),
        _ => Set::Listpack(Listpack::new()),
    };
    let mut integers_only = true;
    intersect(&sets, |item| {
        let item = if integers_only { item.canonical().into() } else { item };
        integers_only &= matches!(item, Item::Integer(_));
        result.add(item, limits)
    });
    if integers_only {
        result.convert_to_intset(limits);
    }
    store(srv, c, result, "sinterstore");
    Ok(())
}

/// Stores the result of a command under argument 1, or deletes that key if there is no member, and replies with the number
/// of members.
fn store(srv: &mut Server, c: &mut Client, result: Set, event: &str) {
    let (key, count) = (c.argv.key(1), result.len());
    if count > 0 {
        srv.set_object(c.db, key, result);
        publish(srv, c.db, event, key);
        srv.dirty(1);
    } else if srv.delete(c.db, key) {
        srv.signal_modified(c.db, key.bytes, 1);
        notify_keyspace_event(srv, NotifyFlags::GENERIC, "del", key.bytes, c.db);
    }
    c.out.count(count);
}

/// `SUNION key [key ...]`
pub fn sunion(srv: &mut Server, c: &mut Client) -> CmdResult {
    let operands = Operands::lookup(srv, c.db, &c.argv, 1..c.argv.len())?;
    let sets: Vec<&Set> = operands.present().collect();
    if let [set] = sets[..] {
        reply_all(&mut c.out, set);
    } else if sets.iter().all(|set| matches!(set, Set::IntSet(_))) {
        // In order, as upstream's are.
        let union: IntSet = sets.iter().flat_map(|set| set.iter()).filter_map(Item::as_integer).collect();
        reply_all(&mut c.out, &Set::IntSet(union));
    } else {
        reply_shown(&mut c.out, |out, count| {
            let mut shown: HashSet<Value<'_>> = HashSet::new();
            for item in sets.iter().flat_map(|set| set.iter()) {
                if shown.insert(item.canonical()) {
                    item.write_to(out);
                }
            }
            *count = shown.len();
        });
    }
    Ok(())
}

/// `SUNIONSTORE destination key [key ...]`
pub fn sunionstore(srv: &mut Server, c: &mut Client) -> CmdResult {
    let limits = limits(srv);
    let operands = Operands::lookup(srv, c.db, &c.argv, 2..c.argv.len())?;
    let mut result = Set::IntSet(IntSet::new());
    for item in operands.present().flat_map(Set::iter) {
        result.add(item, limits);
    }
    store(srv, c, result, "sunionstore");
    Ok(())
}

/// A difference to compute: a set, and those whose members are to be left out.
struct Difference<'s> {
    first: &'s Set,
    others: Vec<&'s Set>,
    /// Whether each member of the first is looked for in the others; if not, it is cheaper to go through the others once.
    by_lookup: bool,
}

impl<'s> Difference<'s> {
    /// `None` if it is empty for sure.
    fn new(operands: &'s Operands<'_>) -> Option<Difference<'s>> {
        let (first, others) = operands.sets.split_first()?;
        let first: &Set = first.as_deref().filter(|_| !operands.first_again)?;
        let mut others: Vec<&Set> = others.iter().flatten().map(|set| &**set).collect();
        let total: usize = first.len() + others.iter().map(|set| set.len()).sum::<usize>();
        // Half: a lookup often ends early, and costs less than an insertion.
        let by_lookup = first.len() * (1 + others.len()) / 2 <= total;
        if by_lookup {
            // Where most is, a member is found soonest.
            others.sort_by_key(|set| std::cmp::Reverse(set.len()));
        }
        Some(Difference { first, others, by_lookup })
    }

    /// Shows the members of the difference.
    fn each(&self, mut show: impl FnMut(Item<'s>)) {
        if self.by_lookup {
            for item in self.first.iter() {
                let mut probe = Probe::new(item);
                if !self.others.iter().any(|set| set.contains_probe(&mut probe)) {
                    show(item);
                }
            }
        } else {
            let left_out: HashSet<Value<'_>> =
                self.others.iter().flat_map(|set| set.iter()).map(Item::canonical).collect();
            self.first.iter().filter(|item| !left_out.contains(&item.canonical())).for_each(show);
        }
    }

    /// The difference as a set to store.
    fn to_set(&self, limits: Limits) -> Set {
        let mut result = Set::IntSet(IntSet::new());
        if self.by_lookup {
            self.each(|item| {
                result.add(item, limits);
            });
            return result;
        }
        // The result has the encoding that all of the first set needs, as upstream's has.
        for item in self.first.iter() {
            result.add(item, limits);
        }
        for item in self.others.iter().flat_map(|set| set.iter()) {
            result.remove(item);
        }
        result
    }
}

/// `SDIFF key [key ...]`
pub fn sdiff(srv: &mut Server, c: &mut Client) -> CmdResult {
    let operands = Operands::lookup(srv, c.db, &c.argv, 1..c.argv.len())?;
    reply_shown(&mut c.out, |out, count| {
        if let Some(difference) = Difference::new(&operands) {
            difference.each(|item| {
                item.write_to(out);
                *count += 1;
            });
        }
    });
    Ok(())
}

/// `SDIFFSTORE destination key [key ...]`
pub fn sdiffstore(srv: &mut Server, c: &mut Client) -> CmdResult {
    let limits = limits(srv);
    let operands = Operands::lookup(srv, c.db, &c.argv, 2..c.argv.len())?;
    let result = Difference::new(&operands).map(|difference| difference.to_set(limits));
    store(srv, c, result.unwrap_or_else(|| Set::IntSet(IntSet::new())), "sdiffstore");
    Ok(())
}

/// `SSCAN key cursor [MATCH pattern] [COUNT count]`
pub fn sscan(srv: &mut Server, c: &mut Client) -> CmdResult {
    let cursor = scan::cursor(&c.argv, 2)?;
    let Some(set) = srv.lookup_read::<Set>(c.db, c.argv.key(1))? else {
        scan::reply_empty(&mut c.out);
        return Ok(());
    };
    let options = ScanOptions::parse(&c.argv, 3, Scanned::Members)?;
    let mut digits = itoa::Buffer::new();
    scan::reply(&mut c.out, &options, cursor, |cursor, page| {
        set.scan(cursor, |item| {
            let text = item.text(&mut digits);
            if page.admits(text) {
                page.show(text);
            }
        })
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::server::testing::Bench;

    /// As Redis 8.0.2 writes them to its append-only file.
    #[test]
    fn random_pops_are_passed_on_by_name() {
        let mut bench = Bench::new();
        bench.check_propagation(
            "sadd a 1 -> sadd a 1
             sadd a 1 -> nothing
             spop a -> SREM a 1
             spop a -> nothing
             sadd a 1 2 3 -> sadd a 1 2 3
             spop a 0 -> nothing
             spop a 10 -> DEL a
             sadd a 1 -> sadd a 1
             smove a b 1 -> smove a b 1
             smove b b 1 -> nothing
             sdiffstore c b none -> sdiffstore c b none
             sdiffstore c b b -> sdiffstore c b b
             sdiffstore c b b -> nothing
             srem b 1 2 -> srem b 1 2
             srem b 1 2 -> nothing
             config set lazyfree-lazy-server-del yes -> nothing
             sadd a 1 2 3 -> sadd a 1 2 3
             spop a 3 -> UNLINK a",
        );
    }

    #[test]
    fn many_pops_are_passed_on_in_parts() {
        let mut bench = Bench::new();
        let members: Vec<String> = (0..4000).map(|number| format!("m{number}")).collect();
        bench.run(&format!("sadd a {}", members.join(" ")));
        let sent = bench.propagated("spop a 2500");
        let words: Vec<usize> = sent.iter().map(|command| command.split(' ').count()).collect();
        assert_eq!(words, [1, 1026, 1026, 454, 1]);
        assert!(sent[1..4].iter().all(|command| command.starts_with("SREM a m")));
        assert_eq!(bench.run("scard a"), ":1500\r\n");
    }
}
