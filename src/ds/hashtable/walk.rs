//! Ways through a table: SCAN, iteration, random elements, statistics.

use super::bucket::{self, BUCKET_BYTES, BucketPtr, ChainShape, Meta, Place, SlotSet};
use super::storage::SEGMENT;
use super::{Element, ElementRef, HashTable};
use std::iter::FusedIterator;

/// Draws that [`HashTable::random`] makes, each of [`DRAWN_AT_ONCE`] buckets, before it takes the next bucket that
/// has something.
const RANDOM_DRAWS: usize = 32;
/// Draws that [`HashTable::random_marked`] makes before it counts instead.
const RANDOM_MARKED_DRAWS: usize = 8;
/// Buckets drawn together, so that their lines are fetched together. One in four or five is kept.
const DRAWN_AT_ONCE: usize = 4;

impl<E: Element> HashTable<E> {
    /// Shows the elements of one bucket and gives the cursor of the next; 0 begins a scan, and ends it.
    ///
    /// Every element that is in the table from the beginning of a scan to its end is shown at least once,
    /// whatever happens to the table in between. An element may be shown again if buckets were merged. Any value is
    /// a valid cursor.
    ///
    /// # Why that is so
    ///
    /// Read a hash backwards, lowest bit first, as a binary fraction: a position in the interval from 0 to 1. A
    /// bucket that is addressed with `d` bits has all elements whose hash ends in these bits, and they are an
    /// interval of length `2^-d`. So the buckets of a table, at any moment, divide the interval among them;
    /// splitting a bucket cuts its piece in half, merging joins the halves, and no element ever changes its position.
    ///
    /// ```text
    ///    5 buckets (level 2, next 1), left to right:
    ///    0                                   1/2                                    1
    ///    ├─────────┬─────────┬─────────────────┼─────────────────┬─────────────────┤
    ///    │ …000: 0 │ …100: 4 │     …10: 2      │     …01: 1      │     …11: 3      │
    /// ```
    ///
    /// A cursor is a position, again with its bits backwards. A step shows the bucket whose piece the position is
    /// in, as the table is at that moment, and gives the end of that piece. What lies before the position
    /// has been shown, in a bucket as large as it was then; what lies behind it will be. (Pieter Noordhuis found
    /// this order for the power-of-two tables of Redis; linear hashing needs no second table to be looked into.)
    pub fn scan(&self, cursor: u64, mut f: impl FnMut(ElementRef<'_, E>)) -> u64 {
        if self.buckets == 0 {
            return 0;
        }
        let (index, mask) = self.bucket_of_cursor(cursor);
        // The end of the piece: add one to the lowest of the bits that count, with all backwards.
        let next = (cursor | !mask).reverse_bits().wrapping_add(1).reverse_bits();
        // SAFETY: the buckets are in use, and the places of elements in them.
        unsafe {
            self.head(self.bucket_of_cursor(next).0).prefetch();
            let head = self.head(index);
            bucket::prefetch_elements(head);
            self.each_place(head, Meta::occupied, |place| f(self.element_at(place)));
        }
        next
    }

    /// The bucket in whose piece a cursor is, and a mask of the hash bits that it is addressed with.
    fn bucket_of_cursor(&self, cursor: u64) -> (usize, u64) {
        let high = u64::from(self.mask);
        let low = high >> 1;
        let next_split = u64::from(self.buckets) - (low + 1);
        // Those that were split have their other half, and so one bit more.
        let mask = if cursor & low < next_split { high } else { low };
        ((cursor & mask) as usize, mask)
    }

    /// Shows marked elements in up to `max_buckets` buckets and gives the cursor to go on with; 0 begins, and
    /// ends.
    ///
    /// This goes through the table in the order of memory. It does not touch elements that are not marked, and
    /// passes over 1,024 buckets at once when none of theirs is. The order gives less than [`Self::scan`]: while
    /// the table only grows, an element that is marked throughout is shown at least once; when buckets are
    /// merged, one may be missed until the next round.
    pub fn scan_marked(&self, cursor: u64, max_buckets: usize, mut f: impl FnMut(ElementRef<'_, E>)) -> u64 {
        let buckets = self.buckets as usize;
        let mut index = usize::try_from(cursor).unwrap_or(usize::MAX);
        for _ in 0..max_buckets {
            if index >= buckets {
                return 0;
            }
            if self.storage.marked_around(index, self.marked) == 0 {
                index = (index / SEGMENT + 1) * SEGMENT;
                continue;
            }
            // SAFETY: the bucket is in use.
            unsafe {
                self.each_place(self.head(index), Meta::marked_slots, |place| f(self.element_at(place)))
            };
            index += 1;
        }
        if index < buckets { index as u64 } else { 0 }
    }

    /// All elements, in no order.
    pub fn iter(&self) -> Iter<'_, E> {
        Iter { table: self, next: 0, bucket: BucketPtr::NULL, slots: SlotSet::NONE, left: self.len() }
    }

    /// An element chosen at random, each with the same probability.
    ///
    /// A bucket is drawn, then one of so many places as few buckets have elements; if the bucket has no element in
    /// that place, both are drawn again. So a full bucket is kept more often than an emptier one, as it should
    /// be. In the buckets with still more elements, about one in a thousand, those that are too many share the last
    /// place. A table that is nearly empty, which only [`ResizePolicy::Forbid`] or a reservation leaves, is searched
    /// from a random bucket on instead, which favours elements after gaps.
    ///
    /// [`ResizePolicy::Forbid`]: super::ResizePolicy::Forbid
    pub fn random(&self, rng: &mut impl FnMut() -> u64) -> Option<ElementRef<'_, E>> {
        if self.is_empty() {
            return None;
        }
        if let Some(drawn) = self.draw(rng, RANDOM_DRAWS, Meta::occupied) {
            return Some(drawn);
        }
        let start = self.random_index(rng);
        self.indexes_from(start).find_map(|index| {
            // SAFETY: the index is of a bucket in use.
            let head = unsafe { self.head(index) };
            // SAFETY: likewise.
            let count = unsafe { bucket::count(head, Meta::occupied) };
            if count == 0 { None } else { self.nth(head, below(rng, count), Meta::occupied) }
        })
    }

