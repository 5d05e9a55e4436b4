//! Buckets and their chains: one cache line of tags and pointers, and what hangs off it.
//!
//! ```text
//!   byte      0     1     2     3     4     5     6     7        8 … 15        …   56 … 63
//!          ┌─────┬─────┬─────┬─────┬─────┬─────┬─────┬───────┬─────────────┬───┬─────────────┐
//!          │ t0  │ t1  │ t2  │ t3  │ t4  │ t5  │ t6  │ flags │   slot 0    │ … │   slot 6    │
//!          └─────┴─────┴─────┴─────┴─────┴─────┴─────┴───────┴─────────────┴───┴─────────────┘
//!           └──────────────── meta, one u64 ────────────────┘
//!
//!   tag    0 the slot is free;  1 the slot holds no element (the link, or beyond a short bucket's end);
//!          2–255 the top byte of the element's hash (0 and 1 stand as 2 and 3)
//!   flags  bit 7: chained, slot 6 is the link;  bits 0–6: the element in that slot is marked
//!
//!   slot   63          48 47                                             0
//!          ┌─────────────┬───────────────────────────────────────────────┐
//!          │ hash 8..=23 │ address of the element                        │
//!          └─────────────┴───────────────────────────────────────────────┘
//! ```
//!
//!   link   63          48 47                                             0
//!          ┌─────────────┬───────────────────────────────────────────────┐
//!          │   filter    │ address of the next bucket                    │
//!          └─────────────┴───────────────────────────────────────────────┘
//!
//! A head holds seven elements. With the eighth, the last slot becomes a link to an overflow bucket: first a
//! *short* one of 32 bytes and three slots, then a full one of seven. A chain that needs more gets each new
//! bucket right behind the head:
//!
//! ```text
//!   8 elements            13 elements            15 elements
//!   xxxxxx→xx.            xxxxxx→xxxxxxx         xxxxxx→xx....→xxxxxxx
//! ```
//!
//! The link's filter has bit `tag % 16` set for each element in the buckets behind. A lookup of a key that is not in
//! the table stops at the head unless the filter has its bit, which of the chains with overflow two in three have not;
//! and one branch on one line decides whether to go on.
//!
//! # Invariants of a chain
//!
//! - Every bucket but the first overflow bucket is full, so that a chain is never longer than it must be, and
//!   adding or removing an element touches the head and the first overflow bucket alone.
//! - A bucket is chained if and only if it has a successor; the last one is not chained. Only a sole overflow
//!   bucket is short. The last bucket of a chain, if it is an overflow bucket, holds at least two elements.
//! - The filter of a link covers all that is behind it. (It may cover more.)
//! - The memory of slots whose tag is below 2 is not read, save for slot 6 of a head, which is always
//!   initialised and is the link if the head is chained.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

/// Slots of a full bucket.
pub(super) const SLOTS: usize = 7;
/// Slots of a short overflow bucket.
const SHORT_SLOTS: usize = 3;
/// The slot that holds the link of a chained bucket.
const LINK: usize = SLOTS - 1;
/// Bytes of a bucket, one cache line.
pub(super) const BUCKET_BYTES: usize = size_of::<Bucket>();

/// Bits of an element's address; the hash bits stand above them.
const ADDRESS_BITS: u32 = 48;
const ADDRESS_MASK: usize = (1 << ADDRESS_BITS) - 1;
/// The lowest hash bit that a slot keeps. Bits below it address buckets of a table that fits the caches,
/// where hashing a key again is cheap.
pub(super) const KEPT_LOW: u32 = 8;
/// One past the highest hash bit that a slot keeps.
pub(super) const KEPT_HIGH: u32 = KEPT_LOW + 16;

/// What a bucket keeps of an element's hash.
#[derive(Clone, Copy)]
pub(super) struct Print {
    /// The tag in each of the seven tag bytes.
    tags: u64,
    /// Hash bits 8..=23 in the place they have in a slot.
    kept: usize,
}

