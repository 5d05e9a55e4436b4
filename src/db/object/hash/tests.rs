//! Hashes against a std model, through all conversions.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

type Model = BTreeMap<Vec<u8>, (Vec<u8>, Option<i64>)>;

#[derive(Debug, Clone)]
enum Op {
    Set(Vec<u8>, Vec<u8>, Expiry),
    SetInt(Vec<u8>, i64),
    SetExpiry(Vec<u8>, i64),
    ClearExpiry(Vec<u8>),
    Remove(Vec<u8>),
    PopDue(i64),
    Prepare(usize, usize),
    Copy,
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => (0..40u8).prop_map(|i| format!("field:{i}").into_bytes()),
        3 => (-20..20i64).prop_map(|n| n.to_string().into_bytes()),
        1 => (90..110usize).prop_map(|len| vec![b'n'; len]),
        1 => Just(b"007".to_vec()),
        1 => Just(Vec::new()),
    ]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => prop::collection::vec(any::<u8>(), 0..30),
        3 => any::<i64>().prop_map(|n| n.to_string().into_bytes()),
        2 => (-999_999_999..999_999_999i64).prop_map(|n| n.to_string().into_bytes()),
        1 => "[+-]?0?[0-9]{1,20}".prop_map(String::into_bytes),
        1 => (0..130usize).prop_map(|len| vec![b'v'; len]),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let expiry = prop_oneof![
        2 => Just(Expiry::Clear),
        1 => Just(Expiry::Keep),
        1 => (1..200i64).prop_map(Expiry::At),
    ];
    prop_oneof![
        8 => (name(), value(), expiry).prop_map(|(n, v, e)| Op::Set(n, v, e)),
        1 => (name(), any::<i64>()).prop_map(|(n, i)| Op::SetInt(n, i)),
        4 => (name(), 1..200i64).prop_map(|(n, at)| Op::SetExpiry(n, at)),
        1 => (name(), 1..=EXPIRY_MAX_MS).prop_map(|(n, at)| Op::SetExpiry(n, at)),
        1 => name().prop_map(Op::ClearExpiry),
        3 => name().prop_map(Op::Remove),
        1 => (0..200i64).prop_map(Op::PopDue),
        1 => (0..30usize, 0..120usize).prop_map(|(pairs, len)| Op::Prepare(pairs, len)),
        1 => Just(Op::Copy),
    ]
}

fn text(value: StrRef<'_>) -> Vec<u8> {
    value.bytes(&mut itoa::Buffer::new()).to_vec()
}

fn check(hash: &Hash, model: &Model) {
    assert_eq!(hash.len(), model.len());
    assert_eq!(hash.is_empty(), model.is_empty());
    let fields: Model =
        hash.iter().map(|field| (text(field.name), (text(field.value), field.expiry))).collect();
    assert_eq!(&fields, model);
    assert_eq!(hash.next_expiry(), model.values().filter_map(|(_, expiry)| *expiry).min());
    for (name, (value, expiry)) in model {
        let field = hash.get(name).expect("the field is there");
        assert_eq!(
            (text(field.name), text(field.value), field.expiry),
            (name.clone(), value.clone(), *expiry)
        );
    }
    match hash {
        Hash::Listpack(_) => assert!(hash.next_expiry().is_none()),
        Hash::ListpackEx(triples) => assert!(ListpackEx::from_list(triples.list().clone()).is_some()),
        Hash::Table(table) => table.debug_validate(),
    }
}

