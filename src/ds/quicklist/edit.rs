//! Changes away from the ends.

use std::mem;
use std::ops::Range;

use super::node::Content;
use super::{Element, End, Limits, Needle, Node, QuickList, Side};
use crate::ds::listpack::Listpack;

/// Lists of fewer nodes are not tidied up when elements are removed by their text, so that they become a bare listpack
/// exactly when upstream's do.
const TIDY_FROM: usize = 64;

impl QuickList {
    /// Adds an element beside the one with that index, which there is.
    pub fn insert(&mut self, index: usize, side: Side, element: Element<'_>) {
        let (at, offset) = self.locate(index).expect("there is an element to insert beside of");
        // The gap that the element goes to: the number of the node's elements before it.
        let gap = if side == Side::Before { offset } else { offset + 1 };
        self.len += 1;
        let changed = if self.nodes[at].admits(element.len(), &self.limits) {
            self.nodes[at].insert_at(gap, element);
            at..at + 1
        } else if gap == 0 {
            self.insert_between(at, element, at.checked_sub(1), End::Tail)
        } else if gap == self.nodes[at].count() {
            self.insert_between(at + 1, element, Some(at + 1), End::Head)
        } else if self.limits.is_large(element.len()) {
            let behind = self.nodes[at].split_off(gap);
            self.nodes.insert(at + 1, Node::with(element, &self.limits));
            self.nodes.insert(at + 2, behind);
            at..at + 3
        } else {
            self.insert_splitting(at, gap, side, element)
        };
        self.settle(changed);
    }

    /// Adds an element at the edge of a full node: to its neighbour at that end, if that has room, or else in a new
    /// node there, which gets the number `at`. Returns the nodes that it changed.
    fn insert_between(
        &mut self,
        at: usize,
        element: Element<'_>,
        neighbour: Option<usize>,
        end: End,
    ) -> Range<usize> {
        let room = neighbour.and_then(|number| Some((number, self.nodes.get_mut(number)?)));
        if let Some((number, node)) = room
            && node.admits(element.len(), &self.limits)
        {
            let gap = if end == End::Head { 0 } else { node.count() };
            node.insert_at(gap, element);
            return number..number + 1;
        }
        self.nodes.insert(at, Node::with(element, &self.limits));
        // The full node itself may have left the region that is not compressed.
        at.saturating_sub(1)..(at + 2).min(self.nodes.len())
    }

    /// Adds an element in the midst of a full node. Returns the nodes that it changed.
    fn insert_splitting(&mut self, at: usize, gap: usize, side: Side, element: Element<'_>) -> Range<usize> {
        let mut behind = self.nodes[at].split_off(gap);
        let centre = if side == Side::Before {
            let count = self.nodes[at].count();
            self.nodes[at].insert_at(count, element);
            at + 1
        } else {
            behind.insert_at(0, element);
            at
        };
        self.nodes.insert(at + 1, behind);
        self.merge_around(centre)
    }

    /// Gives the element with that index another value. Returns whether there is one.
    pub fn replace(&mut self, index: usize, element: Element<'_>) -> bool {
        let Some((at, offset)) = self.locate(index) else { return false };
        let large = self.limits.is_large(element.len());
        let changed = match (self.nodes[at].is_plain(), large) {
            (true, true) => {
                self.nodes[at] = Node::with(element, &self.limits);
                at..at + 1
            }
            (true, false) => {
                self.nodes.remove(at);
                self.insert_between(at, element, Some(at), End::Head)
            }
            (false, true) => self.replace_by_large(at, offset, element),
            (false, false) => {
                let (list, _) = self.nodes[at].packed_mut().expect("the node is packed");
                let position = list.seek(offset as i64).expect("the offset is below the count");
                list.replace(position, element.value());
                at..at + 1
            }
        };
        self.settle(changed);
        true
    }

    /// Puts a large element in the place of a small one. Returns the nodes that it changed.
    fn replace_by_large(&mut self, at: usize, offset: usize, element: Element<'_>) -> Range<usize> {
        let node = Node::with(element, &self.limits);
        if offset + 1 < self.nodes[at].count() {
            let behind = self.nodes[at].split_off(offset + 1);
            self.nodes.insert(at + 1, behind);
        }
        if offset == 0 {
            self.nodes[at] = node;
            return at..(at + 2).min(self.nodes.len());
        }
        self.nodes[at].delete_range(offset, 1);
        self.nodes.insert(at + 1, node);
        self.merge_around(at + 1)
    }

    /// Removes up to `count` elements from that index on.
    pub fn delete_range(&mut self, index: usize, count: usize) {
        let Some((first, offset)) = self.locate(index) else { return };
        let mut left = count.min(self.len - index);
        self.len -= left;
        let mut whole = first..first;
        if offset > 0 {
            let here = left.min(self.nodes[first].count() - offset);
            self.nodes[first].delete_range(offset, here);
            left -= here;
            whole = first + 1..first + 1;
        }
        while left > 0 && self.nodes[whole.end].count() <= left {
            left -= self.nodes[whole.end].count();
            whole.end += 1;
        }
        if left > 0 {
            self.nodes[whole.end].delete_range(0, left);
        }
        self.nodes.drain(whole);
        self.settle(first..(first + 2).min(self.nodes.len()));
    }

