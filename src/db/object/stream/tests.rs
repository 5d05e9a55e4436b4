use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::ds::listpack::{Listpack, Value};

type Text = Vec<u8>;
type Pairs = Vec<(Text, Text)>;

const LIMITS: NodeLimits = NodeLimits { max_bytes: 200, max_entries: 5 };

fn new_entry(pairs: &Pairs) -> NewEntry<impl ExactSizeIterator<Item = (&[u8], &[u8])> + Clone> {
    NewEntry::new(pairs.iter().map(|(name, value)| (&name[..], &value[..])))
}

fn pairs_of(entry: &Entry<'_>) -> Pairs {
    assert_eq!(entry.fields.len(), entry.fields.clone().count());
    entry.fields.clone().map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
}

fn add(log: &mut Log, id: StreamId, pairs: &Pairs) {
    let id = log.next_id(IdSpec::Given(id), 0).unwrap();
    log.append(id, &new_entry(pairs), LIMITS);
}

/// A log with these ids.
fn log(ids: impl IntoIterator<Item = (u64, u64)>) -> Log {
    let mut log = Log::default();
    for (ms, seq) in ids {
        add(&mut log, StreamId::new(ms, seq), &vec![(b"f".to_vec(), b"v".to_vec())]);
    }
    log
}

#[test]
fn ids_are_read() {
    let id = |ms, seq| Some(StreamId::new(ms, seq));
    for (text, strict, loose) in [
        (&b"5-7"[..], id(5, 7), id(5, 7)),
        (b"5", id(5, 9), id(5, 9)),
        (b"-", None, id(0, 0)),
        (b"+", None, Some(StreamId::MAX)),
        (b"007-+5", id(7, 5), id(7, 5)),
        (b"9--007", id(9, u64::MAX - 6), id(9, u64::MAX - 6)),
        (b"5-7\0rest", id(5, 7), id(5, 7)),
        (b"", None, None),
        (b"5-", None, None),
        (b"-5", None, None),
        (b"5-*", None, None),
        (b"18446744073709551616", None, None),
        (&[b'1'; 128], None, None),
    ] {
        assert_eq!(StreamId::parse_strict(text, 9), strict, "{}", text.escape_ascii());
        assert_eq!(StreamId::parse(text, 9), loose, "{}", text.escape_ascii());
    }
    assert_eq!(IdSpec::parse(b"*"), Some(IdSpec::Auto));
    assert_eq!(IdSpec::parse(b"12-*"), Some(IdSpec::AutoSeq(12)));
    assert_eq!(IdSpec::parse(b"12"), Some(IdSpec::Given(StreamId::new(12, 0))));
    assert_eq!(IdSpec::parse(b"-*"), None);
    assert_eq!(IdSpec::parse(b"1-2-*"), None);
    assert_eq!(StreamId::MAX.to_text(), b"18446744073709551615-18446744073709551615");
    assert_eq!((StreamId::MAX.next(), StreamId::MIN.previous()), (None, None));
    assert_eq!(StreamId::new(1, u64::MAX).next(), id(2, 0));
    assert_eq!(StreamId::new(2, 0).previous(), id(1, u64::MAX));
}

#[test]
fn ids_are_made() {
    let log = log([(10, 3)]);
    let next = |spec, now_ms| log.next_id(spec, now_ms);
    assert_eq!(next(IdSpec::Auto, 11), Some(StreamId::new(11, 0)));
    assert_eq!(next(IdSpec::Auto, 10), Some(StreamId::new(10, 4)));
    assert_eq!(next(IdSpec::Auto, 9), Some(StreamId::new(10, 4)));
    assert_eq!(next(IdSpec::AutoSeq(10), 0), Some(StreamId::new(10, 4)));
    assert_eq!(next(IdSpec::AutoSeq(12), 0), Some(StreamId::new(12, 0)));
    assert_eq!(next(IdSpec::AutoSeq(9), 0), None);
    assert_eq!(next(IdSpec::Given(StreamId::new(10, 3)), 0), None);
    let full = self::log([(10, u64::MAX)]);
    assert_eq!(full.next_id(IdSpec::AutoSeq(10), 0), None);
    assert_eq!(full.next_id(IdSpec::Auto, 0), Some(StreamId::new(11, 0)));
}

