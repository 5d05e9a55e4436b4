use std::collections::VecDeque;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Texts of all sizes that matter: integers, short ones, some that fill a node, some that are large.
fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => any::<i16>().prop_map(|value| value.to_string().into_bytes()),
        4 => vec(any::<u8>(), 0..20),
        2 => (0usize..300, b'a'..b'd').prop_map(|(length, byte)| vec![byte; length]),
        1 => (3900usize..4200, b'a'..b'd').prop_map(|(length, byte)| vec![byte; length]),
        1 => (8100usize..8300, b'a'..b'd').prop_map(|(length, byte)| vec![byte; length]),
        1 => vec(any::<u8>(), 4000..4100),
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    let fill = prop_oneof![Just(-1), Just(-2), Just(1), Just(2), Just(3), Just(7), Just(64)];
    (fill, 0u32..4, proptest::option::of(1usize..50)).prop_map(|(fill, depth, packed)| {
        let limits = Limits::new(fill, depth);
        packed.map_or(limits, |bytes| limits.with_packed_threshold(bytes))
    })
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![Just(End::Head), Just(End::Tail)]
}

/// Indexes are taken modulo the length.
#[derive(Clone, Debug)]
enum Step {
    Push(End, Vec<u8>),
    PushMany(End, Vec<u8>, usize),
    Pop(End),
    Insert(usize, Side, Vec<u8>),
    Replace(usize, Vec<u8>),
    DeleteRange(usize, usize),
    /// Removes elements that are equal to the one with that index.
    Remove(usize, usize, End),
    AppendListpack(Vec<Vec<u8>>),
    AppendPlain(Vec<u8>),
}

fn step() -> impl Strategy<Value = Step> {
    let side = prop_oneof![Just(Side::Before), Just(Side::After)];
    let count = prop_oneof![0usize..10, Just(usize::MAX)];
    prop_oneof![
        4 => (end(), text()).prop_map(|(end, text)| Step::Push(end, text)),
        4 => (end(), text(), 0usize..40).prop_map(|(end, text, count)| Step::PushMany(end, text, count)),
        2 => end().prop_map(Step::Pop),
        4 => (any::<usize>(), side, text()).prop_map(|(index, side, text)| Step::Insert(index, side, text)),
        4 => (any::<usize>(), text()).prop_map(|(index, text)| Step::Replace(index, text)),
        1 => (any::<usize>(), 0usize..60).prop_map(|(index, count)| Step::DeleteRange(index, count)),
        2 => (any::<usize>(), count, end()).prop_map(|(index, most, end)| Step::Remove(index, most, end)),
        1 => vec(text(), 0..5).prop_map(Step::AppendListpack),
        1 => text().prop_map(Step::AppendPlain),
    ]
}

fn apply(step: Step, list: &mut QuickList, model: &mut VecDeque<Vec<u8>>) {
    let at = |index: usize| (!model.is_empty()).then(|| index % model.len());
    match step {
        Step::Push(end, text) => push(list, model, end, text),
        Step::PushMany(end, text, count) => (0..count).for_each(|_| push(list, model, end, text.clone())),
        Step::Pop(end) => {
            let popped = list.pop(end, |element| element.to_bytes().to_vec());
            let expected = if end == End::Head { model.pop_front() } else { model.pop_back() };
            assert_eq!(popped, expected);
        }
        Step::Insert(index, side, text) => {
            let Some(index) = at(index) else { return };
            list.insert(index, side, Element::String(&text));
            model.insert(if side == Side::Before { index } else { index + 1 }, text);
        }
        Step::Replace(index, text) => {
            let Some(index) = at(index) else {
                return assert!(!list.replace(index, Element::String(&text)));
            };
            assert!(list.replace(index, Element::String(&text)));
            model[index] = text;
        }
        Step::DeleteRange(index, count) => {
            let Some(index) = at(index) else { return };
            list.delete_range(index, count);
            model.drain(index..model.len().min(index + count));
        }
        Step::Remove(index, most, end) => {
            let Some(index) = at(index) else { return };
            let text = model[index].clone();
            let removed = list.remove(&Needle::new(&text), most, end);
            assert_eq!(removed, remove_from_model(model, &text, most, end));
        }
        Step::AppendListpack(texts) => {
            list.append_listpack(texts.iter().collect());
            model.extend(texts);
        }
        Step::AppendPlain(text) => {
            list.append_plain(text.clone());
            model.push_back(text);
        }
    }
}

fn push(list: &mut QuickList, model: &mut VecDeque<Vec<u8>>, end: End, text: Vec<u8>) {
    list.push(end, Element::String(&text));
    if end == End::Head { model.push_front(text) } else { model.push_back(text) }
}

