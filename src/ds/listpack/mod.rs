//! A list of strings and integers in one run of bytes: the encoding `listpack`, and the bytes of it in RDB files.
//!
//! Small hashes, sets, sorted sets and lists, the nodes of long lists and those of streams are listpacks. An element costs
//! two bytes beyond its content where a pointer alone would cost eight, and neighbours share cache lines.
//!
//! ```text
//! byte 0            4         6                                       size - 1
//!      ┌────────────┬─────────┬───────────┬───────────┬─ ─ ─┬───────────┬──────┐
//!      │ size       │ count   │ element   │ element   │     │ element   │ 0xff │
//!      └────────────┴─────────┴───────────┴───────────┴─ ─ ─┴───────────┴──────┘
//!        u32, LE      u16, LE
//! ```
//!
//! A count of 65535 means "this many or more; count yourself". An element consists of an encoding, its content, and the
//! *back length*, which is how many bytes the two before it have. Walking forward reads the encoding, walking backward
//! the back length.
//!
//! | first byte           | follows                      | value                                       |
//! |----------------------|------------------------------|---------------------------------------------|
//! | `0xxxxxxx`           |                              | integer 0 to 127                            |
//! | `10nnnnnn`           | n bytes                      | string of 0 to 63 bytes                     |
//! | `110xxxxx`           | 1 byte                       | integer of 13 bits, most significant first  |
//! | `1110nnnn`           | 1 byte of length, n bytes    | string of 64 to 4095 bytes                  |
//! | `11110000` (`0xf0`)  | 4 bytes of length (LE), n    | string of any length                        |
//! | `0xf1` to `0xf4`     | 2, 3, 4 or 8 bytes (LE)      | integer of 16, 24, 32 or 64 bits            |
//! | `0xff`               |                              | end of the list, not an element             |
//!
//! The back length has seven bits a byte, so for all elements but long strings it is one byte. Its first byte has the top
//! bit clear, and all others have it set: it is read from the right.
//!
//! # Use
//!
//! An element is named by its [`Position`], which stays valid until something before it, or it itself, is changed.
//! Hashes and sorted sets keep pairs (field and value, member and score): element, partner, element, partner. Functions
//! that are about such *tuples* take their length.
//!
//! Bytes from outside become a [`Listpack`] through [`Listpack::from_bytes`] only, which walks all of them. From there on
//! the format is an invariant, and a breach of it panics.

mod encoding;
mod random;
mod validate;

#[cfg(test)]
mod tests;

pub use encoding::Value;
pub use validate::{validate, validate_with};

use std::ops::Range;

use self::encoding::{END, Encoded, back_length, back_length_size, decode, size};
use crate::ds::numbers::parse_i64;
use crate::zmalloc::good_size;

/// Bytes before the first element.
const HEADER: usize = 6;
/// Bytes of a listpack without elements.
const EMPTY: usize = HEADER + 1;
/// The count that stands for itself and all above.
const COUNT_UNKNOWN: usize = u16::MAX as usize;

/// How large a listpack may become. Nothing breaks beyond, up to 4 GiB; but commands refuse to go there.
pub const SIZE_LIMIT: usize = 1 << 30;

/// A list of strings and integers. See the [module](self).
#[derive(Clone, PartialEq, Eq)]
pub struct Listpack {
    bytes: Vec<u8>,
}

/// Names an element: the index of its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(u32);

impl Position {
    fn index(self) -> usize {
        self.0 as usize
    }
}

impl Listpack {
    /// The empty list.
    pub fn new() -> Listpack {
        Listpack::with_capacity(0)
    }

    /// The empty list, with room for so many bytes of elements.
    pub fn with_capacity(elements: usize) -> Listpack {
        let mut bytes = Vec::new();
        bytes.reserve_exact(good_size(EMPTY + elements));
        bytes.extend_from_slice(&(EMPTY as u32).to_le_bytes());
        bytes.extend_from_slice(&[0, 0, END]);
        Listpack { bytes }
    }

    /// Takes bytes as they come from a file or a `RESTORE`, if [`validate`] accepts them.
    pub fn from_bytes(bytes: Vec<u8>) -> Option<Listpack> {
        validate(&bytes).then_some(Listpack { bytes })
    }

