//! The nodes above the leaves: for each child its first element, and how many elements it has.
//!
//! The first elements' scores are copied to the node, as doubles, side by side: the child for a score is found by
//! comparing all of them, without a branch and without a look at any element. Elements are looked at for a tie, when scores
//! equal the one that is searched for.
//!
//! All that a node keeps about its children is exact at any time; a search for an element that is in the tree
//! therefore never goes astray, and no child is empty.

use super::Cut;
use super::element::ElementPtr;
use super::leaf::{LEAF_MAX, LEAF_MIN, Leaf};

/// Children that an inner node has room for: what makes it 1,280 bytes.
pub(super) const INNER_MAX: usize = 31;

/// An inner node with fewer children is merged with a neighbour, where both fit into one.
const INNER_MIN: usize = INNER_MAX / 4;

/// Elements that a leaf leaves room for when it is made of two, so that the next insertion does not split it.
const MERGE_SLACK: usize = LEAF_MAX / 8;

/// A node of the tree.
pub(super) enum Node {
    Leaf(Box<Leaf>),
    Inner(Box<Inner>),
}

impl Node {
    /// Whether a node must be given room before an element is inserted into it.
    pub(super) fn is_full(&self) -> bool {
        match self {
            Node::Leaf(leaf) => leaf.is_full(),
            Node::Inner(inner) => inner.len == INNER_MAX,
        }
    }

    /// The number of elements.
    pub(super) fn count(&self) -> usize {
        match self {
            Node::Leaf(leaf) => leaf.len(),
            Node::Inner(inner) => inner.counts[..inner.len].iter().sum(),
        }
    }

    /// The first element, if there is one.
    pub(super) fn first(&self) -> Option<ElementPtr> {
        match self {
            Node::Leaf(leaf) => leaf.first(),
            Node::Inner(inner) => inner.firsts[0],
        }
    }

    /// Removes elements that are in one leaf, up to `max` from number `rank` on, and says how many these were.
    pub(super) fn remove_run(&mut self, rank: usize, max: usize) -> usize {
        match self {
            Node::Leaf(leaf) => {
                let end = leaf.len().min(rank.saturating_add(max));
                leaf.remove(rank..end);
                end - rank
            }
            Node::Inner(inner) => inner.remove_run(rank, max),
        }
    }

    fn leaf_mut(&mut self) -> Option<&mut Leaf> {
        match self {
            Node::Leaf(leaf) => Some(leaf),
            Node::Inner(_) => None,
        }
    }

    fn inner_mut(&mut self) -> Option<&mut Inner> {
        match self {
            Node::Leaf(_) => None,
            Node::Inner(inner) => Some(inner),
        }
    }
}

/// Whether a node is at the ends of the tree, where sorted insertions happen.
#[derive(Clone, Copy)]
pub(super) struct Edges {
    pub(super) left: bool,
    pub(super) right: bool,
}

/// Children, with what is known of each.
// What a search reads comes first, side by side.
#[repr(C)]
pub(super) struct Inner {
    len: usize,
    /// The score of each child's first element; behind the last child NaN, which compares as neither less nor equal.
    scores: [f64; INNER_MAX],
    firsts: [Option<ElementPtr>; INNER_MAX],
    counts: [usize; INNER_MAX],
    children: [Option<Node>; INNER_MAX],
}

const _: () = assert!(size_of::<Inner>() <= 1280 && size_of::<Inner>() > 1280 - 40);

// SAFETY: as for a leaf.
unsafe impl Send for Inner {}
// SAFETY: as for a leaf.
unsafe impl Sync for Inner {}

