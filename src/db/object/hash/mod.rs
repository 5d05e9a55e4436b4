//! Hashes: fields with a value each, and some with an expiry.
//!
//! A hash starts as a listpack and becomes a table when it grows past the configured [`Limits`]; a listpack whose
//! fields are given an expiry becomes one of triples:
//!
//! ```text
//!   Listpack      name, value, name, value, …                 in the order in which the fields came
//!   ListpackEx    name, value, expiry, name, value, expiry, … by expiry, those without one (0) last
//!   Table         HashTable of entries                        a field is an entry: its key is the field's name
//! ```
//!
//! Nothing is converted back, so an encoding never changes twice for a change of the data. The conditions are
//! upstream's: too many fields, a name or value that is too long, an expiry.
//!
//! # Fields of a table
//!
//! A field of a table is an [`Entry`](super::Entry), the same allocation that holds a key of a database with a string, with
//! the field's name for the key: one allocation a field, with the value behind the name, and with the word for an expiry
//! where there is one. A value that reads as an integer is stored as one where that is shorter; its
//! text is the same again, because only canonical texts read as integers.
//!
//! Fields with an expiry are marked in the table and are noted, with the hash of their name, in
//! [`Deadlines`](crate::ds::deadlines::Deadlines), so that the next one is at hand.
//!
//! # Expiry
//!
//! A hash never looks at the clock. A field whose expiry has passed is there until somebody removes it: [`Field::expired`]
//! says which ones a command must not see, [`Hash::pop_due`] removes them in the order of their expiry, and
//! [`Hash::next_expiry`], the first of all expiries, is what the database keeps of each hash to find it in time.

mod listpackex;
mod random;
mod table;
#[cfg(test)]
mod tests;

pub use listpackex::ListpackEx;
pub use random::sample;
pub use table::Table;

use super::collection::object_type;
use super::{Collection, Encoding, Expiry, NewStr, StrRef, Type};
use crate::db::object::Entry;
use crate::ds::hashtable;
use crate::ds::listpack::{self, Listpack, Value};

/// The last Unix time in milliseconds that a field's expiry can be: upstream's `EB_EXPIRE_TIME_MAX`.
pub const EXPIRY_MAX_MS: i64 = (1 << 46) - 1;

/// Up to which size a hash is a listpack.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Fields: `hash-max-listpack-entries`.
    pub entries: usize,
    /// Bytes of a name or value: `hash-max-listpack-value`.
    pub value: usize,
}

/// A hash. See the [module](self).
#[derive(Debug, Clone)]
pub enum Hash {
    /// Few short fields.
    Listpack(Listpack),
    /// Few short fields, of which some have, or had, an expiry.
    ListpackEx(ListpackEx),
    /// Many fields, or long ones.
    Table(Box<Table>),
}

/// A field, borrowed.
#[derive(Debug, Clone, Copy)]
pub struct Field<'a> {
    /// Its name.
    pub name: StrRef<'a>,
    /// Its value.
    pub value: StrRef<'a>,
    /// Its expiry as Unix time in milliseconds.
    pub expiry: Option<i64>,
}

impl Field<'_> {
    /// Whether its expiry has passed at `now_ms`.
    #[inline]
    pub fn expired(&self, now_ms: i64) -> bool {
        self.expiry.is_some_and(|at_ms| at_ms < now_ms)
    }
}

impl Default for Hash {
    fn default() -> Hash {
        Hash::new()
    }
}

impl Hash {
    /// A hash without fields.
    pub fn new() -> Hash {
        Hash::Listpack(Listpack::new())
    }

