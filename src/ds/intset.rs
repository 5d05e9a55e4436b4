//! A set of integers as one sorted array: the encoding `intset`, and the bytes of it in RDB files.
//!
//! ```text
//! byte 0          4           8
//!      ┌──────────┬───────────┬──────────┬──────────┬─ ─ ─
//!      │ width    │ count     │ least    │ …        │
//!      └──────────┴───────────┴──────────┴──────────┴─ ─ ─
//!        u32, LE    u32, LE     count integers of `width` bytes, LE, ascending
//! ```
//!
//! All members have the same width: 2, 4 or 8 bytes, as the one farthest from zero needs. A member too wide for the
//! others widens all of them. Nothing ever narrows: upstream's does not, and members that come and go would make it
//! copy back and forth.
//!
//! Searching is binary. Adding and removing move what is behind, which is cheap for the few hundred members that
//! `set-max-intset-entries` permits.

use std::cmp::Ordering;
use std::ptr::NonNull;

use rand::Rng;

use super::blob::{Blob, IntSetFormat};

/// Bytes before the first member.
const HEADER: usize = 8;

/// A set of integers. See the [module](self) for its bytes.
#[derive(Clone, PartialEq, Eq)]
#[repr(transparent)]
pub struct IntSet {
    blob: Blob<IntSetFormat>,
}

/// The bytes of a member.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Width {
    Two = 2,
    Four = 4,
    Eight = 8,
}

impl Width {
    /// The least width that holds `value`.
    fn of(value: i64) -> Width {
        if i16::try_from(value).is_ok() {
            Width::Two
        } else if i32::try_from(value).is_ok() {
            Width::Four
        } else {
            Width::Eight
        }
    }

    fn from_bytes(bytes: [u8; 4]) -> Option<Width> {
        match u32::from_le_bytes(bytes) {
            2 => Some(Width::Two),
            4 => Some(Width::Four),
            8 => Some(Width::Eight),
            _ => None,
        }
    }

    /// The member at the start of `bytes`.
    fn read(self, bytes: &[u8]) -> i64 {
        match self {
            Width::Two => i64::from(i16::from_le_bytes(*bytes.first_chunk().expect("a member"))),
            Width::Four => i64::from(i32::from_le_bytes(*bytes.first_chunk().expect("a member"))),
            Width::Eight => i64::from_le_bytes(*bytes.first_chunk().expect("a member")),
        }
    }

    /// Writes a member that has this width, or less, over the start of `bytes`.
    fn write(self, bytes: &mut [u8], value: i64) {
        // Little-endian integers of two's complement are cut by leaving off their last bytes.
        let width = self as usize;
        bytes[..width].copy_from_slice(&value.to_le_bytes()[..width]);
    }
}

impl IntSet {
    /// The empty set.
    pub fn new() -> IntSet {
        IntSet { blob: Blob::new(&header(Width::Two, 0)) }
    }

    /// Takes bytes in the format above, as they come from a file or a `RESTORE`, if [`validate`] accepts them.
    pub fn from_bytes(bytes: impl AsRef<[u8]>) -> Option<IntSet> {
        let bytes = bytes.as_ref();
        validate(bytes).then(|| IntSet { blob: Blob::copy_of(bytes) })
    }

    /// The bytes in the format above.
    pub fn as_bytes(&self) -> &[u8] {
        self.blob.as_slice()
    }

    /// Bytes allocated.
    pub fn capacity(&self) -> usize {
        self.blob.capacity()
    }

    /// Gives up the set for an address that is a multiple of eight.
    #[inline]
    pub fn into_raw(self) -> NonNull<u8> {
        self.blob.into_raw()
    }

    /// Makes a set of what [`Self::into_raw`] gave.
    ///
    /// # Safety
    ///
    /// - `data` is from [`Self::into_raw`], and no other set is made of it that is used or dropped.
    #[inline]
    pub unsafe fn from_raw(data: NonNull<u8>) -> IntSet {
        // SAFETY: the caller's contract.
        IntSet { blob: unsafe { Blob::from_raw(data) } }
    }