impl Print {
    #[inline(always)]
    pub(super) fn of(hash: u64) -> Self {
        let top = hash >> 56;
        let tag = if top < 2 { top + 2 } else { top };
        Self { tags: tag * Meta::EACH_TAG, kept: ((hash >> KEPT_LOW) as usize & 0xffff) << ADDRESS_BITS }
    }

    #[inline(always)]
    fn tag(self) -> u8 {
        self.tags as u8
    }
}

/// Which tags there may be behind a link: see the picture above.
#[derive(Clone, Copy)]
struct Filter(u16);

impl Filter {
    const NONE: Self = Self(0);
    const ALL: Self = Self(u16::MAX);

    #[inline(always)]
    fn with(self, tag: u8) -> Self {
        Self(self.0 | 1 << (tag % 16))
    }
}

/// One element as it stands in a slot: tag, mark, kept hash bits and address.
#[derive(Clone, Copy)]
pub(super) struct Item {
    tag: u8,
    pub(super) marked: bool,
    word: *mut u8,
}

impl Item {
    /// # Panics
    ///
    /// When the address needs more than 48 bits, which no user-space allocation of today's systems does unless
    /// it asks to.
    #[inline]
    pub(super) fn new(raw: NonNull<u8>, print: Print, marked: bool) -> Self {
        assert!(raw.addr().get() <= ADDRESS_MASK, "an element lies beyond the 48-bit address space");
        Self { tag: print.tag(), marked, word: raw.as_ptr().map_addr(|a| a | print.kept) }
    }

    /// The element's pointer.
    #[inline(always)]
    pub(super) fn raw(self) -> NonNull<u8> {
        unpack(self.word)
    }

    /// Bit `bit` of the element's hash, which must be one of those kept.
    #[inline(always)]
    pub(super) fn kept_bit(self, bit: u32) -> bool {
        debug_assert!((KEPT_LOW..KEPT_HIGH).contains(&bit));
        self.word.addr() >> (ADDRESS_BITS + bit - KEPT_LOW) & 1 != 0
    }
}

#[inline(always)]
fn unpack(word: *mut u8) -> NonNull<u8> {
    // SAFETY: words are made from non-null pointers whose address lies within the mask.
    unsafe { NonNull::new_unchecked(word.map_addr(|a| a & ADDRESS_MASK)) }
}

/// The tags and flags of a bucket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub(super) struct Meta(u64);

impl Meta {
    const EACH_TAG: u64 = 0x0001_0101_0101_0101;
    const TOPS: u64 = 0x80 * Self::EACH_TAG;
    /// The top bit, which [`behind`] tests together with a filter.
    const CHAINED: u64 = 1 << 63;

    /// A bucket of seven free slots.
    const EMPTY: Self = Self(0);
    /// A short bucket of three free slots: the other four hold no element.
    const EMPTY_SHORT: Self = Self(Self::EACH_TAG & !0xff_ffff);

    /// The slots whose tag byte in `bytes` is zero. No carry crosses a byte, so the answer is exact.
    #[inline(always)]
    fn zero_bytes(bytes: u64) -> SlotSet {
        let low7 = bytes & (0x7f * Self::EACH_TAG);
        SlotSet(!((low7 + 0x7f * Self::EACH_TAG) | bytes) & Self::TOPS)
    }

    #[inline(always)]
    fn matching(self, print: Print) -> SlotSet {
        Self::zero_bytes(self.0 ^ print.tags)
    }

    #[inline(always)]
    fn free(self) -> SlotSet {
        Self::zero_bytes(self.0)
    }

    /// The slots that hold an element: those whose tag is neither 0 nor 1.
    #[inline(always)]
    pub(super) fn occupied(self) -> SlotSet {
        SlotSet(Self::zero_bytes(self.0 & (0xfe * Self::EACH_TAG)).0 ^ Self::TOPS)
    }

