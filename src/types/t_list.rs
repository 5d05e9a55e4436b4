//! Lists: pushing and popping, also while waiting, and everything by index or by text.
//!
//! A command looks its key up once and works on the value in place; what it reads goes from the list to the reply without
//! a copy between. It tells the value when to convert ([`List::grow`] before elements are added, [`List::shrink`] after
//! some were removed), at the moments at which upstream does.
//!
//! The blocking commands are the others with a wait: they look, and serve or block, and are run again as a whole when one
//! of their keys becomes ready ([`blocked`]). Once served they are propagated as the command that does not wait.

use std::ops::{ControlFlow, Range};

use bytes::Bytes;

use crate::db::blocked::{self, TimeoutUnit};
use crate::db::notify::{NotifyFlags, notify_keyspace_event};
use crate::db::object::{Collection, Entry, List, Type};
use crate::ds::quicklist::{Element, End, Limits, Needle, Side};
use crate::server::{Argv, Client, CmdError, CmdResult, Key, Out, Server};

/// The limits of lists that are made or converted now.
pub fn limits(srv: &Server) -> Limits {
    let limits = Limits::new(srv.config.list_max_listpack_size, srv.config.list_compress_depth);
    match srv.debug.packed_threshold {
        0 => limits,
        bytes => limits.with_packed_threshold(bytes),
    }
}

/// Replies with an element.
#[inline]
pub fn reply(out: &mut Out, element: Element<'_>) {
    match element {
        Element::Integer(value) => out.bulk_int(value),
        Element::String(text) => out.bulk(text),
        Element::Block(block) => out.bulk_shared(block),
    }
}

/// Argument `i` as an element to store.
#[inline]
fn new_element(argv: &Argv, i: usize) -> Element<'_> {
    match argv.big_arg(i) {
        Some(block) => Element::Block(block),
        None => Element::String(argv.get(i)),
    }
}

/// Looks up the list of a key and works on it; `None` if there is no such key.
#[inline]
fn edit<R>(
    srv: &mut Server,
    db: usize,
    key: Key<'_>,
    work: impl FnOnce(&mut List) -> R,
) -> Result<Option<R>, CmdError> {
    let entry = srv.lookup_write::<List>(db, key)?;
    Ok(entry.map(|mut entry| work(&mut entry.object_mut::<List>())))
}

/// Publishes an event of the class of lists.
#[inline]
fn publish(srv: &mut Server, db: usize, event: &str, key: Key<'_>) {
    notify_keyspace_event(srv, NotifyFlags::LIST, event, key.bytes, db);
}

/// How pushing to that end, and popping from it, are called.
fn push_event(end: End) -> &'static str {
    if end == End::Head { "lpush" } else { "rpush" }
}

fn pop_event(end: End) -> &'static str {
    if end == End::Head { "lpop" } else { "rpop" }
}

/// The command that pops from that end, as it is propagated.
fn pop_command(end: End) -> &'static [u8] {
    if end == End::Head { b"LPOP" } else { b"RPOP" }
}

/// Argument `i`: `LEFT` or `RIGHT`.
fn end_arg(argv: &Argv, i: usize) -> Result<End, CmdError> {
    if argv.is(i, b"left") {
        Ok(End::Head)
    } else if argv.is(i, b"right") {
        Ok(End::Tail)
    } else {
        Err(CmdError::Syntax)
    }
}

/// Argument `i` as a number that is `least` or more; if it is not, or no number at all, `error` says so.
fn count_arg(argv: &Argv, i: usize, least: i64, error: &'static str) -> Result<usize, CmdError> {
    match argv.int(i) {
        Ok(count) if count >= least => Ok(count as usize),
        _ => Err(CmdError::text(error)),
    }
}

/// Argument `i` as a number that has a positive and a negative form.
fn signed_arg(argv: &Argv, i: usize) -> Result<i64, CmdError> {
    const TOO_SMALL: CmdError = CmdError::text(
        "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
    );
    argv.int(i).and_then(|value| if value == i64::MIN { Err(TOO_SMALL) } else { Ok(value) })
}

