//! Clients that wait for keys: `BLPOP`, `BZPOPMIN`, `XREAD BLOCK` and their kin.
//!
//! A command that finds nothing calls [`block_for_keys`] and returns without a reply. Its arguments are kept, the client
//! reads no further, and the loop goes on. When a key that it waits for comes to hold a value of the type it waits for, the
//! whole command is *run again*, through the same dispatch as the first time: it finds something and answers, or finds
//! that another was faster and blocks again, behind those who came meanwhile. So there is one implementation of each
//! command, and what may have changed while it waited (rights, memory, the type of the key) is checked anew.
//!
//! # When keys become ready
//!
//! A write signals the key ([`signal_key_as_ready`], which [`Server::add_entry`] does for new keys) while its command or
//! transaction runs; clients are served once that has ended ([`serve_ready`]), so that they see all of its effects and none
//! of its middle. Keys are served in the order they became ready, and the clients of a key in the order they came.
//! Serving may make other keys ready (`BLMOVE` into a list that others wait for): it goes on until none is.
//!
//! Some commands also want to hear that their key is gone (`XREADGROUP`, whose group goes with it): they say
//! `unblock_on_nokey`, and are run again when it is deleted, or replaced by a value of another type.
//!
//! # Time
//!
//! Deadlines are kept in order, and the loop sleeps no longer than to the first: nothing is polled. A wait ends in the first
//! millisecond after its deadline, so that none is shorter than was asked for.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use bytes::Bytes;
use mio::Token;

use crate::db::object::Type;
use crate::ds::numbers;
use crate::persistence::aof::waitaof::AofWait;
use crate::server::client::{ClientFlags, ClientId};
use crate::server::commands::CommandSpec;
use crate::server::{Argv, Client, CmdError, Server, dispatch, monitor, networking};

/// The wait of a client.
#[derive(Debug)]
pub struct BlockState {
    waits_for: Wait,
    /// Whether it also wants to know that a key is gone.
    on_nokey: bool,
    /// Its database.
    db: usize,
    /// The keys, each once, and the client's place in the queue of each.
    keys: Vec<(Bytes, u64)>,
    /// Unix time of the end of its patience, in milliseconds.
    deadline_ms: Option<u64>,
    /// The command, to be run again.
    spec: &'static CommandSpec,
    argv: Argv,
}

/// What a client can wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// One of its keys holds a value of this type.
    Value(Type),
    /// The keys that it removed are freed.
    Flush,
    /// What it wrote is on disk.
    Aof(AofWait),
}

impl Wait {
    /// The type of value, if that is it.
    fn value_type(self) -> Option<Type> {
        if let Wait::Value(value_type) = self { Some(value_type) } else { None }
    }
}

impl BlockState {
    /// Whether the command is not over: it will be run again.
    pub fn runs_again(&self) -> bool {
        self.waits_for.value_type().is_some()
    }
}

/// Those who wait for one key.
#[derive(Debug, Default)]
struct Queue {
    /// By their place, which counts up.
    clients: BTreeMap<u64, ClientId>,
    /// How many of them want to know that the key is gone.
    on_nokey: usize,
    /// Whether the key is on the list of those that became ready.
    ready: bool,
}

/// What is known of all waiting clients.
#[derive(Debug, Default)]
pub struct Blocked {
    queues: HashMap<(usize, Bytes), Queue>,
    deadlines: BTreeSet<(u64, ClientId)>,
    /// Waiting clients by the type they wait for, so that a write nobody waits for costs nothing.
    by_type: [usize; Type::NUMBERS],
    /// Waiting clients that want to know that their key is gone.
    on_nokey: usize,
    clients: usize,
    /// Who waits for the disk.
    waiting_for_aof: Vec<ClientId>,
    next_place: u64,
    /// Keys that became ready and were not served yet.
    ready: Vec<(usize, Bytes)>,
    serving: bool,
    /// Clients that wait no longer, and may have sent more meanwhile.
    unblocked: Vec<ClientId>,
}