    /// A marked element chosen at random, each with the same probability.
    ///
    /// Buckets are drawn as [`Self::random`] does. If few elements are marked the draws come to nothing; then a
    /// number is drawn instead, and the marked element of that number found by counting: segments first, then
    /// within one segment. That reads 16 bytes for each 1,024 buckets, and up to 64 KiB of one segment.
    pub fn random_marked(&self, rng: &mut impl FnMut() -> u64) -> Option<ElementRef<'_, E>> {
        if self.marked_len() == 0 {
            return None;
        }
        if let Some(drawn) = self.draw(rng, RANDOM_MARKED_DRAWS, Meta::marked_slots) {
            return Some(drawn);
        }
        self.nth_marked(below(rng, self.marked))
    }

    /// Draws buckets and places, as [`Self::random`] says, among the elements in the slots that `of` chooses.
    fn draw(
        &self,
        rng: &mut impl FnMut() -> u64,
        draws: usize,
        of: impl Fn(Meta) -> SlotSet,
    ) -> Option<ElementRef<'_, E>> {
        let places = self.places_drawn();
        for _ in 0..draws {
            for head in self.random_heads(rng) {
                let place = below(rng, places);
                if let Some(found) = self.nth(head, place, &of) {
                    if place < places - 1 {
                        return Some(found);
                    }
                    // SAFETY: `head` is a bucket of this table.
                    let too_many = unsafe { bucket::count(head, &of) } - place;
                    return self.nth(head, place + below(rng, too_many), &of);
                }
            }
        }
        None
    }

    /// Shows up to `count` elements that lie together, from a random bucket on; says how many.
    ///
    /// Much cheaper than as many calls to [`Self::random`], and good enough to choose what to evict: which keys are
    /// neighbours is up to the hash. Distinct elements are shown, each at most once.
    pub fn sample(
        &self,
        rng: &mut impl FnMut() -> u64,
        count: usize,
        mut f: impl FnMut(ElementRef<'_, E>),
    ) -> usize {
        let mut shown = 0;
        if self.is_empty() {
            return 0;
        }
        for index in self.indexes_from(self.random_index(rng)) {
            if shown == count {
                break;
            }
            // SAFETY: the index is of a bucket in use, and the places of elements in it.
            unsafe {
                self.each_place(self.head(index), Meta::occupied, |place| {
                    if shown < count {
                        shown += 1;
                        f(self.element_at(place));
                    }
                });
            }
        }
        shown
    }

    /// [`Self::sample`] of marked elements. Segments without one are passed over.
    pub fn sample_marked(
        &self,
        rng: &mut impl FnMut() -> u64,
        count: usize,
        mut f: impl FnMut(ElementRef<'_, E>),
    ) -> usize {
        let mut shown = 0;
        if self.marked_len() == 0 {
            return 0;
        }
        let buckets = self.buckets as usize;
        let start = self.random_index(rng);
        // From the start to the end, then from 0 to the start.
        for (mut index, end) in [(start, buckets), (0, start)] {
            while index < end && shown < count {
                if self.storage.marked_around(index, self.marked) == 0 {
                    index = (index / SEGMENT + 1) * SEGMENT;
                    continue;
                }
                // SAFETY: the index is of a bucket in use, and the places of elements in it.
                unsafe {
                    self.each_place(self.head(index), Meta::marked_slots, |place| {
                        if shown < count {
                            shown += 1;
                            f(self.element_at(place));
                        }
                    });
                }
                index += 1;
            }
        }
        shown
    }

    /// The number of places that [`Self::random`] draws from: the elements of a bucket not yet split, which has
    /// the higher mean, and three standard deviations more.
    fn places_drawn(&self) -> usize {
        let mean = self.len >> self.level();
        mean + 3 * mean.isqrt() + 3
    }

    /// A bucket chosen at random, of a table that has some.
    fn random_index(&self, rng: &mut impl FnMut() -> u64) -> usize {
        below(rng, self.buckets as usize)
    }

    /// Some buckets chosen at random, of a table that has some, on their way into the cache.
    fn random_heads(&self, rng: &mut impl FnMut() -> u64) -> [BucketPtr; DRAWN_AT_ONCE] {
        std::array::from_fn(|_| {
            // SAFETY: the index is of a bucket in use.
            let head = unsafe { self.head(self.random_index(rng)) };
            head.prefetch();
            head
        })
    }

    /// All buckets, from `start` on and around.
    fn indexes_from(&self, start: usize) -> impl Iterator<Item = usize> + use<E> {
        (start..self.buckets as usize).chain(0..start)
    }

    /// The element before which there are `n` in the chain of `head`, of those in the slots that `of` chooses.
    fn nth(&self, head: BucketPtr, mut n: usize, of: impl Fn(Meta) -> SlotSet) -> Option<ElementRef<'_, E>> {
        let mut bucket = head;
        loop {
            // SAFETY: `head` is a bucket of this table.
            let slots = of(unsafe { bucket.meta() });
            if let Some(slot) = { slots }.nth(n) {
                // SAFETY: the slot is occupied.
                return Some(unsafe { self.element_at(Place { bucket, slot }) });
            }
            n -= slots.len();
            // SAFETY: as above.
            bucket = unsafe { bucket.next() }?;
        }
    }

    /// The marked element before which there are `n`, in the order of memory.
    fn nth_marked(&self, mut n: usize) -> Option<ElementRef<'_, E>> {
        let mut index = 0;
        while index < self.buckets as usize {
            let around = self.storage.marked_around(index, self.marked);
            if n >= around {
                n -= around;
                index += SEGMENT;
                continue;
            }
            for index in index..self.buckets as usize {
                // SAFETY: the bucket is in use.
                let head = unsafe { self.head(index) };
                // SAFETY: likewise.
                let count = unsafe { bucket::count(head, Meta::marked_slots) };
                if n < count {
                    return self.nth(head, n, Meta::marked_slots);
                }
                n -= count;
            }
        }
        None
    }

    /// Shows the places of the elements in the chain of `head`, of those in the slots that `of` chooses.
    ///
    /// # Safety
    ///
    /// - `head` is a bucket of this table.
    #[inline]
    unsafe fn each_place(&self, head: BucketPtr, of: impl Fn(Meta) -> SlotSet, mut f: impl FnMut(Place)) {
        let mut bucket = head;
        // SAFETY: the caller's contract.
        unsafe {
            loop {
                of(bucket.meta()).for_each(|slot| f(Place { bucket, slot }));
                match bucket.next() {
                    Some(next) => bucket = next,
                    None => return,
                }
            }
        }
    }

    /// Counts the table. It looks at every bucket, and checks each on the way.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats { buckets: self.buckets as usize, ..Stats::default() };
        for index in 0..stats.buckets {
            // SAFETY: the bucket is in use.
            stats.add(&unsafe { bucket::inspect(self.head(index)) });
        }
        stats
    }

    /// Asserts every invariant of the table that can be seen from outside of a bucket; [`Self::stats`] asserts
    /// those within.
    ///
    /// # Panics
    ///
    /// If one does not hold.
    pub fn debug_validate(&self) {
        let stats = self.stats();
        assert_eq!(stats.elements, self.len());
        assert_eq!(stats.marked, self.marked_len());
        let overflow = BUCKET_BYTES * stats.full_overflow + BUCKET_BYTES / 2 * stats.short_overflow;
        assert_eq!(overflow, self.overflow.bytes());
        let mut segment_marks = 0;
        for index in 0..stats.buckets {
            // SAFETY: the bucket is in use, and the places of elements in it.
            unsafe {
                let head = self.head(index);
                self.each_place(head, Meta::occupied, |place| {
                    let element = self.element_at(place);
                    let hash = E::hash(element.key());
                    assert_eq!(self.index_of(hash), index, "an element is in a bucket not its own");
                    assert!(place.bucket.agrees(place.slot, bucket::Print::of(hash)));
                });
                segment_marks += bucket::count(head, Meta::marked_slots);
            }
            if (index + 1) % SEGMENT == 0 || index + 1 == stats.buckets {
                assert_eq!(segment_marks, self.storage.marked_around(index, self.marked));
                segment_marks = 0;
            }
        }
    }
}

