//! The hash table behind the keyspace, sets, hashes and the member index of sorted sets.
//!
//! A table holds elements, each a pointer to one allocation that has the key in it and whatever else belongs to the
//! key ([`Element`]). It is made for tables of hundreds of millions of elements in a process with one thread and
//! no patience:
//!
//! - A lookup reads two cache lines: the bucket's and the element's. (One element in four is in a bucket's second line.)
//! - No operation takes long. The table grows and shrinks by one bucket at a time; there is no second table,
//!   no doubling, and no memory to be cleared. The most that one insertion copies is a segment of 64 KiB.
//! - About 13 bytes an element at every size, above a few hundred elements; nothing when empty.
//! - A scan keeps its promise while the table changes, with a cursor that is a number and no state elsewhere.
//! - Elements can be *marked*, and the marked ones found without a look at the others: an entry that expires,
//!   a field with a time to live.
//!
//! # Layout
//!
//! ```text
//!   HashTable             directory           segments of 1,024 buckets, 64 bytes each
//!   ┌─────────┐         ┌────────────┐       ┌──────┬──────┬──────┬── ─ ─ ──┬────────┐
//!   │ storage ├────────▶│ 0, marks   ├──────▶│  0   │  1   │  2   │         │ 1,023  │
//!   │ buckets │         ├────────────┤       ├──────┼──────┼──────┼── ─ ─ ──┼────────┤
//!   │ mask    │         │ 1, marks   ├──────▶│1,024 │1,025 │1,026 │         │ 2,047  │
//!   │ len     │         ├────────────┤       ├──────┼──────┼──────┼─ ─ ┐    └────────┘
//!   │ marked  │         │ 2, marks   ├──────▶│2,048 │2,049 │   room   │
//!   │ overflow│         └────────────┘       └──────┴───┬──┴ ─ ─ ─ ─ ─┘
//!   └─────────┘                                         │ link
//!                                                       ▼
//!    one bucket:  tags, flags │ 7 × (hash bits, pointer)      overflow bucket: 3 or 7 elements
//! ```
//!
//! A table of up to one segment has no directory; its single array grows in small steps. See `storage.rs` for the
//! segments, `bucket.rs` for the inside of a bucket and its chain.
//!
//! # Which bucket
//!
//! Linear hashing (Litwin, 1980). A table of `n` buckets, `2^level <= n < 2^(level + 1)`, takes the low `level + 1` bits
//! of the hash as the index; if there is no such bucket yet, it drops the highest of the bits:
//!
//! ```text
//!     index = hash & mask;  if index >= n { index &= mask >> 1 }        mask = 2^(level + 1) - 1
//! ```
//!
//! When the mean load passes six and a half elements a bucket, one bucket is split, in order from the first; when it
//! falls below five and a half, the last one is poured back. `resize.rs` has the details and what it does while a child saves.
//! A split sorts the elements of a chain by one bit of their hash. Computing the hash would take a cache miss
//! for each element, so a slot keeps 16 of the hash's bits above the 48 of the address: those with which tables of
//! 2^8 to 2^24 buckets are split, 1,500 to 100 million elements. Smaller tables are in the caches anyway. Larger
//! ones hash their keys again, with the misses side by side.
//!
//! The other candidate, two tables and a move from one to the other in steps, has between 7 and 3.5 elements a bucket
//! over each doubling, so 9 to 18 bytes an element before overflow, and both tables' memory while it moves;
//! every lookup meanwhile may have to look twice.
//!
//! # The load, in numbers
//!
//! The elements of a bucket are Poisson distributed, those of a bucket that was split with half the mean of one that was
//! not. With the fraction `s` of buckets split since the last power of two and a load of `a`, the means are
//! `a (1 + s)` and half of that. Weighing both, with the sizes of chains from `bucket.rs` (64 bytes up to seven elements,
//! 96 up to nine, 128 up to 13, 64 more for each six), this is what a load costs:
//!
//! ```text
//!     load                               5.0    5.5    6.0    6.5    7.0    7.5
//!     bytes an element, mean over s    14.32  13.55  12.99  12.58  12.28  12.07
//!       at the best s                  13.87  13.08  12.52  12.13  11.87  11.70
//!       at the worst s                 14.57  13.81  13.26  12.84  12.53  12.30
//!     buckets with overflow              17%    22%    27%    33%    39%    45%
//!     lines of bucket read for a hit    1.12   1.16   1.20   1.24   1.29   1.34
//!     and for a miss                    1.05   1.07   1.09   1.11   1.15   1.18
//! ```
//!
//! From 5.5 to 6.5 a byte is won for 0.08 lines; from there on half a byte for 0.09. With overflow buckets of one
//! size, 64 bytes, an element would take 13.4 bytes at this load: hence the short ones. Without the filter in the
//! link (`bucket.rs`) a miss would read 1.44 lines.
//!
//! To this the room in the last segment is added, which is at most 12.5% of a table beyond one segment, and falls with
//! the size.
//!
//! # Unsafe code
//!
//! The public interface is safe, except that implementing [`Element`] is a promise. What the code keeps true:
//!
//! - `buckets` buckets of `storage`, from 0 on, are initialised, and the chains hanging from them satisfy what
//!   `bucket.rs` lists. `storage` has allocated what it says for that number.
//! - Each pointer in a slot is a handle that the table owns: from the moment that it is put in until it is
//!   taken out or the table is dropped, no one else frees or moves what it points to, but the holder of an
//!   [`ElementMut`], who has the table borrowed.
//! - While a handle is lent out mutably, `buckets` is 0, so that nothing can be reached through a table whose slot is
//!   out of date.
//! - `len`, `marked`, and the marks of each segment are the sums over the chains. No memory depends on these.
//!
//! Should the element's own code panic (a hash, a comparison, a drop), elements may be leaked, but none is freed twice.

