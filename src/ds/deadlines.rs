//! What is due next: an ordered set of times, each with the hash of the key it belongs to.
//!
//! A database keeps one for its hashes that have fields with an expiry, and each such hash keeps one for its fields, so
//! that active expiry goes straight to what is due however much is not. The keys themselves are not repeated here: a
//! [`HashTable`](super::hashtable::HashTable) finds an element by the hash of its key and a predicate
//! ([`find_mut_by_hash`](super::hashtable::HashTable::find_mut_by_hash)), and the predicate "has this expiry, and a key
//! of this hash" holds for one element.
//!
//! # Memory
//!
//! A deadline is 16 bytes, and a node of the B-tree holds up to 11 of them in 192 bytes. Nodes are two thirds full
//! after insertions in random order and half full after ascending ones, so that a deadline takes between 24 and 35
//! bytes; a key of 20 bytes beside the time would make that 60. Nothing is allocated while there are none.
//!
//! # Collisions
//!
//! Two keys whose 64-bit hashes are the same share one deadline if they are due in the same millisecond, and the second of
//! them is then not found when it is due. (It is gone for every reader all the same: expiry is judged by what the
//! element says.) With a secret seed nobody can bring that about, and by chance it does not happen.

use std::collections::BTreeSet;

/// Bytes that one deadline takes in the mean.
const MEAN_BYTES: usize = 28;

/// Times and what is due then. See the [module](self).
#[derive(Debug, Default, Clone)]
pub struct Deadlines {
    set: BTreeSet<(i64, u64)>,
}

impl Deadlines {
    /// Number of deadlines.
    pub fn len(&self) -> usize {
        self.set.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// The key with this hash is due at `at_ms`.
    pub fn insert(&mut self, at_ms: i64, hash: u64) {
        self.set.insert((at_ms, hash));
    }

    /// The key with this hash is not due at `at_ms` after all.
    pub fn remove(&mut self, at_ms: i64, hash: u64) {
        self.set.remove(&(at_ms, hash));
    }

    /// Replaces the time at which the key with this hash is due; `None` is never.
    pub fn move_to(&mut self, hash: u64, from_ms: Option<i64>, to_ms: Option<i64>) {
        if from_ms == to_ms {
            return;
        }
        if let Some(at_ms) = from_ms {
            self.remove(at_ms, hash);
        }
        if let Some(at_ms) = to_ms {
            self.insert(at_ms, hash);
        }
    }

    /// The first time that something is due.
    pub fn next_ms(&self) -> Option<i64> {
        self.set.first().map(|&(at_ms, _)| at_ms)
    }

    /// What is due before `now_ms`, first things first, as times and hashes.
    pub fn due(&self, now_ms: i64) -> impl Iterator<Item = (i64, u64)> + '_ {
        self.set.range(..(now_ms, 0)).copied()
    }

    /// Bytes of memory, estimated.
    pub fn mem_bytes(&self) -> usize {
        self.len() * MEAN_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_comes_in_order() {
        let mut deadlines = Deadlines::default();
        for (at_ms, hash) in [(30, 3), (10, 9), (20, 1), (10, 2)] {
            deadlines.insert(at_ms, hash);
        }
        assert_eq!(deadlines.next_ms(), Some(10));
        assert_eq!(deadlines.due(30).collect::<Vec<_>>(), [(10, 2), (10, 9), (20, 1)]);
        assert_eq!(deadlines.due(10).count(), 0);
        deadlines.move_to(9, Some(10), Some(40));
        deadlines.move_to(2, Some(10), None);
        deadlines.move_to(7, None, Some(5));
        deadlines.move_to(1, Some(20), Some(20));
        assert_eq!(deadlines.due(i64::MAX).collect::<Vec<_>>(), [(5, 7), (20, 1), (30, 3), (40, 9)]);
        assert_eq!((deadlines.len(), deadlines.is_empty()), (4, false));
    }
}
