use super::*;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::db::object::set::Item;
use proptest::prelude::*;

/// What an entry should be.
#[derive(Debug, Clone)]
struct Model {
    key: Vec<u8>,
    value: Vec<u8>,
    encoding: Encoding,
    expiry: Option<i64>,
    clock: u32,
}

impl Model {
    fn check(&self, entry: &Entry) {
        let view = entry.view();
        assert!(view.key() == self.key);
        assert!(view.string().bytes(&mut itoa::Buffer::new()) == self.value);
        assert!(view.string().to_bytes() == self.value);
        assert_eq!(view.string().len(), self.value.len());
        assert_eq!(view.string().as_int(), numbers::parse_i64(&self.value));
        assert_eq!((view.encoding(), view.expiry()), (self.encoding, self.expiry));
        assert_eq!(view.clock(), self.clock);
        let used = WORD + self.key.len() + if self.encoding == Encoding::Int { 0 } else { self.value.len() };
        assert!(view.mem_bytes(0) >= used);
        assert!(entry.size() >= entry.shape().bytes() && entry.size().is_multiple_of(WORD));
        assert!(view.expiry().is_none() || entry.shape().expiry);
    }

    fn set(&mut self, value: &[u8], expiry: Expiry) {
        self.value = value.to_vec();
        self.encoding = match value.len() {
            ..=INT_TEXT_MAX if numbers::parse_i64(value).is_some() => Encoding::Int,
            ..=EMBSTR_MAX => Encoding::EmbStr,
            _ => Encoding::Raw,
        };
        match expiry {
            Expiry::Keep => {}
            Expiry::Clear => self.expiry = None,
            Expiry::At(at_ms) => self.expiry = Some(at_ms),
        }
    }

    fn write_at(&mut self, offset: usize, bytes: &[u8]) {
        self.value.resize(self.value.len().max(offset + bytes.len()), 0);
        self.value[offset..offset + bytes.len()].copy_from_slice(bytes);
        self.encoding = Encoding::Raw;
    }
}

impl Entry {
    fn shape(&self) -> Shape {
        // SAFETY: the entry is borrowed.
        unsafe { self.0.shape() }
    }
}

fn encode(value: &[u8], share: bool) -> NewStr<'_> {
    match NewStr::encode(value) {
        NewStr::Copy(bytes) if share => NewStr::Share(Bytes::copy_from_slice(bytes)),
        other => other,
    }
}

#[derive(Debug, Clone)]
enum Op {
    Set(Vec<u8>, bool, Expiry),
    WriteAt(usize, Vec<u8>),
    Append(Vec<u8>),
    SetExpiry(i64),
    ClearExpiry,
    SetClock(u32),
    /// Share the value with a reply, or take back what was shared.
    Share(bool),
    CopyTo(Vec<u8>),
}

fn bytes_of(len: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    (len, any::<u8>()).prop_map(|(len, seed)| (0..len).map(|i| seed.wrapping_add((i / 3) as u8)).collect())
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => bytes_of(0..150),
        2 => any::<i64>().prop_map(|n| n.to_string().into_bytes()),
        1 => (0..99i64).prop_map(|n| n.to_string().into_bytes()),
        1 => bytes_of(0..2000),
        1 => bytes_of(INLINE_MAX - 20..INLINE_MAX + 20),
        1 => bytes_of(0..100_000),
    ]
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![8 => bytes_of(0..64), 2 => bytes_of(250..260), 1 => bytes_of(0..5000)]
}

fn op() -> impl Strategy<Value = Op> {
    let expiry = prop_oneof![Just(Expiry::Keep), Just(Expiry::Clear), (0..i64::MAX).prop_map(Expiry::At)];
    prop_oneof![
        4 => (value(), any::<bool>(), expiry).prop_map(|(v, share, e)| Op::Set(v, share, e)),
        2 => (0..300usize, bytes_of(0..100)).prop_map(|(at, b)| Op::WriteAt(at, b)),
        1 => (0..40_000usize, bytes_of(1..9000)).prop_map(|(at, b)| Op::WriteAt(at, b)),
        4 => bytes_of(1..40).prop_map(Op::Append),
        1 => bytes_of(1..9000).prop_map(Op::Append),
        1 => (0..i64::MAX).prop_map(Op::SetExpiry),
        1 => Just(Op::ClearExpiry),
        1 => (0..=CLOCK_MASK).prop_map(Op::SetClock),
        1 => any::<bool>().prop_map(Op::Share),
        1 => key().prop_map(Op::CopyTo),
    ]
}