mod bucket;
mod element;
mod resize;
mod storage;
#[cfg(test)]
mod tests;
mod walk;

pub use element::{Element, ElementMut, ElementRef};
pub use resize::{ResizePolicy, resize_policy, set_resize_policy};
pub use walk::{Iter, Stats};

use bucket::{BucketPtr, Item, Overflow, Place, Print};
use std::marker::PhantomData;
use storage::Storage;

/// A set of elements, each found by the key that is part of it.
///
/// Methods that take a hash expect [`HashTable::hash`] of the key they take, so that a caller may compute it
/// once for several steps (prefetch, look up, insert). With another hash an element is not found, or is found
/// twice; nothing worse happens.
pub struct HashTable<E: Element> {
    storage: Storage,
    /// Buckets in use; 0 before the first insertion, and while an [`ElementMut`] has its element lent out.
    buckets: u32,
    /// All ones, as many as the index of the last bucket may need: `2^(level + 1) - 1`.
    mask: u32,
    len: usize,
    marked: usize,
    overflow: Overflow,
    elements: PhantomData<E>,
}

// SAFETY: the table owns its elements and its memory, and has no tie to a thread.
unsafe impl<E: Element> Send for HashTable<E> {}
// SAFETY: a shared table gives out nothing but shared elements.
unsafe impl<E: Element + Sync> Sync for HashTable<E> {}

impl<E: Element> HashTable<E> {
    /// An empty table, which has allocated nothing.
    pub const fn new() -> Self {
        Self {
            storage: Storage::new(),
            buckets: 0,
            mask: 0,
            len: 0,
            marked: 0,
            overflow: Overflow::new(),
            elements: PhantomData,
        }
    }

    /// The hash of a key, as the methods of this table want it.
    #[inline]
    pub fn hash(key: &[u8]) -> u64 {
        E::hash(key)
    }

    /// The number of elements.
    #[inline]
    pub fn len(&self) -> usize {
        // Empty while an element is lent out: see `ElementMut`.
        if self.buckets == 0 { 0 } else { self.len }
    }

    /// Whether there are no elements.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of marked elements.
    #[inline]
    pub fn marked_len(&self) -> usize {
        if self.buckets == 0 { 0 } else { self.marked }
    }

    /// Bytes that the table has allocated, without the elements and this struct.
    pub fn mem_bytes(&self) -> usize {
        self.storage.bytes(self.buckets as usize) + self.overflow.bytes()
    }