    #[inline(always)]
    pub(super) fn chained(self) -> bool {
        self.0 & Self::CHAINED != 0
    }

    #[inline(always)]
    fn short(self) -> bool {
        self.0 >> (8 * SHORT_SLOTS) & 0xff == 1
    }

    /// The slots whose element is marked.
    #[inline(always)]
    pub(super) fn marked_slots(self) -> SlotSet {
        // The seven marks are copied to every byte; of each copy the bit of that byte's slot is kept, and moved to its
        // top by a carry.
        let marks = (self.0 >> 56 & 0x7f) * Self::EACH_TAG;
        SlotSet(((marks & 0x0040_2010_0804_0201) + 0x7f * Self::EACH_TAG) & Self::TOPS)
    }

    #[inline(always)]
    pub(super) fn marked(self, slot: usize) -> bool {
        self.0 >> (56 + slot) & 1 != 0
    }

    #[inline(always)]
    fn tag(self, slot: usize) -> u8 {
        (self.0 >> (8 * slot)) as u8
    }

    /// With `tag` and `marked` in `slot`, whatever it held.
    #[inline(always)]
    fn with(self, slot: usize, tag: u8, marked: bool) -> Self {
        let cleared = self.0 & !(0xff << (8 * slot) | 1 << (56 + slot));
        Self(cleared | u64::from(tag) << (8 * slot) | u64::from(marked) << (56 + slot))
    }
}

/// A set of slots, one bit (the top one) in each slot's byte.
#[derive(Clone, Copy)]
pub(super) struct SlotSet(u64);

impl SlotSet {
    pub(super) const NONE: Self = Self(0);

    #[inline(always)]
    pub(super) fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    #[inline(always)]
    fn last(self) -> Option<usize> {
        self.0.checked_ilog2().map(|bit| bit as usize / 8)
    }
}

impl Iterator for SlotSet {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let slot = self.0.trailing_zeros() as usize / 8;
        self.0 &= self.0 - 1;
        Some(slot)
    }
}

/// A bucket of the array: a cache line.
#[repr(C, align(64))]
pub(super) struct Bucket(Body);

/// The fields of a bucket. A short one is the first half of this, and less aligned.
#[repr(C)]
struct Body {
    meta: Meta,
    slots: [*mut u8; SLOTS],
}

/// A pointer to a bucket that may be short, with the accesses the invariants above allow.
///
/// The methods are unsafe for one reason, said here once:
///
/// # Safety
///
/// - The bucket is allocated and initialised, and belongs to the table that the caller has borrowed; mutably,
///   for the methods that write.
/// - A slot that is read holds an element; the link is read of chained buckets only.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct BucketPtr(*mut Body);

impl BucketPtr {
    pub(super) const NULL: Self = Self(std::ptr::null_mut());

    #[inline(always)]
    pub(super) fn new(bucket: *mut Bucket) -> Self {
        Self(bucket.cast())
    }

    /// Makes uninitialised memory of a full bucket an empty head.
    #[inline(always)]
    pub(super) unsafe fn init(self) {
        // SAFETY: the caller's contract.
        unsafe {
            (&raw mut (*self.0).meta).write(Meta::EMPTY);
            self.set_word(LINK, std::ptr::null_mut());
        }
    }

    #[inline(always)]
    pub(super) unsafe fn meta(self) -> Meta {
        // SAFETY: the caller's contract.
        unsafe { (*self.0).meta }
    }

    #[inline(always)]
    unsafe fn set_meta(self, meta: Meta) {
        // SAFETY: the caller's contract.
        unsafe { (*self.0).meta = meta }
    }

    #[inline(always)]
    unsafe fn word(self, slot: usize) -> *mut u8 {
        debug_assert!(slot < SLOTS);
        // SAFETY: the caller's contract; the slot lies within the array.
        unsafe { *(&raw const (*self.0).slots).cast::<*mut u8>().add(slot) }
    }

