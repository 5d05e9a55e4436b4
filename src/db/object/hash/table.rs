//! A hash of many fields: a table of entries, and the deadlines of those that have an expiry.

use super::Field;
use crate::db::object::{Entry, EntryRef, Expiry, NewStr, StrRef};
use crate::ds::deadlines::Deadlines;
use crate::ds::hashtable::{self, HashTable, Iter};
use crate::ds::numbers::decimal_len;

/// Longest text of an integer that is no longer than the word which would hold it.
const SHORT_INT: usize = 8;

/// The fields of a hash. See the [module above](super).
///
/// A field is marked in the table if and only if it has an expiry, and then its deadline is in `deadlines`.
#[derive(Debug, Default)]
pub struct Table {
    fields: HashTable<Entry>,
    deadlines: Deadlines,
}

impl Table {
    /// A table with room for `fields` fields.
    pub fn with_room(fields: usize) -> Table {
        let mut table = Table::default();
        table.fields.reserve(fields);
        table
    }

    /// Number of fields.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there are no fields.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The first expiry.
    #[inline]
    pub fn next_expiry(&self) -> Option<i64> {
        self.deadlines.next_ms()
    }

    /// The field of this name.
    pub fn get(&self, name: &[u8]) -> Option<Field<'_>> {
        Some(field(self.fields.find(hash(name), name)?.get()))
    }

    /// The fields, in no order.
    pub fn iter(&self) -> Iter<'_, Entry> {
        self.fields.iter()
    }

    /// The table of the fields, for its statistics.
    pub fn fields(&self) -> &HashTable<Entry> {
        &self.fields
    }

    /// Shows some fields: see [`HashTable::scan`].
    pub fn scan(&self, cursor: u64, mut show: impl FnMut(Field<'_>)) -> u64 {
        self.fields.scan(cursor, |element| show(field(element.get())))
    }

    /// Adds a field that is not there.
    pub fn insert(&mut self, name: &[u8], value: StrRef<'_>, expiry: Option<i64>) {
        let hash = hash(name);
        let mut digits = itoa::Buffer::new();
        let value = match value {
            StrRef::Int(n) => shorter(n, &mut digits),
            StrRef::Inline(text) => NewStr::Copy(text),
            StrRef::Shared(text) => NewStr::Share(text.clone()),
        };
        self.fields.insert_unique(hash, Entry::new(name, value, expiry, 0)).set_mark(expiry.is_some());
        self.deadlines.move_to(hash, None, expiry);
    }

    /// Sets a field; returns whether it was there.
    pub fn set(&mut self, name: &[u8], value: NewStr<'_>, expiry: Expiry) -> bool {
        let hash = hash(name);
        let mut digits = itoa::Buffer::new();
        let value = compact(value, &mut digits);
        match self.fields.entry(hash, name) {
            hashtable::Entry::Occupied(mut found) => {
                let before = found.view().expiry();
                found.set_string(value, expiry);
                let after = found.view().expiry();
                found.set_mark(after.is_some());
                drop(found);
                self.deadlines.move_to(hash, before, after);
                true
            }
            hashtable::Entry::Vacant(place) => {
                let at_ms = if let Expiry::At(at_ms) = expiry { Some(at_ms) } else { None };
                place.insert(Entry::new(name, value, at_ms, 0)).set_mark(at_ms.is_some());
                self.deadlines.move_to(hash, None, at_ms);
                false
            }
        }
    }

    /// Sets or clears the expiry of a field; returns whether there is such a field.
    pub fn set_expiry(&mut self, name: &[u8], at_ms: Option<i64>) -> bool {
        let hash = hash(name);
        let Some(mut found) = self.fields.find_mut(hash, name) else { return false };
        let before = found.view().expiry();
        match at_ms {
            Some(at_ms) => found.set_expiry(at_ms),
            None => found.clear_expiry(),
        }
        found.set_mark(at_ms.is_some());
        drop(found);
        self.deadlines.move_to(hash, before, at_ms);
        true
    }

    /// Removes a field; returns whether it was there.
    pub fn remove(&mut self, name: &[u8]) -> bool {
        let hash = hash(name);
        let Some(removed) = self.fields.remove(hash, name) else { return false };
        self.deadlines.move_to(hash, removed.view().expiry(), None);
        true
    }

    /// Removes the field whose expiry passed first, if one has passed at `now_ms`; returns its name.
    pub fn pop_due(&mut self, now_ms: i64) -> Option<Vec<u8>> {
        loop {
            let (at_ms, due) = self.deadlines.due(now_ms).next()?;
            self.deadlines.remove(at_ms, due);
            let is_due = |e: EntryRef<'_>| e.expiry() == Some(at_ms) && hash(e.key()) == due;
            if let Some(found) = self.fields.find_mut_by_hash(due, is_due) {
                return Some(found.remove().view().key().to_vec());
            }
        }
    }

    /// Bytes of memory, extrapolated from `samples` fields; 0 looks at all.
    pub fn mem_bytes(&self, samples: usize) -> usize {
        let fixed = size_of::<Table>() + self.fields.mem_bytes() + self.deadlines.mem_bytes();
        let samples = if samples == 0 { usize::MAX } else { samples }.min(self.len());
        if samples == 0 {
            return fixed;
        }
        let sampled: usize = self.iter().take(samples).map(|element| element.get().mem_bytes(0)).sum();
        fixed + (sampled as f64 / samples as f64 * self.len() as f64) as usize
    }

    #[cfg(test)]
    pub(super) fn debug_validate(&self) {
        self.fields.debug_validate();
        assert_eq!(self.fields.marked_len(), self.deadlines.len());
        for element in self.iter() {
            assert_eq!(element.mark(), element.get().expiry().is_some());
        }
    }
}

impl Clone for Table {
    fn clone(&self) -> Table {
        let mut copy = Table::with_room(self.len());
        for element in self.iter() {
            let entry = element.get();
            copy.insert(entry.key(), entry.string(), entry.expiry());
        }
        copy
    }
}

fn hash(name: &[u8]) -> u64 {
    HashTable::<Entry>::hash(name)
}

/// An entry as a field.
#[inline]
pub(super) fn field(entry: EntryRef<'_>) -> Field<'_> {
    Field { name: StrRef::Inline(entry.key()), value: entry.string(), expiry: entry.expiry() }
}

/// The value in the form that takes less memory.
fn compact<'a>(value: NewStr<'a>, digits: &'a mut itoa::Buffer) -> NewStr<'a> {
    match value {
        NewStr::Int(n) => shorter(n, digits),
        NewStr::Copy(text) if text.len() > SHORT_INT => NewStr::encode(text),
        other => other,
    }
}

/// An integer as a word or as its digits.
fn shorter(n: i64, digits: &mut itoa::Buffer) -> NewStr<'_> {
    if decimal_len(n) <= SHORT_INT { NewStr::Copy(digits.format(n).as_bytes()) } else { NewStr::Int(n) }
}
