//! Sets of integers: bytes of any origin, then additions and removals, against the standard library's set.
#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use ochre::ds::intset::{IntSet, validate};

fuzz_target!(|input: (Vec<u8>, Vec<(bool, i64)>)| {
    let (bytes, steps) = input;
    let mut set = IntSet::from_bytes(bytes).unwrap_or_default();
    let mut model: BTreeSet<i64> = set.iter().collect();
    assert_eq!(set.len(), model.len());
    for (add, value) in steps {
        assert_eq!(set.contains(value), model.contains(&value));
        if add {
            assert_eq!(set.add(value), model.insert(value));
        } else {
            assert_eq!(set.remove(value), model.remove(&value));
        }
        assert!(set.is_empty() || validate(set.as_bytes()));
    }
    assert!(set.iter().eq(model.iter().copied()));
    assert!(set.iter().rev().eq(model.iter().rev().copied()));
    assert_eq!((set.min(), set.max()), (model.first().copied(), model.last().copied()));
});
