//! Operations on the hash table itself, beside a map of the standard library. The input chooses how weak the hash is, so
//! that chains, equal tags and splits that move nothing come up in short inputs.
#![no_main]

use std::alloc::{Layout, alloc, dealloc};
use std::collections::HashMap;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use ochre::ds::hashtable::{Element, Entry, HashTable, ResizePolicy, set_resize_policy};

/// An allocation of a key of two bytes, a length, and so many bytes of value.
#[repr(transparent)]
struct Item(NonNull<u8>);

// SAFETY: the item owns its allocation.
unsafe impl Send for Item {}

/// The bits of the hash that the input leaves.
static HASH_MASK: AtomicU64 = AtomicU64::new(u64::MAX);

// SAFETY: a transparent pointer to the allocation described above.
unsafe impl Element for Item {
    type Ref<'t> = (&'t [u8], &'t [u8]);

    unsafe fn borrow<'t>(raw: NonNull<u8>) -> Self::Ref<'t> {
        // SAFETY: the allocation has three bytes and as many as the third says.
        unsafe {
            let len = raw.add(2).read();
            let bytes = std::slice::from_raw_parts(raw.as_ptr(), 3 + usize::from(len));
            (&bytes[..2], &bytes[3..])
        }
    }

    fn key_of<'t>((key, _): Self::Ref<'t>) -> &'t [u8] {
        key
    }

    fn hash(key: &[u8]) -> u64 {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for &byte in key {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        }
        hash & HASH_MASK.load(Ordering::Relaxed)
    }
}

impl Item {
    fn layout(len: u8) -> Layout {
        Layout::array::<u8>(3 + usize::from(len)).expect("small")
    }

    fn new(key: u16, len: u8) -> Self {
        // SAFETY: the layout is not empty and the writes stay within it.
        unsafe {
            let raw = NonNull::new(alloc(Self::layout(len))).expect("memory");
            raw.as_ptr().copy_from_nonoverlapping(key.to_le_bytes().as_ptr(), 2);
            raw.add(2).write(len);
            raw.as_ptr().add(3).write_bytes(len, usize::from(len));
            Self(raw)
        }
    }

    fn value_len(&self) -> u8 {
        // SAFETY: the item lives.
        let (_, value) = unsafe { Self::borrow(self.0) };
        assert!(value.iter().all(|&byte| usize::from(byte) == value.len()));
        value.len() as u8
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        // SAFETY: this is how it was allocated.
        unsafe { dealloc(self.0.as_ptr(), Self::layout(self.value_len())) }
    }
}

#[derive(Arbitrary, Debug)]
enum Op {
    Insert(u16, u8),
    Resize(u16, u8),
    Mark(u16, bool),
    Remove(u16),
    RemoveByGuard(u16, u8),
    InsertMany(u16, u8),
    RemoveMany(u16, u8),
    Reserve(u16),
    Maintain(u8),
    DrainSome(u8),
    Clear,
    Policy(u8),
    /// Takes one step of the scan that goes on, or begins one.
    Scan,
    ScanMarked(u8),
    Random(u64),
}

struct Pair {
    table: HashTable<Item>,
    /// Value length and mark by key.
    model: HashMap<u16, (u8, bool)>,
    cursor: u64,
    /// Keys that were there when the scan began and still are, and that it has not shown yet.
    unseen: Vec<u16>,
}

fn hashed(key: u16) -> (u64, [u8; 2]) {
    let bytes = key.to_le_bytes();
    (HashTable::<Item>::hash(&bytes), bytes)
}

fn number(key: &[u8]) -> u16 {
    u16::from_le_bytes([key[0], key[1]])
}

impl Pair {
    fn insert(&mut self, key: u16, len: u8) {
        let (hash, bytes) = hashed(key);
        match self.table.entry(hash, &bytes) {
            Entry::Occupied(found) => assert_eq!((found.value_len(), found.mark()), self.model[&key]),
            Entry::Vacant(place) => {
                place.insert(Item::new(key, len));
                assert!(self.model.insert(key, (len, false)).is_none());
            }
        }
    }

    fn remove(&mut self, key: u16) {
        let (hash, bytes) = hashed(key);
        let removed = self.table.remove(hash, &bytes);
        assert_eq!(removed.map(|item| item.value_len()), self.model.remove(&key).map(|(len, _)| len));
        self.unseen.retain(|&k| k != key);
    }