    #[inline(always)]
    unsafe fn set_word(self, slot: usize, word: *mut u8) {
        debug_assert!(slot < SLOTS);
        // SAFETY: the caller's contract; the slot lies within the array.
        unsafe { *(&raw mut (*self.0).slots).cast::<*mut u8>().add(slot) = word }
    }

    /// The element in an occupied slot.
    #[inline(always)]
    pub(super) unsafe fn raw(self, slot: usize) -> NonNull<u8> {
        // SAFETY: the caller's contract.
        unpack(unsafe { self.word(slot) })
    }

    /// Replaces the pointer to the element, keeping what the slot says of its hash.
    pub(super) unsafe fn set_raw(self, slot: usize, raw: NonNull<u8>) {
        assert!(raw.addr().get() <= ADDRESS_MASK, "an element lies beyond the 48-bit address space");
        // SAFETY: the caller's contract.
        unsafe {
            let kept = self.word(slot).addr() & !ADDRESS_MASK;
            self.set_word(slot, raw.as_ptr().map_addr(|a| a | kept));
        }
    }

    /// What the slot keeps of its element's hash is what `print` says.
    pub(super) unsafe fn agrees(self, slot: usize, print: Print) -> bool {
        // SAFETY: the caller's contract.
        unsafe {
            self.meta().tag(slot) == print.tag() && self.word(slot).addr() & !ADDRESS_MASK == print.kept
        }
    }

    pub(super) unsafe fn set_mark(self, slot: usize, marked: bool) {
        // SAFETY: the caller's contract.
        unsafe {
            let meta = self.meta();
            self.set_meta(meta.with(slot, meta.tag(slot), marked));
        }
    }

    #[inline(always)]
    unsafe fn item(self, slot: usize) -> Item {
        // SAFETY: the caller's contract.
        unsafe {
            let meta = self.meta();
            Item { tag: meta.tag(slot), marked: meta.marked(slot), word: self.word(slot) }
        }
    }

    #[inline(always)]
    unsafe fn put(self, slot: usize, item: Item) {
        // SAFETY: the caller's contract.
        unsafe {
            self.set_meta(self.meta().with(slot, item.tag, item.marked));
            self.set_word(slot, item.word);
        }
    }

    #[inline(always)]
    unsafe fn vacate(self, slot: usize) {
        // SAFETY: the caller's contract.
        unsafe { self.set_meta(self.meta().with(slot, 0, false)) }
    }

    /// The next bucket of the chain.
    #[inline(always)]
    pub(super) unsafe fn next(self) -> Option<Self> {
        // SAFETY: the caller's contract; the link is read only if the bucket is chained.
        unsafe { self.meta().chained().then(|| Self::linked_by(self.word(LINK))) }
    }

    #[inline(always)]
    fn linked_by(link: *mut u8) -> Self {
        Self(link.map_addr(|a| a & ADDRESS_MASK).cast())
    }

    /// The filter of the link of a chained bucket.
    unsafe fn filter(self) -> Filter {
        // SAFETY: the caller's contract.
        Filter((unsafe { self.word(LINK) }.addr() >> ADDRESS_BITS) as u16)
    }

    /// The filter that a link to this bucket needs.
    unsafe fn filter_for(self) -> Filter {
        // SAFETY: the caller's contract.
        let meta = unsafe { self.meta() };
        if meta.chained() {
            return Filter::ALL;
        }
        meta.occupied().fold(Filter::NONE, |filter, slot| filter.with(meta.tag(slot)))
    }

    unsafe fn set_next(self, next: Self, filter: Filter) {
        // SAFETY: the caller's contract.
        unsafe {
            self.set_meta(Meta(self.meta().with(LINK, 1, false).0 | Meta::CHAINED));
            self.set_word(LINK, next.0.cast::<u8>().map_addr(|a| a | usize::from(filter.0) << ADDRESS_BITS));
        }
    }

