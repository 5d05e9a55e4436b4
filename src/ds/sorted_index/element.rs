//! A member with its score, in one allocation, and the pointers to it.
//!
//! ```text
//!   byte 0               8                9 (more if the length is 128 or above)
//!        ┌───────────────┬────────────────┬─ ─ ─ ─ ─ ─ ─┐
//!        │ score, f64    │ length, varint │ member      │
//!        └───────────────┴────────────────┴─ ─ ─ ─ ─ ─ ─┘
//! ```
//!
//! The length has seven bits a byte, the lowest first; all bytes but the last have the top bit set.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cmp::Ordering;
use std::ptr::{self, NonNull};

use crate::ds::hashtable::Element;
use crate::zmalloc::good_size;

/// Offset of the length.
const LENGTH: usize = size_of::<f64>();

/// A member and its score, owned.
#[repr(transparent)]
pub struct ZElement(ElementPtr);

impl ZElement {
    /// Allocates an element. The score is not NaN.
    pub fn new(score: f64, member: &[u8]) -> ZElement {
        debug_assert!(!score.is_nan(), "NaN has no place in an order");
        let length_bytes = varint_size(member.len());
        let layout = layout_of(member.len(), length_bytes);
        // SAFETY: the size is not zero; all that is written lies within it, and `member` lies elsewhere.
        unsafe {
            let Some(raw) = NonNull::new(alloc(layout)) else { handle_alloc_error(layout) };
            raw.cast::<f64>().write(score);
            let mut at = raw.add(LENGTH);
            let mut rest = member.len();
            for _ in 1..length_bytes {
                at.write(rest as u8 | 0x80);
                rest >>= 7;
                at = at.add(1);
            }
            at.write(rest as u8);
            ptr::copy_nonoverlapping(member.as_ptr(), at.add(1).as_ptr(), member.len());
            ZElement(ElementPtr(raw))
        }
    }

    /// The member.
    pub fn member(&self) -> &[u8] {
        self.0.member()
    }

    /// The score.
    pub fn score(&self) -> f64 {
        self.0.score()
    }

    /// Changes the score of an element that no index has in its order.
    pub fn set_score(&mut self, score: f64) {
        self.0.set_score(score);
    }

    /// Bytes of memory that an element with so long a member takes.
    pub fn mem_bytes(member_len: usize) -> usize {
        good_size(layout_of(member_len, varint_size(member_len)).size())
    }

    /// A pointer to the element.
    ///
    /// # Safety
    ///
    /// - The pointer and its copies are not used, except to be dropped, once the element is dropped.
    pub(super) unsafe fn ptr(&self) -> ElementPtr {
        self.0
    }
}

impl Drop for ZElement {
    fn drop(&mut self) {
        let len = self.member().len();
        // SAFETY: the element was allocated with this layout, and is not used again.
        unsafe { dealloc(self.0.0.as_ptr(), layout_of(len, varint_size(len))) }
    }
}

// SAFETY: an element is one pointer, and stands for none but its own allocation, which it owns.
unsafe impl Element for ZElement {
    type Ref<'t> = ElementView<'t>;

    #[inline(always)]
    unsafe fn borrow<'t>(raw: NonNull<u8>) -> ElementView<'t> {
        // SAFETY: the caller's contract: the element lives for 't, and its member does not change.
        let member = unsafe { member_of(raw) };
        ElementView { member, raw: ElementPtr(raw) }
    }

    #[inline(always)]
    fn key_of<'t>(element: Self::Ref<'t>) -> &'t [u8] {
        element.member
    }
}

// SAFETY: an element owns its allocation and has no tie to a thread.
unsafe impl Send for ZElement {}

/// An element of a table, borrowed for `'t`.
#[derive(Clone, Copy)]
pub struct ElementView<'t> {
    /// The member.
    pub member: &'t [u8],
    raw: ElementPtr,
}

impl ElementView<'_> {
    /// The score.
    pub fn score(self) -> f64 {
        self.raw.score()
    }
}

/// A pointer to an element that lives. That it does is promised where the pointer is made: [`ZElement::ptr`].
///
/// References into the element are given out to the member only, so that the score can be changed through any pointer.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(super) struct ElementPtr(NonNull<u8>);

impl ElementPtr {
    #[inline(always)]
    pub(super) fn score(self) -> f64 {
        // SAFETY: the element lives, and begins with its score.
        unsafe { self.0.cast().read() }
    }

    /// Changes the score. Whoever has the element in its order sees to it that it stays one.
    pub(super) fn set_score(self, score: f64) {
        debug_assert!(!score.is_nan(), "NaN has no place in an order");
        // SAFETY: the element lives, begins with its score, and no reference covers that.
        unsafe { self.0.cast().write(score) }
    }

