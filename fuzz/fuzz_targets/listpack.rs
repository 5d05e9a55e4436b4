//! Listpacks: bytes of any origin, then edits of each kind, against a vector of texts.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use ochre::ds::listpack::{Listpack, Position, Value, validate};

/// Indexes beyond the end wrap around.
#[derive(Arbitrary, Debug)]
enum Step {
    Append(Vec<u8>),
    Prepend(i64),
    InsertBefore(u8, Vec<Vec<u8>>),
    InsertAfter(u8, Vec<u8>),
    Replace(u8, Vec<u8>),
    DeleteFrom(u8, u8),
    DeleteRange(i8, u8),
    DeleteAll(Vec<u8>),
    Merge(bool, Vec<Vec<u8>>),
    Find(u8, Vec<u8>, u8),
}

#[derive(Arbitrary, Debug)]
struct Input {
    /// What is between the header and the end.
    elements: Vec<u8>,
    count: Option<u16>,
    steps: Vec<Step>,
}

fuzz_target!(|input: Input| {
    let size = (input.elements.len() + 7) as u32;
    let count = input.count.unwrap_or(u16::MAX);
    let bytes = [&size.to_le_bytes()[..], &count.to_le_bytes(), &input.elements, &[0xff]].concat();
    let mut list = Listpack::from_bytes(bytes).unwrap_or_default();
    let mut model: Vec<Vec<u8>> = list.iter().map(Value::to_vec).collect();
    for step in input.steps {
        apply(step, &mut list, &mut model);
        assert!(validate(list.as_bytes()));
        assert_eq!(list.len(), model.len());
        assert!(list.iter().map(Value::to_vec).eq(model.iter().cloned()));
    }
    assert!(list.iter().rev().map(Value::to_vec).eq(model.iter().rev().cloned()));
    let mut position = list.last();
    for text in model.iter().rev() {
        assert!(list.get(position.unwrap()).is(text));
        position = list.prev(position.unwrap());
    }
    assert_eq!(position, None);
});

fn apply(step: Step, list: &mut Listpack, model: &mut Vec<Vec<u8>>) {
    let at = |index: u8| (!model.is_empty()).then(|| usize::from(index) % model.len());
    let position =
        |list: &Listpack, index: usize| list.seek(index as i64).expect("the index is below the count");
    match step {
        Step::Append(text) => {
            list.append(&text);
            model.push(text);
        }
        Step::Prepend(value) => {
            list.prepend(value);
            model.insert(0, value.to_string().into_bytes());
        }
        Step::InsertBefore(index, texts) => {
            let Some(index) = at(index) else { return };
            let values: Vec<Value> = texts.iter().map(Value::from).collect();
            list.insert_all_before(position(list, index), &values);
            model.splice(index..index, texts);
        }
        Step::InsertAfter(index, text) => {
            let Some(index) = at(index) else { return };
            let inserted = list.insert_after(position(list, index), &text);
            assert!(list.get(inserted).is(&text));
            model.insert(index + 1, text);
        }
        Step::Replace(index, text) => {
            let Some(index) = at(index) else { return };
            list.replace(position(list, index), &text);
            model[index] = text;
        }
        Step::DeleteFrom(index, count) => {
            let Some(index) = at(index) else { return };
            let next = list.delete_from(position(list, index), count.into());
            model.drain(index..model.len().min(index + usize::from(count)));
            assert_eq!(next.map(|next| list.get(next).to_vec()).as_ref(), model.get(index));
        }
        Step::DeleteRange(index, count) => {
            list.delete_range(index.into(), count.into());
            let start = if index < 0 { i64::from(index) + model.len() as i64 } else { index.into() };
            let Ok(start) = usize::try_from(start) else { return };
            let start = start.min(model.len());
            model.drain(start..model.len().min(start + usize::from(count)));
        }
        Step::DeleteAll(indexes) => {
            let mut indexes: Vec<usize> = indexes.into_iter().filter_map(at).collect();
            indexes.sort_unstable();
            indexes.dedup();
            let positions: Vec<Position> = indexes.iter().map(|&index| position(list, index)).collect();
            list.delete_all(&positions);
            for index in indexes.into_iter().rev() {
                model.remove(index);
            }
        }
        Step::Merge(front, texts) => {
            let other: Listpack = texts.iter().collect();
            let this = std::mem::take(list);
            *list = if front { other.merge(this) } else { this.merge(other) };
            let at = if front { 0 } else { model.len() };
            model.splice(at..at, texts);
        }
        Step::Find(index, text, skip) => {
            let Some(index) = at(index) else { return };
            let skip = usize::from(skip);
            let found = list.find(position(list, index), &text, skip);
            let expected = (index..model.len()).step_by(skip + 1).find(|&index| model[index] == text);
            assert_eq!(found, expected.map(|index| position(list, index)));
        }
    }
}