/// What indexes `start` to `end`, both included and negative ones counted from the tail, are of a list of that length.
fn index_range(start: i64, end: i64, len: usize) -> Range<usize> {
    let len = len as i64;
    let from_head = |index: i64| if index < 0 { len + index } else { index };
    let (start, end) = (from_head(start).max(0), from_head(end).min(len - 1));
    if start > end { 0..0 } else { start as usize..end as usize + 1 }
}

/// An index, negative ones counted from the tail, as one from the head, if it is not beyond either.
fn index_from_head(index: i64, len: usize) -> Option<usize> {
    let index = if index < 0 { (len as i64).checked_add(index)? } else { index };
    usize::try_from(index).ok().filter(|index| *index < len)
}

// ---- pushing ----

/// `LPUSH key element [element ...]`
pub fn lpush(srv: &mut Server, c: &mut Client) -> CmdResult {
    push(srv, c, End::Head, false)
}

/// `RPUSH key element [element ...]`
pub fn rpush(srv: &mut Server, c: &mut Client) -> CmdResult {
    push(srv, c, End::Tail, false)
}

/// `LPUSHX key element [element ...]`
pub fn lpushx(srv: &mut Server, c: &mut Client) -> CmdResult {
    push(srv, c, End::Head, true)
}

/// `RPUSHX key element [element ...]`
pub fn rpushx(srv: &mut Server, c: &mut Client) -> CmdResult {
    push(srv, c, End::Tail, true)
}

fn push(srv: &mut Server, c: &mut Client, end: End, only_existing: bool) -> CmdResult {
    let limits = limits(srv);
    let key = c.argv.key(1);
    let len = match edit(srv, c.db, key, |list| push_args(list, &c.argv, end, &limits))? {
        Some(len) => len,
        None if only_existing => 0,
        None => {
            let mut list = List::new();
            let len = push_args(&mut list, &c.argv, end, &limits);
            add(srv, c.db, key, list);
            len
        }
    };
    if len > 0 {
        srv.signal_modified(c.db, key.bytes, c.argv.len() - 2);
        publish(srv, c.db, push_event(end), key);
    }
    c.out.count(len);
    Ok(())
}

/// Pushes all arguments from number 2 on. Returns the length of the list then.
#[inline]
fn push_args(list: &mut List, argv: &Argv, end: End, limits: &Limits) -> usize {
    list.grow(limits, argv.len() - 2, argv.iter_from(2).map(<[u8]>::len).sum());
    for i in 2..argv.len() {
        list.push(end, new_element(argv, i));
    }
    list.len()
}

/// Adds a list under a key that is not there.
fn add(srv: &mut Server, db: usize, key: Key<'_>, list: List) {
    let entry = Entry::with_object(key.bytes, list, None, srv.initial_clock());
    srv.add_entry(db, key, entry);
}

// ---- popping ----

/// `LPOP key [count]`
pub fn lpop(srv: &mut Server, c: &mut Client) -> CmdResult {
    pop(srv, c, End::Head)
}

/// `RPOP key [count]`
pub fn rpop(srv: &mut Server, c: &mut Client) -> CmdResult {
    pop(srv, c, End::Tail)
}

fn pop(srv: &mut Server, c: &mut Client, end: End) -> CmdResult {
    let count = match c.argv.len() {
        2 => None,
        3 => Some(count_arg(&c.argv, 2, 0, "ERR value is out of range, must be positive")?),
        _ => return Err(CmdError::Arity(pop_event(end))),
    };
    let limits = limits(srv);
    let key = c.argv.key(1);
    let popped = edit(srv, c.db, key, |list| match count {
        None => pop_one(list, &mut c.out, end, &limits),
        Some(count) => pop_many(list, &mut c.out, end, count, &limits),
    })?;
    match popped {
        Some(popped) => after_pop(srv, c.db, key, end, popped),
        None if count.is_some() => c.out.null_array(),
        None => c.out.null(),
    }
    Ok(())
}

