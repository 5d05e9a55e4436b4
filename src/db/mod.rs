//! The databases, and the way to a key.
//!
//! A command gets at a key through [`Server`]'s lookups, which are here, so that what belongs to each of them is done
//! in one place: an expired key is deleted first (*lazy expiry*), hits and misses are counted, the access clock is
//! moved on, `keymiss` is published. They come in three kinds:
//!
//! | lookup                                    | gives                    | counts | touches |
//! |-------------------------------------------|--------------------------|--------|---------|
//! | [`Server::lookup_read`]                   | the value as its type    | yes    | yes     |
//! | [`Server::lookup`] with [`LookupFlags`]   | an [`EntryRef`]          | flags  | flags   |
//! | [`Server::lookup_write`], [`Server::lookup_mut`] | an [`EntryMut`]   | no     | yes     |
//!
//! A view borrows the whole server; a client is apart from it, so that a value can be written to `c.out`, and a key of
//! `c.argv` looked up, without a copy. Once a command has changed something it says so: [`Server::signal_modified`]
//! and then `notify::notify_keyspace_event`. [`Server::set_key`] does the former itself.
//!
//! [`KvStore`] alone, through `srv.dbs[db].keys`, neither expires nor counts: for scans, files and statistics.

use crate::db::evict::Touch;
use crate::db::kvstore::{EntryMut, KvStore, Mutable, Place};
use crate::db::notify::{NotifyFlags, notify_keyspace_event};
use crate::db::object::{Entry, EntryRef, Expiry, NewStr, Object, Shared, Type, lend};
use crate::io::monotonic;
use crate::server::{CmdError, Key, Server, latency};

pub mod blocked;
pub mod evict;
pub mod expire;
pub mod hexpire;
pub mod keysizes;
pub mod keyspace;
pub mod kvstore;
pub mod lazyfree;
pub mod multi;
pub mod notify;
pub mod object;
pub mod object_cmd;
pub mod pubsub;
pub mod scan;

/// Keys that RANDOMKEY draws at most when all it finds have expired and may not be deleted.
const RANDOM_KEY_TRIES: usize = 100;

/// One of the numbered databases.
#[derive(Debug, Default)]
pub struct Db {
    /// The number that SELECT takes.
    pub id: usize,
    /// The keys.
    pub keys: KvStore,
    /// Mean time to live of the keys with an expiry in milliseconds, as active expiry estimates it.
    pub avg_ttl_ms: u64,
    /// Where active expiry goes on.
    pub expires_cursor: u64,
}

impl Db {
    /// An empty database.
    pub fn new(id: usize) -> Db {
        Db { id, ..Db::default() }
    }

    /// Number of keys, expired ones that are still there included.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Number of keys with an expiry.
    pub fn expires_len(&self) -> usize {
        self.keys.expires_len()
    }
}

/// A type of values, as lookups give them out.
pub trait ValueType {
    /// The type that a key must hold.
    const TYPE: Type;
    /// The value, borrowed.
    type Ref<'a>;
    /// The value of an entry of this type.
    fn value(entry: EntryRef<'_>) -> Self::Ref<'_>;
}

/// How a lookup differs from that of a command which reads a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LookupFlags(u8);

impl LookupFlags {
    /// Not at all.
    pub const NONE: LookupFlags = LookupFlags(0);
    /// The access clock stays.
    pub const NO_TOUCH: LookupFlags = LookupFlags(1);
    /// A miss is not published.
    pub const NO_NOTIFY: LookupFlags = LookupFlags(2);
    /// Neither a hit nor a miss is counted.
    pub const NO_STATS: LookupFlags = LookupFlags(4);
    /// A command that writes: hits and misses concern nobody.
    pub const WRITE: LookupFlags = LookupFlags(2 | 4);

