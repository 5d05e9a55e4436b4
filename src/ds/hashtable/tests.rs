//! The table against a model, its promises about order and chance, and its bounds.

use super::*;
use crate::ds::siphash;
use proptest::prelude::*;
use std::alloc::{Layout, alloc, dealloc};
use std::collections::{HashMap, HashSet};
use std::ptr::NonNull;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The resize policy belongs to the process: who needs it to stay reads, who changes it writes.
static POLICY_LOCK: RwLock<()> = RwLock::new(());

fn keep_policy() -> RwLockReadGuard<'static, ()> {
    POLICY_LOCK.read().unwrap_or_else(PoisonError::into_inner)
}

/// Changes the policy for as long as it lives.
struct OtherPolicy {
    _lock: RwLockWriteGuard<'static, ()>,
}

impl OtherPolicy {
    fn begin() -> Self {
        Self { _lock: POLICY_LOCK.write().unwrap_or_else(PoisonError::into_inner) }
    }
}

impl Drop for OtherPolicy {
    fn drop(&mut self) {
        set_resize_policy(ResizePolicy::Allow);
    }
}

/// An element with a value that can grow, so that its allocation moves:
///
/// ```text
///   key length (u32) | value length (u32) | key | value
/// ```
///
/// With `BITS` below 64 the hash has so many random bits only, spread over the places a table looks at.
#[repr(transparent)]
struct Pair<const BITS: u32>(NonNull<u8>);

// SAFETY: the pair owns its allocation.
unsafe impl<const BITS: u32> Send for Pair<BITS> {}

// SAFETY: a transparent pointer, to the allocation laid out above.
unsafe impl<const BITS: u32> Element for Pair<BITS> {
    type Ref<'t> = (&'t [u8], &'t [u8]);

    unsafe fn borrow<'t>(raw: NonNull<u8>) -> Self::Ref<'t> {
        // SAFETY: the allocation has its lengths, and then as many bytes.
        unsafe {
            let [key, value] = *raw.cast::<[u32; 2]>().as_ref();
            let key_start = raw.as_ptr().add(8);
            (
                std::slice::from_raw_parts(key_start, key as usize),
                std::slice::from_raw_parts(key_start.add(key as usize), value as usize),
            )
        }
    }

    fn key_of<'t>((key, _): Self::Ref<'t>) -> &'t [u8] {
        key
    }

    fn hash(key: &[u8]) -> u64 {
        let full = siphash_of(key);
        match BITS {
            64 => full,
            _ => {
                let few = full & ((1 << BITS) - 1);
                few | few << 6 | few << 20 | few << 56
            }
        }
    }
}

/// The same in each run: how fair a draw is depends on how full the fullest buckets are, see [`HashTable::random`].
fn siphash_of(key: &[u8]) -> u64 {
    siphash::hash(siphash::HashSeed::from_bytes([7; 16]), key)
}

impl<const BITS: u32> Pair<BITS> {
    fn layout(key: usize, value: usize) -> Layout {
        Layout::from_size_align(8 + key + value, 4).unwrap()
    }

    fn new(key: &[u8], value: &[u8]) -> Self {
        // SAFETY: the layout is not empty, and the writes stay within it.
        unsafe {
            let raw = NonNull::new(alloc(Self::layout(key.len(), value.len()))).unwrap();
            raw.cast::<[u32; 2]>().write([key.len() as u32, value.len() as u32]);
            let bytes = raw.as_ptr().add(8);
            bytes.copy_from_nonoverlapping(key.as_ptr(), key.len());
            bytes.add(key.len()).copy_from_nonoverlapping(value.as_ptr(), value.len());
            Self(raw)
        }
    }

    fn parts(&self) -> (&[u8], &[u8]) {
        // SAFETY: `self` lives.
        unsafe { Self::borrow(self.0) }
    }

    /// Appends to the value; the allocation moves.
    fn append(&mut self, bytes: &[u8]) {
        let (key, value) = self.parts();
        *self = Self::new(key, &[value, bytes].concat());
    }
}

impl<const BITS: u32> Drop for Pair<BITS> {
    fn drop(&mut self) {
        let (key, value) = self.parts();
        // SAFETY: this is how it was allocated.
        unsafe { dealloc(self.0.as_ptr(), Self::layout(key.len(), value.len())) }
    }
}

