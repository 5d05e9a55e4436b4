use std::collections::BTreeMap;
use std::ops::Bound::{self, Excluded, Included, Unbounded};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

type Key = Vec<u8>;
type Model = BTreeMap<Key, u32>;

/// Upstream's nodes by their definition, from the trie of single bytes: places with a key, with several bytes or with none, and
/// runs of places with one byte each, which begin behind another node.
fn count_nodes(keys: &[Key], depth: usize, in_run: bool) -> usize {
    let ends = keys.iter().any(|key| key.len() == depth);
    let mut groups: BTreeMap<u8, Vec<Key>> = BTreeMap::new();
    for key in keys.iter().filter(|key| key.len() > depth) {
        groups.entry(key[depth]).or_default().push(key.clone());
    }
    let is_run = groups.len() == 1;
    let own = usize::from(!(is_run && in_run && !ends));
    own + groups.values().map(|keys| count_nodes(keys, depth + 1, is_run)).sum::<usize>()
}

fn pair<'a>(found: Option<(&'a Key, &'a u32)>) -> Option<(Key, u32)> {
    found.map(|(key, value)| (key.clone(), *value))
}

fn check(rax: &Rax<Key, u32>, model: &Model, probes: &[Key]) {
    assert_eq!((rax.len(), rax.is_empty()), (model.len(), model.is_empty()));
    assert!(rax.iter().eq(model.iter()));
    assert!(rax.iter().rev().eq(model.iter().rev()));
    let keys: Vec<Key> = model.keys().cloned().collect();
    assert_eq!(rax.node_count(), count_nodes(&keys, 0, false));
    assert_eq!(
        (pair(rax.first()), pair(rax.last())),
        (pair(model.iter().next()), pair(model.iter().next_back()))
    );
    for key in probes.iter().chain(&keys) {
        assert_eq!(rax.get(key), model.get(key));
        let next = |from: Bound<&Key>| pair(model.range::<Key, _>((from, Unbounded)).next());
        let previous = |to: Bound<&Key>| pair(model.range::<Key, _>((Unbounded, to)).next_back());
        assert_eq!(pair(rax.at_or_after(key)), next(Included(key)));
        assert_eq!(pair(rax.after(key)), next(Excluded(key)));
        assert_eq!(pair(rax.at_or_before(key)), previous(Included(key)));
        assert_eq!(pair(rax.before(key)), previous(Excluded(key)));
    }
}

/// Keys that part early, late, and are beginnings of each other.
fn key() -> impl Strategy<Value = Key> {
    prop_oneof![
        vec(0u8..3, 0..6),
        vec(any::<u8>(), 0..3),
        (0u64..3, 0u64..600).prop_map(|(ms, seq)| [ms.to_be_bytes(), seq.to_be_bytes()].concat()),
    ]
}

proptest! {
    #[test]
    fn is_a_map(steps in vec((key(), any::<u32>(), 0..3), 0..80), probes in vec(key(), 8)) {
        let (mut rax, mut model) = (Rax::new(), Model::new());
        for (key, value, what) in steps {
            match what {
                0 => prop_assert_eq!(rax.remove(&key), model.remove(&key)),
                1 => {
                    // One that is there, most likely.
                    let found = pair(rax.at_or_after(&key));
                    if let Some((key, value)) = found {
                        prop_assert_eq!(rax.remove_entry(&key), Some((key.clone(), value)));
                        model.remove(&key);
                    }
                }
                _ => prop_assert_eq!(rax.insert(key.clone(), value), model.insert(key, value)),
            }
            check(&rax, &model, &probes);
        }
        check(&rax.clone(), &model, &probes);
        prop_assert_eq!(rax.clone().mem_bytes() == 0, model.len() < 2);
        while let Some((key, value)) = rax.pop_first() {
            prop_assert_eq!(model.pop_first(), Some((key, value)));
        }
        prop_assert_eq!((rax.mem_bytes(), rax.node_count()), (0, 1));
    }

    #[test]
    fn ranges(keys in vec(key(), 0..20), from in key(), to in key(), kinds in 0..9) {
        let model: Model = keys.into_iter().zip(0..).collect();
        let mut rax = Rax::new();
        for (key, value) in &model {
            rax.insert(key.clone(), *value);
        }
        let bound = |kind, key| match kind { 0 => Unbounded, 1 => Included(key), _ => Excluded(key) };
        let (front, back) = (bound(kinds % 3, &from[..]), bound(kinds / 3, &to[..]));
        let inside = |key: &Key| {
            (match front { Unbounded => true, Included(from) => from <= &key[..], Excluded(from) => from < &key[..] })
                && (match back { Unbounded => true, Included(to) => &key[..] <= to, Excluded(to) => &key[..] < to })
        };
        let expected: Vec<_> = model.iter().filter(|(key, _)| inside(key)).collect();
        let (mut walk, mut turn) = (rax.range(front, back), 0);
        let (mut fronts, mut backs) = (Vec::new(), Vec::new());
        loop {
            turn += 1;
            if turn % 3 == 0 {
                let Some(found) = walk.next_back() else { break };
                backs.push(found);
            } else {
                let Some(found) = walk.next() else { break };
                fronts.push(found);
            }
        }
        fronts.extend(backs.into_iter().rev());
        prop_assert_eq!(fronts, expected);
    }
}

/// Numbers that upstream's XINFO STREAM shows.
#[test]
fn counts_as_upstream() {
    let id = |ms: u64, seq: u64| [ms.to_be_bytes(), seq.to_be_bytes()].concat();
    let mut rax = Rax::new();
    for (ms, seq, nodes) in [(1, 0, 2), (2, 0, 6), (2, 1, 8), (256, 0, 11)] {
        rax.insert(id(ms, seq), ());
        assert_eq!(rax.node_count(), nodes, "{ms}-{seq}");
    }
}

/// Each key is the beginning of the next: the deepest tree there is.
#[test]
fn depth_is_no_stack() {
    let mut rax = Rax::new();
    for len in 0..3000 {
        rax.insert(vec![b'a'; len], len);
    }
    assert_eq!(rax.node_count(), 3000);
    assert_eq!(rax.before(&[b'a'; 2000]).map(|(_, value)| *value), Some(1999));
    assert_eq!(rax.clone().len(), 3000);
}

/// A branch gives back the room of children that left.
#[test]
fn memory_follows() {
    let mut rax = Rax::new();
    for byte in 0..=255u8 {
        rax.insert([byte], byte);
    }
    let full = rax.mem_bytes();
    for byte in 2..=255u8 {
        assert_eq!(rax.remove(&[byte]), Some(byte));
    }
    assert!(rax.mem_bytes() * 10 < full);
    assert_eq!(rax.last_mut().map(|(key, value)| (*key, *value)), Some(([1], 1)));
}