    /// Makes the bucket the last of its chain; the link's slot becomes free.
    unsafe fn set_last(self) {
        // SAFETY: the caller's contract.
        unsafe { self.set_meta(Meta(self.meta().with(LINK, 0, false).0 & !Meta::CHAINED)) }
    }

    /// Asks for the line to be fetched.
    #[inline(always)]
    pub(super) fn prefetch(self) {
        super::prefetch(self.0.cast());
    }
}

/// The place of an element: its bucket and its slot.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) bucket: BucketPtr,
    pub(super) slot: usize,
}

/// Looks through the chain of `head` for the element whose print matches and of which `same` is true.
///
/// # Safety
///
/// As for [`BucketPtr`].
#[inline(always)]
pub(super) unsafe fn find(
    head: BucketPtr,
    print: Print,
    mut same: impl FnMut(NonNull<u8>) -> bool,
) -> Option<Place> {
    // SAFETY: the chain's buckets belong to the table.
    unsafe {
        if let Some(place) = find_within(head, print, &mut same) {
            return Some(place);
        }
        let mut bucket = behind(head, print)?;
        loop {
            if let Some(place) = find_within(bucket, print, &mut same) {
                return Some(place);
            }
            bucket = bucket.next()?;
        }
    }
}

/// Looks through one bucket, as [`find`] does.
///
/// # Safety
///
/// As for [`BucketPtr`].
#[inline(always)]
unsafe fn find_within(
    bucket: BucketPtr,
    print: Print,
    same: &mut impl FnMut(NonNull<u8>) -> bool,
) -> Option<Place> {
    // SAFETY: matching slots are occupied, since no print has a tag below 2.
    unsafe {
        bucket.meta().matching(print).find_map(|slot| {
            let word = bucket.word(slot);
            // The kept bits rule out most of what is left, without a look at the element.
            let found = word.addr() ^ print.kept <= ADDRESS_MASK && same(unpack(word));
            found.then_some(Place { bucket, slot })
        })
    }
}

/// The first overflow bucket of `head`, if an element with this print may be in it or further on.
///
/// # Safety
///
/// As for [`BucketPtr`]; `head` is a head.
#[inline(always)]
unsafe fn behind(head: BucketPtr, print: Print) -> Option<BucketPtr> {
    // SAFETY: a head's last slot is always initialised. It is read whether it is a link or not, because one branch
    // that is rarely taken is cheaper than two of which the first cannot be predicted.
    unsafe {
        let link = head.word(LINK);
        let admitted = link.addr() as u64 >> ADDRESS_BITS >> (print.tag() % 16);
        let worth_it = head.meta().0 & Meta::CHAINED & admitted << 63;
        (worth_it != 0).then(|| BucketPtr::linked_by(link))
    }
}

/// What a lookup for `print` will read next after the bucket `head`: the element that it would compare first,
/// or else the next bucket, if there is reason to look there.
///
/// # Safety
///
/// As for [`BucketPtr`]; `head` is a head.
#[inline(always)]
pub(super) unsafe fn read_next(head: BucketPtr, print: Print) -> Option<*const u8> {
    // SAFETY: the caller's contract.
    unsafe {
        match head.meta().matching(print).next() {
            Some(slot) => Some(head.raw(slot).as_ptr()),
            None => behind(head, print).map(|bucket| bucket.0.cast_const().cast()),
        }
    }
}

/// Asks for the line that is read after the bucket `head` by who reads the whole chain.
///
/// # Safety
///
/// As for [`BucketPtr`].
#[inline(always)]
pub(super) unsafe fn prefetch_behind(head: BucketPtr) {
    // SAFETY: the caller's contract.
    if let Some(next) = unsafe { head.next() } {
        next.prefetch();
    }
}

/// The allocator of overflow buckets, which counts what it gave.
pub(super) struct Overflow {
    bytes: usize,
}

impl Overflow {
    pub(super) const fn new() -> Self {
        Self { bytes: 0 }
    }

