//! Growing and shrinking, a bucket at a time.
//!
//! A table of `n = 2^level + next` buckets, with `next < 2^level`, has split its first `next` buckets at hash bit
//! `level` already, and not yet the others. To grow, bucket `next` is split: those of its elements whose hash
//! has that bit move to the new bucket `n`, which is `next + 2^level`. To shrink, the last bucket is poured back.
//!
//! ```text
//!                 level 2, next 1          split bucket 1             level 2, next 2
//!     index        0   1   2   3 │ 4                          0   1   2   3 │ 4   5
//!     hash bits  000  01  10  11 │100      ──────────▶      000 001  10  11 │100 101
//! ```

use super::bucket::{self, KEPT_HIGH, KEPT_LOW};
use super::{Element, HashTable};
use crate::ds::hashtable::{element, prefetch};
use std::sync::atomic::{AtomicU8, Ordering};

/// Whether tables may move elements between buckets, for the whole process.
///
/// While a forked child reads a snapshot of memory, each page that this process writes to is copied by the
/// kernel. Moving elements, and merging or splitting buckets, writes to pages that no command asked to change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum ResizePolicy {
    /// Tables keep their best load.
    Allow,
    /// Tables keep their buckets until they are far too full or far too empty: for the parent of a child that
    /// saves.
    Avoid,
    /// Tables keep their buckets: for the child, whose tables nobody will use for long.
    Forbid,
}

static POLICY: AtomicU8 = AtomicU8::new(ResizePolicy::Allow as u8);

/// Sets the policy of all tables.
///
/// What was put off under a stricter one is caught up with by later writes, a bounded amount each, and by
/// [`HashTable::maintain`].
pub fn set_resize_policy(policy: ResizePolicy) {
    POLICY.store(policy as u8, Ordering::Relaxed);
}

/// The policy in force.
pub fn resize_policy() -> ResizePolicy {
    match POLICY.load(Ordering::Relaxed) {
        0 => ResizePolicy::Allow,
        1 => ResizePolicy::Avoid,
        _ => ResizePolicy::Forbid,
    }
}

/// Elements two buckets have, on average, beyond which a table grows. (Two, since it is six and a half a bucket.)
const GROW_LOAD: usize = 13;
/// Elements two buckets have below which it shrinks. The gap keeps a table whose size swings a little from
/// splitting and merging the same bucket over and over.
const SHRINK_LOAD: usize = 11;
/// The load beyond which a table grows although that is to be avoided: chains of four or five lines.
const GROW_LOAD_HARD: usize = 4 * GROW_LOAD;
/// Buckets an element, beyond which a table shrinks although that is to be avoided.
const SHRINK_SPARSITY_HARD: usize = 6;

/// Buckets split in one insertion while a table is behind. One split makes room for six or seven elements, so
/// two an insertion catch up fast.
const MAX_SPLITS: usize = 2;
/// Buckets merged in one removal while a table is behind.
const MAX_MERGES: usize = 2;
/// The same while the table is so sparse that a bucket is nearly always empty: each costs little, and it takes
/// more than `SHRINK_SPARSITY_HARD` a removal to keep the table from getting sparser yet.
const MAX_MERGES_SPARSE: usize = 8;

/// Whether `len` elements are too many for `buckets`. The last half element is let pass, so that the first bucket
/// is filled before there is a second.
#[inline(always)]
fn crowded(len: usize, buckets: usize, load: usize) -> bool {
    2 * len > buckets * load + 1
}

/// The bucket that bucket `index`, not 0, was split from: its index without the highest bit.
fn split_from(index: usize) -> usize {
    index - (1 << index.ilog2())
}

impl<E: Element> HashTable<E> {
    /// Makes sure that there is a bucket, and splits some if one more element makes the table too full.
    #[inline]
    pub(super) fn grow_for_one(&mut self) {
        if self.buckets == 0 {
            self.start();
        } else if crowded(self.len + 1, self.buckets as usize, GROW_LOAD) {
            self.catch_up_growing(MAX_SPLITS);
        }
    }

    /// Merges some buckets if the table, which just lost an element, is too empty.
    #[inline]
    pub(super) fn shrink_for_one(&mut self) {
        if self.is_airy() {
            self.catch_up_shrinking(MAX_MERGES);
        }
    }