    /// The memory of the buckets, for what has no use for the table any more.
    pub fn blocks(&self) -> impl Iterator<Item = std::ptr::NonNull<[u8]>> {
        self.storage.blocks(self.buckets as usize)
    }

    /// The element with this key.
    #[inline]
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<ElementRef<'_, E>> {
        let place = self.place_of(hash, key)?;
        // SAFETY: the place is of an element, which stays there as long as the table is borrowed.
        Some(unsafe { self.element_at(place) })
    }

    /// Whether there is an element with this key.
    #[inline]
    pub fn contains(&self, hash: u64, key: &[u8]) -> bool {
        self.place_of(hash, key).is_some()
    }

    /// The element with this key, to be changed or removed.
    #[inline]
    pub fn find_mut(&mut self, hash: u64, key: &[u8]) -> Option<ElementMut<'_, E>> {
        let place = self.place_of(hash, key)?;
        // SAFETY: the place is of an element of this hash.
        Some(unsafe { ElementMut::new(self, self.index_of(hash), place) })
    }

    /// The element with this hash of which `is` holds, to be changed or removed: for who has kept the hash of a key and
    /// not the key. `is` is asked about elements whose hash may be another.
    pub fn find_mut_by_hash(
        &mut self,
        hash: u64,
        mut is: impl FnMut(E::Ref<'_>) -> bool,
    ) -> Option<ElementMut<'_, E>> {
        let head = self.head_of(hash)?;
        // SAFETY: `head` is a bucket of this table, and its elements live as long as the table is borrowed; the place
        // found is of an element in the chain of this hash.
        unsafe {
            let place = bucket::find(head, Print::of(hash), |raw| is(E::borrow(raw)))?;
            Some(ElementMut::new(self, self.index_of(hash), place))
        }
    }

    /// The place of this key: of its element, or of one to be inserted.
    #[inline]
    pub fn entry(&mut self, hash: u64, key: &[u8]) -> Entry<'_, E> {
        match self.place_of(hash, key) {
            // SAFETY: the place is of an element of this hash.
            Some(place) => Entry::Occupied(unsafe { ElementMut::new(self, self.index_of(hash), place) }),
            None => Entry::Vacant(VacantEntry { table: self, hash }),
        }
    }

    /// Inserts an element whose key is known not to be in the table yet. It is not marked.
    ///
    /// (A key that is there already would be there twice, and be found once.)
    #[inline]
    pub fn insert_unique(&mut self, hash: u64, element: E) -> ElementMut<'_, E> {
        debug_assert_eq!(hash, E::hash(element.key()), "the hash is of another key");
        debug_assert!(self.place_of(hash, element.key()).is_none(), "the key is in the table");
        let (index, place) = self.push(hash, element);
        // SAFETY: the place is of the element just inserted.
        unsafe { ElementMut::new(self, index, place) }
    }

    /// Takes the element with this key out of the table.
    #[inline]
    pub fn remove(&mut self, hash: u64, key: &[u8]) -> Option<E> {
        let place = self.place_of(hash, key)?;
        // SAFETY: the place is of an element of this hash.
        Some(unsafe { self.take_at(self.index_of(hash), place) })
    }

    /// Asks for the cache line at which a lookup for this hash begins.
    #[inline]
    pub fn prefetch_bucket(&self, hash: u64) {
        if let Some(head) = self.head_of(hash) {
            head.prefetch();
        }
    }

    /// Asks for the first line of the element that a lookup for this hash would compare, or for the next
    /// bucket of the chain if none in the first matches and one in the next may. To be called when the line that
    /// [`Self::prefetch_bucket`] asked for has had time to arrive.
    #[inline]
    pub fn prefetch_element(&self, hash: u64) {
        if let Some(head) = self.head_of(hash) {
            // SAFETY: `head` is a bucket of this table.
            if let Some(line) = unsafe { bucket::read_next(head, Print::of(hash)) } {
                prefetch(line);
            }
        }
    }

    /// The bucket where elements of this hash are, of a table that has buckets.
    #[inline(always)]
    fn index_of(&self, hash: u64) -> usize {
        let index = hash as u32 & self.mask;
        // A bucket that does not exist yet has its elements in the one it will be split from.
        (if index < self.buckets { index } else { index & self.mask >> 1 }) as usize
    }

    #[inline(always)]
    fn head_of(&self, hash: u64) -> Option<BucketPtr> {
        if self.buckets == 0 {
            return None;
        }
        // SAFETY: the index is of a bucket in use.
        Some(unsafe { self.storage.bucket(self.index_of(hash)) })
    }

    /// Bucket `index`.
    ///
    /// # Safety
    ///
    /// - `index` is less than `self.buckets`.
    #[inline(always)]
    unsafe fn head(&self, index: usize) -> BucketPtr {
        debug_assert!(index < self.buckets as usize);
        // SAFETY: the caller's contract.
        unsafe { self.storage.bucket(index) }
    }

    #[inline(always)]
    fn place_of(&self, hash: u64, key: &[u8]) -> Option<Place> {
        let head = self.head_of(hash)?;
        // SAFETY: `head` is a bucket of this table, and its elements live as long as the table is borrowed.
        unsafe { bucket::find(head, Print::of(hash), |raw| E::same_key(E::key_of(E::borrow(raw)), key)) }
    }

    /// # Safety
    ///
    /// - There is an element at `place`, in this table.
    #[inline(always)]
    unsafe fn element_at(&self, place: Place) -> ElementRef<'_, E> {
        // SAFETY: the caller's contract.
        unsafe { ElementRef::new(place.bucket.raw(place.slot), place.bucket.meta().marked(place.slot)) }
    }

    /// Adds an element; says the index of its bucket and its place.
    #[inline]
    fn push(&mut self, hash: u64, element: E) -> (usize, Place) {
        self.grow_for_one();
        let item = Item::new(element::into_raw(element), Print::of(hash), false);
        let index = self.index_of(hash);
        self.len += 1;
        // SAFETY: `grow_for_one` left at least one bucket, and the index is of one in use.
        (index, unsafe { bucket::push(self.storage.bucket(index), item, &mut self.overflow) })
    }

    /// Takes out the element at `place` in the chain of bucket `index`.
    ///
    /// # Safety
    ///
    /// - There is an element at `place`, in this chain.
    #[inline]
    unsafe fn take_at(&mut self, index: usize, place: Place) -> E {
        // SAFETY: the caller's contract.
        let item = unsafe { bucket::take(self.head(index), place, &mut self.overflow) };
        self.len -= 1;
        if item.marked {
            self.add_marked(index, -1);
        }
        self.shrink_for_one();
        // SAFETY: the element is no longer in the table, which owned it.
        unsafe { element::from_raw(item.raw()) }
    }

    #[inline]
    fn add_marked(&mut self, index: usize, count: isize) {
        self.marked = self.marked.wrapping_add_signed(count);
        self.storage.add_marked(index, count);
    }
}