fn remove_from_model(model: &mut VecDeque<Vec<u8>>, text: &[u8], most: usize, end: End) -> usize {
    let matches = (0..model.len()).filter(|&index| model[index] == text);
    let mut chosen: Vec<usize> = match end {
        End::Head => matches.take(most).collect(),
        End::Tail => matches.rev().take(most).collect(),
    };
    chosen.sort_unstable();
    chosen.iter().rev().for_each(|&index| drop(model.remove(index)));
    chosen.len()
}

/// The invariants, the limits, and what is compressed.
fn check(list: &QuickList) {
    let (nodes, depth) = (list.nodes.len(), list.limits.depth());
    let mut len = 0;
    for (at, node) in list.nodes().enumerate() {
        assert!(node.count() > 0);
        len += node.count();
        node.read(|content| match content {
            Content::Packed(listpack) => assert_eq!(listpack.len(), node.count()),
            Content::Plain(_) => assert_eq!(node.count(), 1),
        });
        let interior = depth > 0 && at >= depth && at + depth < nodes;
        let mut compressed = node.clone();
        compressed.compress();
        let is_compressed = |node: &Node| matches!(node, Node::Compressed { .. });
        assert_eq!(is_compressed(node), interior && is_compressed(&compressed), "node {at} of {nodes}");
    }
    assert_eq!(len, list.len());
    assert!(list.mem_bytes() >= size_of::<QuickList>() + nodes * size_of::<Node>());
    assert!(nodes * 4 + 8 >= list.nodes.capacity());
}

fn texts(list: &QuickList) -> Vec<Vec<u8>> {
    range(list, 0..list.len())
}

fn range(list: &QuickList, range: Range<usize>) -> Vec<Vec<u8>> {
    let mut texts = Vec::new();
    list.visit(range, |element| {
        texts.push(element.to_bytes().to_vec());
        ControlFlow::Continue(())
    });
    texts
}

fn range_back(list: &QuickList, range: Range<usize>) -> Vec<Vec<u8>> {
    let mut texts = Vec::new();
    list.visit_back(range, |element| {
        texts.push(element.to_bytes().to_vec());
        ControlFlow::Continue(())
    });
    texts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn is_a_deque(limits in limits(), steps in vec(step(), 0..60)) {
        let (mut list, mut model) = (QuickList::new(limits), VecDeque::new());
        for step in steps {
            apply(step, &mut list, &mut model);
            check(&list);
            prop_assert_eq!(list.len(), model.len());
            prop_assert!(texts(&list).iter().eq(model.iter()));
        }
        prop_assert!(range_back(&list, 0..list.len()).iter().eq(model.iter().rev()));
        for (index, text) in model.iter().enumerate() {
            let found = list.get(index, |element| element.to_bytes().to_vec());
            prop_assert_eq!(found.as_ref(), Some(text));
        }
        prop_assert!(list.get(list.len(), |_| ()).is_none());
        prop_assert!(texts(&list.clone()).iter().eq(model.iter()));
    }

    #[test]
    fn ranges_are_those_of_a_slice(limits in limits(), texts in vec(text(), 0..50), start in 0usize..60, len in 0usize..60) {
        let mut list = QuickList::new(limits);
        texts.iter().for_each(|text| list.push(End::Tail, Element::String(text)));
        let end = texts.len().min(start + len);
        let expected = texts.get(start..end).unwrap_or_default();
        prop_assert_eq!(range(&list, start..start + len), expected);
        prop_assert!(range_back(&list, start..start + len).iter().eq(expected.iter().rev()));
    }
}

fn strings(limits: Limits, count: usize, length: usize) -> QuickList {
    let mut list = QuickList::new(limits);
    (0..count).for_each(|_| list.push(End::Tail, Element::String(&vec![b'x'; length])));
    list
}

fn counts(list: &QuickList) -> Vec<usize> {
    list.nodes().map(Node::count).collect()
}

#[test]
fn nodes_fill_up_to_their_limit() {
    assert_eq!(counts(&strings(Limits::new(3, 0), 8, 10)), [3, 3, 2]);
    assert_eq!(counts(&strings(Limits::new(0, 0), 3, 10)), [1, 1, 1]);
    // An element of 100 bytes takes 103, and the last is estimated at 108: 7 + 39 * 103 + 108 > 4096.
    assert_eq!(counts(&strings(Limits::new(-1, 0), 50, 100)), [39, 11]);
    // By number, but not beyond a safe size.
    assert_eq!(counts(&strings(Limits::new(100, 0), 10, 2000)), [4, 4, 2]);
}