    /// Bytes of the overflow buckets in use.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    fn layout(meta: Meta) -> Layout {
        let bytes = if meta.short() { BUCKET_BYTES / 2 } else { BUCKET_BYTES };
        // SAFETY: both sizes are powers of two and far from the address space's end.
        unsafe { Layout::from_size_align_unchecked(bytes, bytes) }
    }

    /// An empty bucket: short or full, as `meta` is.
    fn make(&mut self, meta: Meta) -> BucketPtr {
        let layout = Self::layout(meta);
        // SAFETY: the layout's size is not zero.
        let memory = unsafe { alloc(layout) };
        if memory.is_null() {
            handle_alloc_error(layout);
        }
        self.bytes += layout.size();
        let bucket = BucketPtr(memory.cast());
        // SAFETY: the memory holds at least the meta word, properly aligned.
        unsafe { (&raw mut (*bucket.0).meta).write(meta) };
        bucket
    }

    /// # Safety
    ///
    /// - `bucket` came from `make` and nothing refers to it any more.
    unsafe fn free(&mut self, bucket: BucketPtr) {
        // SAFETY: the caller's contract; whether a bucket is short never changes in its life.
        unsafe {
            let layout = Self::layout(bucket.meta());
            self.bytes -= layout.size();
            dealloc(bucket.0.cast(), layout);
        }
    }
}

/// Adds an element to the chain of `head` and says where.
///
/// # Safety
///
/// As for [`BucketPtr`]; the overflow buckets of the chain are those of `overflow`.
#[inline]
pub(super) unsafe fn push(head: BucketPtr, item: Item, overflow: &mut Overflow) -> Place {
    // SAFETY: the caller's contract.
    unsafe {
        match head.meta().free().next() {
            Some(slot) => {
                head.put(slot, item);
                Place { bucket: head, slot }
            }
            None => push_behind(head, item, overflow),
        }
    }
}

/// [`push`] for a head without a free slot.
///
/// # Safety
///
/// As for [`push`].
unsafe fn push_behind(head: BucketPtr, item: Item, overflow: &mut Overflow) -> Place {
    // SAFETY: the caller's contract; new buckets are linked in only when they are whole.
    unsafe {
        let Some(first) = head.next() else {
            // The eighth element: the seventh moves out to make room for the link.
            let short = overflow.make(Meta::EMPTY_SHORT);
            short.put(0, head.item(LINK));
            short.put(1, item);
            head.set_next(short, short.filter_for());
            return Place { bucket: short, slot: 1 };
        };
        let meta = first.meta();
        let filter = head.filter().with(item.tag);
        if let Some(slot) = meta.free().next() {
            first.put(slot, item);
            head.set_next(first, filter);
            return Place { bucket: first, slot };
        }
        let fresh = overflow.make(Meta::EMPTY);
        let slot = if meta.short() {
            for slot in 0..SHORT_SLOTS {
                fresh.put(slot, first.item(slot));
            }
            overflow.free(first);
            SHORT_SLOTS
        } else {
            fresh.set_next(first, Filter::ALL);
            0
        };
        fresh.put(slot, item);
        head.set_next(fresh, filter);
        Place { bucket: fresh, slot }
    }
}

/// Takes the element at `place` out of the chain of `head`. Another element may move into its slot.
///
/// # Safety
///
/// As for [`push`]; `place` is an occupied slot of this chain.
#[inline]
pub(super) unsafe fn take(head: BucketPtr, place: Place, overflow: &mut Overflow) -> Item {
    // SAFETY: the caller's contract.
    unsafe {
        let item = place.bucket.item(place.slot);
        match head.next() {
            None => head.vacate(place.slot),
            Some(first) => take_chained(head, first, place, overflow),
        }
        item
    }
}

