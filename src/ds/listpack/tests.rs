use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::zmalloc::good_size;

/// A text for each encoding and each of their bounds.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let integers = prop_oneof![
        -200i64..200,
        4000i64..4200,
        -4200i64..-4000,
        32_700i64..32_800,
        -32_800i64..-32_700,
        8_388_600i64..8_388_620,
        -8_388_620i64..-8_388_600,
        (1i64 << 31) - 9..(1 << 31) + 9,
        any::<i64>(),
    ];
    prop_oneof![
        integers.prop_map(|value| value.to_string().into_bytes()),
        vec(any::<u8>(), 0..10),
        (60usize..70, any::<u8>()).prop_map(|(length, byte)| vec![byte; length]),
        (120usize..130, any::<u8>()).prop_map(|(length, byte)| vec![byte; length]),
        (4090usize..4100, any::<u8>()).prop_map(|(length, byte)| vec![byte; length]),
        (16_370usize..16_390, any::<u8>()).prop_map(|(length, byte)| vec![byte; length]),
    ]
}

fn list(texts: &[Vec<u8>]) -> Listpack {
    texts.iter().collect()
}

fn texts(list: &Listpack) -> Vec<Vec<u8>> {
    list.iter().map(Value::to_vec).collect()
}

#[test]
fn empty() {
    let list = Listpack::new();
    assert_eq!(list.as_bytes(), b"\x07\0\0\0\0\0\xff");
    assert!(validate(list.as_bytes()) && list.is_empty());
    assert_eq!(
        (list.len(), list.first(), list.last(), list.seek(0), list.seek(-1)),
        (0, None, None, None, None)
    );
    assert_eq!((list.iter().next(), list.iter().next_back()), (None, None));
    assert_eq!(list.random(&mut rand::rng(), 1), None);
    assert!(list.random_many(&mut rand::rng(), 5, 2).is_empty());
    assert!(list.random_unique(&mut rand::rng(), 5, 2).is_empty());
}

/// An element of each encoding, as the format's description has it.
#[test]
fn encodings() {
    let sixty_four = [&b"\xe0\x40"[..], &[b'x'; 64], b"\x42"].concat();
    let large = [&b"\xf0\0\x10\0\0"[..], &[b'x'; 4096], b"\x20\x85"].concat();
    let cases: &[(&[u8], &[u8])] = &[
        (b"0", b"\0\x01"),
        (b"127", b"\x7f\x01"),
        (b"128", b"\xc0\x80\x02"),
        (b"-1", b"\xdf\xff\x02"),
        (b"4095", b"\xcf\xff\x02"),
        (b"-4096", b"\xd0\0\x02"),
        (b"4096", b"\xf1\0\x10\x03"),
        (b"-32768", b"\xf1\0\x80\x03"),
        (b"32768", b"\xf2\0\x80\0\x04"),
        (b"-8388608", b"\xf2\0\0\x80\x04"),
        (b"8388608", b"\xf3\0\0\x80\0\x05"),
        (b"-2147483648", b"\xf3\0\0\0\x80\x05"),
        (b"2147483648", b"\xf4\0\0\0\x80\0\0\0\0\x09"),
        (b"-9223372036854775808", b"\xf4\0\0\0\0\0\0\0\x80\x09"),
        (b"9223372036854775808", b"\x939223372036854775808\x14"),
        (b"", b"\x80\x01"),
        (b"007", b"\x83007\x04"),
        (b"-0", b"\x82-0\x03"),
        (&[b'x'; 64], &sixty_four),
        (&[b'x'; 4096], &large),
    ];
    for (text, element) in cases {
        let list: Listpack = [*text].into_iter().collect();
        assert_eq!(&list.as_bytes()[HEADER..list.end()], *element, "{}", text.escape_ascii());
        assert_eq!(Value::from(*text).element_size(), element.len());
        assert_eq!(list.get(list.first().unwrap()).to_vec(), *text);
        assert!(validate(list.as_bytes()));
    }
}

