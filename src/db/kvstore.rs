//! The keys of one database, and how one of them is changed.
//!
//! [`KvStore`] is where a key's table is chosen: today each database has one. (With a table for each slot, as a
//! cluster wants it, this file is what changes.) An entry that has an expiry is *marked* in its table, so that keys
//! with an expiry can be counted, sampled and walked without a table of their own; [`EntryMut`], the only way to change
//! an entry that is in a table, keeps mark and expiry together.
//!
//! Besides the entries there are notes about all of them, which the same two types keep true: the histograms of
//! their lengths ([`Keysizes`]), and which entry has a part that expires next ([`KvStore::next_due`]).

use std::fmt;
use std::ops::{Deref, DerefMut};

use crate::db::keysizes::Keysizes;
use crate::db::object::{Entry, EntryRef, Expiry, Loan, NewStr, Object, ObjectMut, Type};
use crate::ds::deadlines::Deadlines;
use crate::ds::hashtable::{self, ElementMut, ElementRef, HashTable, VacantEntry};
use crate::server::Key;

/// All keys of a database.
#[derive(Debug, Default)]
pub struct KvStore {
    table: HashTable<Entry>,
    notes: Notes,
}

/// What is noted of one entry.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Note {
    value_type: Type,
    len: usize,
    /// When the first part of the value expires.
    due_ms: Option<i64>,
}

impl Note {
    #[inline]
    fn of(entry: EntryRef<'_>) -> Note {
        Note { value_type: entry.value_type(), len: entry.len(), due_ms: entry.next_expiry() }
    }

    /// The same of a value whose type is known.
    #[inline]
    fn of_object<T: Object>(object: &T) -> Note {
        Note { value_type: T::TYPE, len: object.len(), due_ms: object.next_expiry() }
    }
}

/// What is noted of all entries.
#[derive(Debug, Default)]
struct Notes {
    sizes: Keysizes,
    due: Deadlines,
}

impl Notes {
    #[inline]
    fn came(&mut self, entry: EntryRef<'_>) {
        let note = Note::of(entry);
        self.sizes.update(note.value_type, None, Some(note.len));
        if note.due_ms.is_some() {
            self.due.move_to(hash(entry.key()), None, note.due_ms);
        }
    }

    #[inline]
    fn went(&mut self, entry: EntryRef<'_>) {
        let note = Note::of(entry);
        self.sizes.update(note.value_type, Some(note.len), None);
        if note.due_ms.is_some() {
            self.due.move_to(hash(entry.key()), note.due_ms, None);
        }
    }

    #[inline]
    fn changed(&mut self, key: &[u8], before: Note, after: Note) {
        if before.value_type == after.value_type {
            self.sizes.update(before.value_type, Some(before.len), Some(after.len));
        } else {
            self.sizes.update(before.value_type, Some(before.len), None);
            self.sizes.update(after.value_type, None, Some(after.len));
        }
        if before.due_ms != after.due_ms {
            self.due.move_to(hash(key), before.due_ms, after.due_ms);
        }
    }
}

fn hash(key: &[u8]) -> u64 {
    HashTable::<Entry>::hash(key)
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
        let element = self.table.find_mut(key.hash, key.bytes)?;
        Some(EntryMut { element, notes: &mut self.notes })
    }

    /// The place of `key`, whether it is taken or not.
    #[inline]
    pub fn place(&mut self, key: Key<'_>) -> Place<'_> {
        let notes = &mut self.notes;
        match self.table.entry(key.hash, key.bytes) {
            hashtable::Entry::Occupied(element) => Place::Taken(EntryMut { element, notes }),
            hashtable::Entry::Vacant(place) => Place::Free(FreePlace { place, notes }),
        }
    }

    /// Adds an entry whose key is not there yet; `hash` is the key's.
    pub fn insert(&mut self, hash: u64, entry: Entry) {
        self.notes.came(entry.view());
        let expires = entry.view().expiry().is_some();
        self.table.insert_unique(hash, entry).set_mark(expires);
    }

    /// Takes the entry of `key` out.
    #[inline]
    pub fn remove(&mut self, key: Key<'_>) -> Option<Entry> {
        let removed = self.table.remove(key.hash, key.bytes)?;
        self.notes.went(removed.view());
        Some(removed)
    }

    /// Histograms of the lengths of the values.
    pub fn sizes(&self) -> &Keysizes {
        &self.notes.sizes
    }

    /// Number of entries of which a part has an expiry of its own.
    pub fn due_len(&self) -> usize {
        self.notes.due.len()
    }

    /// The entry of which a part expires first, if that is before `now_ms`.
    pub fn next_due(&mut self, now_ms: i64) -> Option<EntryMut<'_>> {
        let is = |(at_ms, due): (i64, u64)| {
            move |entry: EntryRef<'_>| entry.next_expiry() == Some(at_ms) && hash(entry.key()) == due
        };
        let first = loop {
            let first = self.notes.due.due(now_ms).next()?;
            if self.table.find_mut_by_hash(first.1, is(first)).is_some() {
                break first;
            }
            self.notes.due.remove(first.0, first.1);
        };
        let element = self.table.find_mut_by_hash(first.1, is(first))?;
        Some(EntryMut { element, notes: &mut self.notes })
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
pub struct FreePlace<'t> {
    place: VacantEntry<'t, Entry>,
    notes: &'t mut Notes,
}