/// What was popped from a list.
struct Popped {
    count: usize,
    /// Whether nothing is left.
    emptied: bool,
}

/// Replies with the element at that end, and removes it.
#[inline]
fn pop_one(list: &mut List, out: &mut Out, end: End, limits: &Limits) -> Popped {
    list.pop(end, |element| reply(out, element));
    Popped { count: 1, emptied: shrink(list, limits) }
}

/// Replies with up to `count` elements from that end on, in the order in which they would be popped, and removes them.
fn pop_many(list: &mut List, out: &mut Out, end: End, count: usize, limits: &Limits) -> Popped {
    let len = list.len();
    let count = count.min(len);
    out.array(count);
    let visit = |element: Element<'_>| {
        reply(out, element);
        ControlFlow::Continue(())
    };
    match end {
        End::Head => {
            list.visit(0..count, visit);
            list.delete_range(0, count);
        }
        End::Tail => {
            list.visit_back(len - count..len, visit);
            list.delete_range(len - count, count);
        }
    }
    Popped { count, emptied: count > 0 && shrink(list, limits) }
}

/// Lets a list that lost elements take the form for its size. Returns whether nothing is left of it.
fn shrink(list: &mut List, limits: &Limits) -> bool {
    let emptied = list.is_empty();
    if !emptied {
        list.shrink(limits);
    }
    emptied
}

/// Publishes and counts what was popped.
fn after_pop(srv: &mut Server, db: usize, key: Key<'_>, end: End, popped: Popped) {
    if popped.count > 0 {
        after_removal(srv, db, key, pop_event(end), popped.count, popped.emptied);
    }
}

/// Publishes and counts that elements were removed, and deletes the key of a list of which nothing is left.
fn after_removal(srv: &mut Server, db: usize, key: Key<'_>, event: &str, removed: usize, emptied: bool) {
    publish(srv, db, event, key);
    if emptied {
        srv.delete(db, key);
        notify_keyspace_event(srv, NotifyFlags::GENERIC, "del", key.bytes, db);
    }
    srv.signal_modified(db, key.bytes, removed);
}

/// What LMPOP and BLMPOP are told.
struct MultiPop {
    /// The numbers of the arguments that are keys.
    keys: Range<usize>,
    end: End,
    count: usize,
}

impl MultiPop {
    /// Reads the arguments from `numkeys` on.
    fn parse(argv: &Argv, numkeys: usize) -> Result<MultiPop, CmdError> {
        let keys = count_arg(argv, numkeys, 1, "ERR numkeys should be greater than 0")?;
        let at = keys.checked_add(numkeys + 1).filter(|at| *at < argv.len()).ok_or(CmdError::Syntax)?;
        let end = end_arg(argv, at)?;
        let count = match argv.len() - at - 1 {
            0 => 1,
            _ if !argv.is(at + 1, b"count") || argv.len() == at + 2 => return Err(CmdError::Syntax),
            more => {
                let count = count_arg(argv, at + 2, 1, "ERR count should be greater than 0")?;
                if more > 2 {
                    return Err(CmdError::Syntax);
                }
                count
            }
        };
        Ok(MultiPop { keys: numkeys + 1..at, end, count })
    }

    /// Serves the client from the first of the lists that there is. Returns whether there is one.
    fn serve(&self, srv: &mut Server, c: &mut Client) -> Result<bool, CmdError> {
        let limits = limits(srv);
        for key in self.keys.clone().map(|i| c.argv.key(i)) {
            let popped = edit(srv, c.db, key, |list| {
                c.out.array(2);
                c.out.bulk(key.bytes);
                pop_many(list, &mut c.out, self.end, self.count, &limits)
            })?;
            let Some(popped) = popped else { continue };
            let count = popped.count.to_string();
            after_pop(srv, c.db, key, self.end, popped);
            srv.propagate_as(&[pop_command(self.end), key.bytes, count.as_bytes()]);
            return Ok(true);
        }
        Ok(false)
    }
}

