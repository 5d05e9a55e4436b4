//! The keys of one database, and how one of them is changed.
//!
//! [`KvStore`] is where a key's table is chosen: today each database has one. (With a table for each slot, as a
//! cluster wants it, this file is what changes.) An entry that has an expiry is *marked* in its table, so that keys
//! with an expiry can be counted, sampled and walked without a table of their own; [`EntryMut`], the only way to change
//! an entry that is in a table, keeps mark and expiry together.

use crate::db::object::{Entry, EntryRef, Expiry, Loan, NewStr, Object, ObjectMut};
use crate::ds::hashtable::{self, ElementMut, ElementRef, HashTable, VacantEntry};
use crate::server::Key;

/// All keys of a database.
#[derive(Debug, Default)]
pub struct KvStore {
    table: HashTable<Entry>,
}

impl KvStore {
    /// Number of keys.
    #[inline]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there are no keys.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Number of keys with an expiry.
    #[inline]
    pub fn expires_len(&self) -> usize {
        self.table.marked_len()
    }

    /// The entry of `key`, expired or not.
    #[inline]
    pub fn find(&self, key: Key<'_>) -> Option<EntryRef<'_>> {
        self.table.find(key.hash, key.bytes).map(ElementRef::get)
    }

    /// The entry of `key`, expired or not, to be changed.
    #[inline]
    pub fn find_mut(&mut self, key: Key<'_>) -> Option<EntryMut<'_>> {
        self.table.find_mut(key.hash, key.bytes).map(EntryMut)
    }

    /// The place of `key`, whether it is taken or not.
    #[inline]
    pub fn place(&mut self, key: Key<'_>) -> Place<'_> {
        match self.table.entry(key.hash, key.bytes) {
            hashtable::Entry::Occupied(entry) => Place::Taken(EntryMut(entry)),
            hashtable::Entry::Vacant(place) => Place::Free(FreePlace(place)),
        }
    }

    /// Adds an entry whose key is not there yet; `hash` is the key's.
    pub fn insert(&mut self, hash: u64, entry: Entry) {
        let expires = entry.view().expiry().is_some();
        self.table.insert_unique(hash, entry).set_mark(expires);
    }

    /// Takes the entry of `key` out.
    #[inline]
    pub fn remove(&mut self, key: Key<'_>) -> Option<Entry> {
        self.table.remove(key.hash, key.bytes)
    }

    /// Asks for the cache line where the lookup of a key with this hash begins.
    #[inline]
    pub fn prefetch_bucket(&self, hash: u64) {
        self.table.prefetch_bucket(hash);
    }

    /// Asks for the entry of a key with this hash, some time after [`KvStore::prefetch_bucket`].
    #[inline]
    pub fn prefetch_entry(&self, hash: u64) {
        self.table.prefetch_element(hash);
    }

    /// Any entry, expired or not.
    pub fn random(&self) -> Option<EntryRef<'_>> {
        self.table.random(&mut rand::random::<u64>).map(ElementRef::get)
    }

    /// All entries, in no order.
    pub fn iter(&self) -> impl Iterator<Item = EntryRef<'_>> {
        self.table.iter().map(ElementRef::get)
    }

    /// Shows some entries and returns the cursor to go on with; 0 begins and ends. What is there throughout is shown.
    pub fn scan(&self, cursor: u64, mut show: impl FnMut(EntryRef<'_>)) -> u64 {
        self.table.scan(cursor, |element| show(element.get()))
    }

    /// Shows the entries with an expiry of up to `max_buckets` buckets, and returns the cursor to go on with.
    pub fn scan_expires(&self, cursor: u64, max_buckets: usize, mut show: impl FnMut(EntryRef<'_>)) -> u64 {
        self.table.scan_marked(cursor, max_buckets, |element| show(element.get()))
    }

    /// The table itself: its statistics, its upkeep.
    pub fn table(&self) -> &HashTable<Entry> {
        &self.table
    }

    /// The table itself, to be shrunk or grown, or emptied a little at a time.
    pub fn table_mut(&mut self) -> &mut HashTable<Entry> {
        &mut self.table
    }
}

/// The place of a key.
#[derive(Debug)]
pub enum Place<'t> {
    /// The key is there.
    Taken(EntryMut<'t>),
    /// It is not.
    Free(FreePlace<'t>),
}

/// The place of a key that is not there.
#[derive(Debug)]
pub struct FreePlace<'t>(VacantEntry<'t, Entry>);

impl FreePlace<'_> {
    /// Adds an entry that has the key looked for.
    #[inline]
    pub fn insert(self, entry: Entry) {
        let expires = entry.view().expiry().is_some();
        let mut element = self.0.insert(entry);
        if expires {
            element.set_mark(true);
        }
    }
}

/// An entry of a [`KvStore`], to be changed.
#[derive(Debug)]
pub struct EntryMut<'t>(ElementMut<'t, Entry>);

impl<'t> EntryMut<'t> {
    /// A view, which all that reads is a method of.
    #[inline]
    pub fn view(&self) -> EntryRef<'_> {
        self.0.view()
    }

    /// The view, for as long as the table is borrowed.
    #[inline]
    pub fn into_view(self) -> EntryRef<'t> {
        self.0.into_ref().get()
    }

    /// Stores another value.
    #[inline]
    pub fn set_string(&mut self, value: NewStr<'_>, expiry: Expiry) {
        self.0.set_string(value, expiry);
        match expiry {
            Expiry::Keep => {}
            Expiry::Clear => self.0.set_mark(false),
            Expiry::At(_) => self.0.set_mark(true),
        }
    }

    /// Writes into the string: see [`Entry::write_at`].
    pub fn write_at(&mut self, offset: usize, bytes: &[u8]) {
        self.0.write_at(offset, bytes);
    }

    /// The collection, to be changed; of a key that holds one of this type.
    #[inline]
    pub fn object_mut<T: Object>(&mut self) -> ObjectMut<'_, T> {
        self.0.object_mut()
    }

    /// Sets the expiry to the Unix time `at_ms`.
    pub fn set_expiry(&mut self, at_ms: i64) {
        self.0.set_expiry(at_ms);
        self.0.set_mark(true);
    }

    /// Clears the expiry; returns whether there was one.
    pub fn clear_expiry(&mut self) -> bool {
        let had_one = self.0.mark();
        if had_one {
            self.0.clear_expiry();
            self.0.set_mark(false);
        }
        had_one
    }

    /// Puts another entry of the same key in the place of this one, which is given back.
    pub fn replace(&mut self, entry: Entry) -> Entry {
        self.0.set_mark(entry.view().expiry().is_some());
        self.0.replace(entry)
    }

    /// Takes the entry out of the table.
    pub fn remove(self) -> Entry {
        self.0.remove()
    }
}

/// A mutable borrow, an [`EntryMut`].
#[derive(Debug)]
pub struct Mutable;

impl Loan for Mutable {
    type For<'a> = EntryMut<'a>;
}
