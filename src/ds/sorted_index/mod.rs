//! The sorted index behind the encoding `skiplist`: members in order of score, and each found by its name.
//!
//! A sorted set asks two questions: what is the score of this member, and which members lie in this range of scores, of ranks, or of
//! the alphabet. So there are two structures over the same elements, each of which is one allocation with a score and a
//! member ([`ZElement`]): a [`HashTable`], which owns them, and a tree of pointers to them in order of (score, member).
//!
//! ```text
//!                       inner nodes: per child its first element, that one's score, a count
//!                     ┌─────────────────────────────┐
//!                     │ -7.0 │ 12.0 │ 88.5 │ …      │
//!                     │  117 │   96 │  120 │ …      │
//!                     └──┬──────┬──────┬────────────┘
//!             ┌──────────┘      │      └────────────┐
//!             ▼                 ▼                   ▼
//!        ┌─────────┐       ┌─────────┐         ┌─────────┐    leaves: 62 slots of 8 bytes,
//!        │▪▪▪▪▪▪▪▪ │       │▪▪▪▪▪▪   │         │▪▪▪▪▪▪▪▪ │    each a hint at the score (16 bits)
//!        └──┼──┼───┘       └─┼───────┘         └─────────┘    and the address of an element
//!           ▼  ▼             ▼
//!          ┌────────────┐ ┌────────────┐      elements, owned by the table of members
//!          │ score, len │ │ score, len │
//!          │ member     │ │ member     │
//!          └────────────┘ └────────────┘
//! ```
//!
//! It is a B+tree with counts: ranks are sums over the counts on the way down. Upstream has a skip list there, with a node and
//! 1.33 pointers and spans an element, where each step of a search is a cache miss. Here a search among a million takes
//! three inner nodes and a leaf, and looks at an element or two.
//!
//! # Memory
//!
//! | per element, 15-byte members              | bytes |
//! |-------------------------------------------|-------|
//! | slot in the table of members              |  12.6 |
//! | the element: 8 + 1 + 15                   |  24   |
//! | slot in a leaf, with leaves 80% full      |  10.3 |
//! | inner nodes                               |   1.1 |
//! | together                                  |  48   |
//!
//! Elements that arrive in order leave full leaves behind; otherwise a full leaf first shares with a neighbour, and only two full
//! ones become three (`inner.rs`, the B*-tree's rule).
//!
//! # Ranges are ranks
//!
//! Every range is resolved to ranks, by counting what is before a [`Cut`]: twice down the tree, and a range can be counted,
//! skipped into, walked from either end and removed without a look at what is in it.
//!
//! # Unsafe code
//!
//! The public interface is safe. What the code keeps true:
//!
//! - The elements in the tree are those in the table. One enters the table before it enters the tree, and leaves the
//!   tree before it leaves the table; where the whole index is dropped, the tree is dropped first, and its nodes do not touch
//!   elements on their way. So each pointer in the tree is of an element that lives. Every constructor of a pointer
//!   ([`ZElement::ptr`]) is called in this file, where that can be checked.
//! - The table never moves an element, and lends none out mutably; its handle is not replaced.
//! - No reference to a score exists: scores are read and written as values. References to members are borrows of the index.
//! - A slot's word is an address below 2^48, and a hint (`leaf.rs`).
//!
//! No memory depends on the order, the hints or the counts.

mod element;
mod inner;
mod leaf;
#[cfg(test)]
mod tests;
mod tree;

use std::iter::FusedIterator;
use std::ops::Range;

pub use element::{ElementView, ZElement};

use crate::ds::hashtable::{self, Element, HashTable, VacantEntry, prefetch};
use element::ElementPtr;
use leaf::{Slot, order_key};
use tree::Tree;