/// `LMPOP numkeys key [key ...] LEFT | RIGHT [COUNT count]`
pub fn lmpop(srv: &mut Server, c: &mut Client) -> CmdResult {
    if !MultiPop::parse(&c.argv, 1)?.serve(srv, c)? {
        c.out.null_array();
    }
    Ok(())
}

// ---- moving ----

/// From where to where LMOVE and its kin move an element.
#[derive(Clone, Copy)]
struct Move {
    from: End,
    to: End,
}

impl Move {
    /// What RPOPLPUSH does.
    const RPOPLPUSH: Move = Move { from: End::Tail, to: End::Head };

    /// The two ends that LMOVE is told.
    fn parse(argv: &Argv) -> Result<Move, CmdError> {
        Ok(Move { from: end_arg(argv, 3)?, to: end_arg(argv, 4)? })
    }

    /// Moves an element from the first key to the second, and replies with it. Returns whether there is one.
    fn serve(self, srv: &mut Server, c: &mut Client) -> Result<bool, CmdError> {
        let limits = limits(srv);
        let (source, destination) = (c.argv.key(1), c.argv.key(2));
        if srv.lookup_write::<List>(c.db, source)?.is_none() {
            return Ok(false);
        }
        let exists = srv.lookup_write::<List>(c.db, destination)?.is_some();
        // The destination is known to be a list or missing, so nothing can fail from here on.
        let Some(element) =
            with_list(srv, c.db, source, |list| list.pop(self.from, |element| element.to_bytes())).flatten()
        else {
            return Ok(false);
        };
        let pushed = |list: &mut List| {
            list.grow(&limits, 1, element.len());
            list.push(self.to, Element::Block(&element));
        };
        if exists {
            with_list(srv, c.db, destination, pushed);
        } else {
            let mut list = List::new();
            pushed(&mut list);
            add(srv, c.db, destination, list);
        }
        srv.signal_modified(c.db, destination.bytes, 0);
        publish(srv, c.db, push_event(self.to), destination);
        c.out.bulk_shared(&element);
        let emptied = with_list(srv, c.db, source, |list| shrink(list, &limits)).unwrap_or(false);
        after_pop(srv, c.db, source, self.from, Popped { count: 1, emptied });
        Ok(true)
    }

    fn run(self, srv: &mut Server, c: &mut Client) -> CmdResult {
        if !self.serve(srv, c)? {
            c.out.null();
        }
        Ok(())
    }
}

/// Works on the list of a key that was looked up before. `None` if there is none.
fn with_list<R>(srv: &mut Server, db: usize, key: Key<'_>, work: impl FnOnce(&mut List) -> R) -> Option<R> {
    let mut entry = srv.dbs[db].keys.find_mut(key)?;
    Some(work(&mut entry.object_mut::<List>()))
}

/// `LMOVE source destination LEFT | RIGHT LEFT | RIGHT`
pub fn lmove(srv: &mut Server, c: &mut Client) -> CmdResult {
    Move::parse(&c.argv)?.run(srv, c)
}

/// `RPOPLPUSH source destination`
pub fn rpoplpush(srv: &mut Server, c: &mut Client) -> CmdResult {
    Move::RPOPLPUSH.run(srv, c)
}

// ---- waiting ----

/// Has the client wait for one of the keys that are these arguments.
fn block(srv: &mut Server, c: &mut Client, keys: Range<usize>, deadline_ms: Option<u64>) {
    let keys: Vec<Bytes> = keys.map(|i| c.argv.bytes(i)).collect();
    let keys: Vec<&[u8]> = keys.iter().map(Bytes::as_ref).collect();
    blocked::block_for_keys(srv, c, Type::List, &keys, deadline_ms, false);
}

/// `BLPOP key [key ...] timeout`
pub fn blpop(srv: &mut Server, c: &mut Client) -> CmdResult {
    blocking_pop(srv, c, End::Head)
}

