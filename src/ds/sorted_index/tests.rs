//! The index against a std model: a map of members, and a set of (score, member).

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// A score, which is not NaN.
#[derive(Clone, Copy, PartialEq, Debug)]
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

#[derive(Default)]
struct Model {
    scores: BTreeMap<Vec<u8>, f64>,
    order: BTreeSet<(Score, Vec<u8>)>,
}

impl Model {
    fn insert(&mut self, member: &[u8], score: f64) -> Option<f64> {
        let old = self.remove(member);
        self.scores.insert(member.to_vec(), score);
        self.order.insert((Score(score), member.to_vec()));
        old
    }

    fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let old = self.scores.remove(member)?;
        assert!(self.order.remove(&(Score(old), member.to_vec())));
        Some(old)
    }

    fn list(&self) -> Vec<(&[u8], f64)> {
        self.order.iter().map(|(score, member)| (member.as_slice(), score.0)).collect()
    }
}

/// Asserts that the two hold the same, in the same order.
fn check(index: &SortedIndex, model: &Model) {
    index.debug_validate();
    let list = model.list();
    assert_eq!(index.len(), list.len());
    assert_eq!(index.iter().collect::<Vec<_>>(), list);
    assert!(index.iter().rev().eq(list.iter().rev().copied()));
}

#[derive(Clone, Debug)]
enum Op {
    Insert(u16, f64),
    Ascending(u8),
    Descending(u8),
    Remove(u16),
    RemoveRange(u16, u16),
    Query(u16, f64),
}

fn score() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => (-20i32..20).prop_map(f64::from),
        4 => (0i32..100_000).prop_map(f64::from),
        1 => any::<f64>().prop_filter("no score is NaN", |score| !score.is_nan()),
        1 => prop_oneof![Just(0.0), Just(-0.0), Just(f64::INFINITY), Just(f64::NEG_INFINITY)],
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        30 => (0u16..2000, score()).prop_map(|(member, score)| Op::Insert(member, score)),
        2 => any::<u8>().prop_map(Op::Ascending),
        2 => any::<u8>().prop_map(Op::Descending),
        10 => (0u16..2000).prop_map(Op::Remove),
        1 => (any::<u16>(), 0u16..300).prop_map(|(from, count)| Op::RemoveRange(from, count)),
        5 => (0u16..2000, score()).prop_map(|(member, score)| Op::Query(member, score)),
    ]
}

fn name(number: u16) -> Vec<u8> {
    format!("m{number}").into_bytes()
}

fn query(index: &SortedIndex, model: &Model, member: &[u8], score: f64) {
    assert_eq!(index.score(member), model.scores.get(member).copied());
    let list = model.list();
    let rank = list.iter().position(|(other, _)| *other == member);
    assert_eq!(index.rank(member).map(|(rank, _)| rank), rank);
    for cut in [
        Cut::BelowScore(score),
        Cut::AboveScore(score),
        Cut::BelowElement(score, member),
        Cut::AboveElement(score, member),
    ] {
        let before = list.iter().filter(|(member, score)| cut.is_after(*score, || member)).count();
        assert_eq!(index.count_before(cut), before, "{cut:?}");
        assert_eq!(index.get(before), list.get(before).copied());
        let ranks = before.saturating_sub(70)..before + 70;
        let expected = &list[ranks.start..ranks.end.min(list.len())];
        assert!(index.range(ranks.clone()).eq(expected.iter().copied()));
        assert!(index.range(ranks).rev().eq(expected.iter().rev().copied()));
    }
}

fn apply(index: &mut SortedIndex, model: &mut Model, op: &Op) {
    match *op {
        Op::Insert(member, score) => {
            let member = name(member);
            assert_eq!(index.insert(&member, score), model.insert(&member, score));
        }
        Op::Ascending(count) => {
            let from = model.list().last().map_or(0.0, |(_, score)| score.clamp(-1e9, 1e9));
            for i in 1..=count {
                let member = format!("up{i}").into_bytes();
                let score = from + f64::from(i);
                assert_eq!(index.insert(&member, score), model.insert(&member, score));
            }
        }
        Op::Descending(count) => {
            let from = model.list().first().map_or(0.0, |(_, score)| score.clamp(-1e9, 1e9));
            for i in 1..=count {
                let member = format!("down{i}").into_bytes();
                let score = from - f64::from(i);
                assert_eq!(index.insert(&member, score), model.insert(&member, score));
            }
        }
        Op::Remove(member) => {
            let member = name(member);
            assert_eq!(index.remove(&member), model.remove(&member));
        }
        Op::RemoveRange(from, count) => {
            let from = if model.order.is_empty() { 0 } else { usize::from(from) % model.order.len() };
            let doomed: Vec<Vec<u8>> =
                model.order.iter().skip(from).take(count.into()).map(|(_, member)| member.clone()).collect();
            assert_eq!(index.remove_range(from..from + usize::from(count)), doomed.len());
            for member in doomed {
                model.remove(&member);
            }
        }
        Op::Query(member, score) => query(index, model, &name(member), score),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn does_what_a_model_does(ops in proptest::collection::vec(op(), 0..1500)) {
        let (mut index, mut model) = (SortedIndex::new(), Model::default());
        for op in &ops {
            apply(&mut index, &mut model, op);
        }
        check(&index, &model);
        check(&index.clone(), &model);
    }

    #[test]
    fn members_are_cut_by_the_alphabet(
        members in proptest::collection::btree_set("[a-d]{0,4}", 0..400),
        bound in "[a-d]{0,4}",
    ) {
        let mut index = SortedIndex::new();
        for member in &members {
            index.insert(member.as_bytes(), 0.0);
        }
        let below = members.iter().filter(|member| **member < bound).count();
        let above = members.iter().filter(|member| **member <= bound).count();
        prop_assert_eq!(index.count_before(Cut::BelowMember(bound.as_bytes())), below);
        prop_assert_eq!(index.count_before(Cut::AboveMember(bound.as_bytes())), above);
        prop_assert_eq!(index.count_before(Cut::BelowElement(0.0, bound.as_bytes())), below);
    }
}

/// A generator of numbers that repeats, for large tests.
fn numbers(mut state: u64) -> impl Iterator<Item = u64> {
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    })
}