/// Does `op` to both.
fn apply(hash: &mut Hash, model: &mut Model, op: Op, limits: Limits) {
    match op {
        Op::Set(name, value, expiry) => {
            let new = if value.len() % 2 == 0 {
                NewStr::Copy(&value)
            } else {
                NewStr::Share(Bytes::copy_from_slice(&value))
            };
            let was_there = hash.set(&name, new, expiry, limits);
            let old = model.remove(&name);
            assert_eq!(was_there, old.is_some());
            let expiry = match expiry {
                Expiry::Keep => old.and_then(|(_, expiry)| expiry),
                Expiry::Clear => None,
                Expiry::At(at_ms) => Some(at_ms),
            };
            model.insert(name, (value, expiry));
        }
        Op::SetInt(name, n) => {
            hash.set(&name, NewStr::Int(n), Expiry::Keep, limits);
            model.entry(name).or_default().0 = n.to_string().into_bytes();
        }
        Op::SetExpiry(name, at_ms) => {
            let found = model.get_mut(&name);
            assert_eq!(hash.set_expiry(&name, at_ms), found.is_some());
            found.into_iter().for_each(|(_, expiry)| *expiry = Some(at_ms));
        }
        Op::ClearExpiry(name) => {
            hash.clear_expiry(&name);
            model.get_mut(&name).into_iter().for_each(|(_, expiry)| *expiry = None);
        }
        Op::Remove(name) => assert_eq!(hash.remove(&name), model.remove(&name).is_some()),
        Op::PopDue(now_ms) => {
            let mut last = 0;
            while let Some(name) = hash.pop_due(now_ms) {
                let expiry = model.remove(&name).and_then(|(_, expiry)| expiry).expect("it has an expiry");
                assert!((last..now_ms).contains(&expiry));
                last = expiry;
            }
            assert!(model.values().all(|(_, expiry)| expiry.is_none_or(|at_ms| at_ms >= now_ms)));
        }
        Op::Prepare(pairs, len) => hash.prepare(pairs, std::iter::once(len), limits),
        Op::Copy => *hash = hash.clone(),
    }
}

proptest! {
    #[test]
    fn behaves_as_its_model(
        ops in prop::collection::vec(op(), 1..120),
        entries in prop_oneof![Just(0usize), Just(8), Just(24), Just(512)],
    ) {
        let limits = Limits { entries, value: 64 };
        let (mut hash, mut model) = (Hash::new(), Model::new());
        for op in ops {
            let was_table = matches!(hash, Hash::Table(_));
            apply(&mut hash, &mut model, op, limits);
            check(&hash, &model);
            if let Hash::Table(_) = hash {
                continue;
            }
            prop_assert!(!was_table && model.len() <= entries);
            prop_assert!(model.iter().all(|(name, (value, _))| name.len() <= 64 && value.len() <= 64));
        }
        let mut scanned = Model::new();
        let mut cursor = 0;
        loop {
            cursor = hash.scan(cursor, |field| {
                scanned.insert(text(field.name), (text(field.value), field.expiry));
            });
            if cursor == 0 {
                break;
            }
        }
        prop_assert_eq!(scanned, model);
    }
}

const LIMITS: Limits = Limits { entries: 16, value: 64 };

fn filled(fields: usize) -> Hash {
    let mut hash = Hash::new();
    for i in 0..fields {
        hash.set(format!("f{i}").as_bytes(), NewStr::Int(i as i64), Expiry::Clear, LIMITS);
    }
    hash
}

fn names(hash: &Hash) -> Vec<String> {
    hash.iter().map(|field| String::from_utf8(text(field.name)).unwrap()).collect()
}

#[test]
fn converts_at_upstream_limits() {
    assert!(matches!(filled(16), Hash::Listpack(_)));
    assert!(matches!(filled(17), Hash::Table(_)));
    for (name, value) in [(64, 64), (65, 1), (1, 65)] {
        let mut hash = filled(1);
        hash.set(&vec![b'n'; name], NewStr::Copy(&vec![b'v'; value]), Expiry::Clear, LIMITS);
        assert_eq!(
            matches!(hash, Hash::Table(_)),
            name + value > 128 || name + value == 66,
            "{name} {value}"
        );
    }
    let mut hash = filled(2);
    hash.prepare(17, std::iter::empty(), LIMITS);
    assert!(matches!(hash, Hash::Table(_)), "so many pairs are not tried as a listpack");
    let mut hash = filled(16);
    assert!(hash.set_expiry(b"f3", 77));
    assert!(matches!(hash, Hash::ListpackEx(_)));
    hash.clear_expiry(b"f3");
    assert!(matches!(hash, Hash::ListpackEx(_)));
    hash.set(b"one more", NewStr::Int(1), Expiry::Clear, LIMITS);
    assert!(matches!(hash, Hash::Table(_)));
}