/// `BRPOP key [key ...] timeout`
pub fn brpop(srv: &mut Server, c: &mut Client) -> CmdResult {
    blocking_pop(srv, c, End::Tail)
}

fn blocking_pop(srv: &mut Server, c: &mut Client, end: End) -> CmdResult {
    let keys = 1..c.argv.len() - 1;
    let deadline_ms = blocked::timeout_arg(srv, &c.argv, keys.end, TimeoutUnit::Seconds)?;
    let limits = limits(srv);
    for key in keys.clone().map(|i| c.argv.key(i)) {
        let popped = edit(srv, c.db, key, |list| {
            c.out.array(2);
            c.out.bulk(key.bytes);
            pop_one(list, &mut c.out, end, &limits)
        })?;
        let Some(popped) = popped else { continue };
        after_pop(srv, c.db, key, end, popped);
        srv.propagate_as(&[pop_command(end), key.bytes]);
        return Ok(());
    }
    if c.may_block() {
        block(srv, c, keys, deadline_ms);
    } else {
        c.out.null_array();
    }
    Ok(())
}

/// `BLMPOP timeout numkeys key [key ...] LEFT | RIGHT [COUNT count]`
pub fn blmpop(srv: &mut Server, c: &mut Client) -> CmdResult {
    let pop = MultiPop::parse(&c.argv, 2)?;
    let deadline_ms = blocked::timeout_arg(srv, &c.argv, 1, TimeoutUnit::Seconds)?;
    if pop.serve(srv, c)? {
        return Ok(());
    }
    if c.may_block() {
        block(srv, c, pop.keys, deadline_ms);
    } else {
        c.out.null_array();
    }
    Ok(())
}

/// `BLMOVE source destination LEFT | RIGHT LEFT | RIGHT timeout`
pub fn blmove(srv: &mut Server, c: &mut Client) -> CmdResult {
    let moving = Move::parse(&c.argv)?;
    if blocking_move(srv, c, moving, 5)? {
        let [source, destination, from, to] = [1, 2, 3, 4].map(|i| c.argv.get(i));
        srv.propagate_as(&[b"LMOVE", source, destination, from, to]);
    }
    Ok(())
}

/// `BRPOPLPUSH source destination timeout`
pub fn brpoplpush(srv: &mut Server, c: &mut Client) -> CmdResult {
    if blocking_move(srv, c, Move::RPOPLPUSH, 3)? {
        srv.propagate_as(&[b"RPOPLPUSH", c.argv.get(1), c.argv.get(2)]);
    }
    Ok(())
}

/// Moves an element, or waits for the first key. Returns whether it has moved one.
fn blocking_move(srv: &mut Server, c: &mut Client, moving: Move, timeout: usize) -> Result<bool, CmdError> {
    let deadline_ms = blocked::timeout_arg(srv, &c.argv, timeout, TimeoutUnit::Seconds)?;
    let moved = moving.serve(srv, c)?;
    if !moved && c.may_block() {
        block(srv, c, 1..2, deadline_ms);
    } else if !moved {
        c.out.null();
    }
    Ok(moved)
}

// ---- reading ----

/// `LLEN key`
pub fn llen(srv: &mut Server, c: &mut Client) -> CmdResult {
    let len = srv.lookup_read::<List>(c.db, c.argv.key(1))?.map_or(0, |list| list.len());
    c.out.count(len);
    Ok(())
}

/// `LINDEX key index`
pub fn lindex(srv: &mut Server, c: &mut Client) -> CmdResult {
    let Some(list) = srv.lookup_read::<List>(c.db, c.argv.key(1))? else {
        c.out.null();
        return Ok(());
    };
    let index = index_from_head(c.argv.int(2)?, list.len());
    if index.and_then(|index| list.get(index, |element| reply(&mut c.out, element))).is_none() {
        c.out.null();
    }
    Ok(())
}

