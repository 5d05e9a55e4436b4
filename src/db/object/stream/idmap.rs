//! A map by ids, for ids that come in order and go in almost the same order.
//!
//! Entries are delivered in the order of their ids and acknowledged more or less so. The map is a sequence of *runs*, sorted
//! arrays of up to [`RUN`] entries, that are found by a B-tree of the ids at which they begin. A run that is filled from its
//! end stays full when the next one is begun, so an entry takes its own bytes and few more, where a tree that splits nodes in
//! halves, or one of allocations for each entry, takes twice as many. An id out of order is inserted into its run, which is
//! split when it is full; runs that have become short are joined with a neighbour.

use std::collections::BTreeMap;
use std::ops::{Bound, RangeInclusive};

use super::id::StreamId;

/// Entries of a full run: with those of consumer groups, its bytes fill a size class of the allocator.
const RUN: usize = 64;

/// A run with fewer entries is joined with a neighbour if both have no more than [`JOINED`].
const SHORT: usize = RUN / 4;

/// What two runs have together at most when they are joined, so that a few more do not split them again.
const JOINED: usize = RUN * 3 / 4;

/// Values by ids, in order. See the [module](self).
#[derive(Clone, Debug)]
pub struct IdMap<V> {
    /// By an id that is not greater than any of the run, and greater than all of the run before. No run is empty.
    runs: BTreeMap<StreamId, Vec<(StreamId, V)>>,
    len: usize,
}

impl<V> IdMap<V> {
    /// The empty map.
    pub const fn new() -> IdMap<V> {
        IdMap { runs: BTreeMap::new(), len: 0 }
    }

    /// Number of ids.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no ids.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The value of an id.
    pub fn get(&self, id: StreamId) -> Option<&V> {
        let (_, run) = self.runs.range(..=id).next_back()?;
        let index = position(run, id).ok()?;
        Some(&run[index].1)
    }

    /// The value of an id, to change.
    pub fn get_mut(&mut self, id: StreamId) -> Option<&mut V> {
        let (_, run) = self.runs.range_mut(..=id).next_back()?;
        let index = position(run, id).ok()?;
        Some(&mut run[index].1)
    }

    /// Whether there is a value for the id.
    pub fn contains(&self, id: StreamId) -> bool {
        self.get(id).is_some()
    }

    /// The first id and its value.
    pub fn first(&self) -> Option<(StreamId, &V)> {
        let (_, run) = self.runs.first_key_value()?;
        run.first().map(|(id, value)| (*id, value))
    }

    /// The last id and its value.
    pub fn last(&self) -> Option<(StreamId, &V)> {
        let (_, run) = self.runs.last_key_value()?;
        run.last().map(|(id, value)| (*id, value))
    }

    /// Gives an id a value, and returns the one it had.
    pub fn insert(&mut self, id: StreamId, value: V) -> Option<V> {
        let in_order = self.last().is_none_or(|(last, _)| last < id);
        let Some((_, run)) = self.runs.range_mut(..=id).next_back() else {
            self.insert_first(id, value);
            return None;
        };
        match position(run, id) {
            Ok(index) => return Some(std::mem::replace(&mut run[index].1, value)),
            Err(_) if in_order && run.len() >= RUN => {
                self.runs.insert(id, vec![(id, value)]);
            }
            Err(index) => {
                run.insert(index, (id, value));
                if run.len() > RUN {
                    let half = run.split_off(RUN / 2);
                    run.shrink_to_fit();
                    self.runs.insert(half[0].0, half);
                }
            }
        }
        self.len += 1;
        None
    }

    /// Adds an id that is less than all others.
    fn insert_first(&mut self, id: StreamId, value: V) {
        self.len += 1;
        match self.runs.first_entry() {
            Some(first) if first.get().len() < RUN => {
                let mut run = first.remove();
                run.insert(0, (id, value));
                self.runs.insert(id, run);
            }
            _ => _ = self.runs.insert(id, vec![(id, value)]),
        }
    }

    /// Removes an id, and returns its value.
    pub fn remove(&mut self, id: StreamId) -> Option<V> {
        let (&start, run) = self.runs.range_mut(..=id).next_back()?;
        let index = position(run, id).ok()?;
        let (_, value) = run.remove(index);
        self.len -= 1;
        if run.len() < SHORT {
            self.join(start);
        }
        Some(value)
    }

    /// Joins a run that has become short with a neighbour, if that is short enough; drops it if it is empty.
    fn join(&mut self, start: StreamId) {
        let len = self.runs[&start].len();
        let fits = |(_, run): &(&StreamId, &Vec<(StreamId, V)>)| len + run.len() <= JOINED;
        let next = self.runs.range((Bound::Excluded(start), Bound::Unbounded)).next().filter(fits);
        let (into, from) = match next.map(|(next, _)| *next) {
            _ if len == 0 => {
                self.runs.remove(&start);
                return;
            }
            Some(next) => (start, next),
            None => match self.runs.range(..start).next_back().filter(fits) {
                Some((previous, _)) => (*previous, start),
                None => return self.shrink(start),
            },
        };
        if let Some(mut moved) = self.runs.remove(&from)
            && let Some(run) = self.runs.get_mut(&into)
        {
            run.append(&mut moved);
        }
    }

    /// Gives back room that a run is not likely to need again.
    fn shrink(&mut self, start: StreamId) {
        if let Some(run) = self.runs.get_mut(&start).filter(|run| run.len() * 4 < run.capacity()) {
            run.shrink_to(run.len() * 2);
        }
    }