    /// Splits or merges up to `steps` buckets if the table is behind; says whether it still is.
    ///
    /// Writes do as much on their own. This is for tables that are not written to: when a child that saved is
    /// gone, or after [`Self::reserve`] asked for too much.
    pub fn maintain(&mut self, steps: usize) -> bool {
        self.buckets > 0 && (self.catch_up_growing(steps) || self.catch_up_shrinking(steps))
    }

    /// Whether one bucket less would do, with room to spare; for the only bucket, whether it is empty.
    #[inline]
    fn is_airy(&self) -> bool {
        2 * self.len < (self.buckets as usize - 1) * SHRINK_LOAD || self.len == 0
    }

    /// Splits up to `steps` buckets while the table is too full for the policy; says whether it still is.
    fn catch_up_growing(&mut self, steps: usize) -> bool {
        let load = match resize_policy() {
            ResizePolicy::Allow => GROW_LOAD,
            ResizePolicy::Avoid => GROW_LOAD_HARD,
            ResizePolicy::Forbid => return false,
        };
        for _ in 0..steps {
            if !crowded(self.len + 1, self.buckets as usize, load) || self.buckets == u32::MAX {
                return false;
            }
            self.split_next();
        }
        true
    }

    /// Merges up to `steps` buckets, more if they are nearly all empty, while the table is too empty for the
    /// policy; says whether it still is.
    fn catch_up_shrinking(&mut self, steps: usize) -> bool {
        let sparse = |table: &Self| table.len * SHRINK_SPARSITY_HARD < table.buckets as usize;
        let policy = resize_policy();
        let steps = if sparse(self) { steps * MAX_MERGES_SPARSE / MAX_MERGES } else { steps };
        for _ in 0..steps {
            // The last bucket goes with the last element.
            if self.buckets <= self.len.min(1) as u32 {
                return false;
            }
            let behind = match policy {
                ResizePolicy::Allow => self.is_airy(),
                ResizePolicy::Avoid => sparse(self),
                ResizePolicy::Forbid => false,
            };
            if !behind {
                return false;
            }
            self.merge_last();
        }
        true
    }

    /// Makes room for `elements` in all, at once, so that inserting them splits nothing.
    ///
    /// It is for loads: the table shrinks again when elements are removed while it is not filled.
    ///
    /// The memory is allocated at once: the number must be one that the caller has reason to believe.
    pub fn reserve(&mut self, elements: usize) {
        if elements <= self.len() {
            return;
        }
        let wanted = (2 * elements as u128 - 1).div_ceil(GROW_LOAD as u128).min(u32::MAX.into()) as u32;
        if self.is_empty() {
            self.clear();
            self.start_with(wanted);
        }
        while self.buckets < wanted {
            self.split_next();
        }
    }

    /// Gives a table without buckets its first.
    #[cold]
    fn start(&mut self) {
        // What an `ElementMut` that was leaked has left is no longer ours: see there.
        std::mem::forget(std::mem::take(self));
        self.storage.extend(0, 0);
        self.set_buckets(1);
        // SAFETY: there is room for the bucket.
        unsafe { self.head(0).init() };
    }

    /// Gives a table without buckets `buckets` empty ones.
    fn start_with(&mut self, buckets: u32) {
        std::mem::forget(std::mem::take(self));
        self.storage.allocate_all(buckets as usize);
        self.set_buckets(buckets);
        for index in 0..buckets as usize {
            // SAFETY: there is room for the bucket.
            unsafe { self.head(index).init() };
        }
    }

    fn set_buckets(&mut self, buckets: u32) {
        self.buckets = buckets;
        self.mask = u32::MAX.checked_shr(buckets.leading_zeros()).unwrap_or(0);
    }

    /// The hash bit at which the next bucket is split, which is the number of bits that the others are
    /// addressed with. There must be a bucket.
    pub(super) fn level(&self) -> u32 {
        self.buckets.ilog2()
    }

    /// Splits the next bucket.
    fn split_next(&mut self) {
        let level = self.level();
        let new = self.buckets as usize;
        let old = new - (1 << level);
        self.storage.extend(new, self.marked);
        self.set_buckets(self.buckets + 1);
        // SAFETY: both buckets are in use now; `to` is written before it is read.
        let moved_marks = unsafe {
            let (from, to) = (self.head(old), self.head(new));
            to.init();
            if (KEPT_LOW..KEPT_HIGH).contains(&level) {
                self.split_chain(from, to, |item| item.kept_bit(level))
            } else {
                // Only the key can say. The misses are taken side by side.
                bucket::each_in_chain(from, |raw, _| prefetch(raw.as_ptr()));
                self.split_chain(from, to, |item| {
                    // SAFETY: the element is owned by the table, though in no bucket at this moment.
                    let key = E::key_of(E::borrow(item.raw()));
                    E::hash(key) >> level & 1 != 0
                })
            }
        };
        self.storage.add_marked(old, -moved_marks);
        self.storage.add_marked(new, moved_marks);
        self.prefetch_for_split(old + 1);
    }