/// `LRANGE key start stop`
pub fn lrange(srv: &mut Server, c: &mut Client) -> CmdResult {
    let (start, end) = (c.argv.int(2)?, c.argv.int(3)?);
    let Some(list) = srv.lookup_read::<List>(c.db, c.argv.key(1))? else {
        c.out.array(0);
        return Ok(());
    };
    let range = index_range(start, end, list.len());
    c.out.array(range.len());
    list.visit(range, |element| {
        reply(&mut c.out, element);
        ControlFlow::Continue(())
    });
    Ok(())
}

/// The options of LPOS.
struct PositionOptions {
    /// Which of the matches is the first to count, negative ones from the tail.
    rank: i64,
    /// How many matches to reply with, 0 for all; `None` for one that is not in an array.
    count: Option<usize>,
    /// How many elements to look at.
    most: usize,
}

impl PositionOptions {
    fn parse(argv: &Argv) -> Result<PositionOptions, CmdError> {
        let mut options = PositionOptions { rank: 1, count: None, most: usize::MAX };
        let mut i = 3;
        while i < argv.len() {
            if i + 1 == argv.len() {
                return Err(CmdError::Syntax);
            }
            match argv.get(i).to_ascii_uppercase().as_slice() {
                b"RANK" => options.rank = rank_arg(argv, i + 1)?,
                b"COUNT" => options.count = Some(count_arg(argv, i + 1, 0, "ERR COUNT can't be negative")?),
                b"MAXLEN" => {
                    let most = count_arg(argv, i + 1, 0, "ERR MAXLEN can't be negative")?;
                    options.most = if most == 0 { usize::MAX } else { most };
                }
                _ => return Err(CmdError::Syntax),
            }
            i += 2;
        }
        Ok(options)
    }

    /// The indexes of the elements that are asked for.
    fn find(&self, list: &List, needle: &Needle<'_>) -> Vec<usize> {
        let (len, looked_at) = (list.len(), self.most.min(list.len()));
        let most = match self.count {
            None => 1,
            Some(0) => usize::MAX,
            Some(count) => count,
        };
        let mut found = Vec::new();
        let mut skip = self.rank.unsigned_abs() - 1;
        let mut seen = 0;
        let mut visit = |element: Element<'_>| {
            seen += 1;
            if !needle.is(element) {
                return ControlFlow::Continue(());
            }
            if skip > 0 {
                skip -= 1;
                return ControlFlow::Continue(());
            }
            found.push(if self.rank > 0 { seen - 1 } else { len - seen });
            if found.len() == most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        if self.rank > 0 {
            list.visit(0..looked_at, &mut visit);
        } else {
            list.visit_back(len - looked_at..len, &mut visit);
        }
        found
    }
}

fn rank_arg(argv: &Argv, i: usize) -> Result<i64, CmdError> {
    const ZERO: CmdError = CmdError::text(
        "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start \
         from the end of the list",
    );
    signed_arg(argv, i).and_then(|rank| if rank == 0 { Err(ZERO) } else { Ok(rank) })
}

/// `LPOS key element [RANK rank] [COUNT num-matches] [MAXLEN len]`
pub fn lpos(srv: &mut Server, c: &mut Client) -> CmdResult {
    let options = PositionOptions::parse(&c.argv)?;
    let found = match srv.lookup_read::<List>(c.db, c.argv.key(1))? {
        Some(list) => options.find(&list, &Needle::new(c.argv.get(2))),
        None => Vec::new(),
    };
    if options.count.is_some() {
        c.out.array(found.len());
        found.into_iter().for_each(|index| c.out.count(index));
    } else {
        match found.first() {
            Some(index) => c.out.count(*index),
            None => c.out.null(),
        }
    }
    Ok(())
}

// ---- changing ----