    /// Removes elements with this text, up to `most` of them, beginning at that end. Returns how many.
    pub fn remove(&mut self, needle: &Needle<'_>, most: usize, end: End) -> usize {
        let mut removed = 0;
        let mut changed: Option<Range<usize>> = None;
        for step in 0..self.nodes.len() {
            if removed == most {
                break;
            }
            let at = if end == End::Head { step } else { self.nodes.len() - 1 - step };
            let here = self.nodes[at].remove(needle, most - removed, end);
            if here == 0 {
                continue;
            }
            removed += here;
            if self.is_interior(at) {
                self.nodes[at].compress();
            }
            changed = Some(changed.map_or(at..at + 1, |range| range.start.min(at)..range.end.max(at + 1)));
        }
        self.len -= removed;
        if let Some(range) = changed {
            let tidied = self.tidy(range);
            self.settle(tidied);
        }
        removed
    }

    /// Drops nodes of this range that have become empty; in a long list, merges its neighbours where they fit into one.
    /// Returns the range of what is left.
    fn tidy(&mut self, range: Range<usize>) -> Range<usize> {
        let merge = self.nodes.len() >= TIDY_FROM;
        let (mut start, mut end) = (range.start, range.end);
        if merge {
            (start, end) = (start.saturating_sub(1), (end + 1).min(self.nodes.len()));
        }
        let mut kept = start;
        for at in start..end {
            if self.nodes[at].count() == 0 {
                continue;
            }
            if merge && kept > start && may_merge(&self.nodes[kept - 1], &self.nodes[at], &self.limits) {
                let node = mem::replace(&mut self.nodes[at], Node::packed(Listpack::new()));
                self.nodes[kept - 1].absorb(node);
                continue;
            }
            self.nodes.swap(kept, at);
            kept += 1;
        }
        self.nodes.drain(kept..end);
        start..kept
    }

    /// Merges nodes near `centre`, whose neighbours may have become small, where they fit: two before it, two behind
    /// it, then those with it. Returns the nodes that may have changed, a node about them included.
    fn merge_around(&mut self, mut centre: usize) -> Range<usize> {
        if centre >= 2 && self.merge(centre - 2) {
            centre -= 1;
        }
        self.merge(centre + 1);
        if centre >= 1 && self.merge(centre - 1) {
            centre -= 1;
        }
        self.merge(centre);
        centre.saturating_sub(2)..(centre + 3).min(self.nodes.len())
    }

    /// Merges the node with the one behind it, if both are there and fit into one.
    fn merge(&mut self, at: usize) -> bool {
        let (Some(node), Some(next)) = (self.nodes.get(at), self.nodes.get(at + 1)) else { return false };
        if !may_merge(node, next, &self.limits) {
            return false;
        }
        let next = self.nodes.remove(at + 1).expect("it was just looked at");
        self.nodes[at].absorb(next);
        true
    }
}

fn may_merge(a: &Node, b: &Node, limits: &Limits) -> bool {
    !a.is_plain() && !b.is_plain() && limits.allow_merge([a.size(), b.size()], a.count() + b.count())
}

impl Node {
    /// Adds an element behind the first `gap` ones of a packed node.
    fn insert_at(&mut self, gap: usize, element: Element<'_>) {
        let (list, count) = self.packed_mut().expect("only packed nodes are added to");
        match list.seek(gap as i64) {
            Some(position) => {
                list.insert_before(position, element.value());
            }
            None => list.append(element.value()),
        }
        *count += 1;
    }

    /// Removes elements of a packed node.
    fn delete_range(&mut self, offset: usize, deleted: usize) {
        let (list, count) = self.packed_mut().expect("a plain node has no parts");
        list.delete_range(offset as i64, deleted);
        *count -= deleted as u32;
    }

    /// Adds the elements of another packed node.
    fn absorb(&mut self, mut other: Node) {
        let (other, more) = other.packed_mut().expect("only packed nodes are merged");
        let (list, count) = self.packed_mut().expect("only packed nodes are merged");
        *list = mem::take(list).merge(mem::take(other));
        *count += *more;
    }

    /// Removes elements with this text, up to `most`, beginning at that end. Returns how many. It may become empty.
    fn remove(&mut self, needle: &Needle<'_>, most: usize, end: End) -> usize {
        let found = self.read(|content| match content {
            Content::Plain(block) => usize::from(needle.is(Element::Block(block))),
            Content::Packed(list) => list.iter().filter(|&value| needle.is(value.into())).take(most).count(),
        });
        if found == 0 {
            return 0;
        }
        if let Some((list, count)) = self.packed_mut() {
            remove_from_listpack(list, needle, most, end);
            *count -= found as u32;
        } else {
            *self = Node::packed(Listpack::new());
        }
        found
    }
}

/// Removes elements with this text from a listpack, up to `most`, beginning at that end. Returns how many.
pub fn remove_from_listpack(list: &mut Listpack, needle: &Needle<'_>, most: usize, end: End) -> usize {
    let mut found = Vec::new();
    let mut values = list.iter();
    while let Some(position) = values.position() {
        if values.next().is_some_and(|value| needle.is(value.into())) {
            found.push(position);
        }
    }
    match end {
        End::Head => found.truncate(most),
        End::Tail => drop(found.drain(..found.len().saturating_sub(most))),
    }
    list.delete_all(&found);
    found.len()
}
