//! A node: a listpack of entries that share what they can. The format is upstream's, byte for byte, because nodes go to
//! files and to other servers as they are.
//!
//! A node is found by the id of its first entry, its *base*. The listpack begins with a header, and with the names of the
//! fields of that first entry, which following entries are likely to have as well:
//!
//! ```text
//! ┌──────┬─────────┬────────────┬────────┬─ ─ ─┬────────┬───┐
//! │ live │ deleted │ number (n) │ name 1 │     │ name n │ 0 │   the header, which is no entry
//! └──────┴─────────┴────────────┴────────┴─ ─ ─┴────────┴───┘
//! ┌───────┬────────┬─────────┬─────────┬─ ─ ─┬─────────┬───────┐
//! │ flags │ ms - … │ seq - … │ value 1 │     │ value n │ n + 3 │   an entry with the header's names (SAMEFIELDS)
//! └───────┴────────┴─────────┴─────────┴─ ─ ─┴─────────┴───────┘
//! ┌───────┬────────┬─────────┬────────────┬────────┬─────────┬─ ─ ─┬────────┐
//! │ flags │ ms - … │ seq - … │ number (m) │ name 1 │ value 1 │     │ 2m + 4 │   an entry with names of its own
//! └───────┴────────┴─────────┴────────────┴────────┴─────────┴─ ─ ─┴────────┘
//! ```
//!
//! Ids are stored as what they have above the base. The number at an entry's end says how many elements come before it in the
//! entry, so that a walk backward finds its beginning; the 0 of the header stops it. An entry that is deleted is marked (flag
//! DELETED), counted, and stays until its node goes.

use super::id::StreamId;
use crate::ds::listpack::{Elements, Iter, Listpack, Position, Strange, Value};

/// The entry is deleted.
const DELETED: i64 = 1;
/// The entry has the fields that the header names.
const SAME_FIELDS: i64 = 2;

/// How large nodes become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeLimits {
    /// `stream-node-max-bytes`; 0 for [`NodeLimits::BYTES_MAX`].
    pub max_bytes: usize,
    /// `stream-node-max-entries`, deleted ones included; 0 for no limit.
    pub max_entries: i64,
}

impl NodeLimits {
    /// No node, and no entry, is larger than this.
    pub const BYTES_MAX: usize = 1 << 30;

    /// Whether a node can take an entry whose strings have so many bytes.
    #[inline]
    pub(super) fn fits(self, node: &Listpack, more_bytes: usize) -> bool {
        let max_bytes =
            if self.max_bytes == 0 { Self::BYTES_MAX } else { self.max_bytes.min(Self::BYTES_MAX) };
        if node.as_bytes().len() + more_bytes >= max_bytes {
            return false;
        }
        let (live, deleted) = counts(node);
        self.max_entries == 0 || live + deleted < self.max_entries
    }
}

/// An entry about to be added.
#[derive(Clone, Copy, Debug)]
pub struct NewEntry<I> {
    pairs: I,
    bytes: usize,
}

impl<'a, I: ExactSizeIterator<Item = (&'a [u8], &'a [u8])> + Clone> NewEntry<I> {
    /// An entry with these names and values.
    #[inline]
    pub fn new(pairs: I) -> NewEntry<I> {
        let bytes = pairs.clone().map(|(name, value)| name.len() + value.len()).sum();
        NewEntry { pairs, bytes }
    }

    /// Bytes of all strings.
    #[inline]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether no node could hold it.
    #[inline]
    pub fn is_too_large(&self) -> bool {
        self.bytes > NodeLimits::BYTES_MAX
    }

    /// Whether the header that these are the elements of, from the number of its names on, has those of this entry.
    #[inline]
    fn has_fields_of(&self, mut header: Iter<'_>) -> bool {
        integer(header.next()) == self.pairs.len() as i64
            && self.pairs.clone().all(|(name, _)| header.next().is_some_and(|own| own.is(name)))
    }

    /// Room for its elements, and for so many more.
    fn room(&self, more: usize) -> Elements {
        Elements::with_room(2 * self.pairs.len() + ENTRY_NUMBERS + more, self.bytes)
    }

    /// Writes its elements, in the form without names if it has the `same_fields` as the header.
    #[inline]
    fn write(&self, out: &mut Elements, same_fields: bool, (ms, seq): (i64, i64)) {
        let before = out.len();
        let number = self.pairs.len() as i64;
        out.push(if same_fields { SAME_FIELDS } else { 0 });
        out.push(ms);
        out.push(seq);
        if !same_fields {
            out.push(number);
        }
        for (name, value) in self.pairs.clone() {
            if !same_fields {
                out.push(name);
            }
            out.push(value);
        }
        out.push((out.len() - before) as i64);
    }
}

