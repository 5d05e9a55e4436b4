//! Transactions: MULTI, EXEC, DISCARD, and the keys that WATCH watches.
//!
//! Between MULTI and EXEC commands are checked, and then queued with their arguments instead of being called. A command that
//! fails its check spoils the transaction, which EXEC then refuses. EXEC calls the queue as one unit
//! ([`crate::server::propagate`]): nothing else runs in between, and blocking commands answer at once as if their time
//! were up.
//!
//! WATCH makes EXEC conditional. Each change to a key passes through
//! [`Server::signal_modified`](crate::server::Server::signal_modified), which looks here whether somebody watches it; if so that client's
//! watch is *dirty*, and its next EXEC answers null. Keys that expire while they are watched count as changed at EXEC,
//! deleted or not; one that had expired when WATCH was called is gone for all purposes, so its deletion is no change.

use std::collections::HashMap;

use bytes::Bytes;

use crate::server::client::{ClientFlags, ClientId};
use crate::server::commands::{CommandFlags, CommandSpec};
use crate::server::{Argv, Client, CmdError, CmdResult, Server, dispatch};

/// A command that waits for EXEC.
#[derive(Debug)]
struct Queued {
    spec: &'static CommandSpec,
    argv: Argv,
}

/// A transaction in the making.
#[derive(Debug, Default)]
pub struct MultiState {
    queue: Vec<Queued>,
    /// Whether a queued command writes.
    writes: bool,
    /// Bytes of the queued arguments.
    arg_bytes: usize,
}

impl MultiState {
    /// Number of queued commands.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether nothing is queued.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether a queued command may use more memory.
    pub fn needs_memory(&self) -> bool {
        self.queue.iter().any(|queued| queued.spec.flags.contains(CommandFlags::DENYOOM))
    }

    /// Whether a queued command writes.
    pub fn writes(&self) -> bool {
        self.writes
    }

    /// Whether a queued command is one that changes the dataset.
    pub fn changes_data(&self) -> bool {
        self.queue.iter().any(|queued| queued.spec.flags.contains(CommandFlags::WRITE))
    }

    /// Whether every queued command may run while the dataset is loaded.
    pub fn runs_while_loading(&self) -> bool {
        self.queue.iter().all(|queued| queued.spec.flags.contains(CommandFlags::LOADING))
    }

    /// Bytes that the queue takes.
    pub fn mem_bytes(&self) -> usize {
        self.queue.capacity() * size_of::<Queued>() + self.arg_bytes
    }
}

/// A key that a client watches.
#[derive(Debug)]
struct WatchedKey {
    db: usize,
    key: Bytes,
    /// Whether it had expired, and was still there, when WATCH was called.
    expired: bool,
}

/// What a client watches.
#[derive(Debug, Default)]
struct Watch {
    keys: Vec<WatchedKey>,
    /// Whether one of them has changed.
    dirty: bool,
}

/// Who watches what.
#[derive(Debug, Default)]
pub struct Watches {
    by_client: HashMap<ClientId, Watch>,
    by_key: HashMap<(usize, Bytes), Vec<ClientId>>,
}