    /// The bytes, in the format above.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes, in the format above.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Bytes allocated, used or not.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// The number of elements. Takes a walk if there are 65535 or more.
    pub fn len(&self) -> usize {
        match self.stored_count() {
            COUNT_UNKNOWN => self.iter().count(),
            count => count,
        }
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.bytes.len() == EMPTY
    }

    /// Whether so many more bytes of elements keep it within [`SIZE_LIMIT`].
    pub fn can_grow(&self, more: usize) -> bool {
        self.bytes.len().saturating_add(more) <= SIZE_LIMIT
    }

    /// The first element.
    pub fn first(&self) -> Option<Position> {
        self.position(HEADER)
    }

    /// The last element.
    pub fn last(&self) -> Option<Position> {
        self.before(self.end())
    }

    /// The element behind that one.
    #[inline]
    pub fn next(&self, position: Position) -> Option<Position> {
        self.position(self.skip(position.index()))
    }

    /// The element before that one.
    pub fn prev(&self, position: Position) -> Option<Position> {
        self.before(position.index())
    }

    /// The element with that index. Negative ones count from the end: -1 is the last.
    pub fn seek(&self, index: i64) -> Option<Position> {
        let count = self.stored_count() as i64;
        let (forward, steps) = match (index >= 0, count == COUNT_UNKNOWN as i64) {
            (forward, true) => (forward, if forward { index } else { -(index + 1) }),
            (_, false) => {
                let index = if index < 0 { count.checked_add(index)? } else { index };
                if !(0..count).contains(&index) {
                    return None;
                }
                if index <= count / 2 { (true, index) } else { (false, count - 1 - index) }
            }
        };
        if forward {
            (0..steps).try_fold(self.first()?, |position, _| self.next(position))
        } else {
            (0..steps).try_fold(self.last()?, |position, _| self.prev(position))
        }
    }

