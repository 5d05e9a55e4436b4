//! The lowest nodes of the tree: elements in order, each with a hint at its score.
//!
//! A slot is one word: the address of an element in the lower 48 bits, and in the upper 16 a *hint*, its score on a
//! scale of the leaf's own. A hint never contradicts the order: of two scores the smaller has not the larger hint. So a
//! search compares hints first, which lie in the leaf, and looks at elements only where hints are equal; with
//! one look or two it finds its place, where a binary search among elements would take six, a cache miss each.
//!
//! # The scale
//!
//! The bits of a double that is not negative, read as an integer, are in the order of the doubles; with some bits
//! flipped that holds for negative ones too ([`order_key`]). Scores that a leaf has are neighbours, so that they agree in
//! the upper bits of their keys, which tell nothing. The scale is a window on the keys, a base and a shift:
//!
//! ```text
//!     hint = clamp((key - base) >> shift, 0, 65535)
//! ```
//!
//! It is chosen when a leaf is filled, so that the elements of that moment use the middle half of the hints. Scores outside of
//! the window have the first hint or the last, which is no contradiction, only less of a hint. A leaf that grows from one element
//! on chooses again at each power of two.

use super::element::{ADDRESS_BITS, ElementPtr};
use super::{Cut, prefetch};

/// Elements that a leaf has room for: what makes it 512 bytes.
pub(super) const LEAF_MAX: usize = 62;

/// A leaf with fewer elements is merged with a neighbour, or gets some of its elements.
pub(super) const LEAF_MIN: usize = LEAF_MAX / 4;

/// Bytes that come from memory together.
const CACHE_LINE: usize = 64;

/// A score as an integer in the same order. The two zeros are one.
pub(super) fn order_key(score: f64) -> u64 {
    let bits = (score + 0.0).to_bits();
    if bits >> 63 == 0 { bits | 1 << 63 } else { !bits }
}

/// A pointer to an element, with a hint at its score.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Slot(*mut u8);

impl Slot {
    /// A slot that is not in use.
    const VACANT: Slot = Slot(std::ptr::null_mut());

    fn new(element: ElementPtr, hint: u16) -> Slot {
        Slot(element.pack(hint))
    }

    #[inline(always)]
    fn hint(self) -> u16 {
        (self.0.addr() >> ADDRESS_BITS) as u16
    }

    /// The element.
    #[inline(always)]
    pub(super) fn element(&self) -> ElementPtr {
        debug_assert!(!self.0.is_null(), "the slot is vacant");
        // SAFETY: a slot in use was made by `new`, of an element that lives as long as it is in the tree.
        unsafe { ElementPtr::unpack(self.0) }
    }

    /// The element's member.
    #[inline(always)]
    pub(super) fn member(&self) -> &[u8] {
        // SAFETY: the slot is borrowed with the tree, and an element lives as long as it is in the tree.
        unsafe { self.element().member_for() }
    }

    /// Asks for the element's first cache line.
    #[inline(always)]
    pub(super) fn prefetch(self) {
        prefetch(self.element().address());
    }
}

/// The window on the keys that hints are relative to.
#[derive(Clone, Copy)]
struct Scale {
    base: u64,
    shift: u32,
}

impl Scale {
    /// The scale for scores from `least` to `greatest`.
    fn new(least: f64, greatest: f64) -> Scale {
        let (low, high) = (order_key(least), order_key(greatest));
        // The scores shall have less than half of the hints, from the first quarter on.
        let shift = (u64::BITS - (high - low).leading_zeros()).saturating_sub(15);
        Scale { base: low.saturating_sub(1 << 14 << shift), shift }
    }

    #[inline(always)]
    fn hint(self, score: f64) -> u16 {
        let distance = order_key(score).saturating_sub(self.base) >> self.shift;
        distance.min(u64::from(u16::MAX)) as u16
    }
}

/// Elements in order.
// What a search reads first comes first, in the line that is asked for.
#[repr(C)]
pub(super) struct Leaf {
    /// Where the scale begins.
    base: u64,
    /// Lower bits of a key that the scale leaves out.
    shift: u32,
    len: u32,
    slots: [Slot; LEAF_MAX],
}

const _: () = assert!(size_of::<Leaf>() == 512, "a leaf fills a size class of the allocator");

// SAFETY: a leaf is a list of pointers to elements, whose owner, the index, moves with it.
unsafe impl Send for Leaf {}
// SAFETY: a shared leaf gives out nothing but what is shared of elements.
unsafe impl Sync for Leaf {}

impl Leaf {
    /// A leaf with these elements, which are in order.
    pub(super) fn new(elements: &[ElementPtr]) -> Box<Leaf> {
        let mut leaf = Box::new(Leaf { base: 0, shift: 0, len: 0, slots: [Slot::VACANT; LEAF_MAX] });
        leaf.fill(elements);
        leaf
    }

    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    pub(super) fn is_full(&self) -> bool {
        self.len() == LEAF_MAX
    }

    #[inline(always)]
    pub(super) fn slots(&self) -> &[Slot] {
        &self.slots[..self.len()]
    }

    fn scale(&self) -> Scale {
        Scale { base: self.base, shift: self.shift }
    }

    /// Asks for the whole leaf: a search in it reads some lines one after the other, an insertion writes half of them.
    #[inline(always)]
    pub(super) fn prefetch(&self) {
        let start = std::ptr::from_ref(self).cast::<u8>();
        for line in (0..size_of::<Leaf>()).step_by(CACHE_LINE) {
            prefetch(start.wrapping_add(line));
        }
    }