    /// The number of members.
    pub fn len(&self) -> usize {
        let bytes = self.as_bytes();
        u32::from_le_bytes(*bytes[4..].first_chunk().expect("a header")) as usize
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether `value` is a member.
    pub fn contains(&self, value: i64) -> bool {
        Width::of(value) <= self.width() && self.search(value).is_ok()
    }

    /// Adds `value` and tells whether it is new.
    pub fn add(&mut self, value: i64) -> bool {
        if Width::of(value) > self.width() {
            self.widen(Width::of(value), value);
            return true;
        }
        let Err(index) = self.search(value) else { return false };
        let (width, count) = (self.width(), self.len());
        let (at, end) = (index * width as usize, count * width as usize);
        self.blob.set_header(&header(width, count + 1));
        let members = self.blob.body_mut();
        members.copy_within(at..end, at + width as usize);
        width.write(&mut members[at..], value);
        true
    }

    /// Removes `value` and tells whether it was a member.
    pub fn remove(&mut self, value: i64) -> bool {
        if Width::of(value) > self.width() {
            return false;
        }
        let Ok(index) = self.search(value) else { return false };
        let (width, count) = (self.width(), self.len());
        let at = index * width as usize;
        self.blob.body_mut().copy_within(at + width as usize.., at);
        self.blob.set_header(&header(width, count - 1));
        true
    }

    /// The member with `index` others below it.
    pub fn get(&self, index: usize) -> Option<i64> {
        let width = self.width();
        let at = HEADER + index.checked_mul(width as usize)?;
        let member = self.as_bytes().get(at..at + width as usize)?;
        Some(width.read(member))
    }

    /// The least member.
    pub fn min(&self) -> Option<i64> {
        self.get(0)
    }

    /// The greatest member.
    pub fn max(&self) -> Option<i64> {
        self.get(self.len().checked_sub(1)?)
    }

    /// A member, each with the same probability.
    pub fn random(&self, rng: &mut impl Rng) -> Option<i64> {
        if self.is_empty() {
            return None;
        }
        self.get(rng.random_range(0..self.len()))
    }

    /// The members, ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = i64> + ExactSizeIterator + '_ {
        let width = self.width();
        self.as_bytes()[HEADER..].chunks_exact(width as usize).map(move |member| width.read(member))
    }

    fn width(&self) -> Width {
        Width::from_bytes(*self.as_bytes().first_chunk().expect("a header")).expect("a valid width")
    }