#[test]
fn values() {
    assert!(Value::Integer(7).is(b"7") && !Value::Integer(7).is(b"07") && Value::String(b"07").is(b"07"));
    assert_eq!(Value::from(b"-5"), Value::Integer(-5));
    // Another writer may have stored an integer as a string.
    let mut bytes = b"\x0b\0\0\0\x01\0\x8212\x03\xff".to_vec();
    bytes[0] = bytes.len() as u8;
    let list = Listpack::from_bytes(bytes).unwrap();
    let first = list.first().unwrap();
    assert_eq!((list.get(first), list.get(first).as_integer()), (Value::String(b"12"), Some(12)));
    assert_eq!(list.find(first, b"12", 0), Some(first));
}

#[test]
fn find_skips() {
    let list: Listpack = [&b"a"[..], b"b", b"b", b"1", b"1", b"a"].into_iter().collect();
    let first = list.first().unwrap();
    let at = |index| list.seek(index);
    assert_eq!(list.find(first, b"b", 0), at(1));
    assert_eq!(list.find(first, b"b", 1), at(2));
    assert_eq!(list.find(first, b"1", 1), at(4));
    assert_eq!(list.find(first, b"1", 2), at(3));
    assert_eq!(list.find(first, b"01", 0), None);
    assert_eq!(list.find(at(1).unwrap(), b"a", 1), at(5));
    assert_eq!(list.find(first, b"b", 4), None);
}

/// The header's count gives up at 65535 and comes back when the list has shrunk.
#[test]
fn many_elements() {
    let count = COUNT_UNKNOWN + 10;
    let mut list = Listpack::new();
    list.append_all(&vec![Value::Integer(1); count - 1]);
    list.append(2);
    assert_eq!((list.stored_count(), list.len()), (COUNT_UNKNOWN, count));
    assert!(validate(list.as_bytes()));
    assert_eq!(list.seek(-1), list.last());
    assert_eq!(list.get(list.seek(count as i64 - 1).unwrap()), Value::Integer(2));
    assert_eq!(list.seek(count as i64), None);
    assert_eq!(list.seek(-(count as i64) - 1), None);
    assert_eq!(list.seek(-(count as i64)), list.first());
    list.delete_range(0, 9);
    assert_eq!((list.stored_count(), list.len()), (COUNT_UNKNOWN, COUNT_UNKNOWN + 1));
    list.delete_range(-2, 2);
    assert_eq!((list.stored_count(), list.len()), (COUNT_UNKNOWN - 1, COUNT_UNKNOWN - 1));
    assert!(validate(list.as_bytes()));
    let merged = list.clone().merge(list);
    assert_eq!((merged.stored_count(), merged.len()), (COUNT_UNKNOWN, 2 * (COUNT_UNKNOWN - 1)));
    assert!(validate(merged.as_bytes()));
}

#[test]
fn memory_is_what_the_size_takes() {
    let mut list = Listpack::new();
    assert_eq!((size_of::<Listpack>(), list.capacity()), (size_of::<usize>(), good_size(EMPTY)));
    list.append_all(&[Value::String(&[b'x'; 1000]); 4]);
    assert_eq!(list.capacity(), good_size(list.as_bytes().len()));
    list.delete_range(1, 3);
    assert_eq!(list.capacity(), good_size(list.as_bytes().len()));
}

#[test]
fn raw_and_back() {
    let list: Listpack = (0i64..30).collect();
    let copy = list.clone();
    // SAFETY: the pointer is from a list, and used once.
    let list = unsafe { Listpack::from_raw(list.into_raw()) };
    assert_eq!(list, copy);
}

#[test]
fn estimates() {
    for value in [0, 127, 128, -1, 5000, 40_000, 10_000_000, 1 << 40] {
        let list: Listpack = std::iter::repeat_n(value, 17).collect();
        assert_eq!(list.as_bytes().len(), estimate_repeated_integer(value, 17));
    }
    assert!(
        Listpack::new().can_grow(SIZE_LIMIT - EMPTY) && !Listpack::new().can_grow(SIZE_LIMIT - EMPTY + 1)
    );
    assert!(!Listpack::new().can_grow(usize::MAX));
}