    /// The field of this name.
    pub fn get(&self, name: &[u8]) -> Option<Field<'_>> {
        match self {
            Hash::Listpack(list) => {
                let at = list.find(list.first()?, name, 1)?;
                pair(&mut list.iter_from(at))
            }
            Hash::ListpackEx(list) => list.get(name),
            Hash::Table(table) => table.get(name),
        }
    }

    /// All fields, those included whose expiry has passed.
    pub fn iter(&self) -> Iter<'_> {
        match self {
            Hash::Listpack(list) => Iter::Pairs(list.iter()),
            Hash::ListpackEx(list) => Iter::Triples(list.iter()),
            Hash::Table(table) => Iter::Table(table.iter()),
        }
    }

    /// Shows some fields and returns the cursor to go on with; 0 begins and ends. What is not a table is shown at once.
    pub fn scan(&self, cursor: u64, mut show: impl FnMut(Field<'_>)) -> u64 {
        match self {
            Hash::Table(table) => table.scan(cursor, show),
            _ => {
                self.iter().for_each(&mut show);
                0
            }
        }
    }

    /// Makes ready for `pairs` fields to be set whose names and values have these lengths: what does not fit a listpack
    /// is converted once, and not in the middle.
    pub fn prepare(&mut self, pairs: usize, lengths: impl Iterator<Item = usize>, limits: Limits) {
        let Some(list) = self.list() else { return };
        if pairs > limits.entries {
            self.convert_to_table(pairs);
            return;
        }
        let mut sum = 0usize;
        for len in lengths {
            if len > limits.value {
                return self.convert_to_table(0);
            }
            sum = sum.saturating_add(len);
        }
        if !list.can_grow(sum) {
            self.convert_to_table(0);
        }
    }

    /// Sets a field; returns whether it was there.
    pub fn set(&mut self, name: &[u8], value: NewStr<'_>, expiry: Expiry, limits: Limits) -> bool {
        if let Some(list) = self.list() {
            let len = value.len();
            let fits = name.len() <= limits.value && len <= limits.value && list.can_grow(name.len() + len);
            if !fits {
                self.convert_to_table(0);
            } else if matches!(expiry, Expiry::At(_)) {
                self.convert_to_triples();
            }
        }
        let was_there = match self {
            Hash::Listpack(list) => set_pair(list, name, &value),
            Hash::ListpackEx(list) => list.set(name, &value, expiry),
            Hash::Table(table) => return table.set(name, value, expiry),
        };
        if self.len() > limits.entries {
            self.convert_to_table(0);
        }
        was_there
    }

    /// Sets the expiry of a field to the Unix time `at_ms`; returns whether there is such a field.
    pub fn set_expiry(&mut self, name: &[u8], at_ms: i64) -> bool {
        debug_assert!((0..=EXPIRY_MAX_MS).contains(&at_ms));
        self.convert_to_triples();
        match self {
            Hash::Listpack(_) => false,
            Hash::ListpackEx(list) => list.set_expiry(name, Some(at_ms)),
            Hash::Table(table) => table.set_expiry(name, Some(at_ms)),
        }
    }

    /// Clears the expiry of a field.
    pub fn clear_expiry(&mut self, name: &[u8]) {
        match self {
            Hash::Listpack(_) => {}
            Hash::ListpackEx(list) => _ = list.set_expiry(name, None),
            Hash::Table(table) => _ = table.set_expiry(name, None),
        }
    }

    /// Removes a field; returns whether it was there.
    pub fn remove(&mut self, name: &[u8]) -> bool {
        match self {
            Hash::Listpack(list) => {
                let found = list.first().and_then(|first| list.find(first, name, 1));
                if let Some(at) = found {
                    list.delete_from(at, 2);
                }
                found.is_some()
            }
            Hash::ListpackEx(list) => list.remove(name),
            Hash::Table(table) => table.remove(name),
        }
    }

    /// Removes the field whose expiry passed first, if one has passed at `now_ms`; returns its name.
    pub fn pop_due(&mut self, now_ms: i64) -> Option<Vec<u8>> {
        match self {
            Hash::Listpack(_) => None,
            Hash::ListpackEx(list) => list.pop_due(now_ms),
            Hash::Table(table) => table.pop_due(now_ms),
        }
    }

    /// The listpack, unless the hash is a table.
    pub fn list(&self) -> Option<&Listpack> {
        match self {
            Hash::Listpack(list) => Some(list),
            Hash::ListpackEx(list) => Some(list.list()),
            Hash::Table(_) => None,
        }
    }

    /// Gives fields a place for an expiry: upstream does so as soon as a command asks for one, whatever comes of it.
    pub fn convert_to_triples(&mut self) {
        if let Hash::Listpack(list) = self {
            *self = Hash::ListpackEx(ListpackEx::from_pairs(list));
        }
    }

    /// Makes a table of a listpack, with room for `room` fields if that is more than it has.
    fn convert_to_table(&mut self, room: usize) {
        let mut table = Box::new(Table::with_room(room.max(self.len())));
        let mut digits = itoa::Buffer::new();
        for field in self.iter() {
            table.insert(field.name.bytes(&mut digits), field.value, field.expiry);
        }
        *self = Hash::Table(table);
    }
}