/// `LSET key index element`
pub fn lset(srv: &mut Server, c: &mut Client) -> CmdResult {
    let limits = limits(srv);
    let key = c.argv.key(1);
    let replaced = edit(srv, c.db, key, |list| {
        // Upstream keeps 32 bits of the index, so that 4294967296 is the first element and not out of range.
        let index = c.argv.int(2)? as i32;
        let element = new_element(&c.argv, 3);
        list.grow(&limits, 1, element.len());
        let index = index_from_head(index.into(), list.len()).ok_or(CmdError::OutOfRange)?;
        list.replace(index, element);
        list.shrink(&limits);
        Ok(())
    })?;
    replaced.ok_or(CmdError::NoSuchKey)??;
    srv.signal_modified(c.db, key.bytes, 1);
    publish(srv, c.db, "lset", key);
    c.out.ok();
    Ok(())
}

/// `LINSERT key BEFORE | AFTER pivot element`
pub fn linsert(srv: &mut Server, c: &mut Client) -> CmdResult {
    let side = if c.argv.is(2, b"after") {
        Side::After
    } else if c.argv.is(2, b"before") {
        Side::Before
    } else {
        return Err(CmdError::Syntax);
    };
    let limits = limits(srv);
    let key = c.argv.key(1);
    let len = edit(srv, c.db, key, |list| {
        let element = new_element(&c.argv, 4);
        // As upstream does it, also if there is no such pivot.
        list.grow(&limits, 1, element.len());
        let index = list.position(&Needle::new(c.argv.get(3)))?;
        list.insert(index, side, element);
        Some(list.len())
    })?;
    match len {
        None => c.out.int(0),
        Some(None) => c.out.int(-1),
        Some(Some(len)) => {
            srv.signal_modified(c.db, key.bytes, 1);
            publish(srv, c.db, "linsert", key);
            c.out.count(len);
        }
    }
    Ok(())
}

/// `LTRIM key start stop`
pub fn ltrim(srv: &mut Server, c: &mut Client) -> CmdResult {
    let (start, end) = (c.argv.int(2)?, c.argv.int(3)?);
    let limits = limits(srv);
    let key = c.argv.key(1);
    let trimmed = edit(srv, c.db, key, |list| {
        let len = list.len();
        let kept = index_range(start, end, len);
        list.delete_range(kept.end, len);
        list.delete_range(0, kept.start);
        (len - kept.len(), shrink(list, &limits))
    })?;
    if let Some((removed, emptied)) = trimmed {
        after_removal(srv, c.db, key, "ltrim", removed, emptied);
    }
    c.out.ok();
    Ok(())
}

/// `LREM key count element`
pub fn lrem(srv: &mut Server, c: &mut Client) -> CmdResult {
    let count = signed_arg(&c.argv, 2)?;
    let limits = limits(srv);
    let key = c.argv.key(1);
    let end = if count < 0 { End::Tail } else { End::Head };
    let most = if count == 0 { usize::MAX } else { count.unsigned_abs() as usize };
    let removed = edit(srv, c.db, key, |list| {
        let removed = list.remove(&Needle::new(c.argv.get(3)), most, end);
        (removed, removed > 0 && shrink(list, &limits))
    })?;
    let (removed, emptied) = removed.unwrap_or_default();
    if removed > 0 {
        after_removal(srv, c.db, key, "lrem", removed, emptied);
    }
    c.out.count(removed);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_to_the_list() {
        for ((start, end), expected) in [
            ((0, -1), 0..5),
            ((-100, 100), 0..5),
            ((1, 3), 1..4),
            ((-2, -1), 3..5),
            ((4, 4), 4..5),
            ((0, -5), 0..1),
            ((i64::MIN, i64::MAX), 0..5),
            ((i64::MAX, i64::MIN), 0..0),
            ((5, 10), 0..0),
            ((3, 2), 0..0),
            ((0, -6), 0..0),
        ] {
            assert_eq!(index_range(start, end, 5), expected, "{start} {end}");
        }
    }

    #[test]
    fn indexes_count_from_both_ends() {
        for (index, expected) in [
            (0, Some(0)),
            (4, Some(4)),
            (5, None),
            (-1, Some(4)),
            (-5, Some(0)),
            (-6, None),
            (i64::MIN, None),
        ] {
            assert_eq!(index_from_head(index, 5), expected);
        }
    }
}