/// The bytes of a node, as the format's description has them.
#[test]
fn node_is_upstreams() {
    let mut log = Log::default();
    let fields =
        |texts: &[&str]| -> Pairs { texts.chunks(2).map(|pair| (pair[0].into(), pair[1].into())).collect() };
    add(&mut log, StreamId::new(5, 9), &fields(&["a", "1", "b", "x"]));
    add(&mut log, StreamId::new(6, 2), &fields(&["a", "2", "b", "y"]));
    add(&mut log, StreamId::new(6, 3), &fields(&["b", "2"]));
    assert_eq!(log.delete(&[StreamId::new(6, 2)]), 1);
    let expected: Listpack = [
        &b"2"[..],
        b"1",
        b"2",
        b"a",
        b"b",
        b"0", // header: live, deleted, fields
        b"2",
        b"0",
        b"0",
        b"1",
        b"x",
        b"5", // the same fields
        b"3",
        b"1",
        b"-7",
        b"2",
        b"y",
        b"5", // and deleted
        b"0",
        b"1",
        b"-6",
        b"1",
        b"b",
        b"2",
        b"6", // other fields
    ]
    .into_iter()
    .collect();
    let (base, bytes) = log.nodes().next().unwrap();
    assert_eq!((base, bytes), (StreamId::new(5, 9), expected.as_bytes()));
    assert_eq!(validate(bytes), Some(NodeCounts { live: 2, deleted: 1 }));
}

#[test]
fn nodes_end_where_they_should() {
    let fill = |max_bytes, max_entries, count| {
        let mut log = Log::default();
        let pairs = vec![(b"field".to_vec(), b"value".to_vec())];
        for ms in 1..=count {
            log.append(StreamId::new(ms, 0), &new_entry(&pairs), NodeLimits { max_bytes, max_entries });
        }
        log.node_count()
    };
    assert_eq!(fill(4096, 100, 1000), 10);
    assert_eq!(fill(4096, 0, 100), 1);
    assert_eq!(fill(0, 0, 1000), 1);
    assert_eq!(fill(1, 100, 10), 10);
    // Deleted entries count.
    let mut log = log((1..=5).map(|ms| (ms, 0)));
    log.delete(&[StreamId::new(2, 0), StreamId::new(3, 0)]);
    add(&mut log, StreamId::new(6, 0), &vec![]);
    assert_eq!(log.node_count(), 2);
}

#[test]
fn reads_are_estimated() {
    let mut log = log((1..=5).map(|ms| (ms, 0)));
    let at = |log: &Log, ms| log.reads_up_to(StreamId::new(ms, 0));
    assert_eq!([0, 1, 3, 5, 6].map(|ms| at(&log, ms)), [Some(0), Some(1), None, Some(5), None]);
    log.trim(Trim { to: TrimTo::Len(3), whole_nodes: false, limit: 0 });
    assert_eq!([1, 2, 3, 4].map(|ms| at(&log, ms)), [Some(2), Some(2), Some(3), None]);
    log.delete(&[StreamId::new(4, 0)]);
    assert_eq!([0, 1, 3, 4, 5].map(|ms| at(&log, ms)), [None, None, None, None, Some(5)]);
    assert!(log.may_lack_entries_after(StreamId::new(4, 0)));
    assert!(!log.may_lack_entries_after(StreamId::new(5, 0)));
    log.trim(Trim { to: TrimTo::Len(0), whole_nodes: false, limit: 0 });
    assert_eq!([1, 5, 6].map(|ms| at(&log, ms)), [Some(5), Some(5), None]);
    assert_eq!(at(&Log::default(), 7), Some(0));
}

#[test]
fn inexact_trims_keep_to_nodes_and_limits() {
    let trim = |to, limit| {
        let mut log = log((1..=23).map(|ms| (ms, 0)));
        let deleted = log.trim(Trim { to, whole_nodes: true, limit });
        (deleted, log.counters().first_id.ms)
    };
    assert_eq!(trim(TrimTo::Len(12), 0), (10, 11));
    assert_eq!(trim(TrimTo::Len(12), 9), (5, 6));
    assert_eq!(trim(TrimTo::Len(12), 4), (0, 1));
    assert_eq!(trim(TrimTo::Len(0), 0), (23, 0));
    assert_eq!(trim(TrimTo::Id(StreamId::new(11, 0)), 0), (10, 11));
    assert_eq!(trim(TrimTo::Id(StreamId::new(10, 1)), 0), (10, 11));
    assert_eq!(trim(TrimTo::Id(StreamId::new(10, 0)), 0), (5, 6));
}