    /// The value of an element.
    #[inline]
    pub fn get(&self, position: Position) -> Value<'_> {
        decode(&self.bytes[position.index()..]).0
    }

    /// The values, from the first to the last.
    pub fn iter(&self) -> Iter<'_> {
        Iter { list: self, front: HEADER, back: self.end() }
    }

    /// The values from that element on.
    pub fn iter_from(&self, position: Position) -> Iter<'_> {
        Iter { list: self, front: position.index(), back: self.end() }
    }

    /// Searches from that element on for one whose text is `text`. After each comparison, `skip` elements are passed
    /// over: with 1, only the fields of pairs are looked at.
    pub fn find(&self, from: Position, text: &[u8], skip: usize) -> Option<Position> {
        let integer = parse_i64(text);
        let mut at = from.index();
        while self.bytes[at] != END {
            let (value, size) = decode(&self.bytes[at..]);
            let found = match value {
                Value::Integer(value) => integer == Some(value),
                Value::String(own) => own == text,
            };
            if found {
                return Some(Position(at as u32));
            }
            at += size + back_length_size(size);
            for _ in 0..skip {
                if self.bytes[at] == END {
                    return None;
                }
                at = self.skip(at);
            }
        }
        None
    }

    /// Adds an element behind the last.
    pub fn append<'a>(&mut self, value: impl Into<Value<'a>>) {
        self.splice(self.end()..self.end(), 0, &[value.into()]);
    }

    /// Adds an element before the first.
    pub fn prepend<'a>(&mut self, value: impl Into<Value<'a>>) {
        self.splice(HEADER..HEADER, 0, &[value.into()]);
    }

    /// Adds elements behind the last, at once.
    pub fn append_all(&mut self, values: &[Value<'_>]) {
        self.splice(self.end()..self.end(), 0, values);
    }

    /// Adds an element before that one. Returns its position, which is that one's until now.
    pub fn insert_before<'a>(&mut self, position: Position, value: impl Into<Value<'a>>) -> Position {
        self.insert_all_before(position, &[value.into()])
    }

    /// Adds an element behind that one. Returns its position.
    pub fn insert_after<'a>(&mut self, position: Position, value: impl Into<Value<'a>>) -> Position {
        self.insert_all_after(position, &[value.into()])
    }

    /// Adds elements before that one, at once. Returns the position of the first, which is that one's until now.
    pub fn insert_all_before(&mut self, position: Position, values: &[Value<'_>]) -> Position {
        self.splice(position.index()..position.index(), 0, values);
        position
    }

    /// Adds elements behind that one, at once. Returns the position of the first.
    pub fn insert_all_after(&mut self, position: Position, values: &[Value<'_>]) -> Position {
        let at = self.skip(position.index());
        self.splice(at..at, 0, values);
        Position(at as u32)
    }

    /// Gives an element another value. It keeps its position.
    pub fn replace<'a>(&mut self, position: Position, value: impl Into<Value<'a>>) {
        let at = position.index();
        self.splice(at..self.skip(at), 1, &[value.into()]);
    }

    /// Removes an element. Returns the one behind it, which has that position now.
    pub fn delete(&mut self, position: Position) -> Option<Position> {
        self.delete_from(position, 1)
    }

    /// Removes `count` elements from that one on, or as many as there are. Returns the one behind them, which has that
    /// position now.
    pub fn delete_from(&mut self, position: Position, count: usize) -> Option<Position> {
        let start = position.index();
        let (mut end, mut deleted) = (start, 0);
        while deleted < count && self.bytes[end] != END {
            end = self.skip(end);
            deleted += 1;
        }
        self.splice(start..end, deleted, &[]);
        self.position(start)
    }

    /// Removes `count` elements from that index on, or as many as there are. Negative indexes count from the end.
    pub fn delete_range(&mut self, index: i64, count: usize) {
        if let Some(position) = self.seek(index) {
            self.delete_from(position, count);
        }
    }

    /// Removes the elements at these positions, which ascend.
    pub fn delete_all(&mut self, positions: &[Position]) {
        let Some(first) = positions.first() else { return };
        let mut to = first.index();
        for (index, position) in positions.iter().enumerate() {
            let from = self.skip(position.index());
            let end = positions.get(index + 1).map_or(self.bytes.len(), |next| next.index());
            self.bytes.copy_within(from..end, to);
            to += end - from;
        }
        let count = self.stored_count();
        self.bytes.truncate(to);
        self.shrink();
        self.finish(count, positions.len(), 0);
    }

    /// The elements of both, those of `self` first. The shorter is copied into the longer.
    #[must_use]
    pub fn merge(mut self, mut other: Listpack) -> Listpack {
        let (count, added) = (self.len(), other.len());
        if self.bytes.len() >= other.bytes.len() {
            self.make_room(self.end(), other.bytes.len() - EMPTY);
            let end = self.end();
            self.bytes[end - (other.bytes.len() - EMPTY)..end]
                .copy_from_slice(&other.bytes[HEADER..other.end()]);
            self.finish(count, 0, added);
            self
        } else {
            other.make_room(HEADER, self.bytes.len() - EMPTY);
            other.bytes[HEADER..self.end()].copy_from_slice(&self.bytes[HEADER..self.end()]);
            other.finish(added, 0, count);
            other
        }
    }

    /// Replaces a range of bytes, which are `removed` whole elements, by the elements of `values`.
    fn splice(&mut self, range: Range<usize>, removed: usize, values: &[Value<'_>]) {
        let inserted: usize = values.iter().map(|&value| Encoded::new(value).size()).sum();
        let count = self.stored_count();
        if inserted > range.len() {
            self.make_room(range.end, inserted - range.len());
        } else if inserted < range.len() {
            self.bytes.drain(range.start + inserted..range.end);
            self.shrink();
        }
        let mut out = &mut self.bytes[range.start..];
        for &value in values {
            out = Encoded::new(value).write(out);
        }
        self.finish(count, removed, values.len());
    }

    /// Inserts bytes of any content.
    fn make_room(&mut self, at: usize, more: usize) {
        let old = self.bytes.len();
        let new = old + more;
        if new > self.bytes.capacity() {
            // Exactly as many as the allocator would round up to anyway. Its size classes grow in proportion, so
            // that appending copies each byte a bounded number of times.
            self.bytes.reserve_exact(good_size(new) - old);
        }
        self.bytes.resize(new, 0);
        self.bytes.copy_within(at..old, at + more);
    }

    /// Gives back memory that the allocator would not have given for the present size.
    fn shrink(&mut self) {
        self.bytes.shrink_to(good_size(self.bytes.len()));
    }

    /// Brings the header up to date after elements came and went.
    fn finish(&mut self, count: usize, removed: usize, added: usize) {
        let size = u32::try_from(self.bytes.len()).expect("a listpack has less than 4 GiB");
        self.bytes[..4].copy_from_slice(&size.to_le_bytes());
        let count = match count {
            // No element has less than two bytes: does it show that there are few enough to be counted again?
            COUNT_UNKNOWN if self.bytes.len() < EMPTY + 2 * COUNT_UNKNOWN => self.iter().count(),
            COUNT_UNKNOWN => return,
            count => count - removed + added,
        };
        let count = u16::try_from(count).unwrap_or(u16::MAX);
        self.bytes[4..HEADER].copy_from_slice(&count.to_le_bytes());
    }

    fn stored_count(&self) -> usize {
        usize::from(u16::from_le_bytes([self.bytes[4], self.bytes[5]]))
    }

    /// The index of the end mark.
    fn end(&self) -> usize {
        self.bytes.len() - 1
    }

    /// The index behind the element at `at`.
    #[inline]
    fn skip(&self, at: usize) -> usize {
        let size = size(&self.bytes[at..]);
        at + size + back_length_size(size)
    }

    /// The index of the element that ends before `at`, where one does.
    fn skip_back(&self, at: usize) -> usize {
        let size = back_length(&self.bytes[..at]).expect("an element ends with its back length");
        at - size - back_length_size(size)
    }

    fn position(&self, at: usize) -> Option<Position> {
        (self.bytes[at] != END).then_some(Position(at as u32))
    }

    fn before(&self, at: usize) -> Option<Position> {
        (at > HEADER).then(|| Position(self.skip_back(at) as u32))
    }
}

/// The bytes that a listpack of `count` times the same integer has.
pub fn estimate_repeated_integer(value: i64, count: usize) -> usize {
    EMPTY + Value::Integer(value).element_size() * count
}

impl Default for Listpack {
    fn default() -> Listpack {
        Listpack::new()
    }
}

impl std::fmt::Debug for Listpack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a, V: Into<Value<'a>>> Extend<V> for Listpack {
    fn extend<I: IntoIterator<Item = V>>(&mut self, values: I) {
        for value in values {
            self.append(value);
        }
    }
}

