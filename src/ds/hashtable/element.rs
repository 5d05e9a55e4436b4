//! What a table holds, and how it lends it out.

use super::bucket::{Place, Print};
use super::{HashTable, bucket::BucketPtr};
use crate::ds::siphash;
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, transmute_copy};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// An element of a [`HashTable`]: a handle of one pointer that owns an allocation with the key in it.
///
/// Dropping the handle frees the allocation. The handle may move its allocation (to grow a value, say) while
/// it is borrowed through [`ElementMut`].
///
/// # Safety
///
/// - The type is `#[repr(transparent)]` over `NonNull<u8>`; it does not claim to be the only pointer to its
///   allocation while it is merely stored (so it holds no `Box`).
/// - [`Element::borrow`] is sound for each pointer that is the bits of a live handle.
///
/// Two more are asked for, but no memory is at stake if they do not hold:
///
/// - the key does not change while the element is in a table;
/// - [`Element::hash`] gives the same answer each time, and keys that are the same have the same hash.
pub unsafe trait Element: Sized + Send {
    /// A shared borrow of what the handle owns, which may outlive the borrow of the handle.
    type Ref<'t>: Copy
    where
        Self: 't;

    /// What the pointer refers to.
    ///
    /// # Safety
    ///
    /// - `raw` is the bits of a handle that lives, and is not mutably borrowed, for `'t`.
    unsafe fn borrow<'t>(raw: NonNull<u8>) -> Self::Ref<'t>;

    /// The key.
    fn key_of<'t>(element: Self::Ref<'t>) -> &'t [u8];

    /// The hash of a key. By default, SipHash-1-3 under the seed of the process.
    #[inline(always)]
    fn hash(key: &[u8]) -> u64 {
        siphash::hash(siphash::process_seed(), key)
    }

    /// Whether two keys are the same. By default, if they are equal.
    #[inline(always)]
    fn same_key(a: &[u8], b: &[u8]) -> bool {
        a == b
    }

    /// The key of this element.
    #[inline(always)]
    fn key(&self) -> &[u8] {
        // SAFETY: the handle lives as long as `self` is borrowed.
        Self::key_of(unsafe { Self::borrow(raw_of(self)) })
    }
}

/// The bits of a handle.
#[inline(always)]
fn raw_of<E: Element>(element: &E) -> NonNull<u8> {
    const { assert!(size_of::<E>() == size_of::<NonNull<u8>>()) }
    // SAFETY: by the trait's contract, a handle is a pointer.
    unsafe { transmute_copy(element) }
}

/// Gives up a handle without freeing what it owns.
#[inline(always)]
pub(super) fn into_raw<E: Element>(element: E) -> NonNull<u8> {
    raw_of(&*ManuallyDrop::new(element))
}

/// Makes a handle of its bits.
///
/// # Safety
///
/// - They are from [`into_raw`], and no other handle is made of them.
#[inline(always)]
pub(super) unsafe fn from_raw<E: Element>(raw: NonNull<u8>) -> E {
    const { assert!(size_of::<E>() == size_of::<NonNull<u8>>()) }
    // SAFETY: by the trait's contract, a handle is a pointer.
    unsafe { transmute_copy(&raw) }
}

/// An element of a table, borrowed.
pub struct ElementRef<'t, E: Element> {
    raw: NonNull<u8>,
    marked: bool,
    table: PhantomData<&'t E>,
}

impl<'t, E: Element> ElementRef<'t, E> {
    /// # Safety
    ///
    /// - `raw` is the bits of a handle in a table that is borrowed for `'t`.
    #[inline(always)]
    pub(super) unsafe fn new(raw: NonNull<u8>, marked: bool) -> Self {
        Self { raw, marked, table: PhantomData }
    }

    /// What the element owns, for as long as the table is borrowed.
    #[inline(always)]
    pub fn get(self) -> E::Ref<'t> {
        // SAFETY: the handle lives in the table, which is borrowed for `'t`.
        unsafe { E::borrow(self.raw) }
    }

    /// The element's key, for as long as the table is borrowed.
    #[inline(always)]
    pub fn key(self) -> &'t [u8] {
        E::key_of(self.get())
    }

    /// Whether the element is marked.
    #[inline(always)]
    pub fn mark(self) -> bool {
        self.marked
    }
}

impl<E: Element> Clone for ElementRef<'_, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E: Element> Copy for ElementRef<'_, E> {}

impl<E: Element> Deref for ElementRef<'_, E> {
    type Target = E;

    #[inline(always)]
    fn deref(&self) -> &E {
        // SAFETY: by the trait's contract, a handle has the representation of its pointer; it is only shared,
        // and never dropped as a handle.
        unsafe { &*(&raw const self.raw).cast::<E>() }
    }
}