/// Bytes of nodes an element.
fn node_bytes(index: &SortedIndex) -> f64 {
    index.tree.mem_bytes() as f64 / index.len() as f64
}

#[test]
fn grows_and_shrinks_through_all_heights() {
    let (mut index, mut model) = (SortedIndex::new(), Model::default());
    let draws: Vec<u64> = numbers(1).take(60_000).collect();
    for (number, draw) in draws.iter().enumerate() {
        let member = format!("member:{number}").into_bytes();
        let score = (draw % 50_000) as f64;
        index.insert(&member, score);
        model.insert(&member, score);
    }
    check(&index, &model);
    assert!(node_bytes(&index) < 12.0, "{}", node_bytes(&index));
    // Moves in place, and far.
    for (number, draw) in draws.iter().enumerate().step_by(2) {
        let member = format!("member:{number}").into_bytes();
        let score = if number % 4 == 0 { model.scores[&member] + 0.5 } else { (draw % 977) as f64 };
        assert_eq!(index.insert(&member, score), model.insert(&member, score));
    }
    check(&index, &model);
    let mut order: Vec<usize> = (0..draws.len()).collect();
    order.sort_by_key(|&number| draws[number]);
    for (step, number) in order.into_iter().enumerate() {
        let member = format!("member:{number}").into_bytes();
        assert_eq!(index.remove(&member), model.remove(&member));
        if step % 9_973 == 0 {
            check(&index, &model);
        }
    }
    check(&index, &model);
    assert!(index.is_empty());
}

#[test]
fn removal_leaves_no_sparse_tree() {
    let mut index = SortedIndex::new();
    for number in 0..50_000u32 {
        index.insert(&number.to_be_bytes(), f64::from(number));
    }
    for number in (0..50_000u32).filter(|number| number % 10 != 0) {
        index.remove(&number.to_be_bytes());
    }
    index.debug_validate();
    assert!(node_bytes(&index) < 30.0, "{}", node_bytes(&index));
}

#[test]
fn sorted_insertions_leave_full_nodes() {
    for descending in [false, true] {
        let mut index = SortedIndex::new();
        for number in 0..50_000u32 {
            let score = f64::from(number);
            index.insert(&number.to_be_bytes(), if descending { -score } else { score });
        }
        index.debug_validate();
        assert!(node_bytes(&index) < 9.3, "{}", node_bytes(&index));
    }
}

#[test]
fn equal_scores_are_ordered_by_member() {
    let (mut index, mut model) = (SortedIndex::new(), Model::default());
    for draw in numbers(7).take(5_000) {
        let member = draw.to_be_bytes();
        index.insert(&member, 1.0);
        model.insert(&member, 1.0);
    }
    check(&index, &model);
    for (rank, (member, _)) in model.list().into_iter().enumerate() {
        assert_eq!(index.rank(member), Some((rank, 1.0)));
    }
}

#[test]
fn both_zeros_are_one_score() {
    let mut index = SortedIndex::new();
    index.insert(b"b", -0.0);
    index.insert(b"a", 0.0);
    index.insert(b"c", 0.0);
    assert_eq!(index.iter().map(|(member, _)| member).collect::<Vec<_>>(), [b"a", b"b", b"c"]);
    assert_eq!(index.count_before(Cut::BelowScore(0.0)), 0);
    assert_eq!(index.count_before(Cut::AboveScore(-0.0)), 3);
}

#[test]
fn is_built_from_members_at_once() {
    let mut members = HashTable::new();
    let mut model = Model::default();
    for (number, draw) in numbers(3).take(10_000).enumerate() {
        let member = format!("{number}").into_bytes();
        let score = (draw % 100) as f64;
        members.insert_unique(ZElement::hash(&member), ZElement::new(score, &member));
        model.insert(&member, score);
    }
    check(&SortedIndex::from_members(members), &model);
    check(&SortedIndex::from_members(HashTable::new()), &Model::default());
}
