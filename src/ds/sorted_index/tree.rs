//! The tree as a whole: the ways down from its root, and along its leaves.

use std::iter::FusedIterator;

use super::Cut;
use super::element::ElementPtr;
use super::inner::{Edges, INNER_MAX, Inner, Node};
use super::leaf::{LEAF_MAX, Leaf, Slot};
use crate::zmalloc::good_size;

/// Elements that an iterator asks for ahead of the one it gives.
const PREFETCH: usize = 8;

/// A counted B+tree of pointers to elements.
pub(super) struct Tree {
    root: Node,
    len: usize,
}

impl Tree {
    pub(super) fn new() -> Tree {
        Tree { root: Node::Leaf(Leaf::new(&[])), len: 0 }
    }

    /// The tree of these elements, which are in order. Its nodes are as full as they can be.
    pub(super) fn from_sorted(elements: &[ElementPtr]) -> Tree {
        let mut nodes: Vec<Node> =
            evenly(elements, LEAF_MAX).map(|elements| Node::Leaf(Leaf::new(elements))).collect();
        while nodes.len() > 1 {
            let sizes: Vec<usize> = evenly(&nodes, INNER_MAX).map(<[Node]>::len).collect();
            let mut rest = nodes.into_iter();
            let inner = |size| Node::Inner(Inner::new(rest.by_ref().take(size)));
            nodes = sizes.into_iter().map(inner).collect();
        }
        match nodes.pop() {
            Some(root) => Tree { root, len: elements.len() },
            None => Tree::new(),
        }
    }

    /// The number of elements.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The number of elements before `cut`.
    pub(super) fn count_before(&self, cut: Cut<'_>) -> usize {
        let (mut node, mut before) = (&self.root, 0);
        loop {
            match node {
                Node::Leaf(leaf) => return before + leaf.count_before(cut),
                Node::Inner(inner) => {
                    let (child, skipped) = inner.child_at_cut(cut);
                    (node, before) = (child, before + skipped);
                }
            }
        }
    }

    /// Asks for the leaf that elements of this score are in.
    #[inline]
    pub(super) fn prefetch(&self, score: f64) {
        let mut node = &self.root;
        while let Node::Inner(inner) = node {
            node = inner.child_at_score(score);
        }
        if let Node::Leaf(leaf) = node {
            leaf.prefetch();
        }
    }

    /// The number of elements before `element`, which is in the tree.
    pub(super) fn rank(&self, element: ElementPtr) -> usize {
        let cut = Cut::AboveElement(element.score(), element.member());
        let (mut node, mut before) = (&self.root, 0);
        loop {
            match node {
                Node::Leaf(leaf) => {
                    return before + leaf.position(element).expect("the element is in the tree");
                }
                Node::Inner(inner) => {
                    let (child, skipped) = inner.child_at_cut(cut);
                    (node, before) = (child, before + skipped);
                }
            }
        }
    }

    /// The slots of the leaf that has element number `rank`, and the element's number in it. There is one of this rank.
    fn slots_at(&self, mut rank: usize) -> (&[Slot], usize) {
        let mut node = &self.root;
        loop {
            match node {
                Node::Leaf(leaf) => return (leaf.slots(), rank),
                Node::Inner(inner) => (node, rank) = inner.child_at_rank(rank),
            }
        }
    }

    /// Element number `rank`.
    pub(super) fn get(&self, rank: usize) -> Option<&Slot> {
        if rank >= self.len {
            return None;
        }
        let (slots, at) = self.slots_at(rank);
        slots.get(at)
    }