    #[inline]
    fn has(self, flag: LookupFlags) -> bool {
        self.0 & flag.0 != 0
    }
}

impl std::ops::BitOr for LookupFlags {
    type Output = LookupFlags;
    fn bitor(self, other: LookupFlags) -> LookupFlags {
        LookupFlags(self.0 | other.0)
    }
}

/// What storing a string did.
enum Stored {
    /// The key was there.
    Changed,
    /// The key was not there.
    Created,
    /// The key was there and held a collection, which is this.
    Replaced(Entry),
    /// The key was there, but had expired.
    Revived,
}

impl Server {
    /// The value of `key` for a command that reads it.
    ///
    /// # Errors
    /// [`CmdError::WrongType`].
    #[inline]
    pub fn lookup_read<T: ValueType>(
        &mut self,
        db: usize,
        key: Key<'_>,
    ) -> Result<Option<T::Ref<'_>>, CmdError> {
        self.lookup_read_flags::<T>(db, key, LookupFlags::NONE)
    }

    /// The value of `key`, for a command that reads it in a way of its own.
    ///
    /// # Errors
    /// [`CmdError::WrongType`].
    #[inline]
    pub fn lookup_read_flags<T: ValueType>(
        &mut self,
        db: usize,
        key: Key<'_>,
        flags: LookupFlags,
    ) -> Result<Option<T::Ref<'_>>, CmdError> {
        self.lookup(db, key, flags).map(value_of::<T>).transpose()
    }

    /// The entry of `key` for a command that reads it.
    #[inline]
    pub fn lookup(&mut self, db: usize, key: Key<'_>, flags: LookupFlags) -> Option<EntryRef<'_>> {
        let now_ms = self.clock.expiry_ms;
        let touch = if flags.has(LookupFlags::NO_TOUCH) { Touch::Not } else { self.touch() };
        let mut expired = false;
        let found = lend::<Shared, _>(self, |srv| {
            let entry = srv.dbs[db].keys.find(key)?;
            if entry.expired(now_ms) {
                expired = true;
                return None;
            }
            touch.apply(entry);
            if !flags.has(LookupFlags::NO_STATS) {
                srv.stats.keyspace_hits += 1;
            }
            Some(entry)
        });
        match found {
            Ok(entry) => Some(entry),
            Err(srv) => {
                srv.missed(db, key, flags, expired);
                None
            }
        }
    }

    /// The entry of `key`, which must hold a value of the type, for a command that writes it.
    ///
    /// # Errors
    /// [`CmdError::WrongType`].
    #[inline]
    pub fn lookup_write<T: ValueType>(
        &mut self,
        db: usize,
        key: Key<'_>,
    ) -> Result<Option<EntryMut<'_>>, CmdError> {
        match self.lookup_mut(db, key) {
            Some(entry) if entry.view().value_type() != T::TYPE => Err(CmdError::WrongType),
            found => Ok(found),
        }
    }

    /// The entry of `key` for a command that writes it.
    #[inline]
    pub fn lookup_mut(&mut self, db: usize, key: Key<'_>) -> Option<EntryMut<'_>> {
        let now_ms = self.clock.expiry_ms;
        let touch = self.touch();
        let mut expired = false;
        let found = lend::<Mutable, _>(self, |srv| {
            let entry = srv.dbs[db].keys.find_mut(key)?;
            if entry.view().expired(now_ms) {
                expired = true;
                return None;
            }
            touch.apply(entry.view());
            Some(entry)
        });
        match found {
            Ok(entry) => Some(entry),
            Err(srv) => {
                srv.missed(db, key, LookupFlags::WRITE, expired);
                None
            }
        }
    }

    /// What follows when a lookup finds no key, or one that has expired.
    #[inline(never)]
    fn missed(&mut self, db: usize, key: Key<'_>, flags: LookupFlags, expired: bool) {
        if expired {
            self.delete_expired(db, key);
        }
        if !flags.has(LookupFlags::NO_NOTIFY) {
            notify_keyspace_event(self, NotifyFlags::KEY_MISS, "keymiss", key.bytes, db);
        }
        if !flags.has(LookupFlags::NO_STATS) {
            self.stats.keyspace_misses += 1;
        }
    }

    /// How the command at hand is noted in access clocks.
    #[inline]
    pub fn touch(&self) -> Touch {
        if self.no_touch { Touch::Not } else { Touch::new(&self.config, &self.clock) }
    }

    /// The access clock of a new entry.
    #[inline]
    pub fn initial_clock(&self) -> u32 {
        Touch::new(&self.config, &self.clock).initial()
    }

    /// Whether `key` is there and has not expired, for commands that write. Nothing is counted or touched.
    pub fn exists(&mut self, db: usize, key: Key<'_>) -> bool {
        self.lookup(db, key, LookupFlags::WRITE | LookupFlags::NO_TOUCH).is_some()
    }

    /// Stores a string under `key`, whatever was there: the one lookup of a SET.
    ///
    /// This is a change to the dataset ([`Server::signal_modified`]); a key that was not there is published as `new`.
    #[inline]
    pub fn set_key(&mut self, db: usize, key: Key<'_>, value: NewStr<'_>, expiry: Expiry) {
        match self.store(db, key, value, expiry) {
            Stored::Changed => {}
            Stored::Created => self.announce_new(db, key.bytes),
            Stored::Replaced(old) => {
                lazyfree::dispose(self, old, self.config.lazyfree_lazy_server_del);
                blocked::signal_key_replaced(self, db, key.bytes, Type::String);
            }
            Stored::Revived => {
                self.announce_expired(db, key.bytes);
                self.announce_new(db, key.bytes);
            }
        }
        self.signal_modified(db, key.bytes, 1);
    }

    #[inline]
    fn store(&mut self, db: usize, key: Key<'_>, value: NewStr<'_>, expiry: Expiry) -> Stored {
        let (now_ms, touch, initial_clock) = (self.clock.expiry_ms, self.touch(), self.initial_clock());
        match self.dbs[db].keys.place(key) {
            Place::Taken(mut entry) if entry.view().expired(now_ms) => {
                let expiry = if expiry == Expiry::Keep { Expiry::Clear } else { expiry };
                entry.set_string(value, expiry);
                entry.view().set_clock(initial_clock);
                Stored::Revived
            }
            Place::Taken(mut entry) if entry.view().value_type() != Type::String => {
                let at_ms = match expiry {
                    Expiry::Keep => entry.view().expiry(),
                    Expiry::Clear => None,
                    Expiry::At(at_ms) => Some(at_ms),
                };
                let old = entry.replace(Entry::new(key.bytes, value, at_ms, initial_clock));
                Stored::Replaced(old)
            }
            Place::Taken(mut entry) => {
                entry.set_string(value, expiry);
                touch.apply(entry.view());
                Stored::Changed
            }
            Place::Free(place) => {
                let at_ms = if let Expiry::At(at_ms) = expiry { Some(at_ms) } else { None };
                place.insert(Entry::new(key.bytes, value, at_ms, initial_clock));
                Stored::Created
            }
        }
    }

    /// Stores a collection under `key`, whatever was there; an expiry goes. A key that was not there is published as
    /// `new`. The caller counts the change ([`Server::dirty`]) and publishes its event.
    pub fn set_object<T: Object>(&mut self, db: usize, key: Key<'_>, value: T) {
        if self.exists(db, key) {
            let old = self.dbs[db].keys.remove(key);
            let entry = Entry::with_object(key.bytes, value, None, self.initial_clock());
            self.dbs[db].keys.insert(key.hash, entry);
            old.into_iter()
                .for_each(|old| lazyfree::dispose(self, old, self.config.lazyfree_lazy_server_del));
            blocked::signal_key_replaced(self, db, key.bytes, T::TYPE);
        } else {
            let entry = Entry::with_object(key.bytes, value, None, self.initial_clock());
            self.add_entry(db, key, entry);
        }
        self.signal_modified(db, key.bytes, 0);
    }

    /// Adds an entry under its key, which is not there yet. The caller signals the change.
    pub fn add_entry(&mut self, db: usize, key: Key<'_>, entry: Entry) {
        debug_assert_eq!(entry.view().key(), key.bytes);
        let value_type = entry.view().value_type();
        self.dbs[db].keys.insert(key.hash, entry);
        self.announce_new(db, key.bytes);
        blocked::signal_key_as_ready(self, db, key.bytes, value_type);
    }

    /// What follows when a key has come into being.
    fn announce_new(&mut self, db: usize, key: &[u8]) {
        notify_keyspace_event(self, NotifyFlags::NEW, "new", key, db);
    }

    /// Deletes `key`; returns whether it was there and had not expired. The caller signals the change.
    pub fn delete(&mut self, db: usize, key: Key<'_>) -> bool {
        self.delete_with(db, key, self.config.lazyfree_lazy_server_del)
    }

    /// [`Server::delete`], with the value freed `lazily` or not.
    pub fn delete_with(&mut self, db: usize, key: Key<'_>, lazily: bool) -> bool {
        let now_ms = self.clock.expiry_ms;
        let Some(entry) = self.dbs[db].keys.remove(key) else { return false };
        let expired = entry.view().expired(now_ms);
        lazyfree::dispose(self, entry, lazily);
        blocked::signal_key_deleted(self, db, key.bytes);
        if expired {
            self.announce_expired(db, key.bytes);
        }
        !expired
    }

    /// Deletes `key`, whose expiry has passed: for lookups, and for active expiry. Not while clients are paused,
    /// because the dataset is to stand still then; such a key is only treated as if it were gone.
    pub fn delete_expired(&mut self, db: usize, key: Key<'_>) {
        if self.expiry_paused() {
            return;
        }
        let start_ns = monotonic::now_ns();
        let Some(entry) = self.dbs[db].keys.remove(key) else { return };
        lazyfree::dispose(self, entry, self.config.lazyfree_lazy_expire);
        blocked::signal_key_deleted(self, db, key.bytes);
        let took_ms = (monotonic::now_ns() - start_ns) / 1_000_000;
        latency::add_sample_if_needed(self, latency::Event::ExpireDel, took_ms);
        self.announce_expired(db, key.bytes);
    }

    /// Whether keys may not be deleted for their expiry at present: CLIENT PAUSE.
    pub fn expiry_paused(&self) -> bool {
        self.net.pause.is_some_and(|pause| pause.until_ms > self.clock.unix_ms)
    }

    /// What follows when a key was deleted because its expiry has passed.
    fn announce_expired(&mut self, db: usize, key: &[u8]) {
        if self.propagation.wanted {
            let command: &[u8] = if self.config.lazyfree_lazy_expire { b"UNLINK" } else { b"DEL" };
            self.also_propagate(db, &[command, key]);
        }
        notify_keyspace_event(self, NotifyFlags::EXPIRED, "expired", key, db);
        self.signal_modified(db, key, 0);
        self.stats.expired_keys += 1;
    }

    /// A key chosen at random. Expired ones that it comes across are deleted; if they may not be, and there are many,
    /// one of them is what is returned.
    pub fn random_key(&mut self, db: usize) -> Option<EntryRef<'_>> {
        let now_ms = self.clock.expiry_ms;
        let mut tries = if self.expiry_paused() { RANDOM_KEY_TRIES } else { usize::MAX };
        let mut srv = self;
        loop {
            tries -= 1;
            let mut expired = None;
            let found = lend::<Shared, _>(srv, |srv| {
                let entry = srv.dbs[db].keys.random()?;
                if entry.expired(now_ms) && tries > 0 {
                    expired = Some(entry.key().to_vec());
                    return None;
                }
                Some(entry)
            });
            srv = match found {
                Ok(entry) => return Some(entry),
                Err(srv) => srv,
            };
            let key = expired?;
            srv.delete_expired(db, srv.key_of(&key));
        }
    }

    /// Notes that `key` was changed, created or deleted by a command: the one place where all that depends on a
    /// key's value learns of it. `changes` is what counts towards save points: keys or elements changed.
    #[inline]
    pub fn signal_modified(&mut self, db: usize, key: &[u8], changes: usize) {
        self.dirty(changes);
        if !self.watches.is_empty() {
            multi::touch_watched(self, db, key);
        }
    }
}

/// The value of an entry as its type.
#[inline]
fn value_of<T: ValueType>(entry: EntryRef<'_>) -> Result<T::Ref<'_>, CmdError> {
    if entry.value_type() != T::TYPE {
        return Err(CmdError::WrongType);
    }
    Ok(T::value(entry))
}