impl Blocked {
    /// Number of waiting clients.
    pub fn clients(&self) -> usize {
        self.clients
    }

    /// Number of keys that are waited for.
    pub fn keys(&self) -> usize {
        self.queues.len()
    }

    /// Number of keys whose disappearance is waited for as well.
    pub fn keys_on_nokey(&self) -> usize {
        self.queues.values().filter(|queue| queue.on_nokey > 0).count()
    }

    /// Number of clients whose patience is limited.
    pub fn deadlines(&self) -> usize {
        self.deadlines.len()
    }

    /// Whether keys are ready or clients are to go on, so that the loop must not sleep.
    pub fn has_work(&self) -> bool {
        !self.ready.is_empty() || !self.unblocked.is_empty()
    }

    /// Whether keys are ready.
    #[inline]
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Marks a key that is waited for as ready.
    fn mark_ready(&mut self, db: usize, key: &[u8], only_on_nokey: bool) {
        let name = (db, Bytes::copy_from_slice(key));
        if let Some(queue) = self.queues.get_mut(&name)
            && !queue.ready
            && (!only_on_nokey || queue.on_nokey > 0)
        {
            queue.ready = true;
            self.ready.push(name);
        }
    }
}

/// The unit in which a command takes its timeout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeoutUnit {
    /// Seconds, with a fraction.
    Seconds,
    /// Whole milliseconds.
    Milliseconds,
}

/// The timeout that argument `i` holds, as the Unix time in milliseconds when it ends; `None` if it never does.
///
/// # Errors
/// Upstream's, for what is no number, negative, or beyond the end of time.
pub fn timeout_arg(srv: &Server, argv: &Argv, i: usize, unit: TimeoutUnit) -> Result<Option<u64>, CmdError> {
    const NEGATIVE: CmdError = CmdError::text("ERR timeout is negative");
    const OUT_OF_RANGE: CmdError = CmdError::text("ERR timeout is out of range");
    let ms = match unit {
        TimeoutUnit::Seconds => {
            let seconds = numbers::parse_f64(argv.get(i))
                .filter(|seconds| !seconds.is_nan())
                .ok_or(CmdError::text("ERR timeout is not a float or out of range"))?;
            let ms = (seconds * 1000.0).ceil();
            if ms >= i64::MAX as f64 {
                return Err(OUT_OF_RANGE);
            }
            ms as i64
        }
        TimeoutUnit::Milliseconds => {
            argv.int(i).map_err(|_| CmdError::text("ERR timeout is not an integer or out of range"))?
        }
    };
    match ms {
        ..0 => Err(NEGATIVE),
        0 => Ok(None),
        _ => ms.checked_add(srv.clock.unix_ms as i64).map(|at_ms| Some(at_ms as u64)).ok_or(OUT_OF_RANGE),
    }
}

/// Has the client wait until one of `keys`, of its selected database, holds a value of the type; its command is run again
/// then. At `deadline_ms`, if given, it is answered with a null array. With `on_nokey` the command is run again also when
/// one of the keys is gone.
///
/// The client must be one that may wait: [`Client::may_block`].
pub fn block_for_keys(
    srv: &mut Server,
    c: &mut Client,
    waits_for: Type,
    keys: &[&[u8]],
    deadline_ms: Option<u64>,
    on_nokey: bool,
) {
    debug_assert!(c.blocked.is_none() && c.may_block());
    if !srv.monitors.is_empty() && !c.flags.contains(ClientFlags::REEXECUTING) {
        monitor::feed(srv, c); // which see a command when it comes, not when it is over
    }
    let blocked = &mut srv.blocked;
    let mut waits: Vec<(Bytes, u64)> = Vec::with_capacity(keys.len());
    for key in keys {
        let name = (c.db, Bytes::copy_from_slice(key));
        let queue = blocked.queues.entry(name.clone()).or_default();
        // The place is this client's own, so a key that is named twice is found at the end of its queue.
        if queue.clients.last_key_value().is_some_and(|(_, last)| *last == c.handle) {
            continue;
        }
        blocked.next_place += 1;
        queue.clients.insert(blocked.next_place, c.handle);
        queue.on_nokey += usize::from(on_nokey);
        waits.push((name.1, blocked.next_place));
    }
    blocked.clients += 1;
    blocked.by_type[waits_for as usize] += 1;
    blocked.on_nokey += usize::from(on_nokey);
    if let Some(deadline_ms) = deadline_ms {
        blocked.deadlines.insert((deadline_ms, c.handle));
    }
    c.flags.insert(ClientFlags::BLOCKED);
    c.blocked = Some(Box::new(BlockState {
        waits_for: Wait::Value(waits_for),
        on_nokey,
        db: c.db,
        keys: waits,
        deadline_ms,
        spec: c.spec(),
        argv: c.argv.detach(),
    }));
}

