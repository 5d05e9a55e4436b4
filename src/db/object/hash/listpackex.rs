//! A listpack of fields with a place for their expiry, ordered by it.
//!
//! The fields without an expiry are behind those that have one, so the first field tells what is due next, and the due ones
//! are at the front. Of fields with the same expiry, the one that was given it last comes first. An expiry of 0 stands for none.

use std::ptr::NonNull;

use super::{Field, str_ref, value_of};
use crate::db::object::collection::Word;
use crate::db::object::{Expiry, NewStr};
use crate::ds::listpack::{Iter, Listpack, Position, Value};

/// Elements of a field.
const TRIPLE: usize = 3;

/// Fields with their expiry. See the [module](self).
#[derive(Debug, Clone)]
pub struct ListpackEx {
    list: Listpack,
}

// SAFETY: it is the listpack that it has.
unsafe impl Word for ListpackEx {
    #[inline(always)]
    fn into_word(self) -> NonNull<u8> {
        self.list.into_word()
    }

    #[inline(always)]
    unsafe fn from_word(word: NonNull<u8>) -> Self {
        // SAFETY: the caller's contract.
        ListpackEx { list: unsafe { Listpack::from_word(word) } }
    }
}

/// Where the elements of a field are.
#[derive(Clone, Copy)]
struct At {
    name: Position,
    value: Position,
    expiry: Position,
}

impl ListpackEx {
    /// Takes a listpack of name, value and expiry, if it is one: in order, and each name there once.
    pub fn from_list(list: Listpack) -> Option<ListpackEx> {
        if !list.len().is_multiple_of(TRIPLE) {
            return None;
        }
        let taken = ListpackEx { list };
        let mut last_ms = 0;
        let mut walk = taken.list.iter();
        while walk.next().is_some() {
            let at_ms = walk.nth(1)?.as_integer()?;
            let rank = if at_ms == 0 { i64::MAX } else { at_ms };
            if at_ms < 0 || rank < last_ms {
                return None;
            }
            last_ms = rank;
        }
        Some(taken)
    }

    /// The fields of a listpack of pairs, without expiries.
    pub fn from_pairs(pairs: &Listpack) -> ListpackEx {
        let mut list = Listpack::new();
        let mut values = pairs.iter();
        while let (Some(name), Some(value)) = (values.next(), values.next()) {
            list.append_all(&[name, value, Value::Integer(0)]);
        }
        ListpackEx { list }
    }

    /// The triples.
    pub fn list(&self) -> &Listpack {
        &self.list
    }

    /// Number of fields.
    pub fn len(&self) -> usize {
        self.list.len() / TRIPLE
    }

    /// Whether there are no fields.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The elements, three a field.
    pub fn iter(&self) -> Iter<'_> {
        self.list.iter()
    }

    /// The first expiry.
    pub fn next_expiry(&self) -> Option<i64> {
        triple(&mut self.list.iter())?.expiry
    }

    /// The field of this name.
    pub fn get(&self, name: &[u8]) -> Option<Field<'_>> {
        triple(&mut self.list.iter_from(self.find(name)?.name))
    }

    fn find(&self, name: &[u8]) -> Option<At> {
        let name = self.list.find(self.list.first()?, name, TRIPLE - 1)?;
        let value = self.list.next(name)?;
        Some(At { name, value, expiry: self.list.next(value)? })
    }

    /// Sets a field; returns whether it was there.
    pub fn set(&mut self, name: &[u8], value: &NewStr<'_>, expiry: Expiry) -> bool {
        let value = value_of(value);
        let found = self.find(name);
        match (found, expiry) {
            (Some(at), Expiry::Keep) => self.list.replace(at.value, value),
            (Some(at), Expiry::Clear) if self.expiry_at(at) == 0 => self.list.replace(at.value, value),
            (Some(at), _) => {
                self.list.delete_from(at.name, TRIPLE);
                self.insert(Value::from(name), value, expiry_of(expiry));
            }
            (None, _) => self.insert(Value::from(name), value, expiry_of(expiry)),
        }
        found.is_some()
    }

    /// Sets or clears the expiry of a field; returns whether there is such a field.
    pub fn set_expiry(&mut self, name: &[u8], at_ms: Option<i64>) -> bool {
        let Some(at) = self.find(name) else { return false };
        let at_ms = at_ms.unwrap_or(0);
        if at_ms == 0 && self.expiry_at(at) == 0 {
            return true;
        }
        let value = self.list.get(at.value).to_vec();
        self.list.delete_from(at.name, TRIPLE);
        self.insert(Value::from(name), Value::from(&value), at_ms);
        true
    }

    /// Removes a field; returns whether it was there.
    pub fn remove(&mut self, name: &[u8]) -> bool {
        let found = self.find(name);
        if let Some(at) = found {
            self.list.delete_from(at.name, TRIPLE);
        }
        found.is_some()
    }

    /// Removes the first field if its expiry has passed at `now_ms`; returns its name.
    pub fn pop_due(&mut self, now_ms: i64) -> Option<Vec<u8>> {
        let first = self.list.first()?;
        let field = triple(&mut self.list.iter())?;
        if !field.expired(now_ms) {
            return None;
        }
        let name = self.list.get(first).to_vec();
        self.list.delete_from(first, TRIPLE);
        Some(name)
    }

    fn expiry_at(&self, at: At) -> i64 {
        self.list.get(at.expiry).as_integer().unwrap_or(0)
    }

    /// Puts a field that is not there behind all that expire before it.
    fn insert(&mut self, name: Value<'_>, value: Value<'_>, at_ms: i64) {
        let triple = [name, value, Value::Integer(at_ms)];
        match self.place(at_ms) {
            Some(position) => _ = self.list.insert_all_before(position, &triple),
            None => self.list.append_all(&triple),
        }
    }

    /// The first field that is to be behind a new one with this expiry.
    fn place(&self, at_ms: i64) -> Option<Position> {
        if at_ms == 0 {
            return None;
        }
        let mut walk = self.list.iter();
        loop {
            let position = walk.position()?;
            let present = walk.nth(TRIPLE - 1)?.as_integer().unwrap_or(0);
            if present == 0 || present >= at_ms {
                return Some(position);
            }
        }
    }
}

/// An expiry as it is stored.
fn expiry_of(expiry: Expiry) -> i64 {
    match expiry {
        Expiry::At(at_ms) => at_ms,
        Expiry::Keep | Expiry::Clear => 0,
    }
}

/// The next three elements as a field.
pub(super) fn triple<'a>(list: &mut Iter<'a>) -> Option<Field<'a>> {
    let (name, value) = (str_ref(list.next()?), str_ref(list.next()?));
    let expiry = list.next()?.as_integer().filter(|at_ms| *at_ms != 0);
    Some(Field { name, value, expiry })
}