#[test]
fn hostile_bytes() {
    let good = b"\x0c\0\0\0\x02\0\x01\x01\x81a\x02\xff";
    assert!(validate(good));
    for (index, byte) in [
        (0, 0x0b), // too short
        (1, 0x01), // too long
        (4, 0x01), // too few
        (4, 0x03), // too many
        (6, 0xff), // ends before its end
        (6, 0xf5), // no such encoding
        (6, 0xf4), // content reaches too far
        (6, 0xbf), // so does a string
        (6, 0xf0), // so does a long one
        (6, 0x80), // another length than the back length says: this one is the same
        (7, 0x02), // back length too long
        (7, 0x81), // back length without a beginning
        (10, 0x03),
        (11, 0x00), // no end
    ] {
        let mut bad = good.to_vec();
        bad[index] = byte;
        // An empty string is as long as a small integer.
        assert_eq!(validate(&bad), (index, byte) == (6, 0x80), "{index} {byte:#x}");
    }
    for end in 0..good.len() {
        assert!(!validate(&good[..end]));
    }
    assert!(!validate_with(good, |value| value == Value::Integer(1)));
}

#[test]
fn random_reaches_all_and_keeps_to_tuples() {
    let list: Listpack = (0i64..30).collect();
    let mut rng = rand::rng();
    let value = |position| list.get(position).as_integer().unwrap();
    let singles: BTreeSet<i64> = (0..2000).filter_map(|_| list.random(&mut rng, 1)).map(value).collect();
    assert_eq!(singles.len(), 30);
    let triples: BTreeSet<i64> = list.random_many(&mut rng, 1000, 3).into_iter().map(value).collect();
    assert!(triples.into_iter().eq((0..30).step_by(3)));

    // Four of ten pairs: each pair about as often as the others.
    let mut counts = BTreeMap::new();
    for _ in 0..1000 {
        let picks = list.random_unique(&mut rng, 6, 3);
        assert!(picks.len() == 6 && picks.is_sorted_by(|a, b| a < b));
        for pick in picks {
            *counts.entry(value(pick)).or_insert(0) += 1;
        }
    }
    assert_eq!(counts.len(), 10);
    assert!(counts.values().all(|count| (450..750).contains(count)), "{counts:?}");
    assert_eq!(list.random_unique(&mut rng, 99, 3).len(), 10);
}

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<u8>),
    Prepend(Vec<u8>),
    Before(usize, Vec<Vec<u8>>),
    After(usize, Vec<Vec<u8>>),
    Replace(usize, Vec<u8>),
    DeleteFrom(usize, usize),
    DeleteRange(i64, usize),
    DeleteAll(Vec<usize>),
    Merge(Vec<Vec<u8>>, bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => text().prop_map(Step::Append),
        2 => text().prop_map(Step::Prepend),
        2 => (0usize..40, vec(text(), 0..4)).prop_map(|(index, texts)| Step::Before(index, texts)),
        2 => (0usize..40, vec(text(), 0..4)).prop_map(|(index, texts)| Step::After(index, texts)),
        3 => (0usize..40, text()).prop_map(|(index, text)| Step::Replace(index, text)),
        2 => (0usize..40, 0usize..4).prop_map(|(index, count)| Step::DeleteFrom(index, count)),
        1 => (-40i64..40, 0usize..6).prop_map(|(index, count)| Step::DeleteRange(index, count)),
        1 => vec(0usize..40, 0..5).prop_map(Step::DeleteAll),
        1 => (vec(text(), 0..6), any::<bool>()).prop_map(|(texts, front)| Step::Merge(texts, front)),
    ]
}