/// Has the command of a client that has just begun to wait run again with other arguments.
pub fn set_waiting_argv(c: &mut Client, argv: Argv) {
    if let Some(state) = &mut c.blocked {
        state.argv = argv;
    }
}

/// Has the client wait until the keys that its command removed are freed: until [`finish_flushes`].
pub fn block_for_flush(srv: &mut Server, c: &mut Client) {
    block_without_keys(srv, c, Wait::Flush, None);
}

/// Has the client wait until what it wrote is on disk, or until `deadline_ms`; the reply is how far it is then.
pub fn block_for_aof(srv: &mut Server, c: &mut Client, wait: AofWait, deadline_ms: Option<u64>) {
    srv.blocked.waiting_for_aof.push(c.handle);
    block_without_keys(srv, c, Wait::Aof(wait), deadline_ms);
}

fn block_without_keys(srv: &mut Server, c: &mut Client, waits_for: Wait, deadline_ms: Option<u64>) {
    debug_assert!(c.blocked.is_none() && c.may_block());
    srv.blocked.clients += 1;
    srv.blocked.deadlines.extend(deadline_ms.map(|deadline_ms| (deadline_ms, c.handle)));
    c.flags.insert(ClientFlags::BLOCKED);
    c.blocked = Some(Box::new(BlockState {
        waits_for,
        on_nokey: false,
        db: c.db,
        keys: Vec::new(),
        deadline_ms,
        spec: c.spec(),
        argv: Argv::default(),
    }));
}

/// Whether a client waits for the disk.
#[inline]
pub fn any_waits_for_aof(srv: &Server) -> bool {
    !srv.blocked.waiting_for_aof.is_empty()
}

/// The clients that wait for the disk, and what for.
pub fn waiting_for_aof(srv: &Server) -> Vec<(ClientId, AofWait)> {
    let wait_of = |id: &ClientId| match srv.clients.get(*id)?.blocked.as_ref()?.waits_for {
        Wait::Aof(wait) => Some((*id, wait)),
        _ => None,
    };
    srv.blocked.waiting_for_aof.iter().filter_map(wait_of).collect()
}

/// Answers the clients whose flushes are done.
pub fn finish_flushes(srv: &mut Server) {
    while let Some(token) = srv.bio.next_done() {
        let id = networking::client_of(Token(token));
        let waits_for = srv.clients.get(id).and_then(|c| c.blocked.as_ref()).map(|state| state.waits_for);
        if waits_for == Some(Wait::Flush) {
            unblock(srv, id, Unblock::Timeout);
        }
    }
}

/// Ends the wait of a client, whatever the reason; gives what it waited with.
fn forget(srv: &mut Server, c: &mut Client) -> Option<BlockState> {
    let state = *c.blocked.take()?;
    let blocked = &mut srv.blocked;
    for (key, place) in &state.keys {
        let name = (state.db, key.clone());
        if let Some(queue) = blocked.queues.get_mut(&name) {
            queue.clients.remove(place);
            queue.on_nokey -= usize::from(state.on_nokey);
            if queue.clients.is_empty() {
                blocked.queues.remove(&name);
            }
        }
    }
    blocked.clients -= 1;
    match state.waits_for {
        Wait::Value(value_type) => blocked.by_type[value_type as usize] -= 1,
        Wait::Aof(_) => blocked.waiting_for_aof.retain(|id| *id != c.handle),
        Wait::Flush => {}
    }
    blocked.on_nokey -= usize::from(state.on_nokey);
    if let Some(deadline_ms) = state.deadline_ms {
        blocked.deadlines.remove(&(deadline_ms, c.handle));
    }
    c.flags.remove(ClientFlags::BLOCKED);
    Some(state)
}