/// Numbers of an entry, beside its strings.
const ENTRY_NUMBERS: usize = 5;

/// Numbers of a header, beside its names.
const HEADER_NUMBERS: usize = 4;

/// The numbers of live and of deleted entries.
#[inline]
pub(super) fn counts(node: &Listpack) -> (i64, i64) {
    let mut elements = node.iter();
    (integer(elements.next()), integer(elements.next()))
}

#[inline]
fn integer(value: Option<Value<'_>>) -> i64 {
    value.and_then(Value::as_integer).expect("a node's numbers were checked")
}

/// A node with its first entry.
pub(super) fn create<'a>(
    entry: &NewEntry<impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])> + Clone>,
) -> Listpack {
    let mut elements = entry.room(HEADER_NUMBERS + entry.pairs.len());
    elements.push(1);
    elements.push(0);
    elements.push(entry.pairs.len() as i64);
    entry.pairs.clone().for_each(|(name, _)| elements.push(name));
    elements.push(0);
    entry.write(&mut elements, true, (0, 0));
    let mut node = Listpack::new();
    node.append_elements(&elements);
    node
}

/// Adds an entry to a node whose base is `base`.
#[inline]
pub(super) fn append<'a>(
    node: &mut Listpack,
    base: StreamId,
    id: StreamId,
    entry: &NewEntry<impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])> + Clone>,
) {
    let mut header = node.iter();
    let live = integer(header.next());
    header.next();
    let mut elements = entry.room(0);
    entry.write(&mut elements, entry.has_fields_of(header), id.offset_from(base));
    let first = node.first().expect("a node has a header");
    node.replace(first, live + 1);
    node.append_elements(&elements);
}

/// A node and what its header says.
#[derive(Clone, Copy)]
pub(super) struct NodeRef<'a> {
    list: &'a Listpack,
    pub base: StreamId,
    /// How many fields the header names, and the first.
    number: usize,
    names: Option<Position>,
    /// The first entry.
    pub first: Option<Position>,
}

/// An entry as it was found in a node.
pub(super) struct Found<'a> {
    pub id: StreamId,
    pub deleted: bool,
    pub fields: Fields<'a>,
    /// The element with the flags.
    pub at: Position,
}

impl<'a> NodeRef<'a> {
    pub fn new(list: &'a Listpack, base: StreamId) -> NodeRef<'a> {
        let mut elements = list.iter();
        elements.next();
        elements.next();
        let number = integer(elements.next()) as usize;
        let names = elements.position();
        let first = advance(list, names, number + 1);
        NodeRef { list, base, number, names, first }
    }

    /// The entry at `at`, and the one behind it.
    #[inline]
    pub fn read(&self, at: Position) -> (Found<'a>, Option<Position>) {
        let mut elements = self.list.iter_from(at);
        let flags = integer(elements.next());
        let (ms, seq) = (integer(elements.next()), integer(elements.next()));
        let same = flags & SAME_FIELDS != 0;
        let number = if same { self.number } else { integer(elements.next()) as usize };
        let names = self.names.filter(|_| same).map(|names| self.list.iter_from(names));
        let values = elements.clone();
        let behind = advance(self.list, elements.position(), if same { number + 1 } else { 2 * number + 1 });
        let found = Found {
            id: self.base.offset(ms, seq),
            deleted: flags & DELETED != 0,
            fields: Fields { names, values, left: number },
            at,
        };
        (found, behind)
    }

    /// The last entry.
    pub fn last(&self) -> Option<Position> {
        self.before_end(self.list.last()?)
    }

    /// The entry before that one.
    pub fn previous(&self, at: Position) -> Option<Position> {
        self.before_end(self.list.prev(at)?)
    }

    /// The entry whose last element is at `end`; none if that is the header's.
    fn before_end(&self, end: Position) -> Option<Position> {
        let count = integer(Some(self.list.get(end)));
        if count == 0 {
            return None;
        }
        (0..count).try_fold(end, |at, _| self.list.prev(at))
    }

    /// The entry with that id, deleted or not.
    pub fn find(&self, id: StreamId) -> Option<Found<'a>> {
        let mut next = self.first;
        while let Some(at) = next {
            let (found, behind) = self.read(at);
            if found.id >= id {
                return (found.id == id).then_some(found);
            }
            next = behind;
        }
        None
    }