/// A place between elements: in front of those that meet a bound, or behind them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cut<'a> {
    /// In front of the elements with this score or a higher one.
    BelowScore(f64),
    /// Behind the elements with this score or a lower one.
    AboveScore(f64),
    /// In front of this element, whether it exists or not.
    BelowElement(f64, &'a [u8]),
    /// Behind this element, whether it exists or not.
    AboveElement(f64, &'a [u8]),
    /// In front of this member and those that follow it in the alphabet, where all elements have the same score.
    BelowMember(&'a [u8]),
    /// Behind this member and those before it in the alphabet, where all elements have the same score.
    AboveMember(&'a [u8]),
}

impl<'a> Cut<'a> {
    /// The score that the cut is at, unless it is only about members.
    #[inline(always)]
    fn score(self) -> Option<f64> {
        match self {
            Cut::BelowScore(score)
            | Cut::AboveScore(score)
            | Cut::BelowElement(score, _)
            | Cut::AboveElement(score, _) => Some(score),
            Cut::BelowMember(_) | Cut::AboveMember(_) => None,
        }
    }

    /// Whether an element is in front of the cut.
    #[inline(always)]
    pub fn is_after<'m>(self, score: f64, member: impl FnOnce() -> &'m [u8]) -> bool {
        match self {
            Cut::BelowScore(at) => score < at,
            Cut::AboveScore(at) => score <= at,
            Cut::BelowElement(at, bound) => score < at || score == at && member() < bound,
            Cut::AboveElement(at, bound) => score < at || score == at && member() <= bound,
            Cut::BelowMember(bound) => member() < bound,
            Cut::AboveMember(bound) => member() <= bound,
        }
    }
}

/// Members with scores, in order of (score, member). See the [module](self).
pub struct SortedIndex {
    // In front of the members, so that it is dropped first.
    tree: Tree,
    members: HashTable<ZElement>,
}

impl SortedIndex {
    /// The empty index.
    pub fn new() -> SortedIndex {
        SortedIndex { tree: Tree::new(), members: HashTable::new() }
    }

    /// The index of these elements, with full leaves.
    pub fn from_members(members: HashTable<ZElement>) -> SortedIndex {
        // With their keys beside them, elements are sorted without a look at them, unless scores are equal.
        let with_key = |element: hashtable::ElementRef<'_, ZElement>| {
            // SAFETY: the element is in the table, which the index takes.
            let element = unsafe { element.ptr() };
            (order_key(element.score()), element)
        };
        SortedIndex::sorted(members.iter().map(with_key).collect(), members)
    }

    /// The index of the elements of this table, which are listed with their keys.
    fn sorted(mut elements: Vec<(u64, ElementPtr)>, members: HashTable<ZElement>) -> SortedIndex {
        elements.sort_unstable_by(|(key, element), (other_key, other)| {
            key.cmp(other_key).then_with(|| element.member().cmp(other.member()))
        });
        let elements: Vec<ElementPtr> = elements.into_iter().map(|(_, element)| element).collect();
        SortedIndex { tree: Tree::from_sorted(&elements), members }
    }

    /// The number of members.
    #[inline]
    pub fn len(&self) -> usize {
        self.tree.len()
    }

    /// Whether there are no members.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The score of a member.
    #[inline]
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        self.members.find(ZElement::hash(member), member).map(|element| element.get().score())
    }

    /// The number of elements before a member, and its score.
    pub fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        let element = self.members.find(ZElement::hash(member), member)?;
        // SAFETY: the element is in the table, and the pointer does not leave this function.
        let element = unsafe { element.ptr() };
        Some((self.tree.rank(element), element.score()))
    }

    /// Element number `rank`.
    pub fn get(&self, rank: usize) -> Option<(&[u8], f64)> {
        self.tree.get(rank).map(|slot| (slot.member(), slot.element().score()))
    }

    /// The number of elements before `cut`.
    pub fn count_before(&self, cut: Cut<'_>) -> usize {
        self.tree.count_before(cut)
    }

    /// The elements of a range of ranks, as far as there are any.
    pub fn range(&self, ranks: Range<usize>) -> Iter<'_> {
        let end = ranks.end.min(self.len());
        Iter(self.tree.range(ranks.start.min(end)..end))
    }

    /// All elements.
    pub fn iter(&self) -> Iter<'_> {
        self.range(0..self.len())
    }

    /// The place of a member, whether it is there or not.
    #[inline]
    pub fn place(&mut self, member: &[u8]) -> Place<'_> {
        self.place_of_hash(ZElement::hash(member), member)
    }

    /// [`Self::place`] for a member that is likely to get this score: what the tree will be asked then is on its way from memory
    /// while the table is searched.
    #[inline]
    pub fn place_for_score(&mut self, member: &[u8], score: f64) -> Place<'_> {
        let hash = ZElement::hash(member);
        self.members.prefetch_bucket(hash);
        self.tree.prefetch(score);
        self.place_of_hash(hash, member)
    }

    #[inline(always)]
    fn place_of_hash(&mut self, hash: u64, member: &[u8]) -> Place<'_> {
        match self.members.entry(hash, member) {
            hashtable::Entry::Occupied(element) => {
                // SAFETY: the element is in the table, which is borrowed together with the tree.
                let element = unsafe { element.ptr() };
                Place::Taken(Present { tree: &mut self.tree, element })
            }
            hashtable::Entry::Vacant(vacant) => Place::Free(Absent { tree: &mut self.tree, vacant }),
        }
    }

    /// Sets the score of a member, which is added if it is not there. Returns the score that it had.
    pub fn insert(&mut self, member: &[u8], score: f64) -> Option<f64> {
        match self.place(member) {
            Place::Taken(mut present) => {
                let old = present.score();
                present.set_score(score);
                Some(old)
            }
            Place::Free(absent) => {
                absent.insert(member, score);
                None
            }
        }
    }

    /// Removes a member. Returns its score.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let hash = ZElement::hash(member);
        let found = self.members.find(hash, member)?;
        // SAFETY: the element is in the table until the last line.
        let element = unsafe { found.ptr() };
        let score = element.score();
        self.tree.remove(element);
        drop(self.members.remove(hash, member));
        Some(score)
    }

    /// Removes the elements of a range of ranks, as far as there are any; says how many these were.
    pub fn remove_range(&mut self, ranks: Range<usize>) -> usize {
        let end = ranks.end.min(self.len());
        let ranks = ranks.start.min(end)..end;
        let doomed: Vec<ElementPtr> = self.tree.range(ranks.clone()).map(Slot::element).collect();
        self.tree.remove_range(ranks);
        for element in &doomed {
            let member = element.member();
            // The handle that this gives is dropped when `member` is no longer used.
            let removed = self.members.remove(ZElement::hash(member), member);
            debug_assert!(removed.is_some(), "an element of the tree is not in the table");
        }
        doomed.len()
    }

    /// Some members chosen by the cursor of a scan, and the cursor of the next step: [`HashTable::scan`].
    pub fn scan(&self, cursor: u64, mut f: impl FnMut(&[u8], f64)) -> u64 {
        self.members.scan(cursor, |element| f(element.key(), element.get().score()))
    }

    /// The table of members, for statistics.
    pub fn members(&self) -> &HashTable<ZElement> {
        &self.members
    }

    /// Bytes of memory, with the elements estimated by the first `samples` of them (0: all).
    pub fn mem_bytes(&self, samples: usize) -> usize {
        let samples = if samples == 0 { self.len() } else { samples.min(self.len()) };
        let sampled: usize =
            self.range(0..samples).map(|(member, _)| ZElement::mem_bytes(member.len())).sum();
        let elements = (sampled * self.len()).checked_div(samples).unwrap_or(0);
        self.tree.mem_bytes() + self.members.mem_bytes() + elements
    }

    /// Asserts every invariant.
    ///
    /// # Panics
    ///
    /// If one does not hold.
    pub fn debug_validate(&self) {
        self.tree.validate();
        self.members.debug_validate();
        assert_eq!(self.tree.len(), self.members.len());
        for slot in self.tree.range(0..self.len()) {
            let found = self.members.find(ZElement::hash(slot.member()), slot.member());
            // SAFETY: the element is in the table, and the pointer is compared at once.
            assert!(found.is_some_and(|found| unsafe { found.ptr() } == slot.element()));
        }
    }
}