/// Empties the slot at `place` in a chain with overflow buckets, of which `first` is the first.
///
/// # Safety
///
/// As for [`take`].
unsafe fn take_chained(head: BucketPtr, first: BucketPtr, place: Place, overflow: &mut Overflow) {
    // SAFETY: the caller's contract; no bucket is used after it is freed.
    unsafe {
        // The hole is to be in the first overflow bucket, where alone one may be.
        let hole = match first.meta().occupied().last() {
            Some(donor) if place.bucket != first => {
                place.bucket.put(place.slot, first.item(donor));
                donor
            }
            _ => place.slot,
        };
        first.vacate(hole);

        let meta = first.meta();
        let mut left = meta.occupied();
        match (meta.chained(), left.len()) {
            (true, 0) => {
                let next = BucketPtr::linked_by(first.word(LINK));
                head.set_next(next, next.filter_for());
            }
            (false, 1) => {
                let only = left.next().map(|slot| first.item(slot));
                head.set_last();
                if let Some(only) = only {
                    head.put(LINK, only);
                }
            }
            (false, 2) if !meta.short() => {
                let short = overflow.make(Meta::EMPTY_SHORT);
                for (to, from) in left.enumerate() {
                    short.put(to, first.item(from));
                }
                head.set_next(short, short.filter_for());
            }
            _ => {
                head.set_next(first, first.filter_for());
                return;
            }
        }
        overflow.free(first);
    }
}

/// Takes all elements out of the chain of `head`, which is left empty, and hands each to `each`. The overflow
/// buckets are freed. `each` may add to any chain, this one included.
///
/// # Safety
///
/// As for [`push`]. (Should `each` panic, the elements not yet handed over are leaked and nothing dangles.)
#[inline]
pub(super) unsafe fn empty_chain(
    head: BucketPtr,
    overflow: &mut Overflow,
    mut each: impl FnMut(Item, &mut Overflow),
) {
    // SAFETY: the caller's contract. The bucket is copied and reset before an element of it goes anywhere; the
    // copy reads only slots that are occupied, and the link of a chained bucket.
    unsafe {
        let mut items = [Item { tag: 0, marked: false, word: std::ptr::null_mut() }; SLOTS];
        let mut bucket = head;
        loop {
            let mut count = 0;
            for slot in bucket.meta().occupied() {
                items[count] = bucket.item(slot);
                count += 1;
            }
            let next = bucket.next();
            if bucket == head {
                head.init();
            } else {
                overflow.free(bucket);
            }
            for item in &items[..count] {
                each(*item, overflow);
            }
            match next {
                Some(next) => bucket = next,
                None => return,
            }
        }
    }
}

/// Shows each element of the chain of `head`, with its mark.
///
/// # Safety
///
/// As for [`BucketPtr`].
#[inline]
pub(super) unsafe fn each_in_chain(head: BucketPtr, mut each: impl FnMut(NonNull<u8>, bool)) {
    let mut bucket = head;
    // SAFETY: the caller's contract.
    unsafe {
        loop {
            let meta = bucket.meta();
            for slot in meta.occupied() {
                each(bucket.raw(slot), meta.marked(slot));
            }
            match bucket.next() {
                Some(next) => bucket = next,
                None => return,
            }
        }
    }
}

/// Elements in the chain of `head`, of those in the slots that `of` chooses.
///
/// # Safety
///
/// As for [`BucketPtr`].
#[inline(always)]
pub(super) unsafe fn count(head: BucketPtr, of: impl Fn(Meta) -> SlotSet) -> usize {
    let mut bucket = head;
    let mut sum = 0;
    // SAFETY: the caller's contract.
    unsafe {
        loop {
            sum += of(bucket.meta()).len();
            match bucket.next() {
                Some(next) => bucket = next,
                None => return sum,
            }
        }
    }
}

/// Asks for the first lines of the elements in the bucket `head`, without its overflow.
///
/// # Safety
///
/// As for [`BucketPtr`].
#[inline]
pub(super) unsafe fn prefetch_elements(head: BucketPtr) {
    // SAFETY: the caller's contract.
    unsafe {
        for slot in head.meta().occupied() {
            super::prefetch(head.raw(slot).as_ptr());
        }
    }
}