    #[inline(always)]
    pub(super) fn member(&self) -> &[u8] {
        // SAFETY: the element lives at least as long as this pointer to it.
        unsafe { member_of(self.0) }
    }

    /// The member, for longer than this copy of the pointer.
    ///
    /// # Safety
    ///
    /// - The element lives for `'t`.
    #[inline(always)]
    pub(super) unsafe fn member_for<'t>(self) -> &'t [u8] {
        // SAFETY: the caller's contract.
        unsafe { member_of(self.0) }
    }

    /// Where the element is, for a prefetch.
    #[inline(always)]
    pub(super) fn address(self) -> *const u8 {
        self.0.as_ptr()
    }

    /// The order of the index: by score, then by member.
    pub(super) fn order(&self, other: &ElementPtr) -> Ordering {
        let by_score = self.score().partial_cmp(&other.score()).expect("no score is NaN");
        by_score.then_with(|| self.member().cmp(other.member()))
    }

    /// The pointer with 16 bits of the caller's above its 48.
    ///
    /// # Panics
    ///
    /// When the address needs more than 48 bits, which no user-space allocation of today's systems does.
    pub(super) fn pack(self, bits: u16) -> *mut u8 {
        assert!(self.0.addr().get() <= ADDRESS_MASK, "an element lies beyond the 48-bit address space");
        self.0.as_ptr().map_addr(|address| address | usize::from(bits) << ADDRESS_BITS)
    }

    /// The pointer in a word made by [`Self::pack`].
    ///
    /// # Safety
    ///
    /// - The word is from there, and the element lives as [`ZElement::ptr`] asks.
    #[inline(always)]
    pub(super) unsafe fn unpack(word: *mut u8) -> ElementPtr {
        // SAFETY: the word was made from a pointer that is not null and lies within the mask.
        ElementPtr(unsafe { NonNull::new_unchecked(word.map_addr(|address| address & ADDRESS_MASK)) })
    }
}

/// Bits of an address.
pub(super) const ADDRESS_BITS: u32 = 48;
const ADDRESS_MASK: usize = (1 << ADDRESS_BITS) - 1;

/// The member of an element.
///
/// # Safety
///
/// - `raw` is of an element that lives for `'t`.
#[inline(always)]
unsafe fn member_of<'t>(raw: NonNull<u8>) -> &'t [u8] {
    // SAFETY: the caller's contract; the length says how many bytes are behind it.
    unsafe {
        let mut at = raw.add(LENGTH);
        let mut byte = at.read();
        let mut len = usize::from(byte & 0x7f);
        let mut shift = 7;
        while byte & 0x80 != 0 {
            at = at.add(1);
            byte = at.read();
            len |= usize::from(byte & 0x7f) << shift;
            shift += 7;
        }
        std::slice::from_raw_parts(at.add(1).as_ptr(), len)
    }
}

fn varint_size(len: usize) -> usize {
    (usize::BITS - len.leading_zeros()).div_ceil(7).max(1) as usize
}

fn layout_of(len: usize, length_bytes: usize) -> Layout {
    // A member is a slice, so that the sum stays far from the end of `usize`.
    Layout::from_size_align(LENGTH + length_bytes + len, align_of::<f64>())
        .expect("an element is smaller than the address space")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_keep_score_and_member() {
        for len in [0, 1, 127, 128, 16_383, 16_384, 70_000] {
            let member: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let mut element = ZElement::new(-1.5, &member);
            assert_eq!((element.score(), element.member()), (-1.5, &member[..]));
            element.set_score(f64::INFINITY);
            assert_eq!((element.score(), element.member()), (f64::INFINITY, &member[..]));
        }
    }

    #[test]
    fn a_short_member_costs_nine_bytes_more() {
        if cfg!(not(feature = "system-malloc")) {
            assert_eq!(ZElement::mem_bytes(15), 24);
            assert_eq!(ZElement::mem_bytes(16), 32);
        }
    }

    #[test]
    fn words_keep_pointer_and_bits() {
        let element = ZElement::new(1.0, b"m");
        // SAFETY: the pointer is not used after the element.
        let ptr = unsafe { element.ptr() };
        for bits in [0, 1, 0x8000, u16::MAX] {
            let word = ptr.pack(bits);
            assert_eq!(word.addr() >> ADDRESS_BITS, usize::from(bits));
            // SAFETY: the word was just made, and the element lives.
            assert!(unsafe { ElementPtr::unpack(word) } == ptr);
        }
    }
}