    /// Asks for what the next splits begin with: the chain of bucket `next`, whose first line was asked for by the
    /// split before, and the first line of the one after it.
    fn prefetch_for_split(&self, next: usize) {
        let after = next + 1;
        if after < 1 << self.level() {
            // SAFETY: the buckets are in use.
            unsafe {
                bucket::prefetch_behind(self.head(next));
                self.head(after).prefetch();
            }
        }
    }

    /// Moves those elements of the chain `from` of which `moves` is true to the chain `to`, and says how many of
    /// them are marked.
    ///
    /// # Safety
    ///
    /// - Both are heads of this table, and `to` is empty.
    unsafe fn split_chain(
        &mut self,
        from: bucket::BucketPtr,
        to: bucket::BucketPtr,
        moves: impl Fn(bucket::Item) -> bool,
    ) -> isize {
        let mut moved_marks = 0;
        // SAFETY: the caller's contract.
        unsafe {
            bucket::empty_chain(from, &mut self.overflow, |item, overflow| {
                let goes = moves(item);
                moved_marks += isize::from(goes && item.marked);
                bucket::push(if goes { to } else { from }, item, overflow);
            });
        }
        moved_marks
    }

    /// Pours the last bucket into the one it was split from. The only bucket, which must be empty, is
    /// given back.
    fn merge_last(&mut self) {
        let last = self.buckets as usize - 1;
        if last > 0 {
            let into = split_from(last);
            let mut moved_marks = 0;
            // SAFETY: both buckets are in use.
            unsafe {
                let (from, to) = (self.head(last), self.head(into));
                if last > 1 {
                    // The lines that the next merge begins with; the one before `from` is next to it.
                    self.head(split_from(last - 1)).prefetch();
                    self.head(last - 1).prefetch();
                }
                bucket::empty_chain(from, &mut self.overflow, |item, overflow| {
                    moved_marks += isize::from(item.marked);
                    bucket::push(to, item, overflow);
                });
            }
            self.storage.add_marked(last, -moved_marks);
            self.storage.add_marked(into, moved_marks);
        }
        self.set_buckets(last as u32);
        self.storage.truncate(last);
    }

    /// Removes all elements and gives back all memory.
    pub fn clear(&mut self) {
        let mut table = std::mem::take(self);
        for index in 0..table.buckets as usize {
            // SAFETY: the buckets are in use, and each element leaves the table, which owned it.
            unsafe {
                if index + 1 < table.buckets as usize {
                    bucket::prefetch_elements(table.head(index + 1));
                }
                let head = table.head(index);
                bucket::empty_chain(head, &mut table.overflow, |item, _| {
                    drop(element::from_raw::<E>(item.raw()));
                });
            }
        }
        // SAFETY: nothing is left in the buckets. (A panic in a drop before comes here again, from the table's drop.)
        unsafe { table.storage.free_all(table.buckets as usize) };
        std::mem::forget(table);
    }

    /// Removes the elements of up to `buckets` buckets, dropping them, and the buckets with them; says whether
    /// elements are left. For freeing a large table bit by bit.
    pub fn drain_some(&mut self, buckets: usize) -> bool {
        for _ in 0..buckets {
            let Some(last) = (self.buckets as usize).checked_sub(1) else { break };
            // SAFETY: the bucket is in use; each element of it leaves the table, which owned it. The count goes down
            // first, so that a panic in a drop leaves a whole table.
            unsafe {
                let head = self.head(last);
                let (mut len, mut marked) = (0, 0);
                bucket::each_in_chain(head, |_, mark| {
                    len += 1;
                    marked += isize::from(mark);
                });
                self.len -= len;
                self.add_marked(last, -marked);
                bucket::empty_chain(head, &mut self.overflow, |item, _| {
                    drop(element::from_raw::<E>(item.raw()));
                });
            }
            self.set_buckets(last as u32);
            self.storage.truncate(last);
        }
        !self.is_empty()
    }
}
