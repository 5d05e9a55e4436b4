//! Long lists: nodes of any origin, then edits of each kind, against a deque of texts.
#![no_main]

use std::collections::VecDeque;
use std::ops::ControlFlow;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use ochre::ds::listpack::{Listpack, Value};
use ochre::ds::quicklist::{Element, End, Limits, Needle, Node, QuickList, Side};

/// Indexes beyond the end wrap around; `bool` is an end or a side.
#[derive(Arbitrary, Debug)]
enum Step {
    Push(bool, Text),
    PushMany(bool, Text, u8),
    Pop(bool),
    Insert(u16, bool, Text),
    Replace(u16, Text),
    DeleteRange(u16, u8),
    Remove(u16, u8, bool),
    AppendNode(Vec<u8>, u16),
    AppendPlain(Text),
}

#[derive(Arbitrary, Debug)]
enum Text {
    Bytes(Vec<u8>),
    Integer(i64),
    Repeated(u8, u16),
}

impl Text {
    fn bytes(self) -> Vec<u8> {
        match self {
            Text::Bytes(bytes) => bytes,
            Text::Integer(value) => value.to_string().into_bytes(),
            Text::Repeated(byte, count) => vec![byte; count.into()],
        }
    }
}

#[derive(Arbitrary, Debug)]
struct Input {
    fill: i8,
    depth: u8,
    packed_threshold: Option<u8>,
    steps: Vec<Step>,
}

fuzz_target!(|input: Input| {
    let mut limits = Limits::new(input.fill.into(), (input.depth % 5).into());
    if let Some(bytes) = input.packed_threshold {
        limits = limits.with_packed_threshold(bytes.into());
    }
    let (mut list, mut model) = (QuickList::new(limits), VecDeque::new());
    for step in input.steps {
        apply(step, &mut list, &mut model);
        assert_eq!(list.len(), model.len());
        assert!(list.nodes().all(|node| node.count() > 0));
        let is_compressed = |node: Option<&Node>| matches!(node, Some(Node::Compressed { .. }));
        assert!(!is_compressed(list.nodes().next()) && !is_compressed(list.nodes().last()));
    }
    let mut expected = model.iter();
    list.visit(0..list.len(), |element| {
        assert!(Needle::new(expected.next().unwrap()).is(element));
        ControlFlow::Continue(())
    });
    assert_eq!(expected.next(), None);
    let mut expected = model.iter().rev();
    list.visit_back(0..list.len(), |element| {
        assert_eq!(&element.to_bytes(), expected.next().unwrap());
        ControlFlow::Continue(())
    });
    assert_eq!(expected.next(), None);
});

fn apply(step: Step, list: &mut QuickList, model: &mut VecDeque<Vec<u8>>) {
    let at = |index: u16| (!model.is_empty()).then(|| usize::from(index) % model.len());
    let end = |head: bool| if head { End::Head } else { End::Tail };
    match step {
        Step::Push(head, text) => push(list, model, end(head), text.bytes()),
        Step::PushMany(head, text, count) => {
            let text = text.bytes();
            (0..count).for_each(|_| push(list, model, end(head), text.clone()));
        }
        Step::Pop(head) => {
            let popped = list.pop(end(head), |e| e.to_bytes());
            let expected = if head { model.pop_front() } else { model.pop_back() };
            assert_eq!(popped.map(Vec::from), expected);
        }
        Step::Insert(index, before, text) => {
            let (Some(index), text) = (at(index), text.bytes()) else { return };
            let (side, new) = if before { (Side::Before, index) } else { (Side::After, index + 1) };
            list.insert(index, side, Element::String(&text));
            model.insert(new, text);
        }
        Step::Replace(index, text) => {
            let (Some(index), text) = (at(index), text.bytes()) else { return };
            assert!(list.replace(index, Element::String(&text)));
            model[index] = text;
        }
        Step::DeleteRange(index, count) => {
            let Some(index) = at(index) else { return };
            list.delete_range(index, count.into());
            model.drain(index..model.len().min(index + usize::from(count)));
        }
        Step::Remove(index, most, head) => {
            let Some(index) = at(index) else { return };
            remove(list, model, index, most.into(), end(head));
        }
        Step::AppendNode(elements, count) => {
            let size = (elements.len() + 7) as u32;
            let bytes = [&size.to_le_bytes()[..], &count.to_le_bytes(), &elements, &[0xff]].concat();
            let Some(node) = Listpack::from_bytes(bytes) else { return };
            model.extend(node.iter().map(Value::to_vec));
            list.append_listpack(node);
        }
        Step::AppendPlain(text) => {
            let text = text.bytes();
            list.append_plain(text.clone());
            model.push_back(text);
        }
    }
}

fn push(list: &mut QuickList, model: &mut VecDeque<Vec<u8>>, end: End, text: Vec<u8>) {
    list.push(end, Element::String(&text));
    if end == End::Head { model.push_front(text) } else { model.push_back(text) }
}

/// Removes up to `most` elements that are equal to the one with that index.
fn remove(list: &mut QuickList, model: &mut VecDeque<Vec<u8>>, index: usize, most: usize, end: End) {
    let text = model[index].clone();
    let matches = (0..model.len()).filter(|&index| model[index] == text);
    let mut chosen: Vec<usize> = match end {
        End::Head => matches.take(most).collect(),
        End::Tail => matches.rev().take(most).collect(),
    };
    assert_eq!(list.remove(&Needle::new(&text), most, end), chosen.len());
    chosen.sort_unstable();
    chosen.iter().rev().for_each(|&index| drop(model.remove(index)));
}