/// A number below `bound`, which is not 0. (By multiplication; the bias is `bound` in 2^64.)
fn below(rng: &mut impl FnMut() -> u64, bound: usize) -> usize {
    ((u128::from(rng()) * bound as u128) >> 64) as usize
}

impl<'t, E: Element> IntoIterator for &'t HashTable<E> {
    type Item = ElementRef<'t, E>;
    type IntoIter = Iter<'t, E>;

    fn into_iter(self) -> Iter<'t, E> {
        self.iter()
    }
}

/// The elements of a table: see [`HashTable::iter`].
pub struct Iter<'t, E: Element> {
    table: &'t HashTable<E>,
    /// The bucket to go on with after this chain.
    next: usize,
    bucket: BucketPtr,
    slots: SlotSet,
    left: usize,
}

impl<'t, E: Element> Iterator for Iter<'t, E> {
    type Item = ElementRef<'t, E>;

    #[inline]
    fn next(&mut self) -> Option<ElementRef<'t, E>> {
        loop {
            if let Some(slot) = self.slots.next() {
                self.left -= 1;
                // SAFETY: the slot is one of those occupied.
                return Some(unsafe { self.table.element_at(Place { bucket: self.bucket, slot }) });
            }
            self.bucket = self.next_bucket()?;
            // SAFETY: the bucket is one of the table's.
            self.slots = unsafe { self.bucket.meta() }.occupied();
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<E: Element> ExactSizeIterator for Iter<'_, E> {}
impl<E: Element> FusedIterator for Iter<'_, E> {}

impl<E: Element> Iter<'_, E> {
    fn next_bucket(&mut self) -> Option<BucketPtr> {
        let buckets = self.table.buckets as usize;
        // SAFETY: the bucket, if there is one, is the table's, and so are those below its count.
        unsafe {
            if self.bucket != BucketPtr::NULL
                && let Some(next) = self.bucket.next()
            {
                return Some(next);
            }
            if self.next >= buckets {
                return None;
            }
            let head = self.table.head(self.next);
            self.next += 1;
            if self.next < buckets {
                // By the time that this bucket's elements have been used, the next one's are here.
                bucket::prefetch_elements(self.table.head(self.next));
            }
            Some(head)
        }
    }
}

/// What a table looks like: see [`HashTable::stats`].
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Elements in the table.
    pub elements: usize,
    /// Marked elements among them.
    pub marked: usize,
    /// Buckets, of 64 bytes, without the overflow buckets.
    pub buckets: usize,
    /// Overflow buckets of 64 bytes.
    pub full_overflow: usize,
    /// Overflow buckets of 32 bytes.
    pub short_overflow: usize,
    /// The number of buckets of the longest chain, its first included.
    pub longest_chain: usize,
    /// The number of chains with so many elements, by that number; the last also counts those with more.
    pub chains_by_elements: [usize; 32],
}

impl Stats {
    /// Elements a bucket.
    pub fn load(&self) -> f64 {
        if self.buckets == 0 { 0.0 } else { self.elements as f64 / self.buckets as f64 }
    }

    fn add(&mut self, chain: &ChainShape) {
        self.elements += chain.elements;
        self.marked += chain.marked;
        self.full_overflow += chain.full_overflow;
        self.short_overflow += chain.short_overflow;
        self.longest_chain = self.longest_chain.max(1 + chain.full_overflow + chain.short_overflow);
        self.chains_by_elements[chain.elements.min(self.chains_by_elements.len() - 1)] += 1;
    }
}