#[test]
fn large_elements_are_shared() {
    let block = Bytes::from(vec![b'x'; 10_000]);
    let mut list = QuickList::new(Limits::default());
    list.push(End::Tail, Element::Block(&block));
    list.push(End::Tail, Element::Block(&Bytes::from_static(b"12")));
    assert!(list.nodes[0].is_plain() && !list.nodes[1].is_plain());
    list.get(0, |element| match element {
        Element::Block(own) => assert_eq!(own.as_ptr(), block.as_ptr()),
        _ => panic!("{element:?}"),
    });
    list.get(1, |element| assert!(matches!(element, Element::Integer(12)), "{element:?}"));
}

#[test]
fn insertion_uses_a_neighbour_or_splits() {
    let limits = Limits::new(3, 0);
    let mut list = strings(limits, 5, 1);
    list.insert(2, Side::After, Element::String(b"a"));
    assert_eq!(counts(&list), [3, 3]);
    list.insert(2, Side::After, Element::String(b"b"));
    assert_eq!(counts(&list), [3, 1, 3]);
    list.insert(1, Side::Before, Element::String(b"c"));
    // Split into x,c | x,x, and the rest merged with what follows.
    assert_eq!(counts(&list), [2, 3, 3]);
    assert_eq!(texts(&list), [&b"x"[..], b"c", b"x", b"x", b"b", b"a", b"x", b"x"]);
}

#[test]
fn replacing_moves_between_kinds_of_nodes() {
    let limits = Limits::new(4, 0).with_packed_threshold(5);
    let mut list = strings(limits, 5, 2);
    list.replace(2, Element::String(b"large one"));
    assert_eq!(counts(&list), [2, 1, 2]);
    assert!(list.nodes[1].is_plain());
    list.replace(2, Element::String(b"x"));
    assert_eq!(counts(&list), [2, 3]);
    list.replace(0, Element::String(b"large one"));
    list.replace(1, Element::String(b"large one"));
    assert_eq!(counts(&list), [1, 1, 3]);
}

#[test]
fn depth_is_kept_at_both_ends() {
    let mut list = strings(Limits::new(1, 2), 7, 100);
    let compressed = |list: &QuickList| -> Vec<bool> {
        list.nodes().map(|node| matches!(node, Node::Compressed { .. })).collect()
    };
    assert_eq!(compressed(&list), [false, false, true, true, true, false, false]);
    list.pop(End::Head, |_| ());
    assert_eq!(compressed(&list), [false, false, true, true, false, false]);
    list.delete_range(1, 3);
    assert_eq!(compressed(&list), [false, false, false]);
    let memory = |depth| strings(Limits::new(-2, depth), 10_000, 100).mem_bytes();
    assert!(memory(1) < memory(0) / 10);
}

#[test]
fn small_and_incompressible_nodes_stay_as_they_are() {
    let mut list = QuickList::new(Limits::new(1, 1));
    let mut random = 1u64;
    for _ in 0..5 {
        let bytes: Vec<u8> = (0..200)
            .map(|_| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (random >> 56) as u8
            })
            .collect();
        list.push(End::Tail, Element::String(&bytes));
    }
    list.push(End::Tail, Element::String(&[b'x'; 30]));
    list.push(End::Tail, Element::String(b"end"));
    assert!(list.nodes().all(|node| !matches!(node, Node::Compressed { .. })));
}

#[test]
fn removal_gives_memory_back() {
    let mut list = QuickList::new(Limits::default());
    for index in 0..100_000 {
        let text = if index % 10 == 0 { "kept" } else { "removed element" };
        list.push(End::Tail, Element::String(text.as_bytes()));
    }
    let before = list.mem_bytes();
    assert_eq!(list.remove(&Needle::new(b"removed element"), usize::MAX, End::Tail), 90_000);
    check(&list);
    assert!(list.mem_bytes() < before / 20);
    assert!(list.nodes.len() < 12, "{}", list.nodes.len());
}

#[test]
fn a_single_node_can_be_taken() {
    let mut list = strings(Limits::new(3, 0), 4, 1);
    assert!(list.take_listpack().is_none());
    list.pop(End::Head, |_| ());
    assert!(list.as_listpack().is_none());
    list.delete_range(0, 2);
    assert_eq!(list.take_listpack().map(|list| list.len()), Some(1));
    assert!(list.is_empty() && list.as_listpack().is_none());
    list.append_plain(Bytes::from_static(b"plain"));
    assert!(list.as_listpack().is_none());
}