impl<E: Element> std::fmt::Debug for ElementRef<'_, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        fmt_element("ElementRef", E::key(self), self.marked, f)
    }
}

fn fmt_element(name: &str, key: &[u8], marked: bool, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    f.debug_struct(name).field("key", &key.escape_ascii().to_string()).field("marked", &marked).finish()
}

/// An element of a table, mutably borrowed with the table.
///
/// It dereferences to the handle, which may move its allocation: where it is then is written back to the table
/// when this guard is dropped, if it changed.
///
/// While the handle is lent out mutably the table behind the guard counts no buckets. Should the guard be leaked
/// (`mem::forget`), the table therefore is empty and has forgotten all it had, a leak of memory; it
/// cannot have kept a pointer to an allocation that the handle has since freed.
pub struct ElementMut<'t, E: Element> {
    table: &'t mut HashTable<E>,
    /// The table's, while it counts none.
    buckets: u32,
    index: usize,
    place: Place,
    raw: NonNull<u8>,
}

impl<'t, E: Element> ElementMut<'t, E> {
    /// # Safety
    ///
    /// - There is an element at `place`, in the chain of bucket `index` of `table`.
    #[inline(always)]
    pub(super) unsafe fn new(table: &'t mut HashTable<E>, index: usize, place: Place) -> Self {
        // SAFETY: the caller's contract.
        let raw = unsafe { place.bucket.raw(place.slot) };
        Self { buckets: table.buckets, table, index, place, raw }
    }

    fn bucket(&self) -> BucketPtr {
        self.place.bucket
    }

    /// Whether the element is marked.
    #[inline]
    pub fn mark(&self) -> bool {
        // SAFETY: the place is of an element of the table borrowed.
        unsafe { self.bucket().meta().marked(self.place.slot) }
    }

    /// Marks the element, or takes the mark away.
    #[inline]
    pub fn set_mark(&mut self, mark: bool) {
        if mark != self.mark() {
            // SAFETY: the place is of an element of the table borrowed, mutably.
            unsafe { self.bucket().set_mark(self.place.slot, mark) };
            self.table.add_marked(self.index, if mark { 1 } else { -1 });
        }
    }

    /// Puts another element with the same key in the place of this one, which is given back. The mark stays.
    #[inline]
    pub fn replace(&mut self, element: E) -> E {
        std::mem::replace(&mut **self, element)
    }

    /// Takes the element out of the table.
    #[inline]
    pub fn remove(self) -> E {
        let guard = ManuallyDrop::new(self);
        // SAFETY: the guard is not used again, so its reference can be moved out; with the count of its buckets
        // back the table is whole, but for the pointer in the slot, which may be stale: nothing looks at it on its
        // way out, and the handle's own pointer is used instead.
        unsafe {
            let table = std::ptr::read(&guard.table);
            table.buckets = guard.buckets;
            let raw = guard.raw;
            guard.place.bucket.set_raw(guard.place.slot, raw);
            table.take_at(guard.index, guard.place)
        }
    }

    /// The element, for as long as the table was borrowed.
    #[inline]
    pub fn into_ref(self) -> ElementRef<'t, E> {
        let marked = self.mark();
        let raw = self.raw;
        drop(self);
        // SAFETY: the handle is in the table again, which is borrowed for `'t`; the borrow was mutable, so none
        // but this one is left.
        unsafe { ElementRef::new(raw, marked) }
    }
}

impl<E: Element> Deref for ElementMut<'_, E> {
    type Target = E;

    #[inline(always)]
    fn deref(&self) -> &E {
        // SAFETY: as for `ElementRef`.
        unsafe { &*(&raw const self.raw).cast::<E>() }
    }
}

impl<E: Element> DerefMut for ElementMut<'_, E> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut E {
        self.table.buckets = 0;
        // SAFETY: by the trait's contract, a handle has the representation of its pointer. No other is made of
        // these bits: with no buckets, the table reaches none.
        unsafe { &mut *(&raw mut self.raw).cast::<E>() }
    }
}

impl<E: Element> Drop for ElementMut<'_, E> {
    #[inline]
    fn drop(&mut self) {
        self.table.buckets = self.buckets;
        // SAFETY: the place is of an element of the table borrowed, mutably, which has not changed meanwhile.
        unsafe {
            if self.raw != self.bucket().raw(self.place.slot) {
                self.bucket().set_raw(self.place.slot, self.raw);
            }
            debug_assert!(
                self.bucket().agrees(self.place.slot, Print::of(E::hash(self.key()))),
                "an element's key was changed in the table"
            );
        }
    }
}

impl<E: Element> std::fmt::Debug for ElementMut<'_, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        fmt_element("ElementMut", self.key(), self.mark(), f)
    }
}