/// What a chain looks like, for statistics and for the checker.
#[derive(Default)]
pub(super) struct ChainShape {
    pub(super) elements: usize,
    pub(super) marked: usize,
    pub(super) full_overflow: usize,
    pub(super) short_overflow: usize,
}

/// Counts a chain and asserts its invariants.
///
/// # Safety
///
/// As for [`BucketPtr`].
pub(super) unsafe fn inspect(head: BucketPtr) -> ChainShape {
    let mut shape = ChainShape::default();
    let mut bucket = head;
    let mut position = 0;
    let mut admitted = Filter::ALL.0;
    // SAFETY: the caller's contract.
    unsafe {
        loop {
            let meta = bucket.meta();
            let occupied = meta.occupied();
            for slot in occupied {
                assert!(admitted >> (meta.tag(slot) % 16) & 1 != 0, "a filter hides an element");
            }
            for slot in 0..SLOTS {
                let absent = meta.tag(slot) < 2;
                assert!(!(absent && meta.marked(slot)), "a slot without an element is marked");
            }
            shape.elements += occupied.len();
            shape.marked += meta.marked_slots().len();
            match position {
                0 => {}
                _ if meta.short() => shape.short_overflow += 1,
                _ => shape.full_overflow += 1,
            }
            assert!(position == 1 || !meta.short(), "a short bucket is not the first overflow bucket");
            assert!(!(meta.short() && meta.chained()), "a short bucket has a successor");
            if position != 1 && (meta.chained() || position > 1) {
                assert_eq!(meta.free().len(), 0, "a bucket that must be full is not");
            }
            if position > 0 && !meta.chained() {
                assert!(occupied.len() >= 2, "an overflow bucket that is not needed");
            }
            let Some(next) = bucket.next() else { return shape };
            admitted &= bucket.filter().0;
            bucket = next;
            position += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The set operations against a walk over the bytes, for tags around every boundary of the arithmetic.
    #[test]
    fn slot_sets_are_exact() {
        let tags = [0u8, 1, 2, 3, 0x7e, 0x7f, 0x80, 0x81, 0xfe, 0xff];
        let mut state = 1u64;
        for _ in 0..20_000 {
            let bytes: [u8; 8] = std::array::from_fn(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                tags[(state >> 33) as usize % tags.len()]
            });
            let meta = Meta(u64::from_le_bytes(bytes));
            let slots = |wanted: &dyn Fn(u8) -> bool| -> Vec<usize> {
                (0..SLOTS).filter(|&slot| wanted(bytes[slot])).collect()
            };
            assert_eq!(meta.free().collect::<Vec<_>>(), slots(&|tag| tag == 0));
            assert_eq!(meta.occupied().collect::<Vec<_>>(), slots(&|tag| tag >= 2));
            let marked: Vec<usize> = (0..SLOTS).filter(|&slot| meta.marked(slot)).collect();
            assert_eq!(meta.marked_slots().collect::<Vec<_>>(), marked);
            for top in 0..=255u8 {
                let print = Print::of(u64::from(top) << 56);
                assert_eq!(meta.matching(print).collect::<Vec<_>>(), slots(&|tag| tag == print.tag()));
                assert!(print.tag() >= 2);
            }
        }
    }

    #[test]
    fn an_item_keeps_the_hash_bits_and_the_address() {
        let target = Box::new(0u8);
        let raw = NonNull::from(&*target);
        for hash in [0, u64::MAX, 0x0123_4567_89ab_cdef, 0x00ff_ff00] {
            let item = Item::new(raw, Print::of(hash), true);
            assert_eq!(item.raw(), raw);
            for bit in KEPT_LOW..KEPT_HIGH {
                assert_eq!(item.kept_bit(bit), hash >> bit & 1 != 0);
            }
        }
    }
}
