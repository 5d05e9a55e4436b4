//! An owned run of bytes behind one pointer: what a compact encoding is kept in.
//!
//! A listpack and a set of integers begin with a header that says how long they are. A `Vec<u8>` would say so
//! again, and its capacity as well, in three words; a [`Blob`] has the pointer alone and fits into the one word that
//! an entry of the keyspace has for its value. The length is what the [`Format`] reads from the header. The capacity
//! is the size class that the allocator would round the length up to, at every length: growing within a size class
//! copies nothing, and nothing is held that the allocator would not have given anyway.
//!
//! ```text
//!     Blob ───▶ ┌────────┬──────────────────────────┬╌╌╌╌╌╌╌╌╌╌╌╌╌╌┐   aligned to 8 bytes
//!               │ header │ body                     │ not in use   ╎
//!               └────────┴──────────────────────────┴╌╌╌╌╌╌╌╌╌╌╌╌╌╌┘
//!               ◀──────────── len(header) ─────────▶
//!               ◀──────────── good_size(len(header)) ─────────────▶
//! ```
//!
//! # Unsafe code
//!
//! It is all here. What is kept true:
//!
//! - `data` is of an allocation of `good_size(len)` bytes aligned to [`ALIGN`], which this blob alone owns;
//! - the first `len` bytes are initialised, where `len` is what the format reads from the first [`Format::HEADER`];
//! - the header changes in [`Blob::set_header`] only, which brings the allocation into line. The body is lent out
//!   mutably without the header.

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc, handle_alloc_error, realloc};
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use crate::zmalloc::good_size;

/// The alignment of every blob: the lowest bits of its address are free for whoever keeps it.
const ALIGN: usize = 8;

/// How long a blob is, according to its first bytes.
///
/// # Safety
///
/// - [`Format::len`] is a function of the bytes it is given and of nothing else.
pub(super) unsafe trait Format {
    /// The bytes that the length is read from.
    const HEADER: usize;

    /// The length of the blob that begins with these bytes, which are [`Self::HEADER`] many. The header counts.
    fn len(header: &[u8]) -> usize;
}

/// The header of a listpack: the length in four bytes, the number of elements in two.
pub(super) struct ListpackFormat;

// SAFETY: the length is part of the header.
unsafe impl Format for ListpackFormat {
    const HEADER: usize = 6;

    #[inline(always)]
    fn len(header: &[u8]) -> usize {
        u32::from_le_bytes(*header.first_chunk().expect("a whole header")) as usize
    }
}

/// The header of a set of integers: the width of a member in four bytes, the number of members in four.
pub(super) struct IntSetFormat;

// SAFETY: the length is a sum of products of what is in the header.
unsafe impl Format for IntSetFormat {
    const HEADER: usize = 8;

    #[inline(always)]
    fn len(header: &[u8]) -> usize {
        let [w0, w1, w2, w3, c0, c1, c2, c3] = *header.first_chunk().expect("a whole header");
        let members =
            u64::from(u32::from_le_bytes([w0, w1, w2, w3])) * u64::from(u32::from_le_bytes([c0, c1, c2, c3]));
        Self::HEADER + members as usize
    }
}

/// Bytes with a header that says how many they are. See the [module](self).
#[repr(transparent)]
pub(super) struct Blob<F: Format> {
    data: NonNull<u8>,
    format: PhantomData<F>,
}

// SAFETY: a blob owns its bytes and has no tie to a thread.
unsafe impl<F: Format> Send for Blob<F> {}
// SAFETY: a shared blob gives out nothing but shared bytes.
unsafe impl<F: Format> Sync for Blob<F> {}

impl<F: Format> Blob<F> {
    /// A blob with that header, its body all zeros.
    pub fn new(header: &[u8]) -> Self {
        let layout = layout(checked_len::<F>(header));
        // SAFETY: the size is not 0.
        let Some(data) = NonNull::new(unsafe { alloc_zeroed(layout) }) else { handle_alloc_error(layout) };
        // SAFETY: the allocation has room for the header, and is no part of `header`.
        unsafe { data.copy_from_nonoverlapping(NonNull::from(header).cast(), F::HEADER) };
        Self { data, format: PhantomData }
    }

    /// A copy of `bytes`, whose header must state their length.
    pub fn copy_of(bytes: &[u8]) -> Self {
        let len = checked_len::<F>(&bytes[..F::HEADER]);
        assert_eq!(len, bytes.len(), "the header states another length");
        let layout = layout(len);
        // SAFETY: the size is not 0.
        let Some(data) = NonNull::new(unsafe { alloc(layout) }) else { handle_alloc_error(layout) };
        // SAFETY: the allocation has room for `len` bytes, and is no part of `bytes`.
        unsafe { data.copy_from_nonoverlapping(NonNull::from(bytes).cast(), len) };
        Self { data, format: PhantomData }
    }

    /// The number of bytes.
    #[inline(always)]
    pub fn len(&self) -> usize {
        // SAFETY: there is always a whole header.
        F::len(unsafe { std::slice::from_raw_parts(self.data.as_ptr(), F::HEADER) })
    }

    /// The number of bytes allocated.
    pub fn capacity(&self) -> usize {
        good_size(self.len())
    }