#[test]
fn fields_are_ordered_by_expiry() {
    let mut hash = filled(5);
    for (name, at_ms) in [("f1", 20), ("f3", 10), ("f4", 20)] {
        hash.set_expiry(name.as_bytes(), at_ms);
    }
    assert_eq!(names(&hash), ["f3", "f4", "f1", "f0", "f2"]);
    hash.set(b"f4", NewStr::Int(0), Expiry::Clear, LIMITS);
    hash.set(b"f1", NewStr::Int(0), Expiry::Keep, LIMITS);
    hash.set(b"f0", NewStr::Int(0), Expiry::Clear, LIMITS);
    assert_eq!(names(&hash), ["f3", "f1", "f0", "f2", "f4"]);
    assert_eq!(hash.pop_due(10), None);
    assert_eq!(hash.pop_due(11), Some(b"f3".to_vec()));
    assert_eq!(hash.pop_due(11), None);
    assert_eq!(hash.next_expiry(), Some(20));
}

#[test]
fn listpacks_from_elsewhere_are_believed_if_they_are_in_order() {
    let list = |triples: &[(&str, i64)]| {
        let mut list = Listpack::new();
        for (name, at_ms) in triples {
            list.append_all(&[Value::from(name.as_bytes()), Value::Integer(1), Value::Integer(*at_ms)]);
        }
        list
    };
    assert!(ListpackEx::from_list(list(&[("a", 3), ("b", 3), ("c", 4), ("d", 0), ("e", 0)])).is_some());
    assert!(ListpackEx::from_list(list(&[("a", 4), ("b", 3)])).is_none());
    assert!(ListpackEx::from_list(list(&[("a", 0), ("b", 3)])).is_none());
    assert!(ListpackEx::from_list(list(&[("a", -1)])).is_none());
    assert!(ListpackEx::from_list([Value::Integer(1), Value::Integer(2)].into_iter().collect()).is_none());
}

#[test]
fn random_fields_are_of_all_with_the_same_probability() {
    /// So many that the rarest mean below, of 80, lies seven standard deviations from what is let pass.
    const ROUNDS: usize = 2_400;
    let mut rng = rand::rng();
    for (fields, expiry) in [(10, false), (10, true), (30, false)] {
        let mut hash = filled(fields);
        if expiry {
            hash.set_expiry(b"f3", 9);
        }
        for count in [1, 3, fields / 2, fields, fields + 5] {
            let mut seen: HashMap<Vec<u8>, usize> = HashMap::new();
            let mut drawn = HashMap::new();
            for _ in 0..ROUNDS {
                let mut once = Vec::new();
                hash.random_unique(&mut rng, count, |field| once.push(text(field.name)));
                once.iter().for_each(|name| *seen.entry(name.clone()).or_default() += 1);
                assert_eq!(once.len(), count.min(fields));
                once.sort();
                once.dedup();
                assert_eq!(once.len(), count.min(fields), "a field is there twice");
                hash.random_many(&mut rng, count, |f| *drawn.entry(text(f.name)).or_default() += 1);
                let field = hash.random(&mut rng).expect("there are fields");
                assert_eq!(text(hash.get(&text(field.name)).unwrap().value), text(field.value));
            }
            let expected = ROUNDS * count.min(fields) / fields;
            assert!(seen.len() == fields && seen.values().all(|n| n.abs_diff(expected) <= expected * 4 / 5));
            assert_eq!(drawn.values().sum::<usize>(), ROUNDS * count);
        }
    }
}

#[test]
fn a_field_of_a_table_is_one_allocation() {
    let value = |value: &[u8]| {
        let mut table = Table::default();
        table.set(b"field:000001", NewStr::Copy(value), Expiry::Clear);
        table.iter().next().map(|element| element.get().mem_bytes(0)).unwrap()
    };
    assert_eq!(value(b"1"), 24, "a short integer lies behind the name");
    assert_eq!(value(b"12345678"), 32);
    assert_eq!(value(b"-9223372036854775808"), 32, "a long one is a word");
    assert_eq!(value(b"value:0000000001"), 40);
}