/// The makings of an index whose elements come one after the other, in any order, and are all put in order at the end.
///
/// Where an element belongs in the table of a large index is nowhere near the processor. So the place is asked for when
/// the element comes, and the element is put there when some more have come.
#[derive(Default)]
pub struct Builder {
    /// Elements on their way into the table, with their hashes.
    coming: Vec<(u64, ZElement)>,
    /// Elements in the table, and what they are sorted by.
    sorted: Vec<(u64, ElementPtr)>,
    members: HashTable<ZElement>,
}

impl Builder {
    /// So many elements are on their way at a time.
    const AHEAD: usize = 16;

    /// No elements yet, with room for so many.
    pub fn with_room(elements: usize) -> Builder {
        let mut members = HashTable::new();
        members.reserve(elements);
        Builder { coming: Vec::with_capacity(Self::AHEAD), sorted: Vec::with_capacity(elements), members }
    }

    /// Adds an element. Returns `false` if a member has come twice by now.
    #[inline]
    pub fn add(&mut self, member: &[u8], score: f64) -> bool {
        let hash = ZElement::hash(member);
        self.members.prefetch_bucket(hash);
        self.coming.push((hash, ZElement::new(score, member)));
        self.coming.len() < Self::AHEAD || self.settle()
    }

    /// Puts those elements into the table that are on their way. Returns `false` if a member is there twice.
    fn settle(&mut self) -> bool {
        for (hash, element) in self.coming.drain(..) {
            let hashtable::Entry::Vacant(place) = self.members.entry(hash, element.member()) else {
                return false;
            };
            // SAFETY: the element goes to the table, which the index will take.
            self.sorted.push((order_key(element.score()), unsafe { element.ptr() }));
            place.insert(element);
        }
        true
    }