    /// All bytes.
    #[inline(always)]
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: so many bytes are initialised.
        unsafe { std::slice::from_raw_parts(self.data.as_ptr(), self.len()) }
    }

    /// The bytes behind the header, to be changed.
    #[inline(always)]
    pub fn body_mut(&mut self) -> &mut [u8] {
        // SAFETY: so many bytes are initialised, and `len` is at least that of the header.
        unsafe { std::slice::from_raw_parts_mut(self.data.as_ptr().add(F::HEADER), self.len() - F::HEADER) }
    }

    /// Puts another header in the place of this one, and makes the blob as long as it says: the last bytes are cut off, or
    /// zeros added.
    #[inline]
    pub fn set_header(&mut self, header: &[u8]) {
        let (old, new) = (self.len(), checked_len::<F>(header));
        // Size classes are multiples of eight bytes: most small changes stay within one.
        if old.div_ceil(ALIGN) != new.div_ceil(ALIGN) {
            self.reallocate(old, new);
        }
        // SAFETY: the allocation is that of a blob with `new` bytes. Those that may not have been initialised are now.
        unsafe {
            if new > old {
                self.data.add(old).write_bytes(0, new - old);
            }
            self.data.copy_from_nonoverlapping(NonNull::from(header).cast(), F::HEADER);
        }
    }

    /// Gives a blob of `old` bytes the allocation of one with `new`.
    fn reallocate(&mut self, old: usize, new: usize) {
        let (old, new) = (layout(old), layout(new));
        if old.size() == new.size() {
            return;
        }
        // SAFETY: the allocation is of the layout `old`. The new size is not 0, and `layout` saw that it is not too large.
        let data = unsafe { realloc(self.data.as_ptr(), old, new.size()) };
        let Some(data) = NonNull::new(data) else { handle_alloc_error(new) };
        self.data = data;
    }

    /// Gives up the blob without freeing it.
    #[inline]
    pub fn into_raw(self) -> NonNull<u8> {
        ManuallyDrop::new(self).data
    }

    /// Makes a blob of what [`Self::into_raw`] gave.
    ///
    /// # Safety
    ///
    /// - `data` is from [`Self::into_raw`] of a blob of the same format, and no other blob is made of it that is used or
    ///   dropped.
    #[inline]
    pub unsafe fn from_raw(data: NonNull<u8>) -> Self {
        Self { data, format: PhantomData }
    }
}

/// The length that a header states.
///
/// # Panics
///
/// If it is not as long as a header is, or states less than its own length.
#[inline(always)]
fn checked_len<F: Format>(header: &[u8]) -> usize {
    assert_eq!(header.len(), F::HEADER, "a whole header");
    let len = F::len(header);
    assert!(len >= F::HEADER, "the header is part of the length");
    len
}

/// The allocation of a blob with so many bytes.
fn layout(len: usize) -> Layout {
    let size = good_size(len);
    assert!(size >= len, "a blob is smaller than the address space");
    Layout::from_size_align(size, ALIGN).expect("a blob is smaller than the address space")
}

impl<F: Format> Drop for Blob<F> {
    fn drop(&mut self) {
        // SAFETY: the allocation is of this layout, and no one uses it any more.
        unsafe { dealloc(self.data.as_ptr(), layout(self.len())) }
    }
}

impl<F: Format> Clone for Blob<F> {
    fn clone(&self) -> Self {
        Self::copy_of(self.as_slice())
    }
}

impl<F: Format> PartialEq for Blob<F> {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl<F: Format> Eq for Blob<F> {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type ListBlob = Blob<ListpackFormat>;

    fn list_header(len: usize) -> [u8; 6] {
        let [a, b, c, d] = (len as u32).to_le_bytes();
        [a, b, c, d, 7, 9]
    }

    #[test]
    fn is_a_word() {
        assert_eq!(size_of::<ListBlob>(), size_of::<usize>());
        assert_eq!(size_of::<Option<ListBlob>>(), size_of::<usize>());
    }

    #[test]
    fn length_of_integers() {
        let set = Blob::<IntSetFormat>::new(&[4, 0, 0, 0, 3, 0, 0, 0]);
        assert_eq!((set.len(), set.as_slice()[8..].to_vec()), (20, vec![0; 12]));
    }

    #[test]
    #[should_panic = "the header is part of the length"]
    fn length_below_the_header() {
        ListBlob::new(&list_header(5));
    }

    #[test]
    #[should_panic = "the header states another length"]
    fn length_of_other_bytes() {
        ListBlob::copy_of(&list_header(7));
    }

    #[test]
    #[should_panic = "a blob is smaller than the address space"]
    fn length_beyond_memory() {
        Blob::<IntSetFormat>::new(&[0xff; 8]);
    }

    #[test]
    fn raw_and_back() {
        let mut blob = ListBlob::new(&list_header(100));
        blob.body_mut().fill(3);
        let copy = blob.clone();
        let raw = blob.into_raw();
        assert_eq!(raw.addr().get() % ALIGN, 0);
        // SAFETY: the pointer is from a blob of this format, and used once.
        let blob: ListBlob = unsafe { Blob::from_raw(raw) };
        assert!(blob == copy);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Resize(usize),
        Fill(u8),
        Clone,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (6usize..80).prop_map(Step::Resize),
            (6usize..40_000).prop_map(Step::Resize),
            any::<u8>().prop_map(Step::Fill),
            Just(Step::Clone),
        ]
    }

    proptest! {
        #[test]
        fn is_a_vector(steps in proptest::collection::vec(step(), 0..40)) {
            let mut blob = ListBlob::new(&list_header(6));
            let mut model = list_header(6).to_vec();
            for step in steps {
                match step {
                    Step::Resize(len) => {
                        blob.set_header(&list_header(len));
                        model.resize(len, 0);
                        model[..6].copy_from_slice(&list_header(len));
                    }
                    Step::Fill(byte) => {
                        blob.body_mut().fill(byte);
                        model[6..].fill(byte);
                    }
                    Step::Clone => blob = blob.clone(),
                }
                prop_assert_eq!(blob.as_slice(), &model[..]);
                prop_assert_eq!(blob.capacity(), good_size(model.len()));
            }
        }
    }
}
