//! Sets: members without order, each there once.
//!
//! | encoding    | kept in                          | while                                                       |
//! |-------------|----------------------------------|-------------------------------------------------------------|
//! | `intset`    | an [`IntSet`]                    | all members are integers, and few                           |
//! | `listpack`  | a [`Listpack`]                   | members are few and short                                   |
//! | `hashtable` | a [`HashTable`] of [`Member`]s   | otherwise                                                   |
//!
//! [`Limits`] says what few and short are. A set changes its encoding when a member is added that the present one may
//! not hold, and never back: only SINTERSTORE, which knows its result, makes an intset of what was no longer one, and
//! an SPOP that leaves little behind starts anew with the little.
//!
//! Nothing here knows of keys, clients or configuration.

use std::collections::HashSet;

use rand::Rng;
use rand::seq::{SliceRandom, index};

use super::collection::object_type;
use super::{Collection, Encoding, Type};
use crate::ds::hashtable::{self, HashTable};
use crate::ds::intset::IntSet;
use crate::ds::listpack::{self, Listpack, Value, estimate_repeated_integer};
use crate::ds::member::Member;
use crate::ds::numbers::parse_i64;
use crate::server::Out;

/// Members that an intset holds at most, whatever is configured.
const INTSET_ENTRIES_MAX: usize = 1 << 30;

/// SPOP builds a new set of the members that stay if those that leave are at least this many times as many.
const POP_REBUILD_FACTOR: usize = 5;

/// Distinct members are drawn one by one if there are at least this many times as many as asked for; else all are
/// listed, and the list shuffled.
const DRAW_FACTOR: usize = 3;

/// Members that are drawn from a listpack in one walk.
const DRAWS_A_WALK: usize = 1000;

/// A set. See the [module](self).
#[derive(Debug)]
pub enum Set {
    /// Integers, in order.
    IntSet(IntSet),
    /// Few members, in the order in which they came.
    Listpack(Listpack),
    /// Any members.
    Table(Box<HashTable<Member>>),
}

/// Which sets are kept compact: the directives `set-max-*`.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most members of an intset.
    pub intset_entries: usize,
    /// The most members of a listpack.
    pub listpack_entries: usize,
    /// The most bytes of a member of a listpack.
    pub listpack_value: usize,
}

object_type! {
    Set: Type::Set {
        IntSet(IntSet) = Encoding::IntSet,
        Listpack(Listpack) = Encoding::Listpack,
        Table(Box<HashTable<Member>>) = Encoding::HashTable,
    }
}

impl Collection for Set {
    fn mem_bytes(&self, samples: usize) -> usize {
        let table = match self {
            Set::IntSet(set) => return set.capacity(),
            Set::Listpack(list) => return list.capacity(),
            Set::Table(table) => table,
        };
        let samples = if samples == 0 { table.len() } else { samples.min(table.len()) };
        let members = table.iter().take(samples).map(|element| Member::mem_bytes(element.get().len()));
        let sampled = members.sum::<usize>() as u128 * table.len() as u128;
        let members = sampled.checked_div(samples as u128).unwrap_or(0);
        size_of::<HashTable<Member>>() + table.mem_bytes() + members as usize
    }

    fn free_effort(&self) -> usize {
        match self {
            Set::IntSet(_) | Set::Listpack(_) => 1,
            Set::Table(table) => table.len(),
        }
    }

    #[inline]
    fn len(&self) -> usize {
        match self {
            Set::IntSet(set) => set.len(),
            Set::Listpack(list) => list.len(),
            Set::Table(table) => table.len(),
        }
    }
}

/// A member, as a set gives it out or as a caller has it.
///
/// Bytes may be an integer's text; the text of an integer is that integer to every method here.
#[derive(Clone, Copy, Debug)]
pub enum Item<'a> {
    /// An integer, for its text.
    Integer(i64),
    /// Any bytes.
    Bytes(&'a [u8]),
}