    /// The elements of a range of ranks, which is within the tree.
    pub(super) fn range(&self, ranks: std::ops::Range<usize>) -> Iter<'_> {
        debug_assert!(ranks.start <= ranks.end && ranks.end <= self.len);
        Iter { tree: self, ranks, front: &[], back: &[] }
    }

    /// Inserts an element, which is not in the tree.
    pub(super) fn insert(&mut self, element: ElementPtr) {
        if self.root.is_full() {
            let old = std::mem::replace(&mut self.root, Node::Leaf(Leaf::new(&[])));
            self.root = Node::Inner(Inner::new([old]));
        }
        self.len += 1;
        let mut edges = Edges { left: true, right: true };
        let mut node = &mut self.root;
        loop {
            match node {
                Node::Leaf(leaf) => {
                    let at = leaf.count_before(Cut::BelowElement(element.score(), element.member()));
                    return leaf.insert(at, element);
                }
                Node::Inner(inner) => {
                    let index = inner.prepare_insertion(element, &mut edges);
                    node = inner.child_mut(index);
                }
            }
        }
    }

    /// Changes the score of an element of the tree, and moves it to where it belongs then.
    pub(super) fn change_score(&mut self, element: ElementPtr, score: f64) {
        if !self.change_score_in_place(element, score) {
            self.remove(element);
            element.set_score(score);
            self.insert(element);
        }
    }

    /// Changes the score of an element that stays where it is, as far as a look at its leaf tells.
    fn change_score_in_place(&mut self, element: ElementPtr, score: f64) -> bool {
        let mut node = &mut self.root;
        loop {
            match node {
                Node::Leaf(leaf) => {
                    let at = leaf.position(element).expect("the element is in the tree");
                    return leaf.change_score(at, score);
                }
                Node::Inner(inner) => {
                    node = inner.child_at_cut_mut(Cut::AboveElement(element.score(), element.member()));
                }
            }
        }
    }

    /// Removes an element of the tree.
    pub(super) fn remove(&mut self, element: ElementPtr) {
        let rank = self.rank(element);
        self.remove_range(rank..rank + 1);
    }

    /// Removes the elements of a range of ranks, which is within the tree.
    pub(super) fn remove_range(&mut self, ranks: std::ops::Range<usize>) {
        debug_assert!(ranks.start <= ranks.end && ranks.end <= self.len);
        let mut left = ranks.len();
        while left > 0 {
            left -= self.root.remove_run(ranks.start, left);
        }
        self.len -= ranks.len();
        while let Node::Inner(inner) = &mut self.root
            && inner.len() <= 1
        {
            self.root = inner.pop_child().unwrap_or_else(|| Node::Leaf(Leaf::new(&[])));
        }
    }

    /// Bytes of memory that the nodes take.
    pub(super) fn mem_bytes(&self) -> usize {
        fn below(node: &Node) -> usize {
            match node {
                Node::Leaf(_) => good_size(size_of::<Leaf>()),
                Node::Inner(inner) => {
                    let children = match inner.first_child() {
                        Node::Leaf(_) => inner.len() * good_size(size_of::<Leaf>()),
                        Node::Inner(_) => inner.children().map(below).sum(),
                    };
                    good_size(size_of::<Inner>()) + children
                }
            }
        }
        below(&self.root)
    }

    /// Asserts every invariant.
    pub(super) fn validate(&self) {
        fn below(node: &Node) -> usize {
            match node {
                Node::Leaf(leaf) => {
                    leaf.validate();
                    1
                }
                Node::Inner(inner) => {
                    inner.validate();
                    let heights: Vec<usize> = inner.children().map(below).collect();
                    assert!(
                        heights.iter().all(|&height| height == heights[0]),
                        "leaves lie at different heights"
                    );
                    heights[0] + 1
                }
            }
        }
        below(&self.root);
        assert_eq!(self.root.count(), self.len);
        let elements: Vec<ElementPtr> = self.range(0..self.len).map(Slot::element).collect();
        assert!(elements.windows(2).all(|pair| pair[0].order(&pair[1]).is_lt()), "elements are out of order");
    }
}

/// Parts of a slice, as few as parts of at most `max` can be, and none larger than another by more than one.
fn evenly<T>(all: &[T], max: usize) -> impl Iterator<Item = &[T]> {
    let mut rest = all;
    let parts = all.len().div_ceil(max);
    (0..parts).map(move |done| {
        let (now, later) = rest.split_at(rest.len() / (parts - done));
        rest = later;
        now
    })
}

/// Elements in order, from both ends if need be.
///
/// The ranks say where it is. From them it finds its way down anew for each leaf, which for fifty elements is no cost.
#[derive(Clone)]
pub(super) struct Iter<'t> {
    tree: &'t Tree,
    ranks: std::ops::Range<usize>,
    /// What is left of the leaf that the front is in.
    front: &'t [Slot],
    /// What is left of the leaf that the back is in.
    back: &'t [Slot],
}

impl<'t> Iterator for Iter<'t> {
    type Item = &'t Slot;

    #[inline]
    fn next(&mut self) -> Option<&'t Slot> {
        if self.ranks.is_empty() {
            return None;
        }
        if self.front.is_empty() {
            let (slots, at) = self.tree.slots_at(self.ranks.start);
            self.front = &slots[at..];
            self.front.iter().take(PREFETCH.min(self.ranks.len())).for_each(|slot| slot.prefetch());
        }
        let (slot, rest) = self.front.split_first()?;
        if self.ranks.len() > PREFETCH
            && let Some(ahead) = self.front.get(PREFETCH)
        {
            ahead.prefetch();
        }
        self.front = rest;
        self.ranks.start += 1;
        Some(slot)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.ranks.len(), Some(self.ranks.len()))
    }
}

impl<'t> DoubleEndedIterator for Iter<'t> {
    #[inline]
    fn next_back(&mut self) -> Option<&'t Slot> {
        if self.ranks.is_empty() {
            return None;
        }
        if self.back.is_empty() {
            let (slots, at) = self.tree.slots_at(self.ranks.end - 1);
            self.back = &slots[..=at];
            self.back.iter().rev().take(PREFETCH.min(self.ranks.len())).for_each(|slot| slot.prefetch());
        }
        let (slot, rest) = self.back.split_last()?;
        if self.ranks.len() > PREFETCH && self.back.len() > PREFETCH {
            self.back[self.back.len() - 1 - PREFETCH].prefetch();
        }
        self.back = rest;
        self.ranks.end -= 1;
        Some(slot)
    }
}

impl ExactSizeIterator for Iter<'_> {}
impl FusedIterator for Iter<'_> {}