impl<'a, V: Into<Value<'a>>> FromIterator<V> for Listpack {
    fn from_iter<I: IntoIterator<Item = V>>(values: I) -> Listpack {
        let mut list = Listpack::new();
        list.extend(values);
        list
    }
}

impl<'a> IntoIterator for &'a Listpack {
    type Item = Value<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Walks over the values of a listpack, from both ends if need be.
#[derive(Clone)]
pub struct Iter<'a> {
    list: &'a Listpack,
    front: usize,
    back: usize,
}

impl Iter<'_> {
    /// The position of what [`next`](Iterator::next) would return.
    pub fn position(&self) -> Option<Position> {
        (self.front < self.back).then_some(Position(self.front as u32))
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = Value<'a>;

    #[inline]
    fn next(&mut self) -> Option<Value<'a>> {
        if self.front == self.back {
            return None;
        }
        let (value, size) = decode(&self.list.bytes[self.front..]);
        self.front += size + back_length_size(size);
        Some(value)
    }

    fn count(mut self) -> usize {
        let mut count = 0;
        while self.front < self.back {
            self.front = self.list.skip(self.front);
            count += 1;
        }
        count
    }
}

impl<'a> DoubleEndedIterator for Iter<'a> {
    fn next_back(&mut self) -> Option<Value<'a>> {
        if self.front == self.back {
            return None;
        }
        self.back = self.list.skip_back(self.back);
        Some(decode(&self.list.bytes[self.back..]).0)
    }
}