object_type! { Hash: Type::Hash {
    Listpack(Listpack) = Encoding::Listpack,
    ListpackEx(ListpackEx) = Encoding::ListpackEx,
    Table(Box<Table>) = Encoding::HashTable,
} }

impl Collection for Hash {
    fn mem_bytes(&self, samples: usize) -> usize {
        match self {
            Hash::Listpack(list) => list.capacity(),
            Hash::ListpackEx(list) => list.list().capacity(),
            Hash::Table(table) => table.mem_bytes(samples),
        }
    }

    fn free_effort(&self) -> usize {
        match self {
            Hash::Table(table) => table.len(),
            _ => 1,
        }
    }

    fn len(&self) -> usize {
        match self {
            Hash::Listpack(list) => list.len() / 2,
            Hash::ListpackEx(list) => list.len(),
            Hash::Table(table) => table.len(),
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Hash::Listpack(list) => list.is_empty(),
            Hash::ListpackEx(list) => list.is_empty(),
            Hash::Table(table) => table.is_empty(),
        }
    }

    #[inline]
    fn next_expiry(&self) -> Option<i64> {
        match self {
            Hash::Listpack(_) => None,
            Hash::ListpackEx(list) => list.next_expiry(),
            Hash::Table(table) => table.next_expiry(),
        }
    }
}

/// The fields of a hash, one after the other.
pub enum Iter<'a> {
    /// Of a listpack.
    Pairs(listpack::Iter<'a>),
    /// Of a listpack with expiries.
    Triples(listpack::Iter<'a>),
    /// Of a table.
    Table(hashtable::Iter<'a, Entry>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = Field<'a>;

    #[inline]
    fn next(&mut self) -> Option<Field<'a>> {
        match self {
            Iter::Pairs(list) => pair(list),
            Iter::Triples(list) => listpackex::triple(list),
            Iter::Table(table) => table.next().map(|element| table::field(element.get())),
        }
    }
}

/// Sets a field of a listpack of pairs; returns whether it was there.
fn set_pair(list: &mut Listpack, name: &[u8], value: &NewStr<'_>) -> bool {
    let found = list.first().and_then(|first| list.find(first, name, 1));
    match found.and_then(|at| list.next(at)) {
        Some(at) => list.replace(at, value_of(value)),
        None => list.append_all(&[Value::from(name), value_of(value)]),
    }
    found.is_some()
}

/// The next two elements as a field.
fn pair<'a>(list: &mut listpack::Iter<'a>) -> Option<Field<'a>> {
    Some(Field { name: str_ref(list.next()?), value: str_ref(list.next()?), expiry: None })
}

/// A string of a listpack.
#[inline]
fn str_ref(value: Value<'_>) -> StrRef<'_> {
    match value {
        Value::Integer(n) => StrRef::Int(n),
        Value::String(text) => StrRef::Inline(text),
    }
}

/// A string for a listpack.
fn value_of<'a>(value: &'a NewStr<'_>) -> Value<'a> {
    match value {
        NewStr::Int(n) => Value::Integer(*n),
        NewStr::Copy(text) => Value::from(*text),
        NewStr::Share(text) => Value::from(&text[..]),
    }
}