impl Watches {
    /// Whether nobody watches anything.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.by_client.is_empty()
    }

    /// Number of clients that watch something.
    pub fn clients(&self) -> usize {
        self.by_client.len()
    }

    /// Number of keys that are watched.
    pub fn keys(&self) -> usize {
        self.by_key.len()
    }

    /// Number of keys that the client watches.
    pub fn keys_of(&self, id: ClientId) -> usize {
        self.by_client.get(&id).map_or(0, |watch| watch.keys.len())
    }

    /// Whether a key that the client watches has changed.
    pub fn is_dirty(&self, id: ClientId) -> bool {
        self.by_client.get(&id).is_some_and(|watch| watch.dirty)
    }

    /// Forgets what the client watches.
    pub fn forget(&mut self, id: ClientId) {
        let Some(watch) = self.by_client.remove(&id) else { return };
        for watched in watch.keys {
            let name = (watched.db, watched.key);
            if let Some(clients) = self.by_key.get_mut(&name) {
                clients.retain(|other| *other != id);
                if clients.is_empty() {
                    self.by_key.remove(&name);
                }
            }
        }
    }

    /// Notes that `key` was changed, and whether it is there now.
    fn touch(&mut self, db: usize, key: &[u8], there: bool) {
        let name = (db, Bytes::copy_from_slice(key));
        let Some(clients) = self.by_key.get(&name) else { return };
        for id in clients {
            let Some(watch) = self.by_client.get_mut(id) else { continue };
            let watched = watch.keys.iter_mut().find(|w| w.db == db && w.key == name.1);
            match watched {
                Some(watched) if watched.expired && !there => watched.expired = false,
                _ => watch.dirty = true,
            }
        }
    }
}

/// Notes a change of `key` for those who watch it.
#[cold]
pub fn touch_watched(srv: &mut Server, db: usize, key: &[u8]) {
    let there = srv.dbs[db].keys.find(srv.key_of(key)).is_some();
    srv.watches.touch(db, key, there);
}

/// Whether a key is in a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    Missing,
    /// It is, but has expired.
    Stale,
    Alive,
}

fn presence(srv: &Server, db: usize, key: &[u8]) -> Presence {
    match srv.dbs[db].keys.find(srv.key_of(key)) {
        None => Presence::Missing,
        Some(entry) if entry.expired(srv.clock.unix_ms) => Presence::Stale,
        Some(_) => Presence::Alive,
    }
}

/// Notes, for those who watch keys of `db`, that the database is about to be emptied, or to become what `other` is.
pub fn touch_watched_database(srv: &mut Server, db: usize, other: Option<usize>) {
    if srv.watches.is_empty() {
        return;
    }
    let names: Vec<(usize, Bytes)> = srv.watches.by_key.keys().filter(|(of, _)| *of == db).cloned().collect();
    for name in names {
        let before = presence(srv, db, &name.1);
        let after = other.map_or(Presence::Missing, |other| presence(srv, other, &name.1));
        let watches = &mut srv.watches;
        for id in &watches.by_key[&name] {
            let Some(watch) = watches.by_client.get_mut(id) else { continue };
            let Some(watched) = watch.keys.iter_mut().find(|w| w.db == db && w.key == name.1) else {
                continue;
            };
            // A key that is missing and one that is stale are the same to everybody; only EXEC must know which it is.
            let was_gone = watched.expired || before == Presence::Missing;
            match after {
                Presence::Missing | Presence::Stale if was_gone => watched.expired = after == Presence::Stale,
                _ => watch.dirty = true,
            }
        }
    }
}

/// Whether a key that the client watches has expired since.
fn watched_key_expired(srv: &Server, id: ClientId) -> bool {
    let now_ms = srv.clock.unix_ms;
    srv.watches.by_client.get(&id).is_some_and(|watch| {
        watch.keys.iter().filter(|watched| !watched.expired).any(|watched| {
            let entry = srv.dbs[watched.db].keys.find(srv.key_of(&watched.key));
            entry.is_some_and(|entry| entry.expired(now_ms))
        })
    })
}

/// Whether the command is called at once, even in a transaction.
pub fn runs_at_once(spec: &CommandSpec) -> bool {
    matches!(spec.name, "exec" | "discard" | "multi" | "watch" | "quit" | "reset")
}

/// Queues the command at hand.
pub fn queue(c: &mut Client, spec: &'static CommandSpec) {
    c.out.simple("QUEUED");
    if c.flags.contains(ClientFlags::DIRTY_EXEC) {
        return; // It will not run: nothing needs to be kept.
    }
    let argv = c.argv.detach();
    let multi = c.multi.get_or_insert_default();
    multi.arg_bytes += argv.mem_bytes();
    multi.writes |= spec.flags.intersects(CommandFlags::WRITE.union(CommandFlags::MAY_REPLICATE));
    multi.queue.push(Queued { spec, argv });
}