    /// The id of the last entry, deleted or not.
    pub fn last_id(&self) -> Option<StreamId> {
        self.last().map(|at| self.read(at).0.id)
    }
}

fn advance(list: &Listpack, from: Option<Position>, count: usize) -> Option<Position> {
    (0..count).try_fold(from?, |at, _| list.next(at))
}

/// Marks the entries at these positions, which were not deleted, as deleted.
pub(super) fn mark_deleted(node: &mut Listpack, entries: &[Position]) {
    for &at in entries {
        // Flags have one byte, whatever they are: positions stay.
        let flags = integer(Some(node.get(at)));
        node.replace(at, flags | DELETED);
    }
    let (live, deleted) = counts(node);
    let first = node.first().expect("a node has a header");
    node.replace(first, live - entries.len() as i64);
    let second = node.next(first).expect("a node has a header");
    node.replace(second, deleted + entries.len() as i64);
}

/// The names and values of an entry.
#[derive(Clone)]
pub struct Fields<'a> {
    /// Where the names are, if not beside the values.
    names: Option<Iter<'a>>,
    values: Iter<'a>,
    left: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = (Value<'a>, Value<'a>);

    #[inline]
    fn next(&mut self) -> Option<(Value<'a>, Value<'a>)> {
        self.left = self.left.checked_sub(1)?;
        let name = self.names.as_mut().unwrap_or(&mut self.values).next()?;
        Some((name, self.values.next()?))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Fields<'_> {}

/// What a strange node holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeCounts {
    /// Entries that are not deleted.
    pub live: u64,
    /// Entries that are.
    pub deleted: u64,
}

/// Whether `bytes`, from a file or a `RESTORE`, are a node: a listpack, and in it a header and whole entries to the end, as many
/// of each sort as stated. Ids are not looked at, any are safe.
pub fn validate(bytes: &[u8]) -> Option<NodeCounts> {
    let mut elements = Strange::new(bytes)?;
    let stated = NodeCounts { live: natural(elements.next()?)?, deleted: natural(elements.next()?)? };
    let number = natural(elements.next()?)?;
    skip(&mut elements, number)?;
    if elements.next()?.as_integer()? != 0 {
        return None;
    }
    let mut found = NodeCounts { live: 0, deleted: 0 };
    while let Some(flags) = elements.next() {
        // Flags beyond one byte could not be changed in place.
        let Value::Integer(flags @ 0..=3) = flags else { return None };
        elements.next()?.as_integer()?;
        elements.next()?.as_integer()?;
        let (numbers, strings) = if flags & SAME_FIELDS != 0 {
            (ENTRY_NUMBERS - 2, number)
        } else {
            (ENTRY_NUMBERS - 1, natural(elements.next()?)? * 2)
        };
        skip(&mut elements, strings)?;
        if natural(elements.next()?)? != numbers as u64 + strings {
            return None;
        }
        *if flags & DELETED != 0 { &mut found.deleted } else { &mut found.live } += 1;
    }
    (elements.is_whole() && stated == found).then_some(stated)
}

/// A number of things in a node: as no listpack has as many, sums and products of it do not overflow.
fn natural(value: Value<'_>) -> Option<u64> {
    value.as_integer().and_then(|number| u32::try_from(number).ok()).map(u64::from)
}

/// Passes over so many elements, which must be there.
fn skip(elements: &mut Strange<'_>, number: u64) -> Option<()> {
    (0..number).try_for_each(|_| elements.next().map(drop))
}
