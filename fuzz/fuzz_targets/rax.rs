//! Operations on a radix tree, beside a map of the standard library. Keys are made of few bytes, so that they part early and
//! late, and are beginnings of each other.
#![no_main]

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included, Unbounded};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use ochre::ds::rax::Rax;

type Key = Vec<u8>;

#[derive(Arbitrary, Debug)]
enum Op {
    Insert(Key, u8),
    InsertShort([u8; 2], u8),
    /// An id of 16 bytes.
    InsertId(u16, u8),
    Remove(Key),
    /// The key at or behind this one.
    RemoveNear(Key),
    PopFirst,
    Change(Key, u8),
    Seek(Key),
    Walk(Key, Key),
}

#[derive(Default)]
struct Pair {
    rax: Rax<Key, u8>,
    model: BTreeMap<Key, u8>,
}

fn pair(found: Option<(&Key, &u8)>) -> Option<(Key, u8)> {
    found.map(|(key, value)| (key.clone(), *value))
}

impl Pair {
    fn insert(&mut self, key: Key, value: u8) {
        assert_eq!(self.rax.insert(key.clone(), value), self.model.insert(key, value));
    }

    fn remove(&mut self, key: &[u8]) {
        assert_eq!(self.rax.remove(key), self.model.remove(key));
    }

    fn seek(&self, key: Key) {
        let next = |from| pair(self.model.range::<Key, _>((from, Unbounded)).next());
        let previous = |to| pair(self.model.range::<Key, _>((Unbounded, to)).next_back());
        assert_eq!(self.rax.get(&key), self.model.get(&key));
        assert_eq!(pair(self.rax.at_or_after(&key)), next(Included(&key)));
        assert_eq!(pair(self.rax.after(&key)), next(Excluded(&key)));
        assert_eq!(pair(self.rax.at_or_before(&key)), previous(Included(&key)));
        assert_eq!(pair(self.rax.before(&key)), previous(Excluded(&key)));
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Insert(key, value) => self.insert(key, value),
            Op::InsertShort(key, value) => self.insert(key.map(|byte| byte % 4).to_vec(), value),
            Op::InsertId(ms, seq) => {
                let id = u128::from(ms) << 64 | u128::from(seq);
                self.insert(id.to_be_bytes().to_vec(), seq);
            }
            Op::Remove(key) => self.remove(&key),
            Op::RemoveNear(key) => {
                if let Some((key, _)) = pair(self.rax.at_or_after(&key)) {
                    self.remove(&key);
                }
            }
            Op::PopFirst => assert_eq!(self.rax.pop_first(), self.model.pop_first()),
            Op::Change(key, value) => {
                let (own, expected) = (self.rax.get_mut(&key), self.model.get_mut(&key));
                assert_eq!(own, expected);
                if let (Some(own), Some(expected)) = (own, expected) {
                    (*own, *expected) = (value, value);
                }
            }
            Op::Seek(key) => self.seek(key),
            Op::Walk(from, to) => {
                if from < to {
                    let expected = self.model.range::<Key, _>((Included(&from), Excluded(&to)));
                    let own = self.rax.range(Included(&from), Excluded(&to));
                    assert!(own.rev().eq(expected.rev()));
                }
            }
        }
    }
}

fuzz_target!(|ops: Vec<Op>| {
    let mut pair = Pair::default();
    for op in ops {
        pair.apply(op);
        assert_eq!(pair.rax.len(), pair.model.len());
    }
    assert!(pair.rax.iter().eq(pair.model.iter()));
    // The same keys make the same tree, whatever way they came.
    let copy = pair.rax.clone();
    assert_eq!(copy.node_count(), pair.rax.node_count());
    assert!(copy.iter().rev().eq(pair.model.iter().rev()));
});
