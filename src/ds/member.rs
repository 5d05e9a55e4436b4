//! A member of a large set: its bytes and their length, in one allocation.
//!
//! ```text
//!     Member ───▶ ┌────────┬───────────────┐
//!                 │ length │ bytes         │
//!                 └────────┴───────────────┘
//! ```
//!
//! The length has seven bits a byte, least significant first; the top bit says that another byte follows. So it is one
//! byte for members of up to 127 bytes, and the allocator's steps of eight bytes are used well: a member of 15
//! bytes takes 16, one of 16 takes 24. A [`Member`] is an [`Element`] of a [`HashTable`](super::hashtable::HashTable),
//! whose key is all there is to it.
//!
//! # Unsafe code
//!
//! - `data` is of an allocation of [`size_of_member`] bytes that this handle alone owns.
//! - It is initialised, begins with the length as [`write_length`] writes it, and never changes.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

use super::hashtable::Element;
use crate::zmalloc::good_size;

/// Most bytes that a length takes.
const LENGTH_MAX: usize = usize::BITS.div_ceil(7) as usize;

/// The bytes of a member, owned. See the [module](self).
#[repr(transparent)]
pub struct Member {
    data: NonNull<u8>,
}

// SAFETY: a member owns its bytes and has no tie to a thread.
unsafe impl Send for Member {}
// SAFETY: they never change.
unsafe impl Sync for Member {}

impl Member {
    /// A copy of `bytes`.
    #[inline]
    pub fn new(bytes: &[u8]) -> Member {
        let mut length = [0; LENGTH_MAX];
        let length = write_length(&mut length, bytes.len());
        let layout = layout(length.len() + bytes.len());
        // SAFETY: the size is not 0, a length takes a byte at least.
        let Some(data) = NonNull::new(unsafe { alloc(layout) }) else { handle_alloc_error(layout) };
        // SAFETY: the allocation has room for both.
        unsafe {
            data.copy_from_nonoverlapping(NonNull::from(length).cast(), length.len());
            data.add(length.len()).copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len());
        }
        Member { data }
    }

    /// The bytes.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        self.key()
    }

    /// Bytes that a member of so many takes in memory.
    pub fn mem_bytes(len: usize) -> usize {
        good_size(size_of_member(len))
    }
}

/// Bytes of a member of so many, its length included.
#[inline]
fn size_of_member(len: usize) -> usize {
    let bits = usize::BITS - (len | 1).leading_zeros();
    bits.div_ceil(7) as usize + len
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 1).expect("a member is smaller than the address space")
}

/// Writes a length to the start of `out`, and returns the bytes written.
#[inline]
fn write_length(out: &mut [u8; LENGTH_MAX], len: usize) -> &[u8] {
    let (mut rest, mut at) = (len, 0);
    while rest > 0x7f {
        out[at] = rest as u8 | 0x80;
        rest >>= 7;
        at += 1;
    }
    out[at] = rest as u8;
    &out[..=at]
}

/// Reads a length, and how many bytes it takes.
///
/// # Safety
///
/// - `data` points to what [`write_length`] wrote.
#[inline(always)]
unsafe fn read_length(data: NonNull<u8>) -> (usize, usize) {
    // SAFETY: as long as the top bit is set, another byte follows.
    unsafe {
        let first = data.read();
        if first <= 0x7f {
            return (first.into(), 1);
        }
        let (mut len, mut at) = (usize::from(first & 0x7f), 1);
        loop {
            let byte = data.add(at).read();
            len |= usize::from(byte & 0x7f) << (7 * at);
            at += 1;
            if byte <= 0x7f {
                return (len, at);
            }
        }
    }
}

// SAFETY: the type is a pointer. What it points to stays as it is until the handle is dropped.
unsafe impl Element for Member {
    type Ref<'t> = &'t [u8];

    #[inline(always)]
    unsafe fn borrow<'t>(raw: NonNull<u8>) -> &'t [u8] {
        // SAFETY: the handle lives for `'t`, and so many bytes follow its length.
        unsafe {
            let (len, at) = read_length(raw);
            std::slice::from_raw_parts(raw.add(at).as_ptr(), len)
        }
    }

    #[inline(always)]
    fn key_of<'t>(element: Self::Ref<'t>) -> &'t [u8] {
        element
    }
}

impl Drop for Member {
    #[inline]
    fn drop(&mut self) {
        let layout = layout(size_of_member(self.as_bytes().len()));
        // SAFETY: the allocation is of this layout, and no one uses it any more.
        unsafe { dealloc(self.data.as_ptr(), layout) }
    }
}

impl Clone for Member {
    fn clone(&self) -> Member {
        Member::new(self.as_bytes())
    }
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"{}\"", self.as_bytes().escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ds::hashtable::HashTable;
    use proptest::prelude::*;

    #[test]
    fn lengths() {
        for (len, bytes) in
            [(0, 1), (127, 1), (128, 2), (16_383, 2), (16_384, 3), (1 << 21, 4), (usize::MAX >> 1, 9)]
        {
            let mut buffer = [0; LENGTH_MAX];
            let written = write_length(&mut buffer, len);
            assert_eq!(written.len(), bytes, "{len}");
            // SAFETY: the length was just written.
            assert_eq!(unsafe { read_length(NonNull::from(written).cast()) }, (len, bytes));
            assert_eq!(size_of_member(len) - len, bytes);
        }
    }

    #[test]
    fn fills_size_classes() {
        assert_eq!(size_of::<Member>(), size_of::<usize>());
        if cfg!(not(feature = "system-malloc")) {
            assert_eq!([0, 7, 8, 15, 16, 23].map(Member::mem_bytes), [8, 8, 16, 16, 24, 24]);
        }
    }

    #[test]
    fn keeps_its_bytes() {
        for len in [0, 1, 127, 128, 300, 20_000] {
            let bytes: Vec<u8> = (0..len).map(|at| at as u8).collect();
            let member = Member::new(&bytes);
            assert_eq!((member.as_bytes(), member.clone().as_bytes()), (&bytes[..], &bytes[..]));
        }
    }

    proptest! {
        #[test]
        fn is_found_in_a_table(members in proptest::collection::btree_set(proptest::collection::vec(any::<u8>(), 0..300), 0..80)) {
            let mut table = HashTable::<Member>::new();
            for member in &members {
                table.insert_unique(HashTable::<Member>::hash(member), Member::new(member));
            }
            prop_assert_eq!(table.len(), members.len());
            for member in &members {
                let hash = HashTable::<Member>::hash(member);
                prop_assert_eq!(table.find(hash, member).map(|found| found.get()), Some(&member[..]));
            }
            for member in &members {
                let hash = HashTable::<Member>::hash(member);
                prop_assert!(table.remove(hash, member).is_some_and(|removed| removed.as_bytes() == &member[..]));
            }
        }
    }
}