impl Inner {
    /// A node with these children, of which none is empty.
    pub(super) fn new(children: impl IntoIterator<Item = Node>) -> Box<Inner> {
        let mut inner = Box::new(Inner {
            len: 0,
            scores: [f64::NAN; INNER_MAX],
            firsts: [None; INNER_MAX],
            counts: [0; INNER_MAX],
            children: [const { None }; INNER_MAX],
        });
        for child in children {
            inner.insert_child(inner.len, child);
        }
        inner
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The children, in order.
    pub(super) fn children(&self) -> impl Iterator<Item = &Node> {
        self.children[..self.len].iter().flatten()
    }

    pub(super) fn first_child(&self) -> &Node {
        self.child(0)
    }

    /// The child that `cut` lies in or behind, and the number of elements in those before it.
    #[inline]
    pub(super) fn child_at_cut(&self, cut: Cut<'_>) -> (&Node, usize) {
        let index = self.index_at_cut(cut);
        (self.child(index), self.counts[..index].iter().sum())
    }

    /// The last child whose first element has this score or a lower one, or the first of all: without a look at an element.
    #[inline(always)]
    pub(super) fn child_at_score(&self, score: f64) -> &Node {
        let not_more = self.scores.iter().filter(|first| **first <= score).count();
        self.child(not_more.saturating_sub(1))
    }

    /// The child that has element number `rank`, and the element's number in it.
    #[inline]
    pub(super) fn child_at_rank(&self, rank: usize) -> (&Node, usize) {
        let (index, rank) = self.index_at_rank(rank);
        (self.child(index), rank)
    }

    /// The last of the children whose first element is before `cut`, or the first of all.
    #[inline]
    fn index_at_cut(&self, cut: Cut<'_>) -> usize {
        let is_before = |score: f64, first: &Option<ElementPtr>| {
            first.as_ref().is_some_and(|first| cut.is_after(score, || first.member()))
        };
        let before = match cut.score() {
            Some(score) => {
                let less = self.scores.iter().filter(|first| **first < score).count();
                let not_more = self.scores.iter().filter(|first| **first <= score).count();
                less + self.firsts[less..not_more].partition_point(|first| is_before(score, first))
            }
            None => self.firsts[..self.len].partition_point(|first| is_before(0.0, first)),
        };
        before.saturating_sub(1)
    }

    /// [`Self::child_at_cut`], to be changed.
    #[inline]
    pub(super) fn child_at_cut_mut(&mut self, cut: Cut<'_>) -> &mut Node {
        let index = self.index_at_cut(cut);
        self.child_mut(index)
    }

    #[inline]
    fn index_at_rank(&self, mut rank: usize) -> (usize, usize) {
        for (index, &count) in self.counts[..self.len].iter().enumerate() {
            if rank < count {
                return (index, rank);
            }
            rank -= count;
        }
        panic!("the tree has no element of this rank");
    }

    #[inline]
    fn child(&self, index: usize) -> &Node {
        self.children[index].as_ref().expect("there are `len` children")
    }

    #[inline]
    pub(super) fn child_mut(&mut self, index: usize) -> &mut Node {
        self.children[index].as_mut().expect("there are `len` children")
    }

    fn set_first(&mut self, index: usize, first: Option<ElementPtr>) {
        self.firsts[index] = first;
        self.scores[index] = first.map_or(f64::NAN, ElementPtr::score);
    }

    /// Notes anew what is known of a child.
    fn refresh(&mut self, index: usize) {
        let child = self.child(index);
        let (first, count) = (child.first(), child.count());
        self.set_first(index, first);
        self.counts[index] = count;
    }

    /// Adds a child in front of number `index`. There is room.
    fn insert_child(&mut self, index: usize, child: Node) {
        let end = self.len;
        self.scores.copy_within(index..end, index + 1);
        self.firsts.copy_within(index..end, index + 1);
        self.counts.copy_within(index..end, index + 1);
        self.children[index..=end].rotate_right(1);
        self.children[index] = Some(child);
        self.len += 1;
        self.refresh(index);
    }

    fn remove_child(&mut self, index: usize) -> Node {
        let child = self.children[index].take().expect("there are `len` children");
        let end = self.len;
        self.scores.copy_within(index + 1..end, index);
        self.firsts.copy_within(index + 1..end, index);
        self.counts.copy_within(index + 1..end, index);
        self.children[index..end].rotate_left(1);
        self.len -= 1;
        self.set_first(self.len, None);
        child
    }

    /// Takes the last child.
    pub(super) fn pop_child(&mut self) -> Option<Node> {
        (self.len > 0).then(|| self.remove_child(self.len - 1))
    }

    // ---- insertion ----

    /// Counts an element that is about to be inserted, and says into which child, which is not full then. There is room for
    /// one more child in this node.
    pub(super) fn prepare_insertion(&mut self, element: ElementPtr, edges: &mut Edges) -> usize {
        let cut = Cut::BelowElement(element.score(), element.member());
        let mut index = self.index_at_cut(cut);
        if self.child(index).is_full() {
            index = self.make_room(index, element, *edges);
        }
        self.counts[index] += 1;
        if index == 0 && self.firsts[0].is_none_or(|first| element.order(&first).is_lt()) {
            self.set_first(0, Some(element));
        }
        edges.left &= index == 0;
        edges.right &= index + 1 == self.len;
        index
    }

    /// Makes room in child `index`, and says which child `element` belongs to then.
    fn make_room(&mut self, index: usize, element: ElementPtr, edges: Edges) -> usize {
        match self.child_mut(index) {
            Node::Inner(_) => self.split_inner(index, edges),
            Node::Leaf(leaf) => {
                let at = leaf.count_before(Cut::BelowElement(element.score(), element.member()));
                let new_at = match at {
                    LEAF_MAX if edges.right && index + 1 == self.len => Some(self.len),
                    0 if edges.left && index == 0 => Some(0),
                    _ => None,
                };
                if let Some(index) = new_at {
                    // Sorted insertions leave full leaves behind: the next is begun with this element.
                    self.insert_child(index, Node::Leaf(Leaf::new(&[])));
                    self.set_first(index, Some(element));
                    return index;
                }
                self.relieve_leaf(index);
            }
        }
        self.index_at_cut(Cut::BelowElement(element.score(), element.member()))
    }

    /// Splits a full child that is an inner node: in halves, or at the ends of the tree so that what sorted
    /// insertions leave behind is full.
    fn split_inner(&mut self, index: usize, edges: Edges) {
        let keep = match (edges.left && index == 0, edges.right && index + 1 == self.len) {
            (_, true) => INNER_MAX - 1,
            (true, false) => 1,
            (false, false) => INNER_MAX / 2,
        };
        let Some(child) = self.child_mut(index).inner_mut() else { return };
        let right = Inner::new(child.take_children(keep));
        self.refresh(index);
        self.insert_child(index + 1, Node::Inner(right));
    }

    /// Takes all children from number `from` on.
    fn take_children(&mut self, from: usize) -> Vec<Node> {
        let taken: Vec<Node> = self.children[from..self.len].iter_mut().filter_map(Option::take).collect();
        for index in from..self.len {
            self.set_first(index, None);
        }
        self.len = from;
        taken
    }

    /// Makes room in a full leaf: shares its elements with a neighbour that has room, or makes three leaves of it and a
    /// full neighbour. So leaves that are split are two thirds full, not half.
    fn relieve_leaf(&mut self, index: usize) {
        let room = |at: usize| LEAF_MAX - self.counts[at];
        let neighbours = [index.checked_sub(1), Some(index + 1).filter(|&right| right < self.len)];
        let Some(emptier) = neighbours.into_iter().flatten().max_by_key(|&at| room(at)) else {
            return self.spread(index..index + 1, 2);
        };
        let leaves = if room(emptier) >= MERGE_SLACK { 2 } else { 3 };
        self.spread(index.min(emptier)..index.max(emptier) + 1, leaves);
    }

    /// Spreads the elements of neighbouring leaves evenly over so many leaves, as many as there are, one more or one fewer.
    fn spread(&mut self, range: std::ops::Range<usize>, leaves: usize) {
        let mut elements = Vec::with_capacity(range.len() * LEAF_MAX);
        for index in range.clone() {
            elements
                .extend(self.child_mut(index).leaf_mut().expect("neighbours are of one height").elements());
        }
        let (start, mut rest) = (range.start, &elements[..]);
        for done in 0..leaves {
            let (now, later) = rest.split_at(rest.len() / (leaves - done));
            rest = later;
            let index = start + done;
            if range.contains(&index) {
                self.child_mut(index).leaf_mut().expect("neighbours are of one height").fill(now);
                self.refresh(index);
            } else {
                self.insert_child(index, Node::Leaf(Leaf::new(now)));
            }
        }
        if leaves < range.len() {
            self.remove_child(start + leaves);
        }
    }

    // ---- removal ----

    /// [`Node::remove_run`].
    fn remove_run(&mut self, rank: usize, max: usize) -> usize {
        let (index, rank) = self.index_at_rank(rank);
        let child = self.child_mut(index);
        let removed = child.remove_run(rank, max);
        self.counts[index] -= removed;
        if self.counts[index] == 0 {
            self.remove_child(index);
            return removed;
        }
        if rank == 0 {
            let first = self.child(index).first();
            self.set_first(index, first);
        }
        self.fill_up(index);
        removed
    }

    /// Merges a child that has become small with a neighbour, or shares the neighbour's elements.
    fn fill_up(&mut self, index: usize) {
        let small = match self.child(index) {
            Node::Leaf(leaf) => leaf.len() < LEAF_MIN,
            Node::Inner(inner) => inner.len < INNER_MIN,
        };
        if !small || self.len == 1 {
            return;
        }
        let left = index.saturating_sub(1);
        if let Node::Inner(_) = self.child(index) {
            return self.merge_inner(left);
        }
        let both = self.counts[left] + self.counts[left + 1];
        let leaves = if both <= LEAF_MAX - MERGE_SLACK { 1 } else { 2 };
        self.spread(left..left + 2, leaves);
    }

    /// Makes one of two neighbouring inner nodes, where that has room for the children of both.
    fn merge_inner(&mut self, left: usize) {
        let len = |node: &mut Node| node.inner_mut().map_or(INNER_MAX, |inner| inner.len);
        if len(self.child_mut(left)) + len(self.child_mut(left + 1)) > INNER_MAX {
            return;
        }
        let mut right = self.remove_child(left + 1);
        let moved = right.inner_mut().map_or_else(Vec::new, |inner| inner.take_children(0));
        if let Some(inner) = self.child_mut(left).inner_mut() {
            for child in moved {
                inner.insert_child(inner.len, child);
            }
        }
        self.refresh(left);
    }

    /// Asserts the invariants of this node.
    pub(super) fn validate(&self) {
        assert!((1..=INNER_MAX).contains(&self.len));
        for (index, child) in self.children().enumerate() {
            assert_ne!(child.count(), 0, "a child is empty");
            assert_eq!(self.counts[index], child.count(), "a count is out of date");
            assert!(self.firsts[index] == child.first(), "a first element is out of date");
            let score = child.first().map(ElementPtr::score);
            assert_eq!(Some(self.scores[index]), score, "a score is out of date");
        }
        assert!(self.scores[self.len..].iter().all(|score| score.is_nan()));
        assert!(self.children[self.len..].iter().all(Option::is_none));
    }
}
