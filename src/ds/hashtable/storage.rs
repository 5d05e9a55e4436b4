//! The memory of the bucket array: an array that grows at its end without ever moving as a whole.
//!
//! Buckets live in segments of 1,024, 64 KiB each. All segments but the last are whole; the last has the
//! room that [`capacity_for`] gives, a pure function of the number of buckets, so that nothing about it needs
//! to be remembered:
//!
//! ```text
//!   buckets         1 … 8   9 … 16   17 … 32   …   513 … 1024   1025 … 2048   2049 … 4096   4097 … 8192   more
//!   grown by            1        2         4   …          128           128           256           512   1024
//! ```
//!
//! Up to one segment these are jemalloc's own size classes (four a doubling), so that no rounding is added to
//! the slack; beyond, eight a doubling. The room not in use is never more than a quarter of a small table, an
//! eighth of one beyond a segment, and falls under a hundredth from 100 segments on. What one step may copy is
//! less than one segment. A new segment is not cleared: a bucket is written when it comes into use.
//!
//! A table within one segment points to it directly; only a larger one has a directory, with the number of
//! marked elements of each segment beside its pointer. The directory is a vector and doubles at times: it has
//! 16 bytes for each 64 KiB of buckets, so at a billion elements the copy is of 4 MiB once.

use super::bucket::{BUCKET_BYTES, Bucket, BucketPtr};
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error, realloc};
use std::ptr::NonNull;

/// Logarithm of the buckets of a segment.
const SEGMENT_BITS: u32 = 10;
/// Buckets of a whole segment.
pub(super) const SEGMENT: usize = 1 << SEGMENT_BITS;

/// The number of buckets that a table of `buckets` has room for.
pub(super) fn capacity_for(buckets: usize) -> usize {
    if buckets <= 8 {
        return buckets;
    }
    let magnitude = (buckets - 1).ilog2();
    let step = if buckets <= SEGMENT { 1 << (magnitude - 2) } else { SEGMENT.min(1 << (magnitude - 3)) };
    buckets.next_multiple_of(step)
}

/// The number of segments that `buckets` buckets are spread over.
fn segments_for(buckets: usize) -> usize {
    buckets.div_ceil(SEGMENT)
}

/// Room of the last segment of a table of `buckets` (not 0) buckets.
fn last_capacity(buckets: usize) -> usize {
    capacity_for(buckets) - (segments_for(buckets) - 1) * SEGMENT
}

/// The bucket array. It does not know its length: each method is told, and [`super::HashTable`] keeps it.
///
/// # Invariant
///
/// For a table of `n` buckets, `capacity_for(n)` are allocated: in `One` if that is no more than a segment
/// (the pointer dangles if `n` is 0), else in `Many`, which then has a segment for each 1,024.
pub(super) enum Storage {
    One(NonNull<Bucket>),
    Many(Vec<Segment>),
}

pub(super) struct Segment {
    buckets: NonNull<Bucket>,
    /// Marked elements in the chains of this segment.
    marked: u32,
}

impl Storage {
    pub(super) const fn new() -> Self {
        Self::One(NonNull::dangling())
    }

    /// Bucket `index`.
    ///
    /// # Safety
    ///
    /// - The table has room for more than `index` buckets.
    #[inline(always)]
    pub(super) unsafe fn bucket(&self, index: usize) -> BucketPtr {
        // SAFETY: the caller's contract and the invariant.
        let bucket = unsafe {
            match self {
                Self::One(buckets) => buckets.add(index),
                Self::Many(segments) => {
                    segments.get_unchecked(index >> SEGMENT_BITS).buckets.add(index & (SEGMENT - 1))
                }
            }
        };
        BucketPtr::new(bucket.as_ptr())
    }

    /// The memory of `buckets` buckets.
    pub(super) fn blocks(&self, buckets: usize) -> impl Iterator<Item = NonNull<[u8]>> {
        let segment = move |index: usize| {
            let first = match self {
                Self::One(first) => *first,
                Self::Many(segments) => segments[index].buckets,
            };
            let len = (buckets - index * SEGMENT).min(SEGMENT) * size_of::<Bucket>();
            NonNull::slice_from_raw_parts(first.cast(), len)
        };
        (0..segments_for(buckets)).map(segment)
    }

    /// Makes room for one more than `buckets`; `marked` is the number of marked elements of the whole table.
    pub(super) fn extend(&mut self, buckets: usize, marked: usize) {
        if capacity_for(buckets) == capacity_for(buckets + 1) {
            return;
        }
        let room = last_capacity(buckets + 1);
        if buckets == 0 {
            *self = Self::One(allocate(room));
        } else if buckets.is_multiple_of(SEGMENT) {
            if let Self::One(first) = *self {
                *self = Self::Many(vec![Segment { buckets: first, marked: marked as u32 }]);
            }
            if let Self::Many(segments) = self {
                segments.push(Segment { buckets: allocate(room), marked: 0 });
            }
        } else {
            self.reallocate_last(last_capacity(buckets), room);
        }
    }