    /// The index of all elements, with full leaves; none if a member has come twice.
    pub fn finish(mut self) -> Option<SortedIndex> {
        self.settle().then(|| SortedIndex::sorted(self.sorted, self.members))
    }
}

impl Default for SortedIndex {
    fn default() -> SortedIndex {
        SortedIndex::new()
    }
}

impl Clone for SortedIndex {
    /// A copy with elements of its own, and full leaves.
    fn clone(&self) -> SortedIndex {
        let mut members = HashTable::new();
        members.reserve(self.len());
        let copy = |(member, score): (&[u8], f64)| {
            let element = ZElement::new(score, member);
            // SAFETY: the element goes to the table that the copy takes.
            let ptr = unsafe { element.ptr() };
            members.insert_unique(ZElement::hash(member), element);
            ptr
        };
        let elements: Vec<ElementPtr> = self.iter().map(copy).collect();
        SortedIndex { tree: Tree::from_sorted(&elements), members }
    }
}

impl std::fmt::Debug for SortedIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let readable = |(member, score): (&[u8], f64)| (member.escape_ascii().to_string(), score);
        f.debug_map().entries(self.iter().map(readable)).finish()
    }
}

/// What [`SortedIndex::place`] found.
pub enum Place<'t> {
    /// The member is there.
    Taken(Present<'t>),
    /// It is not.
    Free(Absent<'t>),
}

/// A member that is there.
pub struct Present<'t> {
    tree: &'t mut Tree,
    element: ElementPtr,
}

impl Present<'_> {
    /// The score.
    pub fn score(&self) -> f64 {
        self.element.score()
    }

    /// Changes the score.
    #[inline]
    pub fn set_score(&mut self, score: f64) {
        self.tree.change_score(self.element, score);
    }
}

/// The place of a member that is not there.
pub struct Absent<'t> {
    tree: &'t mut Tree,
    vacant: VacantEntry<'t, ZElement>,
}

impl Absent<'_> {
    /// Adds the member that was looked for.
    #[inline]
    pub fn insert(self, member: &[u8], score: f64) {
        let element = ZElement::new(score, member);
        // SAFETY: the element goes to the table, in which it stays as long as it is in the tree.
        let ptr = unsafe { element.ptr() };
        self.vacant.insert(element);
        self.tree.insert(ptr);
    }
}

/// Members and scores in order, from both ends if need be.
#[derive(Clone)]
pub struct Iter<'t>(tree::Iter<'t>);

impl<'t> Iterator for Iter<'t> {
    type Item = (&'t [u8], f64);

    #[inline]
    fn next(&mut self) -> Option<(&'t [u8], f64)> {
        self.0.next().map(|slot| (slot.member(), slot.element().score()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<'t> DoubleEndedIterator for Iter<'t> {
    #[inline]
    fn next_back(&mut self) -> Option<(&'t [u8], f64)> {
        self.0.next_back().map(|slot| (slot.member(), slot.element().score()))
    }
}

impl ExactSizeIterator for Iter<'_> {}
impl FusedIterator for Iter<'_> {}