    /// The index of `value`, or the one to insert it at.
    fn search(&self, value: i64) -> Result<usize, usize> {
        let width = self.width();
        let members = &self.as_bytes()[HEADER..];
        let (mut low, mut high) = (0, self.len());
        // Sets that grow in order are common: look at the end first.
        if high > 0 && width.read(&members[(high - 1) * width as usize..]) < value {
            return Err(high);
        }
        while low < high {
            let middle = low.midpoint(high);
            match width.read(&members[middle * width as usize..]).cmp(&value) {
                Ordering::Equal => return Ok(middle),
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    /// Gives all members `width`, and adds `value`, which needs it and is therefore the least or the greatest.
    fn widen(&mut self, width: Width, value: i64) {
        let count = self.len() + 1;
        let mut blob = Blob::new(&header(width, count));
        let (below, above) = if value < 0 { (Some(value), None) } else { (None, Some(value)) };
        let members = below.into_iter().chain(self.iter()).chain(above);
        for (place, member) in blob.body_mut().chunks_exact_mut(width as usize).zip(members) {
            width.write(place, member);
        }
        self.blob = blob;
    }
}

impl Default for IntSet {
    fn default() -> IntSet {
        IntSet::new()
    }
}

impl std::fmt::Debug for IntSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl Extend<i64> for IntSet {
    fn extend<I: IntoIterator<Item = i64>>(&mut self, values: I) {
        for value in values {
            self.add(value);
        }
    }
}

impl FromIterator<i64> for IntSet {
    fn from_iter<I: IntoIterator<Item = i64>>(values: I) -> IntSet {
        let mut set = IntSet::new();
        set.extend(values);
        set
    }
}

fn header(width: Width, count: usize) -> [u8; HEADER] {
    let count = u32::try_from(count).expect("a set of integers has less than 2^32 members");
    let mut header = [0; HEADER];
    header[..4].copy_from_slice(&(width as u32).to_le_bytes());
    header[4..].copy_from_slice(&count.to_le_bytes());
    header
}

/// Whether `bytes` are those of a set that is not empty: a known width, as many bytes as the header says, and members
/// that ascend, so that none is there twice.
pub fn validate(bytes: &[u8]) -> bool {
    let Some((header, members)) = bytes.split_first_chunk::<HEADER>() else { return false };
    let [w0, w1, w2, w3, c0, c1, c2, c3] = *header;
    let Some(width) = Width::from_bytes([w0, w1, w2, w3]) else { return false };
    let count = u32::from_le_bytes([c0, c1, c2, c3]);
    if count == 0 || members.len() as u64 != u64::from(count) * width as u64 {
        return false;
    }
    members.chunks_exact(width as usize).map(|member| width.read(member)).is_sorted_by(|a, b| a < b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zmalloc::good_size;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// Integers around the bounds of each width.
    fn member() -> impl Strategy<Value = i64> {
        prop_oneof![
            -20i64..20,
            (i64::from(i16::MAX) - 3)..(i64::from(i16::MAX) + 3),
            (i64::from(i16::MIN) - 3)..(i64::from(i16::MIN) + 3),
            (i64::from(i32::MAX) - 3)..(i64::from(i32::MAX) + 3),
            (i64::from(i32::MIN) - 3)..(i64::from(i32::MIN) + 3),
            any::<i64>(),
        ]
    }

    #[test]
    fn bytes_as_upstream_writes_them() {
        let set: IntSet = [3, -1, 2, 3].into_iter().collect();
        assert_eq!(set.as_bytes(), b"\x02\0\0\0\x03\0\0\0\xff\xff\x02\0\x03\0");
        let set: IntSet = [1, 65536].into_iter().collect();
        assert_eq!(set.as_bytes(), b"\x04\0\0\0\x02\0\0\0\x01\0\0\0\0\0\x01\0");
        let set: IntSet = [1, i64::MIN].into_iter().collect();
        assert_eq!(set.as_bytes(), b"\x08\0\0\0\x02\0\0\0\0\0\0\0\0\0\0\x80\x01\0\0\0\0\0\0\0");
    }

    #[test]
    fn memory_is_what_the_size_takes() {
        let set: IntSet = (0..1000).collect();
        assert_eq!((size_of::<IntSet>(), set.capacity()), (size_of::<usize>(), good_size(HEADER + 2000)));
        let copy = set.clone();
        // SAFETY: the pointer is from a set, and used once.
        assert_eq!(unsafe { IntSet::from_raw(set.into_raw()) }, copy);
    }

    #[test]
    fn never_narrows() {
        let mut set: IntSet = [1, 70_000].into_iter().collect();
        assert!(set.remove(70_000));
        assert_eq!(set.as_bytes(), b"\x04\0\0\0\x01\0\0\0\x01\0\0\0");
    }

    #[test]
    fn empty() {
        let mut set = IntSet::new();
        assert!(set.is_empty() && set.iter().next().is_none());
        assert_eq!((set.min(), set.max(), set.get(0)), (None, None, None));
        assert_eq!(set.random(&mut rand::rng()), None);
        assert!(!set.contains(0) && !set.remove(0) && !set.remove(i64::MAX));
    }

    #[test]
    fn hostile_bytes() {
        let good = b"\x02\0\0\0\x02\0\0\0\x01\0\x02\0";
        assert!(validate(good));
        let bad: &[&[u8]] = &[
            b"",
            b"\x02\0\0\0",
            b"\x02\0\0\0\0\0\0\0",
            b"\x02\0\0\0\x02\0\0\0\x01\0",
            b"\x02\0\0\0\x02\0\0\0\x01\0\x02\0\0",
            b"\x02\0\0\0\x02\0\0\0\x02\0\x01\0",
            b"\x02\0\0\0\x02\0\0\0\x01\0\x01\0",
            b"\x03\0\0\0\x01\0\0\0\x01\0\0",
            b"\x02\x01\0\0\x02\0\0\0\x01\0\x02\0",
            b"\x02\0\0\0\xff\xff\xff\xff\x01\0\x02\0",
            b"\x08\0\0\0\0\0\0\x20\x01\0\x02\0",
        ];
        for bytes in bad {
            assert!(!validate(bytes), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn random_reaches_all() {
        let set: IntSet = (0..10).collect();
        let mut rng = rand::rng();
        let seen: BTreeSet<i64> = (0..1000).filter_map(|_| set.random(&mut rng)).collect();
        assert_eq!(seen.len(), 10);
    }

    proptest! {
        #[test]
        fn is_a_set(steps in proptest::collection::vec((any::<bool>(), member()), 0..200)) {
            let (mut set, mut model) = (IntSet::new(), BTreeSet::new());
            for (add, value) in steps {
                if add {
                    prop_assert_eq!(set.add(value), model.insert(value));
                } else {
                    prop_assert_eq!(set.remove(value), model.remove(&value));
                }
                prop_assert_eq!(set.contains(value), model.contains(&value));
                prop_assert_eq!(set.len(), model.len());
                prop_assert!(set.is_empty() || validate(set.as_bytes()));
            }
            prop_assert!(set.iter().eq(model.iter().copied()));
            prop_assert!(set.iter().rev().eq(model.iter().rev().copied()));
            prop_assert!((0..=set.len()).map_while(|index| set.get(index)).eq(model.iter().copied()));
            prop_assert_eq!((set.min(), set.max()), (model.first().copied(), model.last().copied()));
            if !set.is_empty() {
                prop_assert_eq!(IntSet::from_bytes(set.as_bytes()), Some(set));
            }
        }

        #[test]
        fn valid_bytes_are_a_set(bytes: Vec<u8>, value in member()) {
            if let Some(mut set) = IntSet::from_bytes(bytes) {
                let present = set.contains(value);
                prop_assert_eq!(set.add(value), !present);
                prop_assert!(set.remove(value) && validate(set.as_bytes()) || set.is_empty());
            }
        }
    }
}