impl<'a> Item<'a> {
    /// The text; an integer's is written to `digits`.
    #[inline]
    pub fn text<'b>(self, digits: &'b mut itoa::Buffer) -> &'b [u8]
    where
        'a: 'b,
    {
        match self {
            Item::Integer(value) => digits.format(value).as_bytes(),
            Item::Bytes(bytes) => bytes,
        }
    }

    /// The integer whose text this is, if it is one.
    #[inline]
    pub fn as_integer(self) -> Option<i64> {
        match self {
            Item::Integer(value) => Some(value),
            Item::Bytes(bytes) => parse_i64(bytes),
        }
    }

    /// The text, owned.
    pub fn to_vec(self) -> Vec<u8> {
        self.text(&mut itoa::Buffer::new()).to_vec()
    }

    /// Replies with the text.
    #[inline]
    pub fn write_to(self, out: &mut Out) {
        match self {
            Item::Integer(value) => out.bulk_int(value),
            Item::Bytes(bytes) => out.bulk(bytes),
        }
    }

    /// The member in the one form of the two that it has in collections which compare forms.
    pub fn canonical(self) -> Value<'a> {
        match self {
            Item::Integer(value) => Value::Integer(value),
            Item::Bytes(bytes) => Value::from(bytes),
        }
    }
}

impl<'a> From<&'a [u8]> for Item<'a> {
    fn from(bytes: &'a [u8]) -> Item<'a> {
        Item::Bytes(bytes)
    }
}

impl From<i64> for Item<'_> {
    fn from(value: i64) -> Self {
        Item::Integer(value)
    }
}

impl<'a> From<Value<'a>> for Item<'a> {
    #[inline]
    fn from(value: Value<'a>) -> Item<'a> {
        match value {
            Value::Integer(value) => Item::Integer(value),
            Value::String(bytes) => Item::Bytes(bytes),
        }
    }
}

/// A member that is looked for in several sets: its hash is computed once.
pub struct Probe<'a> {
    item: Item<'a>,
    digits: itoa::Buffer,
    hash: Option<u64>,
}

impl<'a> Probe<'a> {
    /// What is to be looked for.
    #[inline]
    pub fn new(item: Item<'a>) -> Probe<'a> {
        Probe { item, digits: itoa::Buffer::new(), hash: None }
    }

    #[inline]
    fn text(&mut self) -> &[u8] {
        self.item.text(&mut self.digits)
    }

    #[inline]
    fn hash(&mut self) -> u64 {
        match self.hash {
            Some(hash) => hash,
            None => {
                let hash = hash(self.text());
                self.hash = Some(hash);
                hash
            }
        }
    }
}

#[inline]
fn hash(member: &[u8]) -> u64 {
    HashTable::<Member>::hash(member)
}

impl Limits {
    fn admits(&self, len: usize) -> bool {
        len <= self.listpack_value
    }

    fn intset_entries(&self) -> usize {
        self.intset_entries.min(INTSET_ENTRIES_MAX)
    }
}

impl Set {
    /// An empty set in the encoding that suits `first`, when about `count` members are going to be added.
    pub fn with_hint(first: Item<'_>, count: usize, limits: Limits) -> Set {
        if count <= limits.intset_entries && first.as_integer().is_some() {
            Set::IntSet(IntSet::new())
        } else if count <= limits.listpack_entries {
            Set::Listpack(Listpack::new())
        } else {
            Set::Table(table_for(count))
        }
    }

    /// Changes to the last encoding if so many members, about to be added, could not all be in the present one.
    pub fn prepare_for(&mut self, count: usize, limits: Limits) {
        let too_many = match self {
            Set::IntSet(_) => count > limits.intset_entries,
            Set::Listpack(_) => count > limits.listpack_entries,
            Set::Table(_) => false,
        };
        if too_many {
            self.convert_to_table(count);
        }
    }

    /// Whether `item` is a member.
    #[inline]
    pub fn contains(&self, item: Item<'_>) -> bool {
        self.contains_probe(&mut Probe::new(item))
    }

    /// Whether `probe` is a member.
    #[inline]
    pub fn contains_probe(&self, probe: &mut Probe<'_>) -> bool {
        match self {
            Set::IntSet(set) => probe.item.as_integer().is_some_and(|value| set.contains(value)),
            Set::Listpack(list) => {
                list.first().is_some_and(|first| list.find(first, probe.text(), 0).is_some())
            }
            Set::Table(table) => table.contains(probe.hash(), probe.text()),
        }
    }