#[test]
fn hostile_nodes() {
    let node = |texts: &[&str]| {
        let list: Listpack = texts.iter().map(|text| text.as_bytes()).collect();
        validate(list.as_bytes())
    };
    let counts = |live, deleted| Some(NodeCounts { live, deleted });
    assert_eq!(node(&["0", "0", "0", "0"]), counts(0, 0));
    assert_eq!(node(&["1", "0", "1", "f", "0", "2", "0", "0", "v", "4"]), counts(1, 0));
    assert_eq!(node(&["0", "1", "0", "0", "1", "0", "0", "1", "f", "v", "6"]), counts(0, 1));
    for bad in [
        &[][..],
        &["0"],
        &["0", "0", "0"],
        &["-1", "0", "0", "0"],
        &["0", "0", "-1", "0"],
        &["0", "0", "1", "0"],
        &["0", "0", "9223372036854775807", "0"],
        &["0", "0", "0", "1"],
        &["0", "0", "0", "x"],
        &["1", "0", "0", "0"],
        &["1", "0", "1", "f", "0", "2", "0", "0", "v"],
        &["1", "0", "1", "f", "0", "2", "0", "0", "v", "5"],
        &["2", "0", "1", "f", "0", "2", "0", "0", "v", "4"],
        &["0", "1", "1", "f", "0", "2", "0", "0", "v", "4"],
        &["1", "0", "1", "f", "0", "6", "0", "0", "v", "4"],
        &["1", "0", "1", "f", "0", "x", "0", "0", "v", "4"],
        &["1", "0", "1", "f", "0", "2", "x", "0", "v", "4"],
        &["1", "0", "1", "f", "0", "2", "0", "", "v", "4"],
        &["1", "0", "0", "0", "0", "0", "0", "-1", "4"],
        &["1", "0", "0", "0", "0", "0", "0", "4294967296", "4"],
    ] {
        assert_eq!(node(bad), None, "{bad:?}");
    }
}

#[test]
fn nodes_are_restored() {
    let log = log((1..=12).map(|ms| (ms, ms)));
    let mut copy = Log::default();
    for (base, bytes) in log.nodes() {
        assert_eq!(copy.restore_node(base, bytes), Ok(()));
        assert_eq!(copy.restore_node(base, bytes), Err(BadNode::Order));
    }
    assert_eq!(copy.restore_node(StreamId::MAX, b"not a listpack"), Err(BadNode::Format));
    let wrong = Counters { len: 11, ..log.counters() };
    assert!(!copy.restore_counters(wrong) && copy.restore_counters(log.counters()));
    assert_eq!(copy.counters(), log.counters());
    assert!(copy.nodes().eq(log.nodes()));
}

#[derive(Clone, Debug)]
enum Step {
    Add(u64, u64, Pairs),
    Delete(Vec<usize>),
    TrimLen(usize, bool, u64),
    TrimId(usize, bool, u64),
}