proptest! {
    #[test]
    fn behaves_as_its_model(key in key(), first in value(), ops in prop::collection::vec(op(), 1..40)) {
        let mut model = Model { key, value: vec![], encoding: Encoding::Raw, expiry: None, clock: 7 };
        model.set(&first, Expiry::Keep);
        let mut entry = Entry::new(&model.key, encode(&first, false), None, 7);
        let mut shared: Option<(Bytes, Vec<u8>)> = None;
        for op in ops {
            model.check(&entry);
            match op {
                Op::Set(value, share, expiry) => {
                    entry.set_string(encode(&value, share), expiry);
                    model.set(&value, expiry);
                }
                Op::WriteAt(offset, bytes) => {
                    entry.write_at(offset, &bytes);
                    model.write_at(offset, &bytes);
                }
                Op::Append(bytes) => {
                    let end = entry.view().string().len();
                    entry.write_at(end, &bytes);
                    model.write_at(end, &bytes);
                }
                Op::SetExpiry(at_ms) => {
                    entry.set_expiry(at_ms);
                    model.expiry = Some(at_ms);
                }
                Op::ClearExpiry => {
                    entry.clear_expiry();
                    model.expiry = None;
                }
                Op::SetClock(clock) => {
                    entry.view().set_clock(clock);
                    model.clock = clock;
                }
                Op::Share(true) => shared = Some((entry.view().string().to_bytes(), model.value.clone())),
                Op::Share(false) => shared = None,
                Op::CopyTo(key) => {
                    let copy = entry.view().copy_to(&key);
                    model.check(&entry);
                    model.key = key;
                    entry = copy;
                }
            }
            if let Some((bytes, then)) = &shared {
                assert!(bytes == then, "what a reply holds must not change");
            }
        }
        model.check(&entry);
    }
}

#[test]
fn small_entries_fill_their_size_class() {
    let size = |key: usize, value: NewStr<'_>, expiry: Option<i64>| {
        Entry::new(&vec![b'k'; key], value, expiry, 0).view().mem_bytes(0)
    };
    let text = [b'v'; 100_000];
    assert_eq!(size(16, NewStr::Copy(&text[..8]), None), 32);
    assert_eq!(size(16, NewStr::Int(-5), None), 32);
    assert_eq!(size(16, NewStr::Copy(&text[..64]), None), 96);
    assert_eq!(size(16, NewStr::Copy(&text[..64]), Some(9)), 96);
    assert_eq!(size(16, NewStr::Copy(&text), None), 56 + good_size(text.len()));
    assert_eq!(size(240, NewStr::Int(1), None), 256);
    assert_eq!(size(296, NewStr::Int(1), None), 320, "a word for the key's length");
}

#[test]
fn overwriting_within_a_size_class_moves_nothing() {
    let mut entry = Entry::new(b"sixteen-byte-key", NewStr::Copy(b"12345678x"), None, 0);
    let addr = entry.view().addr();
    for len in [9usize, 16, 10] {
        entry.set_string(NewStr::Copy(&vec![b'x'; len]), Expiry::Clear);
        assert_eq!((entry.view().addr(), entry.size()), (addr, 40));
    }
    entry.set_string(NewStr::Copy(b"12345678"), Expiry::Clear);
    assert_eq!(entry.size(), 32);
}

#[test]
fn integers_and_clocks_change_in_place() {
    let mut entry = Entry::new(b"counter", NewStr::Int(20_000), Some(77), 1);
    let addr = entry.view().addr();
    for n in [20_001, i64::MIN, 0] {
        entry.set_string(NewStr::Int(n), Expiry::Keep);
        entry.view().set_clock(n as u32);
        assert_eq!((entry.view().addr(), entry.view().expiry()), (addr, Some(77)));
        assert_eq!(entry.view().clock(), n as u32 & CLOCK_MASK);
    }
}

#[test]
fn appending_moves_a_string_rarely() {
    let mut entry = Entry::new(b"log", NewStr::Copy(b""), None, 0);
    let (mut addr, mut moves) = (entry.view().addr(), 0);
    for len in 0..100_000 {
        entry.write_at(len, b"x");
        moves += usize::from(entry.view().addr() != addr);
        addr = entry.view().addr();
    }
    assert!(moves < 25, "{moves}");
    assert_eq!((entry.view().string().len(), entry.view().encoding()), (100_000, Encoding::Raw));
    entry.set_string(NewStr::Copy(b"short"), Expiry::Keep);
    assert_eq!((entry.size(), entry.view().encoding()), (16, Encoding::EmbStr));
}