    /// Adds `item` and tells whether it is new.
    #[inline]
    pub fn add(&mut self, item: Item<'_>, limits: Limits) -> bool {
        match self {
            Set::IntSet(set) => match item.as_integer() {
                Some(value) => {
                    let added = set.add(value);
                    if added && set.len() > limits.intset_entries() {
                        self.convert_to_table(0);
                    }
                    added
                }
                None => {
                    self.leave_intset(item, limits);
                    true
                }
            },
            Set::Listpack(list) => {
                let mut digits = itoa::Buffer::new();
                let text = item.text(&mut digits);
                if list.first().is_some_and(|first| list.find(first, text, 0).is_some()) {
                    return false;
                }
                if list.len() < limits.listpack_entries
                    && limits.admits(text.len())
                    && list.can_grow(text.len())
                {
                    list.append(item.canonical());
                } else {
                    self.convert_to_table(self.len() + 1);
                    self.add(item, limits);
                }
                true
            }
            Set::Table(table) => {
                let mut digits = itoa::Buffer::new();
                insert(table, item.text(&mut digits))
            }
        }
    }

    /// Adds to an intset a member that is no integer.
    #[cold]
    fn leave_intset(&mut self, item: Item<'_>, limits: Limits) {
        let Set::IntSet(set) = &*self else { unreachable!("the set is an intset") };
        let mut digits = itoa::Buffer::new();
        let text = item.text(&mut digits);
        let bounds = [set.min(), set.max()];
        let longest =
            bounds.iter().flatten().map(|&bound| itoa::Buffer::new().format(bound).len()).max().unwrap_or(0);
        let size = bounds
            .iter()
            .flatten()
            .map(|&bound| estimate_repeated_integer(bound, set.len()))
            .max()
            .unwrap_or(0);
        let compact = set.len() < limits.listpack_entries
            && limits.admits(text.len())
            && limits.admits(longest)
            && size.saturating_add(text.len()) <= listpack::SIZE_LIMIT;
        if compact {
            let members: Vec<Value<'_>> =
                set.iter().map(Value::Integer).chain([Value::String(text)]).collect();
            let mut list = Listpack::new();
            list.append_all(&members);
            *self = Set::Listpack(list);
        } else {
            self.convert_to_table(set.len() + 1);
            self.add(item, limits);
        }
    }

    /// Removes `item` and tells whether it was a member.
    #[inline]
    pub fn remove(&mut self, item: Item<'_>) -> bool {
        let mut digits = itoa::Buffer::new();
        match self {
            Set::IntSet(set) => item.as_integer().is_some_and(|value| set.remove(value)),
            Set::Listpack(list) => {
                let text = item.text(&mut digits);
                let found = list.first().and_then(|first| list.find(first, text, 0));
                found.map(|position| list.delete(position)).is_some()
            }
            Set::Table(table) => {
                let text = item.text(&mut digits);
                table.remove(hash(text), text).is_some()
            }
        }
    }

    /// The members: an intset's ascending, a listpack's as they came, a table's in no order.
    #[inline]
    pub fn iter(&self) -> Iter<'_> {
        Iter(match self {
            Set::IntSet(set) => Members::IntSet(set, 0),
            Set::Listpack(list) => Members::Listpack(list.iter()),
            Set::Table(table) => Members::Table(table.iter()),
        })
    }