fn text() -> impl Strategy<Value = Text> {
    prop_oneof![
        Just(b"1".to_vec()),
        Just(b"-70000".to_vec()),
        vec(any::<u8>(), 0..4),
        vec(any::<u8>(), 60..90)
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let name = prop_oneof![Just(b"a".to_vec()), Just(b"7".to_vec()), text()];
    let pairs = vec((name, text()), 0..4);
    prop_oneof![
        8 => (0u64..3, prop_oneof![0u64..5, any::<u64>()], pairs).prop_map(|(ms, seq, pairs)| Step::Add(ms, seq, pairs)),
        2 => vec(0usize..60, 1..4).prop_map(Step::Delete),
        1 => (0usize..30, any::<bool>(), 0u64..9).prop_map(|(len, whole, limit)| Step::TrimLen(len, whole, limit)),
        1 => (0usize..30, any::<bool>(), 0u64..9).prop_map(|(index, whole, limit)| Step::TrimId(index, whole, limit)),
    ]
}

type Model = BTreeMap<StreamId, Pairs>;

fn apply(step: Step, log: &mut Log, model: &mut Model) {
    match step {
        Step::Add(ms, seq, pairs) => {
            let id = StreamId::new(log.last_id().ms + ms, seq);
            if log.next_id(IdSpec::Given(id), 0).is_some() {
                add(log, id, &pairs);
                model.insert(id, pairs);
            }
        }
        Step::Delete(indexes) => {
            let ids: Vec<StreamId> = indexes
                .iter()
                .map(|index| model.keys().nth(*index).copied().unwrap_or(StreamId::MAX))
                .collect();
            let there = ids.iter().filter(|id| model.remove(id).is_some()).count();
            assert_eq!(log.delete(&ids), there);
        }
        Step::TrimLen(len, whole_nodes, limit) => {
            let deleted = log.trim(Trim { to: TrimTo::Len(len as u64), whole_nodes, limit }) as usize;
            let excess = model.len().saturating_sub(len);
            assert!(if whole_nodes || limit > 0 { deleted <= excess } else { deleted == excess });
            assert!(limit == 0 || deleted as u64 <= limit);
            (0..deleted).for_each(|_| _ = model.pop_first());
        }
        Step::TrimId(index, whole_nodes, limit) => {
            let id = model.keys().nth(index).copied().unwrap_or(StreamId::new(3, 0));
            let deleted = log.trim(Trim { to: TrimTo::Id(id), whole_nodes, limit }) as usize;
            let excess = model.range(..id).count();
            assert!(if whole_nodes || limit > 0 { deleted <= excess } else { deleted == excess });
            (0..deleted).for_each(|_| _ = model.pop_first());
        }
    }
}

fn check(log: &Log, model: &Model) {
    let all = log.range(StreamId::MIN, StreamId::MAX).map(|entry| (entry.id, pairs_of(&entry)));
    assert!(all.eq(model.clone()));
    let backward = log.range_backward(StreamId::MIN, StreamId::MAX).map(|entry| (entry.id, pairs_of(&entry)));
    assert!(backward.eq(model.clone().into_iter().rev()));
    let counters = log.counters();
    assert_eq!(counters.len as usize, model.len());
    assert_eq!(counters.first_id, model.keys().next().copied().unwrap_or_default());
    assert_eq!(log.last_entry_id(), model.keys().next_back().copied());
    let live: u64 = log.nodes().map(|(_, bytes)| validate(bytes).unwrap().live).sum();
    assert_eq!(live, counters.len);
}

proptest! {
    #[test]
    fn log_is_a_map(steps in vec(step(), 0..60), probes in vec((0u64..9, 0u64..5), 6)) {
        let (mut log, mut model) = (Log::default(), Model::new());
        for step in steps {
            apply(step, &mut log, &mut model);
            check(&log, &model);
        }
        check(&log.clone(), &model);
        for ends in probes.windows(2) {
            let [from, to] = [ends[0], ends[1]].map(|(ms, seq)| StreamId::new(ms, seq));
            let expected = || model.keys().copied().filter(|id| (from..=to).contains(id));
            prop_assert!(log.range(from, to).map(|entry| entry.id).eq(expected()));
            let expected: Vec<StreamId> = expected().collect();
            prop_assert!(log.range_backward(from, to).map(|entry| entry.id).eq(expected.into_iter().rev()));
            prop_assert_eq!(log.get(from).map(|entry| pairs_of(&entry)), model.get(&from).cloned());
        }
    }

    #[test]
    fn any_node_is_safe(elements in vec(prop_oneof![3 => (0i64..5).prop_map(|n| n.to_string().into_bytes()), 1 => text()], 0..24)) {
        let list: Listpack = elements.iter().map(Value::from).collect();
        let mut log = Log::default();
        if log.restore_node(StreamId::new(7, 7), list.as_bytes()).is_ok() {
            let counters = Counters { len: log.len(), last_id: StreamId::new(99, 0), ..Counters::default() };
            prop_assert!(log.restore_counters(counters));
            let all = log.range(StreamId::MIN, StreamId::MAX);
            let count = all.inspect(|entry| _ = pairs_of(entry)).count();
            prop_assert!(count <= counters.len as usize);
            let backward = log.range_backward(StreamId::MIN, StreamId::MAX).count();
            prop_assert!(backward <= counters.len as usize);
            log.delete(&[StreamId::new(7, 7), StreamId::new(8, 8)]);
            log.trim(Trim { to: TrimTo::Len(1), whole_nodes: false, limit: 0 });
            log.trim(Trim { to: TrimTo::Id(StreamId::new(9, 0)), whole_nodes: false, limit: 0 });
            add(&mut log, StreamId::new(100, 0), &vec![]);
        }
    }

    #[test]
    fn group_keeps_its_books(steps in vec((0usize..6, 0u64..12, 0usize..4), 0..60)) {
        let names = [b"x", b"y", b"z", b"w"];
        let mut group = Group::new(StreamId::MIN, None);
        let mut model: BTreeMap<StreamId, (usize, u64)> = BTreeMap::new();
        for (now, (what, entry, who)) in steps.into_iter().enumerate() {
            let entry = StreamId::new(entry, 0);
            let consumer = group.find_consumer(names[who]);
            let consumer = consumer.unwrap_or_else(|| group.create_consumer(names[who], 0));
            match what {
                0 => {
                    let own = group.delete_consumer(consumer);
                    prop_assert_eq!(own, model.values().filter(|(owner, _)| *owner == who).count());
                    model.retain(|_, (owner, _)| *owner != who);
                    prop_assert_eq!(group.find_consumer(names[who]), None);
                }
                1 => prop_assert_eq!(group.acknowledge(entry).is_some(), model.remove(&entry).is_some()),
                2 => {
                    group.redeliver(entry, now as i64);
                    model.entry(entry).and_modify(|(_, count)| *count += 1);
                }
                3 => {
                    let former = model.get(&entry).map_or(1, |(_, count)| *count);
                    let nack = group.claim(entry, consumer, now as i64, Deliveries::CountOne);
                    prop_assert_eq!(nack.deliveries, former + 1);
                    model.insert(entry, (who, former + 1));
                }
                _ => {
                    group.deliver(entry, consumer, now as i64);
                    model.insert(entry, (who, 1));
                }
            }
            prop_assert_eq!(group.pending().len(), model.len());
            for (id, nack) in group.pending().iter() {
                let (who, count) = model[&id];
                prop_assert_eq!(group.consumer(nack.consumer).name(), names[who]);
                prop_assert_eq!(nack.deliveries, count);
                prop_assert!(group.consumer(nack.consumer).pending().contains(id));
            }
            let owned: usize = group.consumers().map(|consumer| consumer.pending().len()).sum();
            prop_assert_eq!(owned, model.len());
            prop_assert!(group.consumers().map(Consumer::name).is_sorted());
        }
    }
}

#[test]
fn memory_and_effort_follow() {
    let mut stream = Stream::new();
    let empty = (stream.mem_bytes(0), stream.free_effort());
    stream.log = log((1..=1000).map(|ms| (ms, 0)));
    let filled = (stream.mem_bytes(0), stream.free_effort());
    assert!(filled.0 > empty.0 + 1000 * 8 && filled.1 >= 200);
    // A sample speaks for all.
    assert!(stream.mem_bytes(5).abs_diff(filled.0) < filled.0 / 10);
    assert!(
        stream.create_group(b"g", StreamId::MIN, None) && !stream.create_group(b"g", StreamId::MIN, None)
    );
    let group = stream.groups.get_mut(b"g").unwrap();
    let consumer = group.create_consumer(b"c", 0);
    (1..=1000).for_each(|ms| _ = group.deliver(StreamId::new(ms, 0), consumer, 0));
    assert!(stream.mem_bytes(0) > filled.0 + 1000 * 40 && stream.free_effort() > filled.1 + 20);
    // A copy has no more room than it needs.
    assert!(stream.clone().mem_bytes(0) <= stream.mem_bytes(0));
}

#[test]
fn groups_are_restored() {
    let mut group = Group::new(StreamId::new(5, 0), Some(3));
    let consumer = group.create_consumer(b"c", 7);
    let nack = Nack { delivered_ms: 9, deliveries: 4, consumer };
    assert!(group.restore(StreamId::new(1, 0), nack) && !group.restore(StreamId::new(1, 0), nack));
    assert_eq!(group.pending().get(StreamId::new(1, 0)), Some(&nack));
    assert!(group.consumer(consumer).pending().contains(StreamId::new(1, 0)));
    assert_eq!(group.acknowledge(StreamId::new(1, 0)), Some(nack));
    assert!(group.consumer(consumer).pending().is_empty());
}