/// Ends the transaction without running it, and forgets the watched keys.
pub fn discard_transaction(srv: &mut Server, c: &mut Client) {
    c.multi = None;
    c.flags.remove(ClientFlags::MULTI | ClientFlags::DIRTY_EXEC);
    srv.watches.forget(c.handle);
}

/// `MULTI`
pub fn multi(_srv: &mut Server, c: &mut Client) -> CmdResult {
    if c.flags.contains(ClientFlags::MULTI) {
        return Err(CmdError::text("ERR MULTI calls can not be nested"));
    }
    c.flags.insert(ClientFlags::MULTI);
    c.multi = Some(Box::default());
    c.out.ok();
    Ok(())
}

/// `DISCARD`
pub fn discard(srv: &mut Server, c: &mut Client) -> CmdResult {
    if !c.flags.contains(ClientFlags::MULTI) {
        return Err(CmdError::text("ERR DISCARD without MULTI"));
    }
    discard_transaction(srv, c);
    c.out.ok();
    Ok(())
}

/// `EXEC`
pub fn exec(srv: &mut Server, c: &mut Client) -> CmdResult {
    if !c.flags.contains(ClientFlags::MULTI) {
        return Err(CmdError::text("ERR EXEC without MULTI"));
    }
    let spoiled = c.flags.contains(ClientFlags::DIRTY_EXEC);
    let changed = srv.watches.is_dirty(c.handle) || watched_key_expired(srv, c.handle);
    let queue = c.multi.take().map(|multi| multi.queue).unwrap_or_default();
    discard_transaction(srv, c);
    if spoiled {
        return Err(CmdError::text("EXECABORT Transaction discarded because of previous errors."));
    }
    if changed {
        c.out.null_array();
        return Ok(());
    }
    run_queue(srv, c, queue);
    // Each command of the queue has left what it leaves.
    srv.prevent_propagation();
    Ok(())
}

fn run_queue(srv: &mut Server, c: &mut Client, queue: Vec<Queued>) {
    let (exec_argv, exec_spec) = (std::mem::take(&mut c.argv), c.cmd);
    let denied = c.flags.contains(ClientFlags::DENY_BLOCKING);
    c.flags.insert(ClientFlags::DENY_BLOCKING);
    c.out.array(queue.len());
    for queued in queue {
        c.argv = queued.argv;
        dispatch::call(srv, c, queued.spec);
    }
    c.flags.set(ClientFlags::DENY_BLOCKING, denied);
    (c.argv, c.cmd) = (exec_argv, exec_spec);
}

/// `WATCH key [key ...]`
pub fn watch(srv: &mut Server, c: &mut Client) -> CmdResult {
    if c.flags.contains(ClientFlags::MULTI) {
        return Err(CmdError::text("ERR WATCH inside MULTI is not allowed"));
    }
    c.out.ok();
    // What has changed already cannot change more.
    if srv.watches.is_dirty(c.handle) {
        return Ok(());
    }
    let now_ms = srv.clock.unix_ms;
    for i in 1..c.argv.len() {
        let key = c.argv.key(i);
        let expired = srv.dbs[c.db].keys.find(key).is_some_and(|entry| entry.expired(now_ms));
        let watch = srv.watches.by_client.entry(c.handle).or_default();
        if watch.keys.iter().any(|w| w.db == c.db && w.key == key.bytes) {
            continue;
        }
        let name = Bytes::copy_from_slice(key.bytes);
        watch.keys.push(WatchedKey { db: c.db, key: name.clone(), expired });
        srv.watches.by_key.entry((c.db, name)).or_default().push(c.handle);
    }
    Ok(())
}

/// `UNWATCH`
pub fn unwatch(srv: &mut Server, c: &mut Client) -> CmdResult {
    srv.watches.forget(c.handle);
    c.out.ok();
    Ok(())
}