type Table<const BITS: u32 = 64> = HashTable<Pair<BITS>>;

fn key(n: impl Into<u64>) -> Vec<u8> {
    format!("key:{}", n.into()).into_bytes()
}

fn hash(key: &[u8]) -> u64 {
    Table::<64>::hash(key)
}

fn insert<const BITS: u32>(table: &mut Table<BITS>, key: &[u8]) {
    table.insert_unique(Table::<BITS>::hash(key), Pair::new(key, b""));
}

fn filled(n: u64) -> Table {
    let mut table = Table::<64>::new();
    for i in 0..n {
        insert(&mut table, &key(i));
    }
    table
}

/// xorshift64*, for tests that repeat.
fn rng(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed | 1;
    move || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

#[derive(Debug, Clone)]
enum Op {
    Insert(u16),
    Append(u16),
    Replace(u16),
    SetMark(u16, bool),
    Remove(u16),
    RemoveByGuard(u16),
    InsertMany(u16, u16),
    RemoveMany(u16, u16),
    Reserve(u16),
    Maintain(u8),
    DrainSome(u8),
    Clear,
    Policy(u8),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let k = 0..300u16;
    let op = prop_oneof![
        8 => k.clone().prop_map(Op::Insert),
        4 => k.clone().prop_map(Op::Append),
        2 => k.clone().prop_map(Op::Replace),
        4 => (k.clone(), any::<bool>()).prop_map(|(k, mark)| Op::SetMark(k, mark)),
        5 => k.clone().prop_map(Op::Remove),
        2 => k.prop_map(Op::RemoveByGuard),
        3 => (0..20_000u16, 0..3_000u16).prop_map(|(from, n)| Op::InsertMany(from, n)),
        3 => (0..20_000u16, 0..3_000u16).prop_map(|(from, n)| Op::RemoveMany(from, n)),
        1 => (0..10_000u16).prop_map(Op::Reserve),
        1 => any::<u8>().prop_map(Op::Maintain),
        1 => (0..20u8).prop_map(Op::DrainSome),
        1 => Just(Op::Clear),
        1 => (0..3u8).prop_map(Op::Policy),
    ];
    prop::collection::vec(op, 1..80)
}

/// What an element should be: its value and its mark.
type Expected = (Vec<u8>, bool);

/// A table, and what it should hold by key.
struct Checked<const BITS: u32> {
    table: Table<BITS>,
    model: HashMap<Vec<u8>, Expected>,
}

impl<const BITS: u32> Checked<BITS> {
    fn new() -> Self {
        Self { table: Table::new(), model: HashMap::new() }
    }

    /// The element with this key, and what the model has of it.
    fn find_mut(&mut self, key: &[u8]) -> Option<(ElementMut<'_, Pair<BITS>>, &mut Expected)> {
        let found = self.table.find_mut(Table::<BITS>::hash(key), key);
        let expected = self.model.get_mut(key);
        assert_eq!(found.is_some(), expected.is_some());
        found.zip(expected)
    }

    fn insert(&mut self, key: &[u8]) {
        match self.table.entry(Table::<BITS>::hash(key), key) {
            Entry::Occupied(found) => {
                assert_eq!(found.parts(), (key, &self.model[key].0[..]));
                assert_eq!(found.mark(), self.model[key].1);
            }
            Entry::Vacant(place) => {
                let new = place.insert(Pair::new(key, key));
                assert_eq!(new.parts(), (key, key));
                assert!(!new.mark());
                assert!(self.model.insert(key.to_vec(), (key.to_vec(), false)).is_none());
            }
        }
    }

    fn remove(&mut self, key: &[u8]) {
        let removed = self.table.remove(Table::<BITS>::hash(key), key);
        let expected = self.model.remove(key);
        assert_eq!(removed.map(|pair| pair.parts().1.to_vec()), expected.map(|(value, _)| value));
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Insert(k) => self.insert(&key(k)),
            Op::Append(k) => {
                if let Some((mut found, (value, _))) = self.find_mut(&key(k)) {
                    found.append(b"+");
                    value.push(b'+');
                    assert_eq!(found.parts().1, value);
                }
            }
            Op::Replace(k) => {
                if let Some((mut found, (value, _))) = self.find_mut(&key(k)) {
                    let old = found.replace(Pair::new(&key(k), b"new"));
                    assert_eq!(old.parts().1, value);
                    *value = b"new".to_vec();
                }
            }
            Op::SetMark(k, mark) => {
                if let Some((mut found, (_, expected))) = self.find_mut(&key(k)) {
                    found.set_mark(mark);
                    assert_eq!(found.into_ref().mark(), mark);
                    *expected = mark;
                }
            }
            Op::Remove(k) => self.remove(&key(k)),
            Op::RemoveByGuard(k) => {
                let Some((mut found, (value, _))) = self.find_mut(&key(k)) else { return };
                found.append(b"!");
                value.push(b'!');
                assert_eq!(found.remove().parts().1, value);
                self.model.remove(&key(k));
            }
            Op::InsertMany(from, n) => (from..from + n).for_each(|k| self.insert(&key(k))),
            Op::RemoveMany(from, n) => (from..from + n).for_each(|k| self.remove(&key(k))),
            Op::Reserve(n) => self.table.reserve(n.into()),
            Op::Maintain(steps) => _ = self.table.maintain(steps.into()),
            Op::DrainSome(buckets) => {
                let more = self.table.drain_some(buckets.into());
                assert_eq!(more, !self.table.is_empty());
                let left: HashSet<Vec<u8>> = self.table.iter().map(|pair| pair.key().to_vec()).collect();
                self.model.retain(|key, _| left.contains(key));
            }
            Op::Clear => {
                self.table.clear();
                self.model.clear();
                assert_eq!(self.table.mem_bytes(), 0);
            }
            Op::Policy(n) => set_resize_policy(
                [ResizePolicy::Allow, ResizePolicy::Avoid, ResizePolicy::Forbid][usize::from(n)],
            ),
        }
    }

    fn check(&self) {
        self.table.debug_validate();
        assert_eq!(self.table.len(), self.model.len());
        assert_eq!(self.table.marked_len(), self.model.values().filter(|(_, mark)| *mark).count());
        let mut seen = 0;
        for pair in &self.table {
            let (value, mark) = &self.model[pair.key()];
            assert_eq!((pair.get().1, pair.mark()), (&value[..], *mark));
            seen += 1;
        }
        assert_eq!(seen, self.model.len());
    }

    fn run(ops: &[Op]) {
        let mut checked = Self::new();
        for op in ops {
            checked.apply(op);
            if !matches!(op, Op::Insert(_) | Op::Remove(_)) {
                checked.check();
            }
        }
        checked.check();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn behaves_like_the_model(ops in ops()) {
        let _other = OtherPolicy::begin();
        Checked::<64>::run(&ops);
    }

    /// Eight bits of hash: long chains, equal tags, equal kept bits, splits that move nothing.
    #[test]
    fn behaves_like_the_model_under_a_weak_hash(ops in ops()) {
        let _other = OtherPolicy::begin();
        Checked::<8>::run(&ops);
    }

    /// Between any two steps of a scan the table may grow and shrink by any amount; what is there from the
    /// beginning to the end is shown.
    #[test]
    fn scan_shows_all_that_stays(
        start in 0..4_000u64,
        changes in prop::collection::vec((1..64usize, 0..9_000u64), 0..24),
    ) {
        let _policy = keep_policy();
        let mut table = filled(start);
        let mut stays: HashSet<u64> = (0..start).collect();
        let mut size = start;
        let mut seen = HashSet::new();
        let mut cursor = 0;
        let mut changes = changes.into_iter();
        loop {
            let steps = changes.next().map(|(steps, new_size)| {
                (size..new_size).for_each(|i| insert(&mut table, &key(i)));
                (new_size..size).for_each(|i| assert!(table.remove(hash(&key(i)), &key(i)).is_some()));
                size = new_size;
                stays.retain(|&i| i < new_size);
                steps
            });
            for _ in 0..steps.unwrap_or(usize::MAX) {
                cursor = table.scan(cursor, |pair| _ = seen.insert(pair.key().to_vec()));
                if cursor == 0 {
                    break;
                }
            }
            if cursor == 0 {
                break;
            }
        }
        for i in stays {
            prop_assert!(seen.contains(&key(i)), "key {} was there throughout", i);
        }
    }

    #[test]
    fn scan_takes_any_cursor(n in 0..3_000u64, cursor: u64) {
        let table = filled(n);
        let mut cursor = cursor;
        // Wherever it begins, a scan ends after no more steps than there are buckets.
        for _ in 0..=table.stats().buckets {
            cursor = table.scan(cursor, |_| {});
            if cursor == 0 {
                return Ok(());
            }
        }
        prop_assert!(false, "the scan goes on for ever");
    }
}

#[test]
fn scan_of_a_table_at_rest_shows_each_once() {
    for n in [0, 1, 5, 7, 8, 100, 1_000, 6_145, 20_000] {
        let table = filled(n);
        let mut seen = HashSet::new();
        let mut cursor = 0;
        loop {
            cursor = table.scan(cursor, |pair| assert!(seen.insert(pair.key().to_vec()), "shown twice"));
            assert!(cursor <= 2 * table.stats().buckets as u64, "cursors are as short as the table is small");
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(seen.len() as u64, n);
    }
}

#[test]
fn scan_marked_shows_the_marked_and_passes_over_the_rest() {
    let mut table = filled(200_000);
    let mut wanted = HashSet::new();
    for i in (0..200_000u64).step_by(40_000) {
        table.find_mut(hash(&key(i)), &key(i)).unwrap().set_mark(true);
        wanted.insert(key(i));
    }
    let (mut seen, mut cursor, mut looked_at) = (HashSet::new(), 0, 0);
    loop {
        cursor = table.scan_marked(cursor, 1, |pair| {
            assert!(pair.mark());
            assert!(seen.insert(pair.key().to_vec()));
        });
        looked_at += 1;
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(seen, wanted);
    let buckets = table.stats().buckets;
    assert!(looked_at <= 5 * storage::SEGMENT + buckets / storage::SEGMENT + 1, "{looked_at} of {buckets}");
    // In larger strides, while the table grows.
    seen.clear();
    for i in 0.. {
        cursor = table.scan_marked(cursor, 1_000, |pair| _ = seen.insert(pair.key().to_vec()));
        if cursor == 0 {
            break;
        }
        (0..500).for_each(|j| insert(&mut table, &key(1_000_000u64 + 500 * i + j)));
    }
    assert_eq!(seen, wanted);
}

/// Pearson's statistic of draws from `n` equally likely elements, less its mean, in standard deviations.
fn chi_square_sigmas(n: usize, draws: usize, mut draw: impl FnMut() -> Vec<u8>) -> f64 {
    let mut counts: HashMap<Vec<u8>, usize> = HashMap::new();
    for _ in 0..draws {
        *counts.entry(draw()).or_default() += 1;
    }
    let expected = draws as f64 / n as f64;
    let never = (n - counts.len()) as f64 * expected;
    let chi: f64 = counts.values().map(|&c| (c as f64 - expected).powi(2) / expected).sum();
    let freedom = (n - 1) as f64;
    (chi + never - freedom) / (2.0 * freedom).sqrt()
}

#[test]
fn random_is_fair() {
    for n in [1u64, 2, 7, 8, 50, 1_000, 3_000] {
        let table = filled(n);
        let mut rng = rng(n);
        let draws = 100 * n as usize;
        let sigmas = chi_square_sigmas(n as usize, draws, || table.random(&mut rng).unwrap().key().to_vec());
        assert!(n == 1 || sigmas.abs() < 5.0, "{n}: {sigmas}");
    }
    assert!(Table::<64>::new().random(&mut rng(1)).is_none());
}

#[test]
fn random_marked_is_fair() {
    for (n, every) in [(7u64, 1), (10, 10), (1_000, 3), (30_000, 1_000), (9_000, 2_000)] {
        let mut table = filled(n);
        assert!(table.random_marked(&mut rng(1)).is_none());
        for i in (0..n).step_by(every) {
            table.find_mut(hash(&key(i)), &key(i)).unwrap().set_mark(true);
        }
        let marked = table.marked_len();
        let mut rng = rng(n);
        let sigmas = chi_square_sigmas(marked, 100 * marked, || {
            let drawn = table.random_marked(&mut rng).unwrap();
            assert!(drawn.mark());
            drawn.key().to_vec()
        });
        assert!(marked == 1 || sigmas.abs() < 5.0, "{n}, one in {every}: {sigmas}");
    }
}

#[test]
fn random_ends_in_a_table_that_is_nearly_empty() {
    let mut table = Table::<64>::new();
    table.reserve(1_000_000);
    insert(&mut table, b"one");
    assert_eq!(table.random(&mut rng(5)).unwrap().key(), b"one");
    assert_eq!(table.sample(&mut rng(5), 10, |pair| assert_eq!(pair.key(), b"one")), 1);
}

#[test]
fn samples_are_distinct_and_all_if_asked() {
    let mut table = filled(3_000);
    for i in (0..3_000u64).step_by(7) {
        table.find_mut(hash(&key(i)), &key(i)).unwrap().set_mark(true);
    }
    let mut rng = rng(9);
    for count in [0, 1, 5, 100, 3_000, 5_000] {
        let mut seen = HashSet::new();
        let shown = table.sample(&mut rng, count, |pair| assert!(seen.insert(pair.key().to_vec())));
        assert_eq!((shown, seen.len()), (count.min(3_000), shown));
        seen.clear();
        let shown = table.sample_marked(&mut rng, count, |pair| {
            assert!(pair.mark() && seen.insert(pair.key().to_vec()));
        });
        assert_eq!((shown, seen.len()), (count.min(table.marked_len()), shown));
    }
    assert_eq!(Table::<64>::new().sample(&mut rng, 5, |_| {}), 0);
    assert_eq!(filled(10).sample_marked(&mut rng, 5, |_| {}), 0);
}

/// Not only on average, and not only at powers of two: at every size.
#[test]
fn memory_per_element_stays_within_bounds() {
    let _policy = keep_policy();
    let mut table = Table::<64>::new();
    assert_eq!(table.mem_bytes(), 0);
    for n in 1..=60_000usize {
        insert(&mut table, &key(n as u64));
        let per_element = table.mem_bytes() as f64 / n as f64;
        match n {
            0..1_000 => assert!(table.mem_bytes() <= 64 + 20 * n, "{n}: {per_element}"),
            1_000..8_000 => assert!(per_element < 16.0, "{n}: {per_element}"),
            _ => assert!(per_element < 14.5, "{n}: {per_element}"),
        }
    }
    for n in (1..=60_000usize).rev() {
        assert!(table.remove(hash(&key(n as u64)), &key(n as u64)).is_some());
        let left = n - 1;
        assert!(table.mem_bytes() <= 128 + 22 * left, "{left}: {}", table.mem_bytes());
    }
    assert_eq!(table.mem_bytes(), 0);
}

#[test]
fn avoiding_a_resize_keeps_the_buckets_and_catches_up_after() {
    let _other = OtherPolicy::begin();
    let mut table = filled(10_000);
    let buckets = table.stats().buckets;

    set_resize_policy(ResizePolicy::Avoid);
    (10_000..30_000u64).for_each(|i| insert(&mut table, &key(i)));
    assert_eq!(table.stats().buckets, buckets, "no bucket was split");
    (30_000..100_000u64).for_each(|i| insert(&mut table, &key(i)));
    let stats = table.stats();
    assert!(
        stats.buckets > buckets && stats.load() < 26.1,
        "a chain is bounded all the same: {}",
        stats.load()
    );
    assert!(stats.longest_chain < 16, "{}", stats.longest_chain);

    set_resize_policy(ResizePolicy::Allow);
    (100_000..120_000u64).for_each(|i| insert(&mut table, &key(i)));
    assert!(table.stats().load() < 6.51, "two splits an insertion catch up: {}", table.stats().load());
    table.debug_validate();

    let buckets = table.stats().buckets;
    set_resize_policy(ResizePolicy::Avoid);
    (10_000..120_000u64).for_each(|i| _ = table.remove(hash(&key(i)), &key(i)));
    assert_eq!(table.stats().buckets, buckets, "no bucket was merged");
    set_resize_policy(ResizePolicy::Forbid);
    (1_000..10_000u64).for_each(|i| _ = table.remove(hash(&key(i)), &key(i)));
    (1_000..2_000u64).for_each(|i| insert(&mut table, &key(i)));
    assert_eq!(table.stats().buckets, buckets);
    assert!(!table.maintain(1_000));
    set_resize_policy(ResizePolicy::Allow);
    assert!(table.maintain(10));
    while table.maintain(1_000) {}
    assert!(table.stats().load() > 4.5);
    table.debug_validate();
}

/// However sparse a table was let become, memory is given back by the time that its elements are gone.
#[test]
fn a_sparse_table_gives_its_memory_back() {
    let _other = OtherPolicy::begin();
    let mut table = filled(100_000);
    set_resize_policy(ResizePolicy::Avoid);
    for i in 0..100_000u64 {
        assert!(table.remove(hash(&key(i)), &key(i)).is_some());
        assert!(table.mem_bytes() < 2_000_000);
    }
    assert!(table.mem_bytes() < 1_000, "{}", table.mem_bytes());
}

#[test]
fn a_reservation_is_filled_without_a_split() {
    let _policy = keep_policy();
    for n in [1u64, 7, 8, 1_000, 50_000] {
        let mut table = Table::<64>::new();
        table.reserve(n as usize);
        let buckets = table.stats().buckets;
        (0..n).for_each(|i| insert(&mut table, &key(i)));
        assert_eq!(table.stats().buckets, buckets);
        table.reserve(2 * n as usize);
        table.debug_validate();
        assert_eq!(table.len() as u64, n);
    }
    let mut table = filled(0);
    table.reserve(0);
    assert_eq!(table.mem_bytes(), 0);
}

#[test]
fn a_leaked_guard_empties_the_table() {
    let mut table = filled(20);
    let (first, second) = (key(3u64), key(4u64));
    std::mem::forget(table.find_mut(hash(&first), &first));
    assert_eq!(table.len(), 20, "a guard that was only read has nothing to write back");

    let buckets = table.buckets;
    let mut guard = table.find_mut(hash(&first), &first).unwrap();
    _ = &mut *guard;
    std::mem::forget(guard);
    assert_eq!((table.len(), table.iter().count()), (0, 0));
    assert!(table.find(hash(&second), &second).is_none() && table.random(&mut rng(1)).is_none());
    assert!(!table.maintain(5) && !table.drain_some(5));

    // What the table forgets is kept aside, to be freed.
    // SAFETY: the table never uses again what it has now.
    let mut forgotten = unsafe { std::ptr::read(&table) };
    insert(&mut table, &first);
    assert_eq!((table.len(), table.iter().count(), table.marked_len()), (1, 1, 0));
    table.debug_validate();
    forgotten.buckets = buckets;
    assert_eq!(forgotten.len(), 20);
    forgotten.debug_validate();
}

#[test]
fn the_struct_is_small_and_an_empty_table_allocates_nothing() {
    assert!(size_of::<Table>() <= 64);
    let mut table = Table::<64>::new();
    assert_eq!((table.mem_bytes(), table.len(), table.marked_len()), (0, 0, 0));
    assert!(table.find(1, b"x").is_none() && table.remove(1, b"x").is_none());
    assert_eq!(table.scan(77, |_| unreachable!()), 0);
    assert_eq!(table.scan_marked(77, 10, |_| unreachable!()), 0);
    assert_eq!(table.iter().count(), 0);
    table.prefetch_bucket(1);
    table.prefetch_element(1);
    assert!(!table.maintain(10) && !table.drain_some(10));
    table.debug_validate();
}

#[test]
fn elements_are_found_by_their_hash_alone() {
    let mut table = filled(20_000);
    for i in (0..20_000u64).step_by(7) {
        let wanted = key(i);
        let mut asked = 0;
        let found = table.find_mut_by_hash(hash(&wanted), |(key, _)| {
            asked += 1;
            key == wanted
        });
        found.expect("the element is there").remove();
        assert!(asked <= 3, "nearly all others are ruled out unasked");
        assert!(table.find_mut_by_hash(hash(&wanted), |(key, _)| key == wanted).is_none());
    }
    table.debug_validate();
}