    /// Gives back the room that `buckets` do not need; before, the table had one more.
    pub(super) fn truncate(&mut self, buckets: usize) {
        if capacity_for(buckets) == capacity_for(buckets + 1) {
            return;
        }
        let room = last_capacity(buckets + 1);
        if buckets.is_multiple_of(SEGMENT) {
            let last = match self {
                Self::One(only) => *only,
                Self::Many(segments) => segments.pop().expect("a segment for each 1,024 buckets").buckets,
            };
            // SAFETY: the last segment had this room, and no bucket of it is in use.
            unsafe { deallocate(last, room) };
            match self {
                Self::One(_) => *self = Self::new(),
                Self::Many(segments) if buckets == SEGMENT => *self = Self::One(segments[0].buckets),
                Self::Many(segments) if segments.capacity() >= 4 * segments.len() => {
                    segments.shrink_to(2 * segments.len());
                }
                Self::Many(_) => {}
            }
        } else {
            self.reallocate_last(room, last_capacity(buckets));
        }
    }

    /// Allocates room for `buckets` at once; there must be none yet.
    pub(super) fn allocate_all(&mut self, buckets: usize) {
        let count = segments_for(buckets);
        *self = match count {
            0 => Self::new(),
            1 => Self::One(allocate(capacity_for(buckets))),
            _ => {
                let room = |segment| if segment + 1 < count { SEGMENT } else { last_capacity(buckets) };
                Self::Many(
                    (0..count)
                        .map(|segment| Segment { buckets: allocate(room(segment)), marked: 0 })
                        .collect(),
                )
            }
        };
    }

    /// Frees the memory of the array of `buckets` buckets.
    ///
    /// # Safety
    ///
    /// - Nothing refers to a bucket any more, and overflow buckets and elements are gone.
    pub(super) unsafe fn free_all(&mut self, buckets: usize) {
        if buckets > 0 {
            // SAFETY: by the invariant, these are the segments and their room.
            unsafe {
                match self {
                    Self::One(only) => deallocate(*only, last_capacity(buckets)),
                    Self::Many(segments) => {
                        let last = segments.len() - 1;
                        for segment in &segments[..last] {
                            deallocate(segment.buckets, SEGMENT);
                        }
                        deallocate(segments[last].buckets, last_capacity(buckets));
                    }
                }
            }
        }
        *self = Self::new();
    }

    fn reallocate_last(&mut self, old_room: usize, new_room: usize) {
        let last = match self {
            Self::One(only) => only,
            Self::Many(segments) => {
                &mut segments.last_mut().expect("a segment for each 1,024 buckets").buckets
            }
        };
        let layout = layout_of(new_room);
        // SAFETY: the segment was allocated with the old room's layout; the new size is not zero.
        let memory = unsafe { realloc(last.as_ptr().cast(), layout_of(old_room), layout.size()) };
        *last = NonNull::new(memory.cast()).unwrap_or_else(|| handle_alloc_error(layout));
    }

    /// Adds to the count of marked elements of the segment of bucket `index`.
    #[inline]
    pub(super) fn add_marked(&mut self, index: usize, count: isize) {
        if let Self::Many(segments) = self {
            let marked = &mut segments[index >> SEGMENT_BITS].marked;
            *marked = marked.wrapping_add_signed(count as i32);
        }
    }

    /// Marked elements of the segment of bucket `index`, in a table that has `total`.
    #[inline]
    pub(super) fn marked_around(&self, index: usize, total: usize) -> usize {
        match self {
            Self::One(_) => total,
            Self::Many(segments) => segments[index >> SEGMENT_BITS].marked as usize,
        }
    }

    /// Bytes of the array of `buckets` buckets and its directory.
    pub(super) fn bytes(&self, buckets: usize) -> usize {
        let directory = match self {
            Self::One(_) => 0,
            Self::Many(segments) => segments.capacity() * size_of::<Segment>(),
        };
        capacity_for(buckets) * BUCKET_BYTES + directory
    }
}

fn layout_of(buckets: usize) -> Layout {
    Layout::array::<Bucket>(buckets).expect("a segment is small")
}

fn allocate(buckets: usize) -> NonNull<Bucket> {
    let layout = layout_of(buckets);
    // SAFETY: the size is not zero.
    let memory = unsafe { alloc(layout) };
    NonNull::new(memory.cast()).unwrap_or_else(|| handle_alloc_error(layout))
}

/// # Safety
///
/// - `allocate` or `reallocate_last` gave `segment` room for `buckets`.
unsafe fn deallocate(segment: NonNull<Bucket>, buckets: usize) {
    // SAFETY: the caller's contract.
    unsafe { dealloc(segment.as_ptr().cast(), layout_of(buckets)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacity_grows_in_bounded_steps_within_segments() {
        for buckets in 1..40_000 {
            let capacity = capacity_for(buckets);
            assert!(capacity >= buckets);
            assert!(capacity <= buckets + buckets / if buckets <= SEGMENT { 4 } else { 8 } + 1);
            assert_eq!(segments_for(capacity), segments_for(buckets), "the room is all in the last segment");
            assert!(
                capacity_for(buckets + 1) == capacity || capacity == buckets,
                "no growth before it is full"
            );
        }
        let classes: Vec<usize> = (1..=64).filter(|&n| capacity_for(n) == n).collect();
        let expected = [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64];
        assert_eq!(classes, expected);
    }
}