#[test]
fn a_block_is_stored_and_shared_without_a_copy() {
    let block = Bytes::from(vec![b'x'; 40_000]);
    let entry = Entry::new(b"k", NewStr::Share(block.clone()), None, 0);
    let StrRef::Shared(stored) = entry.view().string() else { panic!("a long string is inline") };
    assert_eq!(stored.as_ptr(), block.as_ptr());
}

#[cfg(not(feature = "system-malloc"))]
#[test]
fn size_classes_are_those_of_the_allocator() {
    for bytes in 1..=32 * 1024 {
        assert_eq!(size_class(bytes), good_size(bytes), "{bytes}");
    }
}

#[test]
fn lend_gives_back_what_it_does_not_lend() {
    let mut entries = vec![Entry::new(b"k", NewStr::Int(1), None, 0)];
    let found = lend::<Shared, _>(&mut entries, |e| e.first().map(Entry::view));
    assert_eq!(found.ok().map(EntryRef::key), Some(&b"k"[..]));
    match lend::<Shared, _>(&mut entries, |e| e.get(7).map(Entry::view)) {
        Ok(_) => panic!("there is no eighth entry"),
        Err(entries) => entries.clear(),
    }
    assert!(entries.is_empty());
}

/// A collection of the simplest encoding there is, for tests of what holds it.
fn integers(numbers: &[i64]) -> Set {
    Set::IntSet(numbers.iter().copied().collect())
}

fn contents(entry: &Entry) -> Vec<i64> {
    let set = entry.view().object::<Set>();
    set.iter().filter_map(Item::as_integer).collect()
}

#[test]
fn collections_change_in_place_and_move_with_their_entry() {
    let mut entry = Entry::with_object(b"key", integers(&[1, 2]), None, 5);
    assert_eq!((entry.view().value_type(), entry.view().encoding()), (Type::Set, Encoding::IntSet));
    assert_eq!((entry.view().expiry(), entry.view().clock()), (None, 5));
    entry.set_expiry(77);
    {
        let Set::IntSet(set) = &mut *entry.object_mut::<Set>() else { panic!("it was an intset") };
        set.add(3);
    }
    assert_eq!((contents(&entry), entry.view().expiry()), (vec![1, 2, 3], Some(77)));
    *entry.object_mut::<Set>() = integers(&[9]);
    let copy = entry.view().copy_to(b"another key");
    let renamed = entry.rename(&[b'k'; 300]);
    assert_eq!(
        (renamed.view().key(), renamed.view().expiry(), renamed.view().clock()),
        (&[b'k'; 300][..], Some(77), 5)
    );
    assert_eq!((contents(&renamed), contents(&copy)), (vec![9], vec![9]));
    assert_eq!((copy.view().key(), copy.view().expiry()), (&b"another key"[..], Some(77)));
}

#[test]
fn a_string_may_follow_a_collection() {
    let mut entry = Entry::with_object(b"key", integers(&[1]), Some(9), 0);
    entry.set_string(NewStr::Copy(b"text"), Expiry::Keep);
    assert_eq!((entry.view().value_type(), entry.view().expiry()), (Type::String, Some(9)));
    assert_eq!(entry.view().string().bytes(&mut itoa::Buffer::new()), b"text");
}

#[test]
fn renaming_keeps_strings_of_all_kinds() {
    let long = vec![b'x'; 40_000];
    for value in [NewStr::Int(5), NewStr::Copy(b"inline"), NewStr::Copy(&long)] {
        let entry = Entry::new(b"k", value, Some(3), 1);
        let (text, encoding) = (entry.view().string().to_bytes(), entry.view().encoding());
        let renamed = entry.rename(b"another");
        assert_eq!((renamed.view().string().to_bytes(), renamed.view().encoding()), (text, encoding));
        assert_eq!((renamed.view().key(), renamed.view().expiry()), (&b"another"[..], Some(3)));
    }
}

#[test]
#[should_panic(expected = "read as what it is")]
fn a_value_is_not_read_as_another_type() {
    let entry = Entry::new(b"k", NewStr::Int(5), None, 0);
    let _ = entry.view().object::<Set>();
}

#[test]
#[should_panic(expected = "lent out")]
fn a_collection_whose_borrow_was_leaked_is_lost_and_not_owned_twice() {
    let mut entry = Entry::with_object(b"key", integers(&[1]), None, 0);
    // Leaked, but where a leak checker finds it.
    static LEAKED: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut());
    LEAKED.store(Box::into_raw(Box::new(entry.object_mut::<Set>())).cast(), Ordering::Relaxed);
    std::hint::black_box(&LEAKED);
    let _ = entry.view().object::<Set>();
}