    fn remove_by_guard(&mut self, key: u16, len: u8) {
        let (hash, bytes) = hashed(key);
        let Some(mut found) = self.table.find_mut(hash, &bytes) else { return };
        *found = Item::new(key, len);
        assert_eq!(found.remove().value_len(), len);
        assert!(self.model.remove(&key).is_some());
        self.unseen.retain(|&k| k != key);
    }

    fn change(&mut self, key: u16, len: Option<u8>, mark: Option<bool>) {
        let (hash, bytes) = hashed(key);
        let (found, expected) = (self.table.find_mut(hash, &bytes), self.model.get_mut(&key));
        assert_eq!(found.is_some(), expected.is_some());
        let Some((mut found, expected)) = found.zip(expected) else { return };
        if let Some(len) = len {
            *found = Item::new(key, len);
            expected.0 = len;
        }
        if let Some(mark) = mark {
            found.set_mark(mark);
            expected.1 = mark;
        }
    }

    /// Takes from the model what is no longer in the table.
    fn follow(&mut self) {
        let Self { table, model, unseen, .. } = self;
        model.retain(|&key, _| {
            let (hash, bytes) = hashed(key);
            table.contains(hash, &bytes)
        });
        unseen.retain(|key| model.contains_key(key));
    }

    fn scan(&mut self) {
        if self.cursor == 0 {
            self.unseen = self.model.keys().copied().collect();
        }
        let unseen = &mut self.unseen;
        self.cursor = self.table.scan(self.cursor, |item| unseen.retain(|&k| k != number(item.key())));
        assert!(self.cursor != 0 || unseen.is_empty(), "a key that was there throughout was not shown");
    }

    fn scan_marked(&self, stride: usize) {
        let (mut cursor, mut shown) = (0, 0);
        loop {
            cursor = self.table.scan_marked(cursor, stride, |item| {
                assert!(item.mark() && self.model[&number(item.key())].1);
                shown += 1;
            });
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(shown, self.table.marked_len());
    }

    fn random(&self, seed: u64) {
        let mut state = seed;
        let mut rng = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state ^ (state >> 31)
        };
        assert_eq!(self.table.random(&mut rng).is_some(), !self.model.is_empty());
        assert_eq!(self.table.random_marked(&mut rng).is_some(), self.table.marked_len() > 0);
        assert_eq!(self.table.sample(&mut rng, 5, |_| {}), self.model.len().min(5));
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Insert(key, len) => self.insert(key, len),
            Op::Resize(key, len) => self.change(key, Some(len), None),
            Op::Mark(key, mark) => self.change(key, None, Some(mark)),
            Op::Remove(key) => self.remove(key),
            Op::RemoveByGuard(key, len) => self.remove_by_guard(key, len),
            Op::InsertMany(key, n) => (0..u16::from(n)).for_each(|i| self.insert(key.wrapping_add(i), 1)),
            Op::RemoveMany(key, n) => (0..u16::from(n)).for_each(|i| self.remove(key.wrapping_add(i))),
            Op::Reserve(n) => self.table.reserve(n.into()),
            Op::Maintain(n) => _ = self.table.maintain(n.into()),
            Op::DrainSome(n) => {
                self.table.drain_some(n.into());
                self.follow();
            }
            Op::Clear => {
                self.table.clear();
                self.follow();
                assert!(self.model.is_empty());
            }
            Op::Policy(n) => set_resize_policy(match n % 3 {
                0 => ResizePolicy::Allow,
                1 => ResizePolicy::Avoid,
                _ => ResizePolicy::Forbid,
            }),
            Op::Scan => self.scan(),
            Op::ScanMarked(stride) => self.scan_marked(1 + usize::from(stride)),
            Op::Random(seed) => self.random(seed),
        }
    }
}

fuzz_target!(|input: (u64, Vec<Op>)| {
    let (mask, ops) = input;
    HASH_MASK.store(mask, Ordering::Relaxed);
    set_resize_policy(ResizePolicy::Allow);
    let mut pair = Pair { table: HashTable::new(), model: HashMap::new(), cursor: 0, unseen: Vec::new() };
    for op in &ops {
        pair.apply(op);
        assert_eq!(pair.table.len(), pair.model.len());
        assert_eq!(pair.table.marked_len(), pair.model.values().filter(|(_, mark)| *mark).count());
    }
    pair.table.debug_validate();
    for item in &pair.table {
        assert_eq!((item.value_len(), item.mark()), pair.model[&number(item.key())]);
    }
});
