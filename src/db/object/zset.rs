//! The value of a sorted set: members in order of score, those of equal score in order of the alphabet.
//!
//! A small one is a listpack of member, score, member, score, in order. Scores in it are integers, or the shortest text of a
//! double, as upstream stores them: the bytes go to files as they are. A larger one is a [`SortedIndex`], whose encoding has
//! upstream's name `skiplist`. What is small is said by [`Limits`]; a sorted set that has become an index stays one.
//!
//! A member is a [`Value`], because a listpack keeps what looks like an integer as one. Every range is a range of
//! ranks, which [`ZSet::ranks`] finds for a range of scores or of the alphabet.

use std::iter::FusedIterator;
use std::ops::Range;

use rand::Rng;

use super::collection::object_type;
use super::{Collection, Encoding, Type};
use crate::ds::hashtable::HashTable;
use crate::ds::listpack::{self, Listpack, Position, Value};
use crate::ds::numbers::dtoa::as_integer;
use crate::ds::numbers::{format_f64, parse_f64};
use crate::ds::sorted_index::{self, Cut, Place, SortedIndex, ZElement};
use crate::zmalloc::good_size;

/// Elements drawn at once from a listpack, by [`ZSet::random_each`].
const DRAWN_AT_ONCE: usize = 1000;

/// A sorted set.
#[derive(Clone, Debug)]
pub enum ZSet {
    /// A small one.
    Listpack(Listpack),
    /// A large one.
    Skiplist(Box<SortedIndex>),
}

object_type! {
    ZSet: Type::ZSet {
        Listpack(Listpack) = Encoding::Listpack,
        Skiplist(Box<SortedIndex>) = Encoding::Skiplist,
    }
}

/// How large a sorted set may become as a listpack: `zset-max-listpack-entries`, `zset-max-listpack-value`.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most members.
    pub entries: usize,
    /// Most bytes of a member.
    pub value: usize,
}

/// Conditions of [`ZSet::add`], and what it does with the score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AddFlags {
    /// Only add members: NX.
    pub if_missing: bool,
    /// Only change members: XX.
    pub if_present: bool,
    /// Of members that are there, only raise the score: GT.
    pub if_greater: bool,
    /// Of members that are there, only lower the score: LT.
    pub if_less: bool,
    /// The score is to be added to the one there: INCR.
    pub increment: bool,
}

/// What [`ZSet::add`] did, with the score that the member has then.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Added {
    /// Nothing, because of a condition.
    Refused,
    /// Nothing, because the sum of the scores is not a number.
    Nan,
    /// The member was added.
    New(f64),
    /// Its score was changed.
    Changed(f64),
    /// Its score was what it should be.
    Same(f64),
}

impl ZSet {
    /// The empty set, with the encoding for so many members, of which none is longer than that.
    pub fn new(members: usize, longest: usize, limits: Limits) -> ZSet {
        if members <= limits.entries && longest <= limits.value {
            ZSet::Listpack(Listpack::new())
        } else {
            ZSet::Skiplist(Box::default())
        }
    }

    /// The set of these elements, in the most compact encoding that they may have.
    pub fn from_members(members: HashTable<ZElement>, limits: Limits) -> ZSet {
        ZSet::from_index(SortedIndex::from_members(members), limits)
    }

    /// The set that is this index, in the most compact encoding that it may have.
    pub fn from_index(index: SortedIndex, limits: Limits) -> ZSet {
        let lengths = || index.iter().map(|(member, _)| member.len());
        let small = index.len() <= limits.entries
            && lengths().all(|len| len <= limits.value)
            && lengths().sum::<usize>() <= listpack::SIZE_LIMIT;
        if !small {
            return ZSet::Skiplist(Box::new(index));
        }
        let mut list = Listpack::new();
        for (member, score) in index.iter() {
            append(&mut list, member.into(), score);
        }
        ZSet::Listpack(list)
    }

    /// Changes the encoding if so many members, which are about to be added, are too many for the present one.
    pub fn make_way(&mut self, members: usize, limits: Limits) {
        if members > limits.entries {
            self.make_index();
        }
    }