    /// All elements.
    pub(super) fn elements(&self) -> impl Iterator<Item = ElementPtr> + '_ {
        self.slots().iter().map(Slot::element)
    }

    /// The first element, if there is one.
    pub(super) fn first(&self) -> Option<ElementPtr> {
        self.slots().first().map(Slot::element)
    }

    /// Replaces all elements by these, which are in order.
    pub(super) fn fill(&mut self, elements: &[ElementPtr]) {
        elements.iter().for_each(|element| prefetch(element.address()));
        if let (Some(first), Some(last)) = (elements.first(), elements.last()) {
            Scale { base: self.base, shift: self.shift } = Scale::new(first.score(), last.score());
        }
        let scale = self.scale();
        for (slot, &element) in self.slots.iter_mut().zip(elements) {
            *slot = Slot::new(element, scale.hint(element.score()));
        }
        self.len = elements.len() as u32;
    }

    /// The number of elements before `cut`.
    #[inline]
    pub(super) fn count_before(&self, cut: Cut<'_>) -> usize {
        let is_before = |slot: &Slot| cut.is_after(slot.element().score(), || slot.member());
        match cut.score() {
            Some(score) => {
                let run = self.run_of(self.scale().hint(score));
                run.start + self.slots[run].partition_point(is_before)
            }
            None => self.slots().partition_point(is_before),
        }
    }

    /// Where `element` is.
    pub(super) fn position(&self, element: ElementPtr) -> Option<usize> {
        let run = self.run_of(self.scale().hint(element.score()));
        let start = run.start;
        self.slots[run].iter().position(|slot| slot.element() == element).map(|at| start + at)
    }

    /// The slots with this hint.
    #[inline(always)]
    fn run_of(&self, hint: u16) -> std::ops::Range<usize> {
        let start = self.slots().partition_point(|slot| slot.hint() < hint);
        let same = self.slots()[start..].iter().take_while(|slot| slot.hint() == hint).count();
        start..start + same
    }

    /// Inserts an element in front of number `at`. There is room.
    pub(super) fn insert(&mut self, at: usize, element: ElementPtr) {
        let len = self.len();
        self.slots.copy_within(at..len, at + 1);
        self.slots[at] = Slot::new(element, self.scale().hint(element.score()));
        self.len += 1;
        if self.len >= 4 && self.len.is_power_of_two() {
            self.choose_scale();
        }
    }

    /// Gives the hints anew, on a scale for the scores of now.
    fn choose_scale(&mut self) {
        let elements: Vec<ElementPtr> = self.elements().collect();
        self.fill(&elements);
    }

    /// Removes the elements of a range of positions.
    pub(super) fn remove(&mut self, range: std::ops::Range<usize>) {
        let len = self.len();
        self.slots.copy_within(range.end..len, range.start);
        self.len -= range.len() as u32;
    }

    /// Changes the score of element number `at`, if the order stays one and this can be seen within the leaf.
    pub(super) fn change_score(&mut self, at: usize, score: f64) -> bool {
        if at == 0 || at + 1 >= self.len() {
            return false;
        }
        let (hint, slot) = (self.scale().hint(score), self.slots[at]);
        let cut = Cut::BelowElement(score, slot.member());
        let (left, right) = (&self.slots[at - 1], &self.slots[at + 1]);
        let fits = (left.hint() < hint || cut.is_after(left.element().score(), || left.member()))
            && (right.hint() > hint || !cut.is_after(right.element().score(), || right.member()));
        if fits {
            slot.element().set_score(score);
            self.slots[at] = Slot::new(slot.element(), hint);
        }
        fits
    }

    /// Asserts the invariants.
    pub(super) fn validate(&self) {
        assert!(self.len() <= LEAF_MAX);
        for slot in self.slots() {
            assert_eq!(slot.hint(), self.scale().hint(slot.element().score()), "a hint is out of date");
        }
        assert!(self.slots().is_sorted_by_key(|slot| slot.hint()), "the hints contradict the order");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn score() -> impl Strategy<Value = f64> {
        prop_oneof![
            any::<f64>().prop_filter("no score is NaN", |score| !score.is_nan()),
            (-100i32..100).prop_map(f64::from),
            (0u64..1000).prop_map(|ms| 1.7e12 + ms as f64),
            prop_oneof![Just(0.0), Just(-0.0), Just(f64::INFINITY), Just(f64::NEG_INFINITY)],
        ]
    }

    proptest! {
        #[test]
        fn keys_are_in_the_order_of_scores(a in score(), b in score()) {
            prop_assert_eq!(order_key(a).cmp(&order_key(b)), a.partial_cmp(&b).unwrap());
        }

        #[test]
        fn hints_never_contradict_the_order(ends in [score(), score()], a in score(), b in score()) {
            let scale = Scale::new(ends[0].min(ends[1]), ends[0].max(ends[1]));
            if a <= b {
                prop_assert!(scale.hint(a) <= scale.hint(b));
            }
        }
    }

    #[test]
    fn neighbouring_scores_have_hints_of_their_own() {
        // Across zero lie all the small numbers, most of the scale.
        for (first, step, at_least) in
            [(1.0, 1.0, 60), (1.7e12, 250.0, 60), (-9.0, 0.125, 60), (1e300, 1e298, 60), (-3.0, 0.125, 40)]
        {
            let scores: Vec<f64> = (0..62).map(|i| first + step * f64::from(i)).collect();
            let scale = Scale::new(scores[0], scores[61]);
            let distinct = scores.windows(2).filter(|pair| scale.hint(pair[0]) < scale.hint(pair[1])).count();
            assert!(distinct >= at_least, "{first} {step}: {distinct}");
        }
    }
}