impl FreePlace<'_> {
    /// Adds an entry that has the key looked for.
    #[inline]
    pub fn insert(self, entry: Entry) {
        self.notes.came(entry.view());
        let expires = entry.view().expiry().is_some();
        let mut element = self.place.insert(entry);
        if expires {
            element.set_mark(true);
        }
    }
}

/// An entry of a [`KvStore`], to be changed.
#[derive(Debug)]
pub struct EntryMut<'t> {
    element: ElementMut<'t, Entry>,
    notes: &'t mut Notes,
}

impl<'t> EntryMut<'t> {
    /// A view, which all that reads is a method of.
    #[inline]
    pub fn view(&self) -> EntryRef<'_> {
        self.element.view()
    }

    /// The view, for as long as the table is borrowed.
    #[inline]
    pub fn into_view(self) -> EntryRef<'t> {
        self.element.into_ref().get()
    }

    /// Stores another value.
    #[inline]
    pub fn set_string(&mut self, value: NewStr<'_>, expiry: Expiry) {
        let before = Note::of(self.view());
        self.element.set_string(value, expiry);
        match expiry {
            Expiry::Keep => {}
            Expiry::Clear => self.element.set_mark(false),
            Expiry::At(_) => self.element.set_mark(true),
        }
        self.note_change(before);
    }

    /// Writes into the string: see [`Entry::write_at`].
    pub fn write_at(&mut self, offset: usize, bytes: &[u8]) {
        let before = Note::of(self.view());
        self.element.write_at(offset, bytes);
        self.note_change(before);
    }

    /// The collection, to be changed; of a key that holds one of this type.
    #[inline]
    pub fn object_mut<T: Object>(&mut self) -> Changing<'_, T> {
        let object = self.element.object_mut::<T>();
        Changing { before: Note::of_object(&*object), object, notes: self.notes }
    }

    /// Sets the expiry to the Unix time `at_ms`.
    pub fn set_expiry(&mut self, at_ms: i64) {
        self.element.set_expiry(at_ms);
        self.element.set_mark(true);
    }

    /// Clears the expiry; returns whether there was one.
    pub fn clear_expiry(&mut self) -> bool {
        let had_one = self.element.mark();
        if had_one {
            self.element.clear_expiry();
            self.element.set_mark(false);
        }
        had_one
    }

    /// Puts another entry of the same key in the place of this one, which is given back.
    pub fn replace(&mut self, entry: Entry) -> Entry {
        let before = Note::of(self.view());
        self.element.set_mark(entry.view().expiry().is_some());
        let replaced = self.element.replace(entry);
        self.note_change(before);
        replaced
    }

    /// Takes the entry out of the table.
    pub fn remove(self) -> Entry {
        self.notes.went(self.element.view());
        self.element.remove()
    }

    #[inline]
    fn note_change(&mut self, before: Note) {
        let entry = self.element.view();
        self.notes.changed(entry.key(), before, Note::of(entry));
    }
}

/// A collection that is changed, in its entry; it dereferences to the value.
pub struct Changing<'a, T: Object> {
    object: ObjectMut<'a, T>,
    before: Note,
    notes: &'a mut Notes,
}

impl<T: Object> Deref for Changing<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        &self.object
    }
}

impl<T: Object> DerefMut for Changing<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.object
    }
}

impl<T: Object> Drop for Changing<'_, T> {
    #[inline]
    fn drop(&mut self) {
        let after = Note::of_object(&*self.object);
        self.notes.changed(self.object.key(), self.before, after);
    }
}

impl<T: Object + fmt::Debug> fmt::Debug for Changing<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// A mutable borrow, an [`EntryMut`].
#[derive(Debug)]
pub struct Mutable;

impl Loan for Mutable {
    type For<'a> = EntryMut<'a>;
}