    /// The set as an index, which it becomes if it is none.
    pub fn make_index(&mut self) -> &mut SortedIndex {
        if let ZSet::Listpack(_) = self {
            let mut index = Box::new(SortedIndex::new());
            for (member, score) in self.iter() {
                index.insert(text(member, &mut itoa::Buffer::new()), score);
            }
            *self = ZSet::Skiplist(index);
        }
        match self {
            ZSet::Skiplist(index) => index,
            ZSet::Listpack(_) => unreachable!("it was made an index just now"),
        }
    }

    /// The number of members.
    pub fn len(&self) -> usize {
        match self {
            ZSet::Listpack(list) => list.len() / 2,
            ZSet::Skiplist(index) => index.len(),
        }
    }

    /// Whether there are no members.
    pub fn is_empty(&self) -> bool {
        match self {
            ZSet::Listpack(list) => list.is_empty(),
            ZSet::Skiplist(index) => index.is_empty(),
        }
    }

    /// The score of a member.
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        match self {
            ZSet::Listpack(list) => {
                let (_, score) = find(list, member)?;
                Some(score_at(list, score))
            }
            ZSet::Skiplist(index) => index.score(member),
        }
    }

    /// The number of elements before a member, and its score.
    pub fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        match self {
            ZSet::Listpack(list) => {
                let rank = self.iter().position(|(other, _)| other.is(member))?;
                let score = list.seek(2 * rank as i64 + 1)?;
                Some((rank, score_at(list, score)))
            }
            ZSet::Skiplist(index) => index.rank(member),
        }
    }

    /// Element number `rank`.
    pub fn get(&self, rank: usize) -> Option<(Value<'_>, f64)> {
        self.range(rank..rank.saturating_add(1)).next()
    }

    /// The elements of a range of ranks, as far as there are any.
    pub fn range(&self, ranks: Range<usize>) -> Elements<'_> {
        match self {
            ZSet::Listpack(list) => {
                let len = self.len();
                let end = ranks.end.min(len);
                let start = ranks.start.min(end);
                let pairs = match list.seek(2 * start as i64) {
                    Some(position) => list.iter_from(position),
                    None => list.iter(),
                };
                Elements::Listpack { pairs, left: end - start, behind: len - end }
            }
            ZSet::Skiplist(index) => Elements::Skiplist(index.range(ranks)),
        }
    }

    /// All elements.
    pub fn iter(&self) -> Elements<'_> {
        self.range(0..usize::MAX)
    }

    /// The ranks of the elements between two cuts.
    pub fn ranks(&self, low: Cut<'_>, high: Cut<'_>) -> Range<usize> {
        match self {
            ZSet::Listpack(_) => {
                let start = self.iter().take_while(|&element| is_before(element, low)).count();
                let within = self.range(start..usize::MAX).take_while(|&element| is_before(element, high));
                start..start + within.count()
            }
            ZSet::Skiplist(index) => {
                let start = index.count_before(low);
                start..index.count_before(high).max(start)
            }
        }
    }

    /// Adds a member with a score, or changes the score of one that is there, as the flags say. The score is not NaN.
    pub fn add(&mut self, member: &[u8], score: f64, flags: AddFlags, limits: Limits) -> Added {
        if let ZSet::Listpack(list) = self {
            if let Some((position, score_position)) = find(list, member) {
                let old = score_at(list, score_position);
                let added = decide(old, score, flags);
                if let Added::Changed(score) = added {
                    list.delete_from(position, 2);
                    insert_in_order(list, member, score);
                }
                return added;
            }
            if flags.if_present {
                return Added::Refused;
            }
            if list.len() / 2 < limits.entries && member.len() <= limits.value && list.can_grow(member.len())
            {
                insert_in_order(list, member, score);
                return Added::New(score);
            }
        }
        let index = self.make_index();
        let place = if flags.increment { index.place(member) } else { index.place_for_score(member, score) };
        match place {
            Place::Taken(mut present) => {
                let added = decide(present.score(), score, flags);
                if let Added::Changed(score) = added {
                    present.set_score(score);
                }
                added
            }
            Place::Free(_) if flags.if_present => Added::Refused,
            Place::Free(absent) => {
                absent.insert(member, score);
                Added::New(score)
            }
        }
    }

    /// Removes a member. Returns its score.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        match self {
            ZSet::Listpack(list) => {
                let (position, score) = find(list, member)?;
                let score = score_at(list, score);
                list.delete_from(position, 2);
                Some(score)
            }
            ZSet::Skiplist(index) => index.remove(member),
        }
    }

    /// Removes the elements of a range of ranks, as far as there are any; says how many these were.
    pub fn remove_range(&mut self, ranks: Range<usize>) -> usize {
        let end = ranks.end.min(self.len());
        let ranks = ranks.start.min(end)..end;
        match self {
            ZSet::Listpack(list) => {
                list.delete_range(2 * ranks.start as i64, 2 * ranks.len());
                ranks.len()
            }
            ZSet::Skiplist(index) => index.remove_range(ranks),
        }
    }

    /// Shows some elements and returns the cursor to go on with; 0 begins and ends. A small set is shown at once.
    pub fn scan(&self, cursor: u64, mut show: impl FnMut(Value<'_>, f64)) -> u64 {
        match self {
            ZSet::Listpack(_) => {
                self.iter().for_each(|(member, score)| show(member, score));
                0
            }
            ZSet::Skiplist(index) => index.scan(cursor, |member, score| show(Value::String(member), score)),
        }
    }

    /// A random element, each with the same probability.
    pub fn random(&self, rng: &mut impl Rng) -> Option<(Value<'_>, f64)> {
        if self.is_empty() {
            return None;
        }
        self.get(rng.random_range(0..self.len()))
    }

    /// Shows `count` random elements, each drawn from all, until `show` says that it has enough.
    pub fn random_each(
        &self,
        rng: &mut impl Rng,
        mut count: usize,
        mut show: impl FnMut(Value<'_>, f64) -> bool,
    ) {
        while count > 0 && !self.is_empty() {
            let now = count.min(DRAWN_AT_ONCE);
            count -= now;
            let drawn = match self {
                ZSet::Listpack(list) => {
                    list.random_many(rng, now, 2).into_iter().map(|at| pair_at(list, at)).collect()
                }
                ZSet::Skiplist(_) => Vec::from_iter((0..now).filter_map(|_| self.random(rng))),
            };
            if !drawn.into_iter().all(|(member, score)| show(member, score)) {
                return;
            }
        }
    }

    /// `count` different random elements, or all if there are no more, each combination with the same probability.
    pub fn random_unique(&self, rng: &mut impl Rng, count: usize) -> Vec<(Value<'_>, f64)> {
        match self {
            ZSet::Listpack(list) => {
                list.random_unique(rng, count, 2).into_iter().map(|at| pair_at(list, at)).collect()
            }
            ZSet::Skiplist(_) if count >= self.len() => self.iter().collect(),
            ZSet::Skiplist(_) => {
                let ranks = rand::seq::index::sample(rng, self.len(), count);
                ranks.into_iter().filter_map(|rank| self.get(rank)).collect()
            }
        }
    }
}

impl Collection for ZSet {
    fn mem_bytes(&self, samples: usize) -> usize {
        match self {
            ZSet::Listpack(list) => list.capacity(),
            ZSet::Skiplist(index) => good_size(size_of::<SortedIndex>()) + index.mem_bytes(samples),
        }
    }

    fn free_effort(&self) -> usize {
        match self {
            ZSet::Listpack(_) => 1,
            ZSet::Skiplist(index) => index.len(),
        }
    }

    fn len(&self) -> usize {
        ZSet::len(self)
    }

    fn is_empty(&self) -> bool {
        ZSet::is_empty(self)
    }
}

/// What becomes of a member that has the score `old`.
fn decide(old: f64, score: f64, flags: AddFlags) -> Added {
    if flags.if_missing {
        return Added::Refused;
    }
    let new = if flags.increment { old + score } else { score };
    if new.is_nan() {
        Added::Nan
    } else if flags.if_less && new >= old || flags.if_greater && new <= old {
        Added::Refused
    } else if new == old {
        Added::Same(new)
    } else {
        Added::Changed(new)
    }
}

// ---- in a listpack ----

/// A member's text; an integer's digits are written to `digits`.
pub fn text<'a>(member: Value<'a>, digits: &'a mut itoa::Buffer) -> &'a [u8] {
    match member {
        Value::Integer(n) => digits.format(n).as_bytes(),
        Value::String(text) => text,
    }
}

fn is_before((member, score): (Value<'_>, f64), cut: Cut<'_>) -> bool {
    let digits = &mut itoa::Buffer::new();
    cut.is_after(score, move || text(member, digits))
}

/// The positions of a member and of its score.
fn find(list: &Listpack, member: &[u8]) -> Option<(Position, Position)> {
    let position = list.find(list.first()?, member, 1)?;
    Some((position, list.next(position)?))
}

/// The score that a value stands for. What is no number, which only a file from elsewhere has, stands for zero.
fn score_of(value: Value<'_>) -> f64 {
    match value {
        Value::Integer(n) => n as f64,
        Value::String(text) => parse_f64(text).unwrap_or(0.0),
    }
}

fn score_at(list: &Listpack, position: Position) -> f64 {
    score_of(list.get(position))
}

fn pair_at(list: &Listpack, position: Position) -> (Value<'_>, f64) {
    let score = list.next(position).map_or(0.0, |position| score_at(list, position));
    (list.get(position), score)
}

/// Shows a score as a listpack has it.
fn with_stored<R>(score: f64, then: impl FnOnce(Value<'_>) -> R) -> R {
    match as_integer(score) {
        Some(n) => then(Value::Integer(n)),
        None => then(Value::from(&format_f64(score)[..])),
    }
}

fn append(list: &mut Listpack, member: Value<'_>, score: f64) {
    with_stored(score, |score| list.append_all(&[member, score]));
}

fn insert_in_order(list: &mut Listpack, member: &[u8], score: f64) {
    let cut = Cut::BelowElement(score, member);
    let mut next = list.first();
    while let Some(position) = next {
        if !is_before(pair_at(list, position), cut) {
            with_stored(score, |score| list.insert_all_before(position, &[member.into(), score]));
            return;
        }
        next = list.next(position).and_then(|score| list.next(score));
    }
    append(list, member.into(), score);
}

/// Members and scores in order, from both ends if need be.
#[derive(Clone)]
pub enum Elements<'a> {
    /// Of a listpack.
    Listpack {
        /// What follows, from the next element on to the end of the list.
        pairs: listpack::Iter<'a>,
        /// How many elements of it are to be shown.
        left: usize,
        /// How many elements behind those are still to be passed over from the back.
        behind: usize,
    },
    /// Of an index.
    Skiplist(sorted_index::Iter<'a>),
}

impl<'a> Iterator for Elements<'a> {
    type Item = (Value<'a>, f64);

    #[inline]
    fn next(&mut self) -> Option<(Value<'a>, f64)> {
        match self {
            Elements::Skiplist(elements) => {
                elements.next().map(|(member, score)| (Value::String(member), score))
            }
            Elements::Listpack { left: 0, .. } => None,
            Elements::Listpack { pairs, left, .. } => {
                *left -= 1;
                Some((pairs.next()?, score_of(pairs.next()?)))
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Elements::Skiplist(elements) => elements.size_hint(),
            Elements::Listpack { left, .. } => (*left, Some(*left)),
        }
    }
}

impl<'a> DoubleEndedIterator for Elements<'a> {
    fn next_back(&mut self) -> Option<(Value<'a>, f64)> {
        match self {
            Elements::Skiplist(elements) => {
                elements.next_back().map(|(member, score)| (Value::String(member), score))
            }
            Elements::Listpack { left: 0, .. } => None,
            Elements::Listpack { pairs, left, behind } => {
                for _ in 0..2 * std::mem::take(behind) {
                    pairs.next_back();
                }
                *left -= 1;
                let score = score_of(pairs.next_back()?);
                Some((pairs.next_back()?, score))
            }
        }
    }
}

impl ExactSizeIterator for Elements<'_> {}
impl FusedIterator for Elements<'_> {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    use super::*;
    use crate::ds::hashtable::Element;

    const SMALL: Limits = Limits { entries: 24, value: 16 };
    const NEVER: Limits = Limits { entries: usize::MAX, value: usize::MAX };
    const ALWAYS: Limits = Limits { entries: 0, value: 0 };

    fn list(set: &ZSet) -> Vec<(Vec<u8>, f64)> {
        set.iter().map(|(member, score)| (member.to_vec(), score)).collect()
    }

    fn is_small(set: &ZSet) -> bool {
        matches!(set, ZSet::Listpack(_))
    }

    fn set_of(elements: &[(&str, f64)], limits: Limits) -> ZSet {
        let mut set = ZSet::new(0, 0, limits);
        for (member, score) in elements {
            assert_eq!(set.add(member.as_bytes(), *score, AddFlags::default(), limits), Added::New(*score));
        }
        set
    }

    #[derive(Clone, Debug)]
    enum Op {
        Add(String, f64, AddFlags),
        Remove(String),
        RemoveRange(usize, usize),
    }

    fn member() -> impl Strategy<Value = String> {
        prop_oneof!["[a-c]{0,3}", "-?[0-9]{1,2}"]
    }

    fn score() -> impl Strategy<Value = f64> {
        prop_oneof![
            4 => (-3i32..4).prop_map(f64::from),
            2 => (-30i32..30).prop_map(|tenths| f64::from(tenths) / 10.0),
            1 => prop_oneof![Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(1e300), Just(5e-324)],
        ]
    }

    fn op() -> impl Strategy<Value = Op> {
        let flags = proptest::array::uniform5(proptest::bool::weighted(0.2)).prop_map(
            |[if_missing, if_present, if_greater, if_less, increment]| AddFlags {
                if_missing,
                if_present,
                if_greater,
                if_less,
                increment,
            },
        );
        prop_oneof![
            8 => (member(), score(), flags).prop_map(|(member, score, flags)| Op::Add(member, score, flags)),
            2 => member().prop_map(Op::Remove),
            1 => (0usize..20, 0usize..5).prop_map(|(from, count)| Op::RemoveRange(from, count)),
        ]
    }

    proptest! {
        /// Both encodings do the same.
        #[test]
        fn encodings_agree(ops in proptest::collection::vec(op(), 0..80), cuts in [(score(), member()), (score(), member())]) {
            let (mut small, mut large) = (ZSet::new(0, 0, NEVER), ZSet::new(1, 1, ALWAYS));
            for op in ops {
                match op {
                    Op::Add(member, score, flags) => {
                        let added = small.add(member.as_bytes(), score, flags, NEVER);
                        prop_assert_eq!(added, large.add(member.as_bytes(), score, flags, ALWAYS));
                    }
                    Op::Remove(member) => {
                        prop_assert_eq!(small.remove(member.as_bytes()), large.remove(member.as_bytes()));
                    }
                    Op::RemoveRange(from, count) => {
                        prop_assert_eq!(small.remove_range(from..from + count), large.remove_range(from..from + count));
                    }
                }
            }
            prop_assert!(is_small(&small) && !is_small(&large));
            let all = list(&small);
            prop_assert_eq!(&all, &list(&large));
            for (rank, (member, score)) in all.iter().enumerate() {
                for set in [&small, &large] {
                    prop_assert_eq!(set.rank(member), Some((rank, *score)));
                    prop_assert_eq!(set.score(member), Some(*score));
                    let tail: Vec<_> = set.range(rank..rank + 3).rev().map(|(member, _)| member.to_vec()).collect();
                    let expected = all[rank..].iter().take(3).rev().map(|(member, _)| member.clone());
                    prop_assert!(tail.into_iter().eq(expected));
                }
            }
            let [(low, first), (high, last)] = &cuts;
            for (low, high) in [
                (Cut::BelowScore(*low), Cut::AboveScore(*high)),
                (Cut::AboveScore(*low), Cut::BelowScore(*high)),
                (Cut::BelowElement(*low, first.as_bytes()), Cut::AboveElement(*high, last.as_bytes())),
            ] {
                prop_assert_eq!(small.ranks(low, high), large.ranks(low, high));
            }
        }
    }

    #[test]
    fn becomes_an_index_at_the_limits() {
        let mut set = ZSet::new(24, 16, SMALL);
        for number in 0..24 {
            set.add(format!("{number}").as_bytes(), 1.5, AddFlags::default(), SMALL);
        }
        assert!(is_small(&set));
        let before = list(&set);
        // Changing a score adds no member.
        assert_eq!(set.add(b"3", 1.5, AddFlags::default(), SMALL), Added::Same(1.5));
        assert!(is_small(&set));
        set.add(b"24", 9.0, AddFlags::default(), SMALL);
        assert!(!is_small(&set));
        set.remove(b"24");
        assert_eq!(list(&set), before);
        assert!(!is_small(&set), "there is no way back");

        let mut set = set_of(&[("a", 1.0)], SMALL);
        set.add(&[b'x'; 16], 1.0, AddFlags::default(), SMALL);
        assert!(is_small(&set));
        set.add(&[b'x'; 17], 1.0, AddFlags::default(), SMALL);
        assert!(!is_small(&set));

        let mut set = set_of(&[("a", 1.0)], SMALL);
        set.make_way(24, SMALL);
        assert!(is_small(&set));
        set.make_way(25, SMALL);
        assert!(!is_small(&set));
        assert!(!is_small(&ZSet::new(25, 1, SMALL)) && !is_small(&ZSet::new(1, 17, SMALL)));
    }

    #[test]
    fn results_take_the_smallest_encoding() {
        let members = |count: usize, len: usize| {
            let mut members = HashTable::new();
            for number in 0..count {
                let member = format!("{number:0len$}").into_bytes();
                members.insert_unique(ZElement::hash(&member), ZElement::new(-(number as f64), &member));
            }
            members
        };
        let small = ZSet::from_members(members(24, 16), SMALL);
        assert!(is_small(&small));
        assert_eq!(list(&small).first(), Some(&(b"0000000000000023".to_vec(), -23.0)));
        assert!(!is_small(&ZSet::from_members(members(25, 1), SMALL)));
        assert!(!is_small(&ZSet::from_members(members(1, 17), SMALL)));
    }

    #[test]
    fn scores_are_stored_as_upstream_writes_them() {
        let ZSet::Listpack(list) = set_of(
            &[
                ("inf", f64::INFINITY),
                ("half", 0.5),
                ("int", 3.0),
                ("zero", -0.0),
                ("big", 1e20),
                ("long", 3e17),
            ],
            NEVER,
        ) else {
            panic!("it is small");
        };
        let stored: Vec<Vec<u8>> = list.iter().map(Value::to_vec).collect();
        let words = [
            "zero",
            "0",
            "half",
            "0.5",
            "int",
            "3",
            "long",
            "300000000000000000",
            "big",
            "1e+20",
            "inf",
            "inf",
        ];
        assert_eq!(stored, words.map(|word| word.as_bytes().to_vec()));
        assert!(matches!(list.iter().nth(7), Some(Value::Integer(_))));
    }

    #[test]
    fn draws_are_members() {
        let rng = &mut SmallRng::seed_from_u64(1);
        let elements = [("a", 1.0), ("b", 2.0), ("c", 3.0), ("4", 4.0), ("e", 5.0)];
        for limits in [NEVER, ALWAYS] {
            let set = set_of(&elements, limits);
            assert!(set.random(rng).is_some());
            let mut seen = [0; 5];
            set.random_each(rng, 5000, |member, score| {
                assert_eq!(set.score(&member.to_vec()), Some(score));
                seen[score as usize - 1] += 1;
                true
            });
            assert!(seen.iter().all(|&times| times > 800), "{seen:?}");
            let mut unique = set.random_unique(rng, 4);
            unique.sort_by(|a, b| a.1.total_cmp(&b.1));
            unique.dedup_by(|a, b| a.1 == b.1);
            assert_eq!(unique.len(), 4);
            assert_eq!(set.random_unique(rng, 9).len(), 5);
        }
        assert!(ZSet::new(0, 0, NEVER).random(rng).is_none());
    }
}