impl<E: Element> Default for HashTable<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: Element> Drop for HashTable<E> {
    fn drop(&mut self) {
        self.clear();
    }
}

impl<E: Element> std::fmt::Debug for HashTable<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HashTable")
            .field("len", &self.len())
            .field("marked", &self.marked_len())
            .field("buckets", &self.buckets)
            .finish_non_exhaustive()
    }
}

/// What [`HashTable::entry`] found.
#[derive(Debug)]
pub enum Entry<'t, E: Element> {
    /// The element with the key.
    Occupied(ElementMut<'t, E>),
    /// There is none; one can be inserted.
    Vacant(VacantEntry<'t, E>),
}

/// The place of a key that is not in the table.
#[derive(Debug)]
pub struct VacantEntry<'t, E: Element> {
    table: &'t mut HashTable<E>,
    hash: u64,
}

impl<'t, E: Element> VacantEntry<'t, E> {
    /// The hash that was looked for.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Inserts the element, which must have the key that was looked for. It is not marked.
    #[inline]
    pub fn insert(self, element: E) -> ElementMut<'t, E> {
        self.table.insert_unique(self.hash, element)
    }
}

/// Asks for the cache line of `address` to be fetched. Any address will do: a hint is not an access.
#[inline(always)]
pub(crate) fn prefetch(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the instruction is in the baseline of x86-64, and does not fault.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: the instruction changes no register and no memory, and does not fault.
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{}]", in(reg) address, options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = address;
}