/// Forgets the wait of a client that is going.
pub fn forget_client(srv: &mut Server, c: &mut Client) {
    forget(srv, c);
}

/// Notes that `key` holds a value of the type, with something new in it.
#[inline]
pub fn signal_key_as_ready(srv: &mut Server, db: usize, key: &[u8], value_type: Type) {
    if srv.blocked.by_type[value_type as usize] > 0 {
        srv.blocked.mark_ready(db, key, false);
    }
}

/// Notes that `key` is gone.
#[inline]
pub fn signal_key_deleted(srv: &mut Server, db: usize, key: &[u8]) {
    if srv.blocked.on_nokey > 0 {
        srv.blocked.mark_ready(db, key, true);
    }
}

/// Notes that another value, of this type, has taken the place of `key`'s.
#[inline]
pub fn signal_key_replaced(srv: &mut Server, db: usize, key: &[u8], value_type: Type) {
    signal_key_deleted(srv, db, key);
    signal_key_as_ready(srv, db, key, value_type);
}

/// Notes that a database holds other keys now than before: it was emptied, or exchanged.
pub fn signal_database_changed(srv: &mut Server, db: usize) {
    let waited: Vec<Bytes> =
        srv.blocked.queues.keys().filter(|(of, _)| *of == db).map(|(_, key)| key.clone()).collect();
    for key in waited {
        match srv.dbs[db].keys.find(srv.key_of(&key)).map(|entry| entry.value_type()) {
            Some(value_type) => signal_key_replaced(srv, db, &key, value_type),
            None => signal_key_deleted(srv, db, &key),
        }
    }
}

/// Serves the clients of keys that became ready, until none is left. Not from within a command or transaction.
pub fn serve_ready(srv: &mut Server) {
    if srv.blocked.serving || srv.propagation.inside_unit() {
        return;
    }
    srv.blocked.serving = true;
    while !srv.blocked.ready.is_empty() {
        for (db, key) in std::mem::take(&mut srv.blocked.ready) {
            serve_key(srv, db, key);
        }
    }
    srv.blocked.serving = false;
}

fn serve_key(srv: &mut Server, db: usize, key: Bytes) {
    let name = (db, key);
    let Some(queue) = srv.blocked.queues.get_mut(&name) else { return };
    queue.ready = false;
    // Who blocks again comes to stand behind these.
    let waiting: Vec<(u64, ClientId)> = queue.clients.iter().map(|(place, id)| (*place, *id)).collect();
    for (place, id) in waiting {
        let still_waits =
            srv.blocked.queues.get(&name).is_some_and(|queue| queue.clients.get(&place) == Some(&id));
        let Some(state) = srv.clients.get(id).and_then(|c| c.blocked.as_ref()).filter(|_| still_waits) else {
            continue;
        };
        let (waits_for, on_nokey) = (state.waits_for.value_type(), state.on_nokey);
        let now_ms = srv.clock.unix_ms;
        let entry = srv.dbs[db].keys.find(srv.key_of(&name.1)).filter(|entry| !entry.expired(now_ms));
        if on_nokey || entry.is_some_and(|entry| Some(entry.value_type()) == waits_for) {
            run_again(srv, id);
        }
    }
}

/// Runs the command of a waiting client again.
fn run_again(srv: &mut Server, id: ClientId) {
    let Some(mut c) = srv.clients.check_out(id) else { return };
    if let Some(state) = forget(srv, &mut c) {
        c.argv = state.argv;
        c.flags.insert(ClientFlags::REEXECUTING);
        dispatch::process_command(srv, &mut c, Some(state.spec));
        c.flags.remove(ClientFlags::REEXECUTING);
        c.argv = Argv::default();
        keep_deadline(srv, &mut c, state.deadline_ms);
        release(srv, &mut c);
    }
    networking::finish(srv, c);
}

