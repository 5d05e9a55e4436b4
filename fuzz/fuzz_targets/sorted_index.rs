//! Operations on the index of a sorted set, beside an ordered set and a map of the standard library. Scores are few or many as the
//! input likes, so that ties, splits and merges come up in short inputs.
#![no_main]

use std::collections::{BTreeMap, BTreeSet};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use ochre::ds::sorted_index::{Cut, Place, SortedIndex};

/// A score, which is not NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Score(f64);

impl Eq for Score {}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Score) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Score {
    fn cmp(&self, other: &Score) -> std::cmp::Ordering {
        self.0.partial_cmp(&other.0).expect("no score is NaN")
    }
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Draw {
    Few(i8),
    Many(i32),
    Any(f64),
}

impl Draw {
    fn score(self) -> f64 {
        match self {
            Draw::Few(score) => f64::from(score / 16),
            Draw::Many(score) => f64::from(score),
            Draw::Any(score) if score.is_nan() => 0.0,
            Draw::Any(score) => score,
        }
    }
}

#[derive(Arbitrary, Debug)]
enum Op {
    Insert(u16, Draw),
    /// So many members from one on, with scores that rise or fall by a step.
    InsertMany(u16, u8, Draw, i8),
    Move(u16, Draw),
    Remove(u16),
    RemoveRange(u16, u8),
    Rank(u16),
    Count(u16, Draw),
    Range(u16, u8),
    Copy,
}

#[derive(Default)]
struct Pair {
    index: SortedIndex,
    scores: BTreeMap<Vec<u8>, f64>,
    order: BTreeSet<(Score, Vec<u8>)>,
}

/// Names of several lengths, in an order other than that of their numbers.
fn name(number: u16) -> Vec<u8> {
    let mut name = number.rotate_left(5).to_string().into_bytes();
    name.resize(name.len() + usize::from(number % 3) * 70, b'.');
    name
}

impl Pair {
    fn insert(&mut self, member: &[u8], score: f64) {
        let old = self.scores.insert(member.to_vec(), score);
        if let Some(old) = old {
            self.order.remove(&(Score(old), member.to_vec()));
        }
        self.order.insert((Score(score), member.to_vec()));
        assert_eq!(self.index.insert(member, score), old);
    }

    fn remove(&mut self, member: &[u8]) {
        let old = self.scores.remove(member);
        if let Some(old) = old {
            self.order.remove(&(Score(old), member.to_vec()));
        }
        assert_eq!(self.index.remove(member), old);
    }

    fn change(&mut self, member: &[u8], score: f64) {
        match self.index.place(member) {
            Place::Taken(mut present) => {
                let old = present.score();
                assert_eq!(self.scores.insert(member.to_vec(), score), Some(old));
                present.set_score(score);
                self.order.remove(&(Score(old), member.to_vec()));
                self.order.insert((Score(score), member.to_vec()));
            }
            Place::Free(_) => assert!(!self.scores.contains_key(member)),
        }
    }

    fn remove_range(&mut self, from: usize, count: usize) {
        let doomed: Vec<(Score, Vec<u8>)> = self.order.iter().skip(from).take(count).cloned().collect();
        assert_eq!(self.index.remove_range(from..from + count), doomed.len());
        for element in doomed {
            self.scores.remove(&element.1);
            self.order.remove(&element);
        }
    }

    fn count(&self, member: &[u8], score: f64) {
        for cut in [
            Cut::BelowScore(score),
            Cut::AboveScore(score),
            Cut::BelowElement(score, member),
            Cut::AboveElement(score, member),
        ] {
            let before = self.order.iter().filter(|(score, member)| cut.is_after(score.0, || member)).count();
            assert_eq!(self.index.count_before(cut), before);
        }
    }

    fn range(&self, from: usize, count: usize) {
        let expected: Vec<(&[u8], f64)> =
            self.order.iter().skip(from).take(count).map(|(score, member)| (&member[..], score.0)).collect();
        assert!(self.index.range(from..from + count).eq(expected.iter().copied()));
        assert!(self.index.range(from..from + count).rev().eq(expected.iter().rev().copied()));
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Insert(number, draw) => self.insert(&name(number), draw.score()),
            Op::InsertMany(from, count, draw, step) => {
                for i in 0..u16::from(count) {
                    let score = draw.score() + f64::from(i) * f64::from(step);
                    self.insert(&name(from.wrapping_add(i)), score);
                }
            }
            Op::Move(number, draw) => self.change(&name(number), draw.score()),
            Op::Remove(number) => self.remove(&name(number)),
            Op::RemoveRange(from, count) => self.remove_range(usize::from(from), usize::from(count)),
            Op::Rank(number) => {
                let member = name(number);
                let rank = self.scores.get(&member).map(|score| {
                    (self.order.iter().position(|(_, other)| *other == member).expect("it is there"), *score)
                });
                assert_eq!(self.index.rank(&member), rank);
            }
            Op::Count(number, draw) => self.count(&name(number), draw.score()),
            Op::Range(from, count) => self.range(usize::from(from), usize::from(count)),
            Op::Copy => self.index = self.index.clone(),
        }
    }
}

fuzz_target!(|ops: Vec<Op>| {
    let mut pair = Pair::default();
    for op in &ops {
        pair.apply(op);
    }
    pair.index.debug_validate();
    pair.range(0, pair.order.len() + 1);
});
