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
//! A [`Listpack`] is one pointer wide. Its memory is what the allocator gives for its size, never more, so that it cannot
//! be asked to hold room in reserve.
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
pub use validate::{Strange, validate, validate_with};

use std::ops::Range;
use std::ptr::NonNull;

use self::encoding::{END, Encoded, append, back_length, back_length_size, decode, size};
use super::blob::{Blob, ListpackFormat};
use crate::ds::numbers::parse_i64;

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
#[repr(transparent)]
pub struct Listpack {
    blob: Blob<ListpackFormat>,
}

/// Elements in the form in which a list has them, to be added to one at once.
#[derive(Debug, Default)]
pub struct Elements {
    bytes: Vec<u8>,
    count: usize,
}

impl Elements {
    /// What an element takes beyond its text, at most.
    const OVERHEAD: usize = 10;

    /// None yet, with room for so many, whose texts have so many bytes together.
    pub fn with_room(count: usize, text_bytes: usize) -> Elements {
        Elements { bytes: Vec::with_capacity(text_bytes + Self::OVERHEAD * count), count: 0 }
    }

    /// Adds one behind the last.
    #[inline]
    pub fn push<'a>(&mut self, value: impl Into<Value<'a>>) {
        append(value.into(), &mut self.bytes);
        self.count += 1;
    }

    /// How many there are.
    #[inline]
    #[allow(clippy::len_without_is_empty)] // nobody asks
    pub fn len(&self) -> usize {
        self.count
    }
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
        let mut blob = Blob::new(&header(EMPTY, 0));
        blob.body_mut()[0] = END;
        Listpack { blob }
    }

    /// Takes bytes as they come from a file or a `RESTORE`, if [`validate`] accepts them.
    pub fn from_bytes(bytes: impl AsRef<[u8]>) -> Option<Listpack> {
        let bytes = bytes.as_ref();
        validate(bytes).then(|| Listpack { blob: Blob::copy_of(bytes) })
    }

    /// Takes bytes that [`validate_with`] or [`Strange`] has just accepted: what is asked for again is no more than the size.
    pub fn from_checked(bytes: &[u8]) -> Option<Listpack> {
        debug_assert!(validate(bytes), "the bytes were not checked");
        let size = u32::from_le_bytes(*bytes.first_chunk()?) as usize;
        (size == bytes.len() && size >= EMPTY).then(|| Listpack { blob: Blob::copy_of(bytes) })
    }

    /// The bytes, in the format above.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        self.blob.as_slice()
    }

    /// Bytes allocated.
    pub fn capacity(&self) -> usize {
        self.blob.capacity()
    }

    /// Gives up the list for an address that is a multiple of eight.
    #[inline]
    pub fn into_raw(self) -> NonNull<u8> {
        self.blob.into_raw()
    }

    /// Makes a list of what [`Self::into_raw`] gave.
    ///
    /// # Safety
    ///
    /// - `data` is from [`Self::into_raw`], and no other list is made of it that is used or dropped.
    #[inline]
    pub unsafe fn from_raw(data: NonNull<u8>) -> Listpack {
        // SAFETY: the caller's contract.
        Listpack { blob: unsafe { Blob::from_raw(data) } }
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
        self.size() == EMPTY
    }

    /// Whether so many more bytes of elements keep it within [`SIZE_LIMIT`].
    pub fn can_grow(&self, more: usize) -> bool {
        self.size().saturating_add(more) <= SIZE_LIMIT
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
        decode(&self.as_bytes()[position.index()..]).0
    }

    /// The values, from the first to the last.
    pub fn iter(&self) -> Iter<'_> {
        Iter { bytes: self.as_bytes(), front: HEADER, back: self.end() }
    }

    /// The values from that element on.
    pub fn iter_from(&self, position: Position) -> Iter<'_> {
        Iter { bytes: self.as_bytes(), front: position.index(), back: self.end() }
    }

    /// Searches from that element on for one whose text is `text`. After each comparison, `skip` elements are passed
    /// over: with 1, only the fields of pairs are looked at.
    pub fn find(&self, from: Position, text: &[u8], skip: usize) -> Option<Position> {
        let bytes = self.as_bytes();
        let integer = parse_i64(text);
        let mut at = from.index();
        while bytes[at] != END {
            let (value, size) = decode(&bytes[at..]);
            let found = match value {
                Value::Integer(value) => integer == Some(value),
                Value::String(own) => own == text,
            };
            if found {
                return Some(Position(at as u32));
            }
            at += size + back_length_size(size);
            for _ in 0..skip {
                if bytes[at] == END {
                    return None;
                }
                at = skip_element(bytes, at);
            }
        }
        None
    }

    /// Adds an element behind the last.
    pub fn append<'a>(&mut self, value: impl Into<Value<'a>>) {
        self.splice_one(self.end()..self.end(), value.into());
    }

    /// Adds an element before the first.
    pub fn prepend<'a>(&mut self, value: impl Into<Value<'a>>) {
        self.splice_one(HEADER..HEADER, value.into());
    }

    /// Adds elements behind the last that have their form already.
    pub fn append_elements(&mut self, elements: &Elements) {
        let count = changed_count(self.stored_count(), 0, elements.count);
        self.open(self.end()..self.end(), elements.bytes.len(), count).copy_from_slice(&elements.bytes);
    }

    /// Adds elements behind the last, at once.
    pub fn append_all(&mut self, values: &[Value<'_>]) {
        self.splice(self.end()..self.end(), 0, values);
    }

    /// Adds an element before that one. Returns its position, which is that one's until now.
    pub fn insert_before<'a>(&mut self, position: Position, value: impl Into<Value<'a>>) -> Position {
        self.splice_one(position.index()..position.index(), value.into());
        position
    }

    /// Adds an element behind that one. Returns its position.
    pub fn insert_after<'a>(&mut self, position: Position, value: impl Into<Value<'a>>) -> Position {
        let at = self.skip(position.index());
        self.splice_one(at..at, value.into());
        Position(at as u32)
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
        self.splice_one(at..self.skip(at), value.into());
    }

    /// Removes an element. Returns the one behind it, which has that position now.
    pub fn delete(&mut self, position: Position) -> Option<Position> {
        self.delete_from(position, 1)
    }

    /// Removes `count` elements from that one on, or as many as there are. Returns the one behind them, which has that
    /// position now.
    pub fn delete_from(&mut self, position: Position, count: usize) -> Option<Position> {
        let (bytes, start) = (self.as_bytes(), position.index());
        let (mut end, mut deleted) = (start, 0);
        while deleted < count && bytes[end] != END {
            end = skip_element(bytes, end);
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
        let (old_size, count) = (self.size(), self.stored_count());
        let mut to = first.index();
        for (index, position) in positions.iter().enumerate() {
            let from = self.skip(position.index());
            let end = positions.get(index + 1).map_or(old_size, |next| next.index());
            self.blob.body_mut().copy_within(from - HEADER..end - HEADER, to - HEADER);
            to += end - from;
        }
        self.set_header(to, changed_count(count, positions.len(), 0));
        self.count_again(count);
    }

    /// The elements of both, those of `self` first. The shorter is copied into the longer.
    #[must_use]
    pub fn merge(mut self, mut other: Listpack) -> Listpack {
        let (count, added) = (self.len(), other.len());
        if self.size() >= other.size() {
            let elements = &other.as_bytes()[HEADER..other.end()];
            self.open(self.end()..self.end(), elements.len(), count + added).copy_from_slice(elements);
            self
        } else {
            let elements = &self.as_bytes()[HEADER..self.end()];
            other.open(HEADER..HEADER, elements.len(), count + added).copy_from_slice(elements);
            other
        }
    }

    /// Replaces a range of bytes, which are `removed` whole elements, by the elements of `values`.
    fn splice(&mut self, range: Range<usize>, removed: usize, values: &[Value<'_>]) {
        let size = values.iter().map(|&value| Encoded::new(value).size()).sum();
        let count = self.stored_count();
        let mut out = self.open(range, size, changed_count(count, removed, values.len()));
        for &value in values {
            out = Encoded::new(value).write(out);
        }
        self.count_again(count);
    }

    /// Replaces a range of bytes, which are one element or none, by an element: [`Self::splice`] for most uses.
    #[inline]
    fn splice_one(&mut self, range: Range<usize>, value: Value<'_>) {
        let removed = usize::from(!range.is_empty());
        let element = Encoded::new(value);
        if element.size() == range.len() {
            element.write(&mut self.blob.body_mut()[range.start - HEADER..range.end - HEADER]);
            return;
        }
        let count = self.stored_count();
        element.write(self.open(range, element.size(), changed_count(count, removed, 1)));
        self.count_again(count);
    }

    /// Replaces a range of bytes by as many of any content as asked for, which are for the caller to fill.
    #[inline]
    fn open(&mut self, range: Range<usize>, inserted: usize, count: usize) -> &mut [u8] {
        let old_size = self.size();
        let new_size = old_size - range.len() + inserted;
        // Where the rest is and shall be, from the end of the header on.
        let (from, to) = (range.end - HEADER..old_size - HEADER, range.start + inserted - HEADER);
        if inserted > range.len() {
            self.set_header(new_size, count);
            self.blob.body_mut().copy_within(from, to);
        } else {
            if inserted < range.len() {
                self.blob.body_mut().copy_within(from, to);
            }
            self.set_header(new_size, count);
        }
        &mut self.blob.body_mut()[range.start - HEADER..to]
    }

    fn set_header(&mut self, size: usize, count: usize) {
        self.blob.set_header(&header(size, count));
    }

    /// Counts the elements after a change, if `count` was too large to be stored before it and may no longer be.
    fn count_again(&mut self, count: usize) {
        // No element has less than two bytes.
        if count == COUNT_UNKNOWN && self.size() < EMPTY + 2 * COUNT_UNKNOWN {
            self.set_header(self.size(), self.iter().count());
        }
    }

    fn stored_count(&self) -> usize {
        let bytes = self.as_bytes();
        usize::from(u16::from_le_bytes([bytes[4], bytes[5]]))
    }

    /// The bytes that there are.
    #[inline]
    fn size(&self) -> usize {
        self.blob.len()
    }

    /// The index of the end mark.
    fn end(&self) -> usize {
        self.size() - 1
    }

    /// The index behind the element at `at`.
    #[inline]
    fn skip(&self, at: usize) -> usize {
        skip_element(self.as_bytes(), at)
    }

    fn position(&self, at: usize) -> Option<Position> {
        (self.as_bytes()[at] != END).then_some(Position(at as u32))
    }

    fn before(&self, at: usize) -> Option<Position> {
        (at > HEADER).then(|| Position(skip_element_back(self.as_bytes(), at) as u32))
    }
}

/// The first bytes of a listpack of that size and number of elements.
#[inline]
fn header(size: usize, count: usize) -> [u8; HEADER] {
    let [s0, s1, s2, s3] = u32::try_from(size).expect("a listpack has less than 4 GiB").to_le_bytes();
    let [c0, c1] = u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes();
    [s0, s1, s2, s3, c0, c1]
}

/// The count after elements came and went.
#[inline]
fn changed_count(stored: usize, removed: usize, added: usize) -> usize {
    if stored == COUNT_UNKNOWN { COUNT_UNKNOWN } else { stored - removed + added }
}

/// The index behind the element at `at`.
#[inline]
fn skip_element(bytes: &[u8], at: usize) -> usize {
    let size = size(&bytes[at..]);
    at + size + back_length_size(size)
}

/// The index of the element that ends before `at`, where one does.
#[inline]
fn skip_element_back(bytes: &[u8], at: usize) -> usize {
    let size = back_length(&bytes[..at]).expect("an element ends with its back length");
    at - size - back_length_size(size)
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
    bytes: &'a [u8],
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
        let (value, size) = decode(&self.bytes[self.front..]);
        self.front += size + back_length_size(size);
        Some(value)
    }

    fn count(mut self) -> usize {
        let mut count = 0;
        while self.front < self.back {
            self.front = skip_element(self.bytes, self.front);
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
        self.back = skip_element_back(self.bytes, self.back);
        Some(decode(&self.bytes[self.back..]).0)
    }
}