    /// A member chosen at random, each with the same probability; `None` if there is none.
    pub fn random(&self, rng: &mut impl Rng) -> Option<Item<'_>> {
        match self {
            Set::IntSet(set) => set.random(rng).map(Item::Integer),
            Set::Listpack(list) => list.random(rng, 1).map(|position| list.get(position).into()),
            Set::Table(table) => table.random(&mut || rng.random()).map(|element| Item::Bytes(element.get())),
        }
    }

    /// Shows `count` members, each drawn from all, or fewer if `show` says that it has had enough; none if there are none.
    pub fn random_many(&self, count: usize, rng: &mut impl Rng, mut show: impl FnMut(Item<'_>) -> bool) {
        let mut left = count;
        while left > 0 {
            let Set::Listpack(list) = self else {
                let Some(item) = self.random(rng) else { return };
                if !show(item) {
                    return;
                }
                left -= 1;
                continue;
            };
            // A walk serves many draws.
            let draws = left.min(DRAWS_A_WALK);
            if !list.random_many(rng, draws, 1).into_iter().all(|position| show(list.get(position).into())) {
                return;
            }
            left -= draws;
        }
    }

    /// Shows `count` different members, or all if there are no more. Each combination has the same probability.
    pub fn random_unique(&self, count: usize, rng: &mut impl Rng, mut show: impl FnMut(Item<'_>)) {
        if count >= self.len() {
            return self.iter().for_each(show);
        }
        match self {
            Set::IntSet(set) => {
                let picks = index::sample(rng, set.len(), count);
                picks
                    .into_iter()
                    .filter_map(|pick| set.get(pick))
                    .for_each(|value| show(Item::Integer(value)));
            }
            Set::Listpack(list) => {
                let picks = list.random_unique(rng, count, 1);
                picks.into_iter().for_each(|position| show(list.get(position).into()));
            }
            Set::Table(table) if count <= table.len() / DRAW_FACTOR => {
                // Members do not move meanwhile, so that their addresses tell them apart.
                let mut drawn = HashSet::with_capacity(count);
                while drawn.len() < count {
                    let Some(element) = table.random(&mut || rng.random()) else { return };
                    let member: &[u8] = element.get();
                    if drawn.insert(member.as_ptr().addr()) {
                        show(Item::Bytes(member));
                    }
                }
            }
            Set::Table(table) => {
                let mut members: Vec<&[u8]> = table.iter().map(|element| element.get()).collect();
                let (picks, _) = members.partial_shuffle(rng, count);
                picks.iter().for_each(|member| show(Item::Bytes(member)));
            }
        }
    }

    /// Removes a member chosen at random, which `show` sees before it is gone. Tells whether there was one.
    pub fn pop(&mut self, rng: &mut impl Rng, show: impl FnOnce(Item<'_>)) -> bool {
        match self {
            Set::IntSet(set) => {
                let Some(value) = set.random(rng) else { return false };
                set.remove(value);
                show(Item::Integer(value));
            }
            Set::Listpack(list) => {
                let Some(position) = list.random(rng, 1) else { return false };
                show(list.get(position).into());
                list.delete(position);
            }
            Set::Table(table) => {
                let Some(member) = table.random(&mut || rng.random()).map(|element| element.get().to_vec())
                else {
                    return false;
                };
                table.remove(hash(&member), &member);
                show(Item::Bytes(&member));
            }
        }
        true
    }

    /// Removes `count` members chosen at random, fewer than there are, and shows them. Each combination has the same
    /// probability.
    pub fn pop_some(
        &mut self,
        count: usize,
        limits: Limits,
        rng: &mut impl Rng,
        mut show: impl FnMut(Item<'_>),
    ) {
        debug_assert!(count < self.len());
        let stay = self.len() - count;
        if stay.saturating_mul(POP_REBUILD_FACTOR) <= count {
            let mut rest = match self {
                Set::IntSet(_) => Set::IntSet(IntSet::new()),
                _ => Set::Listpack(Listpack::new()),
            };
            self.random_unique(stay, rng, |item| {
                rest.add(item, limits);
            });
            self.iter().filter(|&item| !rest.contains(item)).for_each(show);
            *self = rest;
            return;
        }
        match self {
            Set::IntSet(set) => {
                let mut picks: Vec<usize> = index::sample(rng, set.len(), count).into_vec();
                picks.sort_unstable();
                let values: Vec<i64> = picks.into_iter().filter_map(|pick| set.get(pick)).collect();
                for value in values {
                    set.remove(value);
                    show(Item::Integer(value));
                }
            }
            Set::Listpack(list) => {
                let picks = list.random_unique(rng, count, 1);
                picks.iter().for_each(|&position| show(list.get(position).into()));
                list.delete_all(&picks);
            }
            Set::Table(_) => (0..count).for_each(|_| {
                self.pop(rng, &mut show);
            }),
        }
    }

    /// Shows some members and gives the cursor to go on with; 0 begins, and ends. The compact encodings show all at once.
    ///
    /// A member that is there from the beginning to the end is shown: see [`HashTable::scan`].
    pub fn scan(&self, cursor: u64, mut show: impl FnMut(Item<'_>)) -> u64 {
        match self {
            Set::Table(table) => table.scan(cursor, |element| show(Item::Bytes(element.get()))),
            _ => {
                self.iter().for_each(show);
                0
            }
        }
    }

    /// Changes to an intset, if all members are known to be integers and are not too many for one.
    pub fn convert_to_intset(&mut self, limits: Limits) {
        if !matches!(self, Set::IntSet(_)) && self.len() <= limits.intset_entries() {
            *self = Set::IntSet(self.iter().filter_map(Item::as_integer).collect());
        }
    }

    /// Changes to a table with room for `room` members, or for those that there are.
    fn convert_to_table(&mut self, room: usize) {
        let mut table = table_for(room.max(self.len()));
        let mut digits = itoa::Buffer::new();
        for item in self.iter() {
            insert(&mut table, item.text(&mut digits));
        }
        *self = Set::Table(table);
    }
}

/// An empty table with room for so many members.
fn table_for(members: usize) -> Box<HashTable<Member>> {
    let mut table = Box::<HashTable<Member>>::default();
    table.reserve(members);
    table
}

/// Adds `member` and tells whether it is new.
#[inline]
fn insert(table: &mut HashTable<Member>, member: &[u8]) -> bool {
    match table.entry(hash(member), member) {
        hashtable::Entry::Occupied(_) => false,
        hashtable::Entry::Vacant(place) => {
            place.insert(Member::new(member));
            true
        }
    }
}

impl Clone for Set {
    fn clone(&self) -> Set {
        match self {
            Set::IntSet(set) => Set::IntSet(set.clone()),
            Set::Listpack(list) => Set::Listpack(list.clone()),
            Set::Table(table) => {
                let mut copy = table_for(table.len());
                for element in table.iter() {
                    copy.insert_unique(hash(element.get()), Member::new(element.get()));
                }
                Set::Table(copy)
            }
        }
    }
}

impl<'a> IntoIterator for &'a Set {
    type Item = Item<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// The members of a set: see [`Set::iter`].
pub struct Iter<'a>(Members<'a>);

enum Members<'a> {
    IntSet(&'a IntSet, usize),
    Listpack(listpack::Iter<'a>),
    Table(hashtable::Iter<'a, Member>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        match &mut self.0 {
            Members::IntSet(set, next) => {
                let value = set.get(*next)?;
                *next += 1;
                Some(Item::Integer(value))
            }
            Members::Listpack(values) => values.next().map(Item::from),
            Members::Table(elements) => elements.next().map(|element| Item::Bytes(element.get())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::object::Object;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    const LIMITS: Limits = Limits { intset_entries: 12, listpack_entries: 8, listpack_value: 16 };

    fn encoding(set: &Set) -> &'static str {
        set.encoding().name()
    }

    fn set_of(members: impl IntoIterator<Item = impl AsRef<[u8]>>, limits: Limits) -> Set {
        let mut set = Set::IntSet(IntSet::new());
        for member in members {
            set.add(Item::Bytes(member.as_ref()), limits);
        }
        set
    }

    fn texts(set: &Set) -> BTreeSet<Vec<u8>> {
        set.iter().map(Item::to_vec).collect()
    }

    #[test]
    fn encodings_follow_the_limits() {
        let of = |members: &[&str]| encoding(&set_of(members, LIMITS));
        assert_eq!(of(&["1", "2"]), "intset");
        assert_eq!(of(&["1", "x"]), "listpack");
        assert_eq!(of(&["x", "1"]), "listpack");
        assert_eq!(of(&["1", "01"]), "listpack");
        assert_eq!(of(&["1", "a member too long"]), "hashtable");
        let numbers = |count: i64| (0..count).map(|value| value.to_string());
        assert_eq!(encoding(&set_of(numbers(12), LIMITS)), "intset");
        assert_eq!(encoding(&set_of(numbers(13), LIMITS)), "hashtable");
        assert_eq!(encoding(&set_of(numbers(7).chain(["x".into()]), LIMITS)), "listpack");
        assert_eq!(encoding(&set_of(numbers(8).chain(["x".into()]), LIMITS)), "hashtable");
        let short = Limits { listpack_value: 3, ..LIMITS };
        assert_eq!(encoding(&set_of(["-100", "x"], short)), "hashtable");
        assert_eq!(encoding(&set_of(["100", "x"], short)), "listpack");
    }

    #[test]
    fn hints_choose_the_encoding() {
        let of = |first: &str, count| encoding(&Set::with_hint(Item::Bytes(first.as_bytes()), count, LIMITS));
        assert_eq!(
            (of("1", 12), of("1", 13), of("x", 8), of("x", 9)),
            ("intset", "hashtable", "listpack", "hashtable")
        );
        let wide = Limits { listpack_entries: 100, ..LIMITS };
        assert_eq!(encoding(&Set::with_hint(Item::Integer(1), 13, wide)), "listpack");
        let mut set = set_of(["1"], LIMITS);
        set.prepare_for(12, LIMITS);
        assert_eq!(encoding(&set), "intset");
        set.prepare_for(13, LIMITS);
        assert_eq!((encoding(&set), texts(&set)), ("hashtable", BTreeSet::from([b"1".to_vec()])));
    }

    #[test]
    fn integers_come_back() {
        let mut set = set_of(["x", "1", "2"], LIMITS);
        set.remove(Item::Bytes(b"x"));
        assert_eq!(encoding(&set), "listpack");
        set.convert_to_intset(LIMITS);
        assert_eq!((encoding(&set), set.len()), ("intset", 2));
        let mut set = set_of((0..13).map(|value| value.to_string()), LIMITS);
        set.convert_to_intset(LIMITS);
        assert_eq!(encoding(&set), "hashtable");
    }

    #[test]
    fn popping_most_starts_anew() {
        let mut rng = rand::rng();
        let mut set = set_of((0..100).map(|value| format!("member {value}")), LIMITS);
        let all = texts(&set);
        let mut popped = BTreeSet::new();
        set.pop_some(95, LIMITS, &mut rng, |item| assert!(popped.insert(item.to_vec())));
        assert_eq!((encoding(&set), set.len(), popped.len()), ("listpack", 5, 95));
        assert_eq!(texts(&set).union(&popped).cloned().collect::<BTreeSet<_>>(), all);
    }

    #[test]
    fn every_member_is_drawn() {
        let mut rng = rand::rng();
        for members in [
            (0..10).map(|value| value.to_string()).collect::<Vec<_>>(),
            (0..7).map(|value| format!("m{value}")).collect(),
            (0..20).map(|value| format!("m{value}")).collect(),
        ] {
            let set = set_of(&members, LIMITS);
            for count in [2, members.len() - 1] {
                let mut seen = BTreeMap::new();
                for _ in 0..300 {
                    let mut once = BTreeSet::new();
                    set.random_unique(count, &mut rng, |item| assert!(once.insert(item.to_vec())));
                    assert_eq!(once.len(), count);
                    once.into_iter().for_each(|member| *seen.entry(member).or_insert(0) += 1);
                }
                assert_eq!(seen.len(), members.len());
                let mean = 300 * count / members.len();
                assert!(seen.values().all(|&times| times > mean / 4 && times < mean * 3), "{seen:?}");
            }
            let mut seen = BTreeSet::new();
            set.random_many(1500, &mut rng, |item| {
                seen.insert(item.to_vec());
                true
            });
            assert_eq!(seen.len(), members.len());
            let mut left = 70;
            set.random_many(1500, &mut rng, |_| {
                left -= 1;
                left > 0
            });
            assert_eq!(left, 0);
        }
    }

    #[test]
    fn scans_to_the_end() {
        let members: BTreeSet<Vec<u8>> = (0..500).map(|value| format!("m{value}").into_bytes()).collect();
        let set = set_of(&members, LIMITS);
        let (mut cursor, mut seen) = (0, BTreeSet::new());
        loop {
            cursor = set.scan(cursor, |item| {
                seen.insert(item.to_vec());
            });
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(seen, members);
        let small = set_of(["1", "x"], LIMITS);
        let mut shown = 0;
        assert_eq!((small.scan(77, |_| shown += 1), shown), (0, 2));
    }

    #[test]
    fn memory_and_effort() {
        let set = set_of((0..1000).map(|value| format!("a member {value:09}")), LIMITS);
        let exact = set.mem_bytes(0);
        assert!(exact > 1000 * (Member::mem_bytes(18) + 8));
        assert_eq!((set.mem_bytes(5), set.free_effort()), (exact, 1000));
        let set = set_of(["1"], LIMITS);
        assert_eq!((set.mem_bytes(5), set.free_effort()), (IntSet::from_iter([1]).capacity(), 1));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Add(Vec<u8>),
        AddInteger(i64),
        Remove(Vec<u8>),
        Pop,
        PopSome(usize),
        Copy,
        Prepare(usize),
    }

    fn member() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            6 => (-20i64..20).prop_map(|value| value.to_string().into_bytes()),
            4 => (0u8..20).prop_map(|value| format!("m{value}").into_bytes()),
            1 => proptest::collection::vec(any::<u8>(), 0..20),
        ]
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            8 => member().prop_map(Step::Add),
            2 => (-20i64..20).prop_map(Step::AddInteger),
            4 => member().prop_map(Step::Remove),
            1 => Just(Step::Pop),
            1 => (0usize..40).prop_map(Step::PopSome),
            1 => Just(Step::Copy),
            1 => (0usize..20).prop_map(Step::Prepare),
        ]
    }

    fn apply(step: Step, set: &mut Set, model: &mut BTreeSet<Vec<u8>>) {
        let mut rng = rand::rng();
        match step {
            Step::Add(member) => assert_eq!(set.add(Item::Bytes(&member), LIMITS), model.insert(member)),
            Step::AddInteger(value) => {
                assert_eq!(
                    set.add(Item::Integer(value), LIMITS),
                    model.insert(value.to_string().into_bytes())
                );
            }
            Step::Remove(member) => assert_eq!(set.remove(Item::Bytes(&member)), model.remove(&member)),
            Step::Pop => {
                let before = model.len();
                assert_eq!(set.pop(&mut rng, |item| assert!(model.remove(&item.to_vec()))), before > 0);
            }
            Step::PopSome(count) if count < model.len() => {
                let before = model.len();
                set.pop_some(count, LIMITS, &mut rng, |item| assert!(model.remove(&item.to_vec())));
                assert_eq!(model.len(), before - count);
            }
            Step::PopSome(_) => {}
            Step::Copy => *set = set.clone(),
            Step::Prepare(count) => set.prepare_for(count, LIMITS),
        }
    }

    proptest! {
        #[test]
        fn is_a_set(steps in proptest::collection::vec(step(), 0..80)) {
            let (mut set, mut model) = (Set::IntSet(IntSet::new()), BTreeSet::new());
            for step in steps {
                apply(step, &mut set, &mut model);
                prop_assert_eq!((set.len(), set.is_empty()), (model.len(), model.is_empty()));
                prop_assert_eq!(texts(&set), model.clone());
                prop_assert_eq!(set.iter().count(), model.len());
            }
            for value in -20i64..20 {
                let text = value.to_string().into_bytes();
                let mut probe = Probe::new(Item::Integer(value));
                prop_assert_eq!(set.contains(Item::Bytes(&text)), model.contains(&text));
                prop_assert_eq!(set.contains_probe(&mut probe), set.contains_probe(&mut probe));
                prop_assert_eq!(set.contains_probe(&mut probe), model.contains(&text));
            }
            for member in &model {
                prop_assert!(set.contains(Item::Bytes(member)));
            }
        }
    }
}