/// A client that waits again waits no longer than it said at first.
fn keep_deadline(srv: &mut Server, c: &mut Client, first_ms: Option<u64>) {
    let Some(state) = c.blocked.as_mut().filter(|state| state.deadline_ms != first_ms) else { return };
    if let Some(later_ms) = std::mem::replace(&mut state.deadline_ms, first_ms) {
        srv.blocked.deadlines.remove(&(later_ms, c.handle));
    }
    srv.blocked.deadlines.extend(first_ms.map(|deadline_ms| (deadline_ms, c.handle)));
}

/// Lets a client go on that may wait no longer: its reply is written, and what it sent meanwhile is looked at.
fn release(srv: &mut Server, c: &mut Client) {
    networking::queue_write(srv, c);
    if c.blocked.is_none() {
        srv.blocked.unblocked.push(c.handle);
    }
}

/// How a wait ends without a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unblock {
    /// As if its time were up.
    Timeout,
    /// With an error.
    Error,
}

/// Ends the wait of a client; returns whether it waited.
pub fn unblock(srv: &mut Server, id: ClientId, how: Unblock) -> bool {
    let Some(mut c) = srv.clients.check_out(id) else { return false };
    let state = forget(srv, &mut c);
    let waited = state.is_some();
    if let Some(state) = state {
        // The command is over, and counted only now.
        let stats = srv.stats.command(state.spec.id);
        stats.calls += 1;
        stats.failed += u64::from(how == Unblock::Error);
        match (how, state.waits_for) {
            (Unblock::Timeout, Wait::Flush) => c.out.ok(),
            (Unblock::Timeout, Wait::Aof(wait)) => wait.reply(srv, &mut c),
            (Unblock::Timeout, Wait::Value(_)) => c.out.null_array(),
            (Unblock::Error, _) => {
                let error = CmdError::text("UNBLOCKED client unblocked via CLIENT UNBLOCK");
                dispatch::reply_error(srv, &mut c, &error);
            }
        }
        release(srv, &mut c);
    }
    networking::finish(srv, c);
    waited
}

/// Ends the wait of a client that did not wait for keys, with what `reply` answers.
pub fn unblock_with(srv: &mut Server, id: ClientId, reply: impl FnOnce(&mut Server, &mut Client)) {
    let Some(mut c) = srv.clients.check_out(id) else { return };
    if let Some(state) = forget(srv, &mut c) {
        srv.stats.command(state.spec.id).calls += 1;
        reply(srv, &mut c);
        release(srv, &mut c);
    }
    networking::finish(srv, c);
}

/// Ends the waits whose time is up, serves keys that became ready outside of commands, and lets clients go on.
pub fn before_sleep(srv: &mut Server) {
    if srv.blocked.clients > 0 {
        while let Some(&(deadline_ms, id)) = srv.blocked.deadlines.first()
            && deadline_ms < srv.clock.unix_ms
        {
            unblock(srv, id, Unblock::Timeout);
        }
        serve_ready(srv);
    }
    while !srv.blocked.unblocked.is_empty() {
        for id in std::mem::take(&mut srv.blocked.unblocked) {
            if srv.clients.get(id).is_some_and(|c| !c.flags.contains(ClientFlags::BLOCKED)) {
                networking::resume_client(srv, id);
            }
        }
    }
}

/// How long the loop may sleep for all that waiting clients care.
pub fn time_to_next(srv: &Server) -> Option<Duration> {
    let &(deadline_ms, _) = srv.blocked.deadlines.first()?;
    Some(Duration::from_millis((deadline_ms + 1).saturating_sub(srv.clock.unix_ms)))
}

/// Whether a unit may end with clients to serve: the dispatcher asks after each command.
#[inline]
pub fn serve_after_command(srv: &mut Server) {
    if srv.blocked.has_ready() && !srv.propagation.inside_unit() {
        serve_ready(srv);
    }
}