    /// The ids and their values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (StreamId, &V)> {
        self.runs.values().flatten().map(|(id, value)| (*id, value))
    }

    /// Those within a range.
    pub fn range(&self, ids: RangeInclusive<StreamId>) -> impl Iterator<Item = (StreamId, &V)> {
        let (from, to) = ids.into_inner();
        let first = self.runs.range(..=from).next_back().map(|(_, run)| {
            let begin = position(run, from).unwrap_or_else(|index| index);
            &run[begin..]
        });
        let behind = (Bound::Excluded(from), Bound::Unbounded);
        let others = self.runs.range(behind).map(|(_, run)| run.as_slice());
        let all = first.into_iter().chain(others).flatten();
        all.map(|(id, value)| (*id, value)).take_while(move |(id, _)| *id <= to)
    }

    /// Bytes allocated, with what the B-tree of runs takes estimated.
    pub fn mem_bytes(&self) -> usize {
        let entry = size_of::<(StreamId, V)>();
        let runs: usize = self.runs.values().map(|run| run.capacity() * entry).sum();
        runs + self.runs.len() * 3 / 2 * (size_of::<StreamId>() + size_of::<Vec<(StreamId, V)>>())
    }

    /// Number of allocations, roughly.
    pub fn allocations(&self) -> usize {
        self.runs.len()
    }
}

impl<V> Default for IdMap<V> {
    fn default() -> IdMap<V> {
        IdMap::new()
    }
}

fn position<V>(run: &[(StreamId, V)], id: StreamId) -> Result<usize, usize> {
    run.binary_search_by_key(&id, |(own, _)| *own)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn id(ms: u64) -> StreamId {
        StreamId::new(ms, ms % 3)
    }

    fn check(map: &IdMap<u64>, model: &BTreeMap<StreamId, u64>) {
        assert_eq!((map.len(), map.is_empty()), (model.len(), model.is_empty()));
        assert!(map.iter().eq(model.iter().map(|(id, value)| (*id, value))));
        assert_eq!(map.first(), model.first_key_value().map(|(id, value)| (*id, value)));
        assert_eq!(map.last(), model.last_key_value().map(|(id, value)| (*id, value)));
        assert!(map.runs.iter().all(|(start, run)| *start <= run[0].0 && run.len() <= RUN));
    }

    #[derive(Clone, Debug)]
    enum Step {
        InsertRange(u64, u64),
        Insert(u64),
        RemoveRange(u64, u64),
        Remove(u64),
        Change(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let at = 0u64..600;
        prop_oneof![
            2 => (at.clone(), 0u64..200).prop_map(|(from, count)| Step::InsertRange(from, count)),
            3 => at.clone().prop_map(Step::Insert),
            2 => (at.clone(), 0u64..150).prop_map(|(from, count)| Step::RemoveRange(from, count)),
            3 => at.clone().prop_map(Step::Remove),
            1 => at.prop_map(Step::Change),
        ]
    }

    proptest! {
        #[test]
        fn is_a_map(steps in vec(step(), 0..40), from in 0u64..700, to in 0u64..700) {
            let (mut map, mut model) = (IdMap::new(), BTreeMap::new());
            for step in steps {
                let insert = |n: u64, map: &mut IdMap<u64>, model: &mut BTreeMap<_, _>| {
                    assert_eq!(map.insert(id(n), n), model.insert(id(n), n));
                };
                let remove = |n: u64, map: &mut IdMap<u64>, model: &mut BTreeMap<_, _>| {
                    assert_eq!(map.remove(id(n)), model.remove(&id(n)));
                };
                match step {
                    Step::InsertRange(from, count) => {
                        (from..from + count).for_each(|n| insert(n, &mut map, &mut model));
                    }
                    Step::Insert(n) => insert(n, &mut map, &mut model),
                    Step::RemoveRange(from, count) => {
                        (from..from + count).for_each(|n| remove(n, &mut map, &mut model));
                    }
                    Step::Remove(n) => remove(n, &mut map, &mut model),
                    Step::Change(n) => {
                        let (own, expected) = (map.get_mut(id(n)), model.get_mut(&id(n)));
                        prop_assert_eq!(&own, &expected);
                        own.into_iter().chain(expected).for_each(|value| *value += 1);
                    }
                }
                check(&map, &model);
            }
            for n in 0..700 {
                prop_assert_eq!(map.get(id(n)), model.get(&id(n)));
                prop_assert_eq!(map.contains(id(n)), model.contains_key(&id(n)));
            }
            let (from, to) = (id(from), id(to));
            let expected = model.iter().map(|(id, value)| (*id, value)).filter(|(id, _)| (from..=to).contains(id));
            prop_assert!(map.range(from..=to).eq(expected));
            prop_assert!(map.clone().iter().eq(map.iter()));
        }
    }

    #[test]
    fn runs_stay_full_and_memory_is_given_back() {
        let mut map: IdMap<[u64; 3]> = IdMap::new();
        (0..6400).for_each(|n| _ = map.insert(id(n), [n; 3]));
        assert_eq!(map.allocations(), 100);
        let entry = size_of::<(StreamId, [u64; 3])>();
        assert!(map.mem_bytes() < 6400 * entry * 11 / 10);
        // One of a hundred stays.
        (0..6400).filter(|n| n % 100 != 0).for_each(|n| _ = map.remove(id(n)));
        assert!(map.allocations() <= 10 && map.mem_bytes() < 64 * entry * 4);
        (0..6400).step_by(100).for_each(|n| _ = map.remove(id(n)));
        assert_eq!((map.allocations(), map.mem_bytes()), (0, 0));
    }
}