/// Does the same to a listpack and to a vector. Indexes beyond the end wrap around.
fn apply(step: Step, list: &mut Listpack, model: &mut Vec<Vec<u8>>) {
    let wrap = |index: usize| index % model.len().max(1);
    match step {
        Step::Append(text) => {
            list.append(&text);
            model.push(text);
        }
        Step::Prepend(text) => {
            list.prepend(&text);
            model.insert(0, text);
        }
        Step::Before(index, texts) => {
            let Some(position) = list.seek(wrap(index) as i64) else { return };
            let values: Vec<Value> = texts.iter().map(Value::from).collect();
            assert_eq!(list.insert_all_before(position, &values), position);
            let index = wrap(index);
            model.splice(index..index, texts);
        }
        Step::After(index, texts) => {
            let index = wrap(index);
            let Some(position) = list.seek(index as i64) else { return };
            let values: Vec<Value> = texts.iter().map(Value::from).collect();
            let inserted = list.insert_all_after(position, &values);
            assert_eq!(list.seek(index as i64 + 1), (inserted.index() < list.end()).then_some(inserted));
            model.splice(index + 1..index + 1, texts);
        }
        Step::Replace(index, text) => {
            let index = wrap(index);
            let Some(position) = list.seek(index as i64) else { return };
            list.replace(position, &text);
            model[index] = text;
        }
        Step::DeleteFrom(index, count) => {
            let index = wrap(index);
            let Some(position) = list.seek(index as i64) else { return };
            let end = model.len().min(index + count);
            assert_eq!(list.delete_from(position, count).is_some(), end < model.len() || count == 0);
            model.drain(index..end);
        }
        Step::DeleteRange(index, count) => {
            list.delete_range(index, count);
            let start = if index < 0 { index + model.len() as i64 } else { index };
            if let Ok(start) = usize::try_from(start) {
                let start = start.min(model.len());
                model.drain(start..model.len().min(start + count));
            }
        }
        Step::DeleteAll(indexes) => {
            let indexes: BTreeSet<usize> =
                indexes.into_iter().map(wrap).filter(|_| !model.is_empty()).collect();
            let positions: Vec<Position> =
                indexes.iter().map(|&index| list.seek(index as i64).unwrap()).collect();
            list.delete_all(&positions);
            let mut index = 0..;
            model.retain(|_| !indexes.contains(&index.next().unwrap()));
        }
        Step::Merge(texts, front) => {
            let other = self::list(&texts);
            let this = std::mem::take(list);
            *list = if front { other.merge(this) } else { this.merge(other) };
            let at = if front { 0 } else { model.len() };
            model.splice(at..at, texts);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn is_a_vector(steps in vec(step(), 0..40)) {
        let (mut list, mut model) = (Listpack::new(), Vec::new());
        for step in steps {
            apply(step, &mut list, &mut model);
            prop_assert!(validate(list.as_bytes()));
            prop_assert_eq!(list.len(), model.len());
            prop_assert_eq!(texts(&list), model.clone());
        }
        let backward: Vec<Vec<u8>> = list.iter().rev().map(Value::to_vec).collect();
        prop_assert!(backward.iter().eq(model.iter().rev()));
        let from = |index: i64| list.seek(index).map(|position| list.get(position).to_vec());
        for (index, text) in model.iter().enumerate() {
            prop_assert_eq!(from(index as i64), Some(text.clone()));
            prop_assert_eq!(from(index as i64 - model.len() as i64), Some(text.clone()));
            let first = model.iter().position(|other| other == text).unwrap();
            prop_assert_eq!(list.find(list.first().unwrap(), text, 0), list.seek(first as i64));
        }
        let mut position = list.last();
        for text in model.iter().rev() {
            prop_assert!(list.get(position.unwrap()).is(text));
            position = list.prev(position.unwrap());
        }
        prop_assert_eq!(position, None);
        prop_assert_eq!(Listpack::from_bytes(list.as_bytes()), Some(list));
    }

    #[test]
    fn iterators_meet(texts in vec(text(), 0..10), turns: u32) {
        let list = list(&texts);
        let (mut iter, mut model) = (list.iter(), texts.iter());
        for turn in 0..12 {
            let (value, text) =
                if turns >> turn & 1 == 1 { (iter.next(), model.next()) } else { (iter.next_back(), model.next_back()) };
            prop_assert_eq!(value.map(Value::to_vec), text.cloned());
        }
    }

    #[test]
    fn any_bytes_are_safe(elements in vec(vec(any::<u8>(), 0..12), 0..6)) {
        let elements = elements.concat();
        let size = (EMPTY + elements.len()) as u32;
        let bytes = [&size.to_le_bytes()[..], &[0xff, 0xff], &elements, &[END]].concat();
        if let Some(list) = Listpack::from_bytes(bytes) {
            prop_assert!(list.iter().rev().count() == list.len());
        }
    }
}
